//! The scope of one call, filled by its door and decoded lazily, since most tools do not use it.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{CallContext, Progress, States};
use crate::caller::{Credentials, Identity};
use crate::observe::HostMetrics;
use crate::wire::json;
use crate::wire::{Envelope, RawEnvelope};

/// Values that all calls of one host share.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) states: Arc<States>,
    /// The parent of every call's cancellation token.
    pub(crate) cancellation: CancellationToken,
    pub(crate) metrics: HostMetrics,
}

/// A call's id, caller, identity and cancellation.
pub(crate) struct CallScope {
    call_id: Arc<str>,
    caller: Caller,
    surroundings: Arc<Surroundings>,
    /// The call's cancellation token, created when a handler takes it.
    cancellation: OnceLock<CancellationToken>,
    /// The verified identity, once known.
    identity: OnceLock<Identity>,
    /// The W3C trace context of the call.
    traceparent: Option<String>,
    /// The receiver of progress reports.
    progress: Progress,
}

enum Caller {
    /// A call of the platform: the texts of both envelopes, decoded on demand.
    Wire { texts: Texts, decoded: OnceLock<Box<Envelope>>, typed: OnceLock<Typed> },
    /// A call that did not come from a platform.
    Local(CallContext),
}

/// The texts of `__platos` and `_context`, in one allocation. Empty text means absent, which JSON text never is.
struct Texts {
    both: Box<str>,
    /// The end of the first text.
    middle: usize,
}

impl Texts {
    fn new(envelope: Option<&str>, context: Option<&str>) -> Self {
        let (envelope, context) = (envelope.unwrap_or_default(), context.unwrap_or_default());
        let mut both = String::with_capacity(envelope.len() + context.len());
        both.push_str(envelope);
        both.push_str(context);
        Self { both: both.into_boxed_str(), middle: envelope.len() }
    }

    fn envelope(&self) -> &str {
        &self.both[..self.middle]
    }

    fn context(&self) -> &str {
        &self.both[self.middle..]
    }
}

type Typed = Result<CallContext, Vec<&'static str>>;

impl CallScope {
    /// Creates the scope of a call from the platform, with the texts of `__platos` and `_context`.
    pub(crate) fn from_wire(
        call_id: Arc<str>,
        envelope: Option<&str>,
        context: Option<&str>,
        surroundings: Arc<Surroundings>,
    ) -> Self {
        let texts = Texts::new(envelope, context);
        let caller = Caller::Wire { texts, decoded: OnceLock::new(), typed: OnceLock::new() };
        Self::new(call_id, caller, surroundings)
    }

    /// A call whose envelope is known already, with the text of `_context` and the trace it belongs to.
    pub(crate) fn from_envelope(
        call_id: Arc<str>,
        envelope: Envelope,
        context: Option<&str>,
        traceparent: Option<String>,
        surroundings: Arc<Surroundings>,
    ) -> Self {
        let caller = Caller::Wire {
            texts: Texts::new(None, context),
            decoded: OnceLock::from(Box::new(envelope)),
            typed: OnceLock::new(),
        };
        Self { traceparent, ..Self::new(call_id, caller, surroundings) }
    }

    /// Creates the scope of a call with its own context.
    pub(crate) fn local(context: CallContext, surroundings: Arc<Surroundings>) -> Self {
        let (call_id, identity) = (context.call_id().into(), context.identity().cloned());
        let traceparent = context.traceparent().map(str::to_owned);
        let mut scope = Self::new(call_id, Caller::Local(context), surroundings);
        scope.identity = identity.map(OnceLock::from).unwrap_or_default();
        scope.traceparent = traceparent;
        scope
    }

    fn new(call_id: Arc<str>, caller: Caller, surroundings: Arc<Surroundings>) -> Self {
        Self {
            call_id,
            caller,
            surroundings,
            cancellation: OnceLock::new(),
            identity: OnceLock::new(),
            traceparent: None,
            progress: Progress::default(),
        }
    }

    /// Returns the metrics of the host that runs the call.
    pub(crate) fn metrics(&self) -> &HostMetrics {
        &self.surroundings.metrics
    }

    /// Sets the trace context.
    pub(crate) fn with_traceparent(self, traceparent: Option<String>) -> Self {
        Self { traceparent, ..self }
    }

    /// The envelope as JSON text, as the platform sent it where it came over the socket.
    pub(crate) fn envelope_json(&self) -> String {
        match &self.caller {
            Caller::Wire { texts, .. } if !texts.envelope().is_empty() => texts.envelope().to_owned(),
            Caller::Wire { .. } | Caller::Local(_) => self.envelope().to_json(),
        }
    }

    /// Sends the reports of the call to `progress`.
    pub(crate) fn with_progress(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(crate) fn call_id(&self) -> &str {
        &self.call_id
    }

    pub(crate) fn shared_call_id(&self) -> Arc<str> {
        Arc::clone(&self.call_id)
    }

    /// The members of `_context`, as one JSON object.
    pub(crate) fn context_json(&self) -> String {
        match &self.caller {
            Caller::Wire { texts, .. } if texts.context().is_empty() => "{}".to_owned(),
            Caller::Wire { texts, .. } => texts.context().to_owned(),
            Caller::Local(context) => Value::Object(context.context().clone()).to_string(),
        }
    }

    pub(crate) fn states(&self) -> &States {
        &self.surroundings.states
    }

    /// Returns the token that is cancelled when this call must end: on timeout, or when the host stops.
    pub(crate) fn cancellation(&self) -> &CancellationToken {
        self.cancellation.get_or_init(|| self.surroundings.cancellation.child_token())
    }

    /// Cancels the call's token. Returns whether the handler took the token and can react.
    pub(crate) fn cancel(&self) -> bool {
        let taken = self.cancellation.get().is_some();
        self.cancellation().cancel();
        taken
    }

    /// Returns the verified identity of the caller, if known.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.get()
    }

    /// Returns the trace context.
    pub(crate) fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// Sets the verified identity, unless it is already set.
    pub(crate) fn identify(&self, identity: Identity) {
        let _ = self.identity.set(identity);
    }

    /// Returns the tokens of the call, ignoring empty ones.
    pub(crate) fn credentials(&self) -> Credentials {
        let envelope = self.envelope();
        let token = |token: &Option<String>| token.clone().filter(|token| !token.is_empty());
        let mut credentials = Credentials::new();
        if let Some(token) = token(&envelope.user_token) {
            credentials = credentials.with_user_token(token);
        }
        if let Some(token) = token(&envelope.entity_token) {
            credentials = credentials.with_entity_token(token);
        }
        credentials
    }

    /// Returns the envelope, which may be incomplete.
    pub(crate) fn envelope(&self) -> &Envelope {
        match &self.caller {
            Caller::Wire { texts, decoded, .. } => {
                decoded.get_or_init(|| Box::new(RawEnvelope::parse(texts.envelope()).to_envelope()))
            }
            Caller::Local(context) => context.envelope(),
        }
    }

    /// Returns the typed context, or the names of the missing members.
    pub(crate) fn context(&self) -> Typed {
        match &self.caller {
            Caller::Wire { texts, typed, .. } => typed
                .get_or_init(|| {
                    let context = map(texts.context());
                    CallContext::new(self.envelope().clone(), context, self.traceparent.clone())
                })
                .clone(),
            Caller::Local(context) => Ok(context.clone()),
        }
    }
}

/// Decodes `_context`; an invalid one counts as absent (protocol §6).
fn map(text: &str) -> Map<String, Value> {
    json::members(text)
        .filter_map(|member| Some((member.name()?.into_owned(), serde_json::from_str(member.value).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_envelope_counts_as_absent() {
        let scope = CallScope::from_wire(
            "call-1".into(),
            Some(r#"{"userId":"usr_1","agentId":7}"#),
            Some(r#"{"user.id":"\ud800","source":"replay"}"#),
            Arc::default(),
        );
        assert_eq!(scope.envelope().user_id.as_deref(), Some("usr_1"));
        assert!(scope.context().unwrap_err().contains(&"agentId"));
        assert_eq!(map(r#"{"user.id":"\ud800","source":"replay"}"#).len(), 1);
        assert!(map("[1]").is_empty() && map("").is_empty());
    }
}
