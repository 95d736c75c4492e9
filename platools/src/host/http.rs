//! Calls that come over HTTP instead of the WebSocket (tool-sync §6), through the same verifier,
//! dispatcher and memory of call ids.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::calls::Known;
use super::{HostHandle, Shared};
use crate::caller::CallScope;
use crate::run::Finished;
use crate::tool::{Arguments, ToolError, ToolErrorKind};
use crate::verify::Refusal;
use crate::wire::json;
use crate::wire::{CallRequest, RawEnvelope, RequestError};

/// A call as it came.
pub(crate) struct HttpCall<'a> {
    /// What the headers say.
    pub(crate) envelope: RawEnvelope<'a>,
    /// The text that was signed.
    pub(crate) body: &'a str,
    /// W3C trace context.
    pub(crate) traceparent: Option<String>,
}

/// How a call ended that was taken.
#[derive(Debug)]
pub(crate) enum HttpAnswer {
    /// The result, as JSON.
    Result(String),
    /// The text of the error, as on the WebSocket.
    Error { kind: ToolErrorKind, text: String, retry_after: Option<Duration> },
}

/// Why a call was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpRefusal {
    #[error(transparent)]
    NotVerified(#[from] Refusal),
    #[error(transparent)]
    NotReadable(#[from] RequestError),
    #[error("a call of this id is running or was answered")]
    Known,
    #[error("shutting down, retry: another host may take this call")]
    ShuttingDown,
    #[error("{0}")]
    NotAdmitted(ToolError),
}

impl HttpRefusal {
    /// One word for logs and figures.
    fn reason(&self) -> &'static str {
        match self {
            Self::NotVerified(refusal) => refusal.reason(),
            Self::NotReadable(_) => "malformed",
            Self::Known => "known_call_id",
            Self::ShuttingDown => "shutting_down",
            Self::NotAdmitted(error) => error.kind().as_str(),
        }
    }
}

impl HostHandle {
    /// Verifies a call and gives it its place. The future runs it to its end.
    pub(crate) fn begin_http_call(
        &self,
        call: HttpCall<'_>,
    ) -> Result<impl Future<Output = HttpAnswer> + Send + use<>, HttpRefusal> {
        let call_id = call.envelope.call_id.as_deref().unwrap_or_default().to_owned();
        begin(&self.shared, call).inspect_err(|refusal| {
            let tool = None;
            self.shared.note_refusal(&call_id, tool, refusal.reason());
        })
    }
}

fn begin(
    shared: &Arc<Shared>,
    call: HttpCall<'_>,
) -> Result<impl Future<Output = HttpAnswer> + Send + use<>, HttpRefusal> {
    let HttpCall { envelope, body, traceparent } = call;
    let arrived = Instant::now();
    // Before anything of the body is read.
    let verify = || shared.verifier.verify_request(&envelope, body, &shared.scope(), SystemTime::now());
    match verify() {
        // The secret may have been rotated, and the WebSocket, which would say so, may be the one that is broken.
        Err(Refusal::SignatureMismatch) if shared.look_up_secret() => verify()?,
        verdict => verdict?,
    }
    let request = CallRequest::parse(body)?;
    if shared.dispatcher().is_closed() {
        return Err(HttpRefusal::ShuttingDown);
    }
    let envelope = envelope.to_envelope();
    // Without an id nothing can be said about other calls; an empty one is none.
    let given = envelope.call_id.clone().filter(|call_id| !call_id.is_empty());
    let claim = given.as_deref().map(|call_id| Claim::new(shared, call_id)).transpose()?;
    let params = request.params();
    let admitted = match request.tool_name().exact() {
        Some(name) => {
            shared.dispatcher().admit(&name, envelope.user_id.as_deref(), params.text().len(), arrived)
        }
        None => Err(ToolError::unknown_tool(request.tool_name().display().into_owned())),
    };
    let admitted = admitted.map_err(HttpRefusal::NotAdmitted)?;
    let arguments = Arguments::from_object_text(params.arguments_text());
    let call_id = given.unwrap_or_else(|| format!("http-{:016x}", fastrand::u64(..)));
    let scope = CallScope::from_envelope(
        call_id.as_str().into(),
        envelope,
        params.context_text(),
        traceparent,
        shared.dispatcher().surroundings(),
    );
    let shared = Arc::clone(shared);
    Ok(async move {
        let run = async {
            let Finished { result, entry, presence, ended } = admitted.run(arguments, Arc::new(scope)).await;
            let kind = result.as_ref().err().map(ToolError::kind);
            let retry_after = result.as_ref().err().and_then(ToolError::retry_after);
            let frame = shared.encode(&call_id, &entry, result, ended.duration_since(arrived));
            (kind, retry_after, frame, presence)
        };
        let Ok((kind, retry_after, frame, _presence)) = AssertUnwindSafe(run).catch_unwind().await else {
            let text = format!("internal error (call {call_id})");
            return HttpAnswer::Error { kind: ToolErrorKind::Internal, text, retry_after: None };
        };
        let member = |name: &str| json::members(&frame).find(|member| member.is(name));
        let answer = match member("result") {
            Some(result) => HttpAnswer::Result(result.value.to_owned()),
            None => HttpAnswer::Error {
                kind: kind.unwrap_or(ToolErrorKind::Internal),
                text: member("error")
                    .map(|text| json::decode_string_lossy(text.value).into_owned())
                    .unwrap_or_default(),
                retry_after,
            },
        };
        if let Some(claim) = claim {
            claim.finish(&frame);
        }
        answer
    })
}

/// How often, at most, the secret is looked up since a signature is wrong.
const LOOK_UP: Duration = Duration::from_secs(1);

impl Shared {
    /// Gets the secret again from where it is kept, unless that was done a moment ago or may take long. Returns
    /// whether it is worth another try.
    fn look_up_secret(&self) -> bool {
        if self.secret.is_slow() {
            return false;
        }
        let mut looked = self.looked_up.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_some_and(|looked| looked.elapsed() < LOOK_UP) {
            return false;
        }
        *looked = Some(Instant::now());
        match self.secret.load() {
            Ok(secret) => {
                self.verifier.replace_secret(&secret);
                true
            }
            Err(error) => {
                tracing::warn!("the secret cannot be looked up again: {error}");
                false
            }
        }
    }
}

/// A call id that nobody else may run. Given back when it is dropped.
struct Claim {
    shared: Arc<Shared>,
    call_id: Option<Arc<str>>,
}

impl Claim {
    fn new(shared: &Arc<Shared>, call_id: &str) -> Result<Self, HttpRefusal> {
        match shared.calls.begin(call_id) {
            Known::New(call_id) => Ok(Self { shared: Arc::clone(shared), call_id: Some(call_id) }),
            // The id is not signed: an answer that is there already goes only to who asked for it.
            Known::Running | Known::Answered(_) => Err(HttpRefusal::Known),
        }
    }

    /// The call was answered; the WebSocket gives the same answer if it comes again there.
    fn finish(mut self, frame: &str) {
        if let Some(call_id) = self.call_id.take() {
            self.shared.calls.finish(&call_id, frame);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(call_id) = self.call_id.take() {
            self.shared.calls.abandon(&call_id);
        }
    }
}
