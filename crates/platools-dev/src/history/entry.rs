//! One call of the history.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use platools::wire::platform::HostFrame;

use crate::call::SignedCall;
use crate::call::report::{CallReport, CallStage, Content, Outcome, SignatureParts, Transport};
use crate::call::tamper::Tamper;
use crate::key::EntityKey;

/// The size of an entry without its frames, roughly, in bytes.
const ENTRY_BYTES: usize = 512;

/// A call, from the moment it is sent.
#[derive(Clone)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// Its number; later calls have larger ones.
    pub id: u64,
    /// When it was sent.
    pub at: SystemTime,
    /// Whose tool was called.
    pub key: EntityKey,
    /// The call's id.
    pub call_id: String,
    /// The tool's name.
    pub tool: String,
    /// The change that was made after the call was signed.
    pub tamper: Option<Tamper>,
    /// Whether the same frame had been sent before.
    pub repeated: bool,
    /// Its stage.
    pub stage: CallStage,
    /// Whether the caller left before the answer. The platform waits on for it, unless it was made from inside this
    /// process.
    pub abandoned: bool,
    /// Whether the answer was a result, and came in time.
    pub ok: bool,
    /// The time from sending to the answer, or to giving up. Zero while it runs.
    pub latency: Duration,
    /// The time from sending to an answer that came after the platform had given up.
    pub late: Option<Duration>,
    /// The latency that the host reported.
    pub host_latency: Option<Duration>,
    /// The transport to the host.
    pub transport: Transport,
    /// The frame that was sent, exactly. Over HTTP, the frame that says the same.
    pub sent: Arc<str>,
    /// The frame that was received, exactly. Over HTTP, the frame that says what became of the response.
    pub reply: Option<Arc<str>>,
}

/// A host's answer to a call.
#[derive(Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) ok: bool,
    pub(crate) host_latency: Option<Duration>,
    /// The frame.
    pub(crate) reply: &'a str,
}

impl HistoryEntry {
    /// The outcome of the call, as its caller got it.
    pub fn report(&self) -> CallReport {
        CallReport {
            call_id: self.call_id.clone(),
            tool: self.tool.clone(),
            outcome: self.outcome(),
            latency: self.latency,
            host_latency: self.host_latency,
            transport: self.transport.clone(),
            sent: self.sent.to_string(),
            reply: self.reply.as_deref().map(str::to_owned),
        }
    }

    /// The signature of the sent frame, with the texts that it covers.
    pub fn signature(&self) -> Option<SignatureParts> {
        SignatureParts::of(&self.sent)
    }

    fn outcome(&self) -> Outcome {
        match self.stage {
            CallStage::Running => Outcome::Running,
            // The caller did not get a late answer.
            CallStage::TimedOut => Outcome::TimedOut,
            CallStage::Answered => self.content().into_outcome(&self.transport),
        }
    }

    /// The entry of a call that was just sent.
    pub(crate) fn running(
        id: u64,
        at: SystemTime,
        key: &EntityKey,
        call: &SignedCall,
        transport: Transport,
    ) -> Self {
        Self {
            id,
            at,
            key: key.clone(),
            call_id: call.call_id.clone(),
            tool: call.tool.clone(),
            tamper: call.tamper,
            repeated: call.repeated,
            stage: CallStage::Running,
            abandoned: false,
            ok: false,
            latency: Duration::ZERO,
            late: None,
            host_latency: None,
            transport,
            sent: call.frame.as_str().into(),
            reply: None,
        }
    }

    /// Adds the answer that came in time.
    pub(crate) fn answer(&mut self, answered: Answered<'_>, latency: Duration) {
        let Answered { ok, host_latency, reply } = answered;
        (self.stage, self.ok, self.latency) = (CallStage::Answered, ok, latency);
        (self.host_latency, self.reply) = (host_latency, Some(Arc::from(reply)));
    }

    /// Adds an answer after which its caller no longer waited.
    pub(crate) fn answer_late(&mut self, answered: Answered<'_>) {
        let took = self.at.elapsed().unwrap_or_default();
        if self.stage == CallStage::Running {
            return self.answer(answered, took);
        }
        self.late = Some(took);
        (self.host_latency, self.reply) = (answered.host_latency, Some(Arc::from(answered.reply)));
    }

    /// The content of the answer, as text; also of a late one.
    pub(crate) fn content(&self) -> Content {
        match self.reply.as_deref().map(HostFrame::parse) {
            Some(Ok(HostFrame::ToolResult(result))) => Content::Result(result.result.to_owned()),
            Some(Ok(HostFrame::ToolError(error))) => Content::Error(error.error),
            _ => Content::TimedOut,
        }
    }

    /// Its size in memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        ENTRY_BYTES + self.sent.len() + self.reply.as_deref().map_or(0, str::len)
    }
}

impl fmt::Debug for HistoryEntry {
    /// Without the frames, which hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryEntry")
            .field("id", &self.id)
            .field("key", &self.key)
            .field("call_id", &self.call_id)
            .field("tool", &self.tool)
            .field("stage", &self.stage)
            .field("ok", &self.ok)
            .field("latency", &self.latency)
            .finish_non_exhaustive()
    }
}
