//! One call as its handler sees it: the arguments, and an opaque scope that a door filled.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::sync::Arc;

use super::{Arguments, ToolError};

/// One call on its way into a handler.
#[derive(Clone)]
#[non_exhaustive]
pub struct ToolCall {
    /// The arguments, without the platform's envelopes.
    pub arguments: Arguments,
    scope: Arc<dyn Any + Send + Sync>,
}

impl ToolCall {
    /// A call with `arguments` and whatever its door knows about the caller.
    pub(crate) fn new(arguments: Arguments, scope: Arc<dyn Any + Send + Sync>) -> Self {
        Self { arguments, scope }
    }

    /// The scope, when it is of type `T`.
    pub(crate) fn scope<T: Any>(&self) -> Option<&T> {
        self.scope.downcast_ref()
    }

    /// Takes `T` out of the call, as a parameter of that type would.
    ///
    /// # Errors
    /// When the call has no such thing; see the type's own documentation.
    pub fn extract<T: FromCall>(&self) -> Result<T, ToolError> {
        T::from_call(self).map_err(ToolError::into_refusal)
    }
}

impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolCall").finish_non_exhaustive()
    }
}

/// A parameter that is taken from the call instead of the arguments, such as `CallContext` or `State<T>`.
///
/// Implement it to hand something of your own to handlers, and mark the parameter `#[tool(inject)]`:
///
/// ```
/// use platools::{CallContext, FromCall, ToolCall, ToolError, tool};
///
/// struct Caller(String);
///
/// impl FromCall for Caller {
///     fn from_call(call: &ToolCall) -> Result<Self, ToolError> {
///         Ok(Caller(call.extract::<CallContext>()?.user_id().to_owned()))
///     }
/// }
///
/// /// Say who is calling.
/// #[tool(register = false)]
/// async fn who(#[tool(inject)] caller: Caller) -> String {
///     caller.0
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be injected into a tool",
    label = "not injectable",
    note = "injectable are `CallContext`, `Option<CallContext>`, `Identity`, `Option<Identity>`, `State<T>`, `CancellationToken`, `Progress` and types that implement `platools::FromCall`",
    note = "if this is an argument that the caller sends, mark it `#[tool(argument)]`"
)]
pub trait FromCall: Sized {
    /// Takes the value out of `call`.
    ///
    /// # Errors
    /// A [`ToolError`] that becomes the call's answer; the handler does not run.
    fn from_call(call: &ToolCall) -> Result<Self, ToolError>;

    /// What the host must hold for this to succeed; checked once, when the host is built. What extracts an
    /// `Identity` has to say [`Requirement::identity`], or no identity is looked for.
    fn requirement() -> Option<Requirement> {
        None
    }
}

/// Something that the host must hold for a tool: a piece of state, or an authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    pub(crate) kind: RequirementKind,
    type_name: &'static str,
}

/// What a tool asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequirementKind {
    State {
        type_id: TypeId,
        /// What is registered when somebody gives an `Arc` to `.state(…)`.
        shared_type_id: TypeId,
    },
    /// A verified identity, without which the call is refused, or one that may be absent.
    Identity { optional: bool },
}

impl Requirement {
    /// The requirement that `.state(value)` was called with a `T`.
    pub fn state<T: ?Sized + 'static>() -> Self {
        let (type_id, shared_type_id) = (TypeId::of::<T>(), TypeId::of::<Arc<T>>());
        Self { kind: RequirementKind::State { type_id, shared_type_id }, type_name: type_name::<T>() }
    }

    /// The requirement that the caller is verified: without a verified user the call is refused, and
    /// without an authenticator the host does not start.
    pub fn identity() -> Self {
        Self { kind: RequirementKind::Identity { optional: false }, type_name: "Identity" }
    }

    /// The wish that the caller is verified when the call carries a token and the host has an
    /// authenticator. A token that is refused refuses the call.
    pub fn optional_identity() -> Self {
        Self { kind: RequirementKind::Identity { optional: true }, type_name: "Option<Identity>" }
    }

    /// The type's name, for messages.
    pub fn type_name(self) -> &'static str {
        self.type_name
    }
}
