//! The one way in and out for calls, whatever door they come through.
//!
//! A call of the platform, over the socket or over HTTP, is received by `Intake::receive`: verified, looked up by its id,
//! admitted. A call whose caller the door has verified itself enters by a [`Door`]. What comes out is an [`Answer`], a
//! value that each door writes in its own way. This room must not know sockets, HTTP or MCP.

mod answer;
mod calls;
mod door;
#[cfg(all(test, shuttle))]
mod schedules;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

pub(crate) use self::answer::PlatformAnswer;
pub use self::answer::{Answer, Failure, HandedAnswer};
use self::calls::{Calls, Finishing, Known, MAX_IDS};
pub use self::door::{CallRequest, Door, HandedCall, RunningCall};
use crate::caller::{CallScope, Surroundings};
use crate::run::{AdmissionRequest, Admitted, Dispatcher, Finished, SHUTTING_DOWN};
use crate::tool::{Arguments, ToolError};
use crate::verify::{Refusal, Verifier};
use crate::wire::{
    CALL_PENDING, CallBody, CallBodyError, CallFrame, Params, RawEnvelope, Scope, ToolName, outbound,
};

/// Maximum length of a text from the platform in a log line, in characters.
const LOGGED: usize = 200;

/// Where the calls of one host come in.
#[derive(Debug)]
pub(crate) struct Intake {
    verifier: Verifier,
    calls: Calls,
    dispatcher: Dispatcher,
    show_internal: bool,
}

/// A call as the platform sent it, unverified.
#[expect(clippy::large_enum_variant, reason = "it is passed on at once and stored nowhere")]
pub(crate) enum Incoming<'a, 'f> {
    /// A frame of the socket.
    Frame(&'f CallFrame<'a>),
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only the feature `http` has that door"))]
    /// An HTTP request: what its headers say, the text that was signed, and the W3C trace context.
    Request { envelope: RawEnvelope<'a>, body: &'a str, traceparent: Option<String> },
}

/// The time at which a call arrived, on both clocks, and the scope of the connection that it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) at: Instant,
    pub(crate) wall: SystemTime,
    pub(crate) scope: &'a Scope,
}

/// The outcome of receiving a call.
#[derive(Debug)]
pub(crate) enum Received {
    /// It runs.
    Run(Admitted),
    /// It does not run.
    Refused(Refused),
    /// A call of this id is running; its answer is on its way.
    Running,
    /// A call of this id was answered, with this frame.
    Answered(String),
}

/// The reason why a call does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Verification(#[from] Refusal),
    #[error(transparent)]
    Body(#[from] CallBodyError),
    /// The id is that of a call with another tool or other arguments: the signature does not cover it.
    #[error(
        "call_id_reused: this call id belongs to another call, with another tool or other arguments; send each call \
         under an id of its own"
    )]
    IdOfAnother,
    /// The call ran, and its answer is gone.
    #[error(
        "known_call_id: a call with this id ran a moment ago, and its answer is not kept any more; send a new call \
         under a new id"
    )]
    AnswerEvicted,
    #[error("{0}")]
    Admission(ToolError),
    #[error("{SHUTTING_DOWN}")]
    ShuttingDown,
}

impl Refused {
    /// The reason as one word, for logs and metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Verification(refusal) => refusal.reason(),
            Self::Body(_) => "malformed",
            Self::IdOfAnother => "call_id_reused",
            Self::AnswerEvicted => "known_call_id",
            Self::Admission(error) => error.kind().as_str(),
            Self::ShuttingDown => "shutting_down",
        }
    }
}

/// The parts of a verified call.
struct Verified<'a, 'f> {
    call_id: Option<&'f str>,
    /// When the platform began to wait for the answer on the socket; `None` over HTTP.
    asked: Option<Instant>,
    user: Option<&'f str>,
    tool: &'f ToolName<'a>,
    params: &'f Params<'a>,
}

impl Intake {
    pub(crate) fn new(verifier: Verifier, dispatcher: Dispatcher, show_internal: bool) -> Self {
        Self { verifier, calls: Calls::default(), dispatcher, show_internal }
    }

    pub(crate) fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The door for calls that come neither over the socket nor over HTTP.
    pub(crate) fn door(&self) -> Door {
        Door::new(self.dispatcher.clone(), self.show_internal)
    }

    /// Verifies a call of the platform, looks its id up and admits it. Never waits.
    pub(crate) fn receive(&self, call: &Incoming<'_, '_>, arrival: Arrival<'_>) -> Received {
        match call {
            Incoming::Frame(frame) => {
                let envelope = match self.verifier.verify(frame, arrival.scope, arrival.wall) {
                    Ok(envelope) => envelope,
                    Err(refusal) => return Received::Refused(refusal.into()),
                };
                let (tool, params) = (frame.tool_name(), frame.params());
                let user = envelope.user_id.as_deref();
                let (call_id, asked) = (Some(frame.call_id()), Some(arrival.at));
                let verified = Verified { call_id, asked, user, tool, params };
                self.admit(&verified, arrival.at, |call_id, surroundings| {
                    CallScope::from_wire(call_id, params.envelope_text(), params.context_text(), surroundings)
                })
            }
            Incoming::Request { envelope, body, traceparent } => {
                let verdict = self.verifier.verify_request(envelope, body, arrival.scope, arrival.wall);
                if let Err(refusal) = verdict {
                    return Received::Refused(refusal.into());
                }
                // Nothing of the body is read before it is verified.
                let call = match CallBody::parse(body) {
                    Ok(call) => call,
                    Err(error) => return Received::Refused(error.into()),
                };
                // Without an id nothing can be said about other calls; an empty one counts as absent.
                let call_id = envelope.call_id.as_deref().filter(|call_id| !call_id.is_empty());
                let (tool, params) = (call.tool_name(), call.params());
                let user = envelope.user_id.as_deref();
                let verified = Verified { call_id, asked: None, user, tool, params };
                self.admit(&verified, arrival.at, |call_id, surroundings| {
                    let context = params.context_text();
                    let (envelope, traceparent) = (envelope.to_envelope(), traceparent.clone());
                    CallScope::from_envelope(call_id, envelope, context, traceparent, surroundings)
                })
            }
        }
    }

    /// Looks the id of a verified call up, and admits the call.
    fn admit(
        &self,
        call: &Verified<'_, '_>,
        arrived: Instant,
        scope: impl FnOnce(Arc<str>, Arc<Surroundings>) -> CallScope,
    ) -> Received {
        let tool = call.tool.exact();
        let known = call.call_id.map(|call_id| {
            let asks_for = self.calls.fingerprint(tool.as_deref().unwrap_or_default(), call.params);
            self.calls.claim(call_id, asks_for, call.asked)
        });
        let claimed = match known {
            None => None,
            Some(Known::New(call_id)) => Some(call_id),
            Some(Known::Running) => return Received::Running,
            Some(Known::Answered(frame)) => return Received::Answered(frame),
            Some(Known::OfAnother) => return Received::Refused(Refused::IdOfAnother),
            Some(Known::Forgotten) => return Received::Refused(Refused::AnswerEvicted),
            Some(Known::Full) => return Received::Refused(Refused::Admission(too_many_ids())),
        };
        let admitted = match tool {
            Some(tool) => {
                let bytes = call.params.text().len();
                let asked = AdmissionRequest { tool: &tool, user: call.user, bytes, arrived, counts: true };
                self.dispatcher.admit(&asked, |surroundings| {
                    let call_id = claimed.clone().unwrap_or_else(unnamed);
                    let arguments = Arguments::from_object_text(call.params.arguments_text());
                    (arguments, scope(call_id, surroundings))
                })
            }
            None => Err(ToolError::unknown_tool(call.tool.display().into_owned())),
        };
        match admitted {
            Ok(call) => Received::Run(call),
            Err(error) => {
                if let Some(call_id) = claimed {
                    self.calls.release(&call_id);
                }
                let closed = self.dispatcher.is_closed();
                Received::Refused(if closed { Refused::ShuttingDown } else { Refused::Admission(error) })
            }
        }
    }

    /// Returns whether a refusal may be sent under this id: while a call of the same id runs, the platform would take
    /// the refusal for its answer.
    pub(crate) fn may_refuse(&self, call_id: &str) -> bool {
        !self.calls.is_running(call_id)
    }

    /// Writes the answers of finished calls, makes of each what the door sends, and remembers them: a call that comes
    /// again gets the same answer. `texts` are the id of the call and the frame that answers it. Send the answers before
    /// the guard is dropped: until then the calls count as running.
    pub(crate) fn answer_all<A>(
        &self,
        calls: &mut [Finished],
        mut make: impl FnMut(&Finished, PlatformAnswer) -> A,
        texts: impl Fn(&A) -> (&str, &str),
    ) -> (Vec<A>, Finishing<'_>) {
        let answers: Vec<A> = calls
            .iter_mut()
            .map(|call| {
                let answer = self.answer(call);
                make(call, answer)
            })
            .collect();
        let guard = self.calls.finish_all(answers.iter().map(texts), Instant::now());
        (answers, guard)
    }

    /// Writes the answer of a call. Never panics.
    fn answer(&self, call: &mut Finished) -> PlatformAnswer {
        let written = catch_unwind(AssertUnwindSafe(|| PlatformAnswer::new(call, self.show_internal)));
        written.unwrap_or_else(|_panic| {
            tracing::error!(call_id = &*call.call_id, "internal error: a value panicked when it was dropped");
            let error = ToolError::internal("a value panicked when it was dropped");
            let failure = Failure::new(&error, &call.call_id, false);
            let frame = outbound::tool_error(&call.call_id, failure.text());
            PlatformAnswer { outcome: Err(failure), frame }
        })
    }

    /// The number of running calls of the platform.
    pub(crate) fn running(&self) -> usize {
        self.calls.running()
    }

    /// Waits until all running calls of the platform are answered.
    pub(crate) async fn answered(&self) {
        self.calls.answered().await;
    }

    /// Forgets answers that the platform asks for no more.
    pub(crate) fn tidy(&self, now: Instant) {
        self.calls.tidy(now);
    }
}

/// A call whose id cannot be remembered might run again under it.
#[cold]
fn too_many_ids() -> ToolError {
    ToolError::overloaded(format!(
        "{MAX_IDS} calls ran within {} s, and no more call ids are remembered; call again in a few seconds",
        CALL_PENDING.as_secs()
    ))
}

/// An id for a call that came without one.
fn unnamed() -> Arc<str> {
    format!("http-{:016x}", fastrand::u64(..)).into()
}

/// Shortens a text of the platform for a log line.
pub(crate) fn shorten(text: &str) -> &str {
    text.char_indices().nth(LOGGED).map_or(text, |(end, _)| &text[..end])
}
