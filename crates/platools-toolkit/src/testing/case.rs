//! One test case: a call and its expected outcome.

use std::fmt;
use std::time::Duration;

use platools::caller::{CallContext, CallContextBuilder, Identity};
use platools::tool::{Arguments, ArgumentsError};
use serde_json::{Map, Value};

/// One call of a tool and its expected outcome.
///
/// ```
/// use std::time::Duration;
///
/// use platools_toolkit::testing::{Caller, Case, Expectation};
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
    /// Its name in reports.
    pub name: Option<String>,
    /// The tool to call.
    pub tool: String,
    /// The arguments.
    pub params: Map<String, Value>,
    /// The expected outcome.
    pub expectation: Expectation,
    /// The longest time that the call may take.
    pub max_latency: Option<Duration>,
    /// The caller, where it differs from the caller of the run.
    pub caller: Caller,
    /// The line of the file that the case begins at, from 1.
    pub line: Option<u64>,
}

/// The expected outcome of a call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Expectation {
    /// Any result.
    Success,
    /// A result that contains this: every member of an object, every item of a list.
    Value(Value),
    /// Any error.
    Error,
    /// An error whose text contains this.
    ErrorText(String),
}

impl Expectation {
    /// Returns whether the call has to fail.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error | Self::ErrorText(_))
    }
}

impl Case {
    /// Creates a case that calls `tool` without arguments and expects success.
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

    /// Sets the name in reports.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the arguments.
    pub fn params(mut self, params: Map<String, Value>) -> Self {
        self.params = params;
        self
    }

    /// Sets the arguments from JSON text.
    ///
    /// # Errors
    /// If the text is not a JSON object.
    pub fn params_json(self, text: &str) -> Result<Self, ArgumentsError> {
        // Read by the same rules as arguments everywhere.
        let text = Arguments::from_json(text)?;
        let params = serde_json::from_str(text.as_json());
        Ok(self.params(params.map_err(|error| ArgumentsError::Syntax(error.to_string()))?))
    }

    /// Sets the expected outcome.
    pub fn expect(mut self, expectation: Expectation) -> Self {
        self.expectation = expectation;
        self
    }

    /// Sets the longest time that the call may take.
    pub fn max_latency(mut self, limit: Duration) -> Self {
        self.max_latency = Some(limit);
        self
    }

    /// Sets the caller.
    pub fn caller(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }
}

/// The caller of a case. Ids that are not given are `local`, as in every call that does not come from a platform.
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
    /// Sets the user's id.
    pub fn user_id(mut self, id: impl Into<String>) -> Self {
        self.user_id = Some(id.into());
        self
    }

    /// Sets the user's token, which the host's authenticator verifies.
    pub fn user_token(mut self, token: impl Into<String>) -> Self {
        self.user_token = Some(token.into());
        self
    }

    /// Sets the entity's token.
    pub fn entity_token(mut self, token: impl Into<String>) -> Self {
        self.entity_token = Some(token.into());
        self
    }

    /// Sets the agent's id.
    pub fn agent_id(mut self, id: impl Into<String>) -> Self {
        self.agent_id = Some(id.into());
        self
    }

    /// Sets the thread's id.
    pub fn thread_id(mut self, id: impl Into<String>) -> Self {
        self.thread_id = Some(id.into());
        self
    }

    /// Adds roles and makes the user verified, without asking the authenticator.
    pub fn roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles.get_or_insert_default().extend(roles.into_iter().map(Into::into));
        self
    }

    /// Sets one member of `_context`.
    pub fn context(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.context.insert(key.into(), value.into());
        self
    }

    /// Returns this caller, with the values of `other` where it has none.
    pub(super) fn or(&self, other: &Self) -> Self {
        let either = |own: &Option<String>, other: &Option<String>| own.as_ref().or(other.as_ref()).cloned();
        // With a token of its own, the authenticator must be asked; roles of `other` would skip it.
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

    /// Returns the context of one call.
    pub(super) fn to_context(&self, call_id: String) -> CallContext {
        self.fill(CallContext::builder().call_id(call_id).source("test")).build()
    }

    /// Adds this caller to a context.
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
    /// Omits the tokens and the values of `_context`.
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
