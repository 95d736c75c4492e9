//! One call, and what has to come of it.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::caller::Identity;
use crate::caller::{CallContext, CallContextBuilder};
use crate::tool::{Arguments, ArgumentsError};

/// One call of a tool, and what has to come of it.
///
/// ```
/// use std::time::Duration;
///
/// use platools::testing::{Caller, Case, Expectation};
///
/// let case = Case::new("lookup_order")
///     .params_json(r#"{"order_id": "ord-1042"}"#)?
///     .expect(Expectation::Error)
///     .max_latency(Duration::from_millis(200))
///     .caller(Caller::default().user_id("usr_1").roles(["support"]));
/// assert_eq!(case.tool, "lookup_order");
/// # Ok::<(), platools::tool::ArgumentsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Case {
    /// What the case is called in reports.
    pub name: Option<String>,
    /// The tool to call.
    pub tool: String,
    /// The arguments.
    pub params: Map<String, Value>,
    /// What has to come of it.
    pub expectation: Expectation,
    /// How long the call may take.
    pub max_latency: Option<Duration>,
    /// Who is calling, where that differs from the run's caller.
    pub caller: Caller,
    /// The line of the file that the case begins at, from 1.
    pub line: Option<u64>,
}

/// What has to come of a call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Expectation {
    /// Any result.
    Success,
    /// A result with this in it: every member of an object, every item of a list.
    Value(Value),
    /// Any error.
    Error,
    /// An error whose text contains this.
    ErrorText(String),
}

impl Expectation {
    /// Whether the call has to fail.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error | Self::ErrorText(_))
    }
}

impl Case {
    /// A call without arguments that has to succeed.
    pub fn new(tool: impl Into<String>) -> Self {
        Self {
            name: None,
            tool: tool.into(),
            params: Map::new(),
            expectation: Expectation::Success,
            max_latency: None,
            caller: Caller::default(),
            line: None,
        }
    }

    /// What the case is called in reports.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The arguments.
    pub fn params(mut self, params: Map<String, Value>) -> Self {
        self.params = params;
        self
    }

    /// The arguments as JSON text.
    ///
    /// # Errors
    /// When the text is not a JSON object.
    pub fn params_json(self, text: &str) -> Result<Self, ArgumentsError> {
        // Read by the same rules as arguments everywhere.
        let text = Arguments::from_json(text)?;
        let params = serde_json::from_str(text.as_json());
        Ok(self.params(params.map_err(|error| ArgumentsError::Syntax(error.to_string()))?))
    }

    /// What has to come of it.
    pub fn expect(mut self, expectation: Expectation) -> Self {
        self.expectation = expectation;
        self
    }

    /// How long the call may take.
    pub fn max_latency(mut self, limit: Duration) -> Self {
        self.max_latency = Some(limit);
        self
    }

    /// Who is calling.
    pub fn caller(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }
}

/// Who is calling. What is not given is `local`, as in every call that no platform sent.
#[derive(Clone, PartialEq, Default)]
pub struct Caller {
    pub(super) user_id: Option<String>,
    pub(super) user_token: Option<String>,
    pub(super) entity_token: Option<String>,
    pub(super) agent_id: Option<String>,
    pub(super) thread_id: Option<String>,
    pub(super) roles: Option<Vec<String>>,
    pub(super) context: Map<String, Value>,
}

impl Caller {
    /// The user.
    pub fn user_id(mut self, id: impl Into<String>) -> Self {
        self.user_id = Some(id.into());
        self
    }

    /// The user's token, which the host's authenticator is asked about.
    pub fn user_token(mut self, token: impl Into<String>) -> Self {
        self.user_token = Some(token.into());
        self
    }

    /// The entity's token.
    pub fn entity_token(mut self, token: impl Into<String>) -> Self {
        self.entity_token = Some(token.into());
        self
    }

    /// The agent.
    pub fn agent_id(mut self, id: impl Into<String>) -> Self {
        self.agent_id = Some(id.into());
        self
    }

    /// The thread.
    pub fn thread_id(mut self, id: impl Into<String>) -> Self {
        self.thread_id = Some(id.into());
        self
    }

    /// The roles of a user who counts as verified; no authenticator is asked then.
    pub fn roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles.get_or_insert_default().extend(roles.into_iter().map(Into::into));
        self
    }

    /// One member of `_context`.
    pub fn context(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.context.insert(key.into(), value.into());
        self
    }

    /// This caller, and `other` where this one does not say.
    pub(super) fn or(&self, other: &Self) -> Self {
        let either = |own: &Option<String>, other: &Option<String>| own.as_ref().or(other.as_ref()).cloned();
        // A token of its own says who it is; roles of others would make the authenticator unasked.
        let roles = self.roles.clone().or_else(|| other.roles.clone().filter(|_| self.user_token.is_none()));
        let mut context = other.context.clone();
        context.extend(self.context.clone());
        Self {
            user_id: either(&self.user_id, &other.user_id),
            user_token: either(&self.user_token, &other.user_token),
            entity_token: either(&self.entity_token, &other.entity_token),
            agent_id: either(&self.agent_id, &other.agent_id),
            thread_id: either(&self.thread_id, &other.thread_id),
            roles,
            context,
        }
    }

    /// The context of one call.
    pub(super) fn to_context(&self, call_id: String) -> CallContext {
        self.fill(CallContext::builder().call_id(call_id).source("test")).build()
    }

    /// A context with all that is said about the caller.
    pub(crate) fn fill(&self, mut builder: CallContextBuilder) -> CallContextBuilder {
        if let Some(id) = &self.user_id {
            builder = builder.user_id(id);
        }
        if let Some(token) = &self.user_token {
            builder = builder.user_token(token);
        }
        if let Some(token) = &self.entity_token {
            builder = builder.entity_token(token);
        }
        if let Some(id) = &self.agent_id {
            builder = builder.agent_id(id);
        }
        if let Some(id) = &self.thread_id {
            builder = builder.thread_id(id);
        }
        if let Some(roles) = &self.roles {
            let subject = self.user_id.as_deref().unwrap_or("local");
            builder = builder.identity(Identity::new(subject).with_roles(roles));
        }
        for (key, value) in &self.context {
            builder = builder.context(key, value.clone());
        }
        builder
    }
}

impl fmt::Debug for Caller {
    /// Without the tokens and the values of `_context`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("user_id", &self.user_id)
            .field("user_token", &self.user_token.as_ref().map(|_| "…"))
            .field("entity_token", &self.entity_token.as_ref().map(|_| "…"))
            .field("agent_id", &self.agent_id)
            .field("thread_id", &self.thread_id)
            .field("roles", &self.roles)
            .field("context", &self.context.keys().collect::<Vec<_>>())
            .finish()
    }
}
