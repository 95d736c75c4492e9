//! Who is calling, as far as tools are told: what may be forwarded, and under which header.

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use platools::{CallContext, Identity, ToolCall, ToolError};

use crate::config::Forward;

/// One thing about the caller.
pub(crate) type Fact = Forward;

impl Fact {
    /// Those that texts may name. Tokens go into their headers and nowhere else.
    pub(crate) const NAMED: [Self; 9] = [
        Self::UserId,
        Self::Subject,
        Self::AgentId,
        Self::ThreadId,
        Self::CallId,
        Self::EntityId,
        Self::OrganizationId,
        Self::ProjectId,
        Self::EnvironmentId,
    ];

    /// The name in the file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::UserToken => "user_token",
            Self::EntityToken => "entity_token",
            Self::Subject => "subject",
            Self::AgentId => "agent_id",
            Self::ThreadId => "thread_id",
            Self::CallId => "call_id",
            Self::EntityId => "entity_id",
            Self::OrganizationId => "organization_id",
            Self::ProjectId => "project_id",
            Self::EnvironmentId => "environment_id",
            Self::Traceparent => "traceparent",
        }
    }

    /// The one of that name that texts may hold.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|fact| fact.name() == name)
    }

    /// The header that carries it.
    fn header(self) -> HeaderName {
        HeaderName::from_static(match self {
            Self::UserToken => return AUTHORIZATION,
            Self::UserId => "x-platos-user-id",
            Self::EntityToken => "x-platos-entity-token",
            Self::Subject => "x-platos-subject",
            Self::AgentId => "x-platos-agent-id",
            Self::ThreadId => "x-platos-thread-id",
            Self::CallId => "x-platos-call-id",
            Self::EntityId => "x-platos-entity-id",
            Self::OrganizationId => "x-platos-organization-id",
            Self::ProjectId => "x-platos-project-id",
            Self::EnvironmentId => "x-platos-environment-id",
            Self::Traceparent => "traceparent",
        })
    }
}

/// Who is calling.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    context: Option<CallContext>,
    identity: Option<Identity>,
    /// The span of the call here, below which the backend's are.
    trace: Option<String>,
}

impl Caller {
    /// The caller of a call.
    ///
    /// # Errors
    /// When the call's scope cannot be read.
    pub(crate) fn of(call: &ToolCall) -> Result<Self, ToolError> {
        Ok(Self { context: call.extract()?, identity: call.extract()?, trace: crate::traces::current() })
    }

    /// Nobody.
    #[cfg(any(test, feature = "__fuzz"))]
    pub(crate) fn nobody() -> Self {
        Self { context: None, identity: None, trace: None }
    }

    /// A caller of tests.
    #[cfg(test)]
    pub(crate) fn from_context(context: CallContext) -> Self {
        Self { context: Some(context), identity: None, trace: None }
    }

    /// One thing about the caller; `None` when it is not known, or empty.
    pub(crate) fn fact(&self, fact: Fact) -> Option<&str> {
        if let (Fact::Traceparent, Some(trace)) = (fact, &self.trace) {
            return Some(trace);
        }
        let context = self.context.as_ref()?;
        let text = match fact {
            Fact::UserId => context.user_id(),
            Fact::UserToken => context.user_token()?,
            Fact::EntityToken => context.entity_token()?,
            Fact::Subject => self.identity.as_ref()?.subject(),
            Fact::AgentId => context.agent_id(),
            Fact::ThreadId => context.thread_id(),
            Fact::CallId => context.call_id(),
            Fact::EntityId => context.entity_id(),
            Fact::OrganizationId => context.organization_id(),
            Fact::ProjectId => context.project_id(),
            Fact::EnvironmentId => context.environment_id(),
            Fact::Traceparent => context.traceparent()?,
        };
        (!text.is_empty()).then_some(text)
    }

    /// The header of one thing, when it is known.
    ///
    /// # Errors
    /// When it cannot stand in a header.
    pub(crate) fn header(&self, fact: Fact) -> Result<Option<(HeaderName, HeaderValue)>, ToolError> {
        let Some(text) = self.fact(fact) else { return Ok(None) };
        // Whoever reads a header drops them: it would be somebody else.
        if text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']) {
            return Err(ToolError::denied(format!(
                "`{}` of the caller has spaces around, which no header can carry",
                fact.name()
            )));
        }
        let value = match fact {
            Fact::UserToken => HeaderValue::try_from(format!("Bearer {text}")),
            _ => HeaderValue::try_from(text),
        };
        let mut value = value.map_err(|_| {
            ToolError::denied(format!(
                "`{}` of the caller has characters that no header can carry",
                fact.name()
            ))
        })?;
        value.set_sensitive(matches!(fact, Fact::UserToken | Fact::EntityToken));
        Ok(Some((fact.header(), value)))
    }
}
