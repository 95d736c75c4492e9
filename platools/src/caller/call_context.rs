//! The typed call context: complete, or not there at all.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::caller::Identity;
use crate::wire::{Envelope, Scope};

/// Stands for an id in calls that no platform sent.
const LOCAL: &str = "local";

/// Who is calling and on whose behalf. Cheap to clone.
///
/// As a tool's parameter it is there only when the platform said all of it (tool-sync §5): otherwise the
/// call is answered with `denied: call context incomplete: agentId`, and an `Option<CallContext>` is
/// `None`. Calls that do not come over the wire (MCP, command line, tests) have a context of their own,
/// in which every id that nobody gave is `local`.
///
/// The platform's signature covers [`context`](Self::context), not the ids: they are what the platform
/// says. Where it matters who the user is, take an [`Identity`](crate::Identity), which an authenticator
/// has verified.
///
/// ```
/// use platools::CallContext;
///
/// let context = CallContext::builder().user_id("usr_7").context("user.plan", "pro").build();
/// assert_eq!(context.user_id(), "usr_7");
/// assert_eq!(context.agent_id(), "local");
/// assert_eq!(context.context()["user.plan"], "pro");
/// ```
#[derive(Clone)]
pub struct CallContext(Arc<Inner>);

struct Inner {
    envelope: Envelope,
    context: Map<String, Value>,
    /// Given by whoever made the context, for a call that does not come over the wire.
    identity: Option<Identity>,
    traceparent: Option<String>,
}

impl CallContext {
    /// A context for a call that does not come over the wire.
    pub fn builder() -> CallContextBuilder {
        CallContextBuilder {
            envelope: Envelope::default(),
            context: Map::new(),
            identity: None,
            traceparent: None,
        }
    }

    /// The typed context of an envelope.
    ///
    /// # Errors
    /// The names, as on the wire, of what is missing.
    pub(crate) fn new(
        envelope: Envelope,
        context: Map<String, Value>,
        traceparent: Option<String>,
    ) -> Result<Self, Vec<&'static str>> {
        let missing: Vec<_> = envelope.missing().collect();
        if missing.is_empty() {
            Ok(Self(Arc::new(Inner { envelope, context, identity: None, traceparent })))
        } else {
            Err(missing)
        }
    }

    /// A builder that starts from this context.
    #[cfg(feature = "mcp")]
    pub(crate) fn to_builder(&self) -> CallContextBuilder {
        CallContextBuilder {
            envelope: self.0.envelope.clone(),
            context: self.0.context.clone(),
            identity: self.0.identity.clone(),
            traceparent: self.0.traceparent.clone(),
        }
    }

    /// The envelope it was made of.
    pub(crate) fn envelope(&self) -> &Envelope {
        &self.0.envelope
    }

    /// The identity that the context was made with.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.0.identity.as_ref()
    }

    /// The id of this call.
    pub fn call_id(&self) -> &str {
        self.0.envelope.call_id.as_deref().unwrap_or_default()
    }

    /// The user on whose behalf the agent acts, as the platform says. Nobody holds it against the user's token,
    /// whatever `auth` a tool has: an [`Identity`](crate::Identity) says who that is.
    pub fn user_id(&self) -> &str {
        self.0.envelope.user_id.as_deref().unwrap_or_default()
    }

    /// The agent.
    pub fn agent_id(&self) -> &str {
        self.0.envelope.agent_id.as_deref().unwrap_or_default()
    }

    /// The thread; may be empty.
    pub fn thread_id(&self) -> &str {
        self.0.envelope.thread_id.as_deref().unwrap_or_default()
    }

    /// The entity that was called.
    pub fn entity_id(&self) -> &str {
        self.0.envelope.entity_id.as_deref().unwrap_or_default()
    }

    /// The organization.
    pub fn organization_id(&self) -> &str {
        self.0.envelope.organization_id.as_deref().unwrap_or_default()
    }

    /// The project.
    pub fn project_id(&self) -> &str {
        self.0.envelope.project_id.as_deref().unwrap_or_default()
    }

    /// The environment.
    pub fn environment_id(&self) -> &str {
        self.0.envelope.environment_id.as_deref().unwrap_or_default()
    }

    /// When the platform signed the call, RFC 3339.
    pub fn timestamp(&self) -> &str {
        self.0.envelope.timestamp.as_deref().unwrap_or_default()
    }

    /// The entity's own credential of the user, passed through untouched. A secret: keep it out of logs.
    pub fn user_token(&self) -> Option<&str> {
        self.0.envelope.user_token.as_deref()
    }

    /// An OIDC access token that the entity issued. A secret: keep it out of logs.
    pub fn entity_token(&self) -> Option<&str> {
        self.0.envelope.entity_token.as_deref()
    }

    /// The trace that the call belongs to, as W3C trace context (`traceparent`), when its door brings one:
    /// HTTP and MCP do, the WebSocket does not. For requests that continue the trace.
    pub fn traceparent(&self) -> Option<&str> {
        self.0.traceparent.as_deref()
    }

    /// The entity, environment, project and organization.
    pub fn scope(&self) -> Scope {
        scope_of(&self.0.envelope)
    }

    /// `_context`: what the agent's configuration attaches to its calls, such as `user.id`. Signed.
    pub fn context(&self) -> &Map<String, Value> {
        &self.0.context
    }

    /// The entities that routing was narrowed to: `entity_ids` (or `entityIds`) of `_context`, when that
    /// is a list of texts.
    pub fn entity_ids(&self) -> Option<Vec<&str>> {
        let listed = ["entity_ids", "entityIds"].iter().find_map(|key| self.0.context.get(*key))?;
        listed.as_array()?.iter().map(Value::as_str).collect()
    }

    /// Where the call came from, for example `agent_turn` or `mcp_client`.
    pub fn source(&self) -> Option<&str> {
        self.0.context.get("source")?.as_str()
    }
}

pub(super) fn scope_of(envelope: &Envelope) -> Scope {
    Scope {
        organization_id: envelope.organization_id.clone(),
        project_id: envelope.project_id.clone(),
        environment_id: envelope.environment_id.clone(),
        entity_id: envelope.entity_id.clone(),
    }
}

impl fmt::Debug for CallContext {
    /// Without the tokens, the signature and the values of `_context`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("envelope", &self.0.envelope)
            .field("context", &self.0.context.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Builds a [`CallContext`] for a call that does not come over the wire.
#[derive(Debug, Clone)]
#[must_use = "call `build`"]
pub struct CallContextBuilder {
    envelope: Envelope,
    context: Map<String, Value>,
    identity: Option<Identity>,
    traceparent: Option<String>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        pub fn $name(mut self, value: impl Into<String>) -> Self {
            self.envelope.$name = Some(value.into());
            self
        }
    )*};
}

impl CallContextBuilder {
    setters! {
        /// The call's id.
        call_id
        /// The user.
        user_id
        /// The user's token.
        user_token
        /// The agent.
        agent_id
        /// The thread.
        thread_id
        /// The entity.
        entity_id
        /// The entity's token.
        entity_token
        /// The organization.
        organization_id
        /// The project.
        project_id
        /// The environment.
        environment_id
    }

    /// Who is calling, as verified by whoever makes this context; no authenticator is asked then.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The trace that the call belongs to, as W3C trace context.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// One member of `_context`.
    pub fn context(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.context.insert(key.into(), value.into());
        self
    }

    /// Where the call comes from; the same as the `_context` member `source`.
    pub fn source(self, source: &str) -> Self {
        self.context("source", source)
    }

    /// The context, with `local` for every id that was not given.
    pub fn build(mut self) -> CallContext {
        let envelope = &mut self.envelope;
        for id in [
            &mut envelope.organization_id,
            &mut envelope.project_id,
            &mut envelope.environment_id,
            &mut envelope.entity_id,
            &mut envelope.user_id,
            &mut envelope.agent_id,
            &mut envelope.thread_id,
            &mut envelope.call_id,
            &mut envelope.signature,
        ] {
            id.get_or_insert_with(|| LOCAL.to_owned());
        }
        envelope.timestamp.get_or_insert_with(|| jiff::Timestamp::now().to_string());
        let Self { envelope, context, identity, traceparent } = self;
        CallContext(Arc::new(Inner { envelope, context, identity, traceparent }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_whole_or_not_at_all() {
        let whole = CallContext::builder().build().envelope().clone();
        assert!(CallContext::new(whole.clone(), Map::new(), None).is_ok());
        let without = Envelope { agent_id: None, thread_id: None, ..whole };
        assert_eq!(CallContext::new(without, Map::new(), None).unwrap_err(), ["agentId", "threadId"]);
    }

    #[test]
    fn entity_ids_are_a_list_of_texts_or_nothing() {
        let ids = |value: Value| {
            let context = CallContext::builder().context("entityIds", value).build();
            context.entity_ids().map(|ids| ids.join(","))
        };
        assert_eq!(ids(serde_json::json!(["a", "b"])), Some("a,b".to_owned()));
        assert_eq!(ids(serde_json::json!(["a", 1])), None);
        assert_eq!(ids(serde_json::json!("a")), None);
    }

    #[test]
    fn debug_shows_no_token_and_no_context_value() {
        let context = CallContext::builder()
            .user_id("usr_1")
            .user_token("s3cret")
            .entity_token("s3cret")
            .context("user.email", "s3cret")
            .build();
        let shown = format!("{context:?}");
        assert!(shown.contains("usr_1") && !shown.contains("s3cret"), "{shown}");
    }
}
