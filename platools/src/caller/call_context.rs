//! The typed call context, which exists only if it is complete.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::caller::Identity;
use crate::wire::{Envelope, Scope};

/// Placeholder id in calls that did not come from a platform.
const LOCAL: &str = "local";

/// The caller of a call and the user it acts for. Cheap to clone.
///
/// A tool that takes a `CallContext` needs a complete context (protocol §5): otherwise the call is answered with
/// `denied: call context incomplete: agentId`, and an `Option<CallContext>` is `None`. Calls from other doors (MCP,
/// command line, tests) have their own context, in which every unset id is `local`.
///
/// The platform's signature covers [`context`](Self::context) but not the ids. To authorize by user, take an
/// [`Identity`](crate::Identity), which an authenticator has verified.
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
    /// Set by the creator of the context, for a call that did not come from a platform.
    identity: Option<Identity>,
    traceparent: Option<String>,
}

impl CallContext {
    /// Creates a builder of a context for a call that did not come from a platform.
    pub fn builder() -> CallContextBuilder {
        CallContextBuilder {
            envelope: Envelope::default(),
            context: Map::new(),
            identity: None,
            traceparent: None,
        }
    }

    /// Creates the typed context of an envelope.
    ///
    /// # Errors
    /// The names, as on the wire, of the missing members.
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

    /// Returns a builder with the values of this context.
    pub fn to_builder(&self) -> CallContextBuilder {
        CallContextBuilder {
            envelope: self.0.envelope.clone(),
            context: self.0.context.clone(),
            identity: self.0.identity.clone(),
            traceparent: self.0.traceparent.clone(),
        }
    }

    /// Returns the envelope.
    pub(crate) fn envelope(&self) -> &Envelope {
        &self.0.envelope
    }

    /// Returns the identity that the context was created with.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.0.identity.as_ref()
    }

    /// Returns the id of this call.
    pub fn call_id(&self) -> &str {
        self.0.envelope.call_id.as_deref().unwrap_or_default()
    }

    /// Returns the id of the user for whom the agent acts, as sent by the platform. Not verified against the user's
    /// token, whatever the tool's `auth`; use [`Identity`](crate::Identity) for that.
    pub fn user_id(&self) -> &str {
        self.0.envelope.user_id.as_deref().unwrap_or_default()
    }

    /// Returns the agent id.
    pub fn agent_id(&self) -> &str {
        self.0.envelope.agent_id.as_deref().unwrap_or_default()
    }

    /// Returns the thread id; may be empty.
    pub fn thread_id(&self) -> &str {
        self.0.envelope.thread_id.as_deref().unwrap_or_default()
    }

    /// Returns the id of the called entity.
    pub fn entity_id(&self) -> &str {
        self.0.envelope.entity_id.as_deref().unwrap_or_default()
    }

    /// Returns the organization id.
    pub fn organization_id(&self) -> &str {
        self.0.envelope.organization_id.as_deref().unwrap_or_default()
    }

    /// Returns the project id.
    pub fn project_id(&self) -> &str {
        self.0.envelope.project_id.as_deref().unwrap_or_default()
    }

    /// Returns the environment id.
    pub fn environment_id(&self) -> &str {
        self.0.envelope.environment_id.as_deref().unwrap_or_default()
    }

    /// Returns the time at which the platform signed the call, in RFC 3339.
    pub fn timestamp(&self) -> &str {
        self.0.envelope.timestamp.as_deref().unwrap_or_default()
    }

    /// Returns the entity's own credential of the user, unmodified. A secret: keep it out of logs.
    pub fn user_token(&self) -> Option<&str> {
        self.0.envelope.user_token.as_deref()
    }

    /// Returns an OIDC access token that the entity issued. A secret: keep it out of logs.
    pub fn entity_token(&self) -> Option<&str> {
        self.0.envelope.entity_token.as_deref()
    }

    /// Returns the W3C trace context (`traceparent`) of the call, to continue the trace in further requests. HTTP and
    /// MCP calls can carry one, calls over the WebSocket cannot.
    pub fn traceparent(&self) -> Option<&str> {
        self.0.traceparent.as_deref()
    }

    /// Returns the entity, environment, project and organization ids.
    pub fn scope(&self) -> Scope {
        scope_of(&self.0.envelope)
    }

    /// Returns `_context`: values that the agent's configuration attaches to its calls, such as `user.id`. Signed.
    pub fn context(&self) -> &Map<String, Value> {
        &self.0.context
    }

    /// Returns the entities that routing was restricted to: `entity_ids` (or `entityIds`) of `_context`, if it is a
    /// list of texts.
    pub fn entity_ids(&self) -> Option<Vec<&str>> {
        let listed = ["entity_ids", "entityIds"].iter().find_map(|key| self.0.context.get(*key))?;
        listed.as_array()?.iter().map(Value::as_str).collect()
    }

    /// Returns the origin of the call, for example `agent_turn` or `mcp_client`.
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
    /// Omits the tokens, the signature and the values of `_context`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("envelope", &self.0.envelope)
            .field("context", &self.0.context.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Builds a [`CallContext`] for a call that did not come from a platform.
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
        /// Sets the call's id.
        call_id
        /// Sets the user id.
        user_id
        /// Sets the user's token.
        user_token
        /// Sets the agent id.
        agent_id
        /// Sets the thread id.
        thread_id
        /// Sets the entity id.
        entity_id
        /// Sets the entity's token.
        entity_token
        /// Sets the organization id.
        organization_id
        /// Sets the project id.
        project_id
        /// Sets the environment id.
        environment_id
    }

    /// Sets an identity that the creator of the context has verified; the authenticator is not called then.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Sets the W3C trace context of the call.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// Adds a member to `_context`.
    pub fn context(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.context.insert(key.into(), value.into());
        self
    }

    /// Sets the origin of the call, the member `source` of `_context`.
    pub fn source(self, source: &str) -> Self {
        self.context("source", source)
    }

    /// Builds the context, with `local` for every unset id.
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
    fn an_incomplete_context_is_an_error() {
        let whole = CallContext::builder().build().envelope().clone();
        assert!(CallContext::new(whole.clone(), Map::new(), None).is_ok());
        let without = Envelope { agent_id: None, thread_id: None, ..whole };
        assert_eq!(CallContext::new(without, Map::new(), None).unwrap_err(), ["agentId", "threadId"]);
    }

    #[test]
    fn entity_ids_must_be_a_list_of_texts() {
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
