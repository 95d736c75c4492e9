//! One call as its handler sees it: the arguments, and an opaque scope set by the door.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::sync::Arc;

use super::{Arguments, ToolError};

/// One call, as it is passed to a handler.
#[derive(Clone)]
#[non_exhaustive]
pub struct ToolCall {
    /// The arguments, without the platform's envelopes.
    pub arguments: Arguments,
    scope: Arc<dyn Any + Send + Sync>,
}

impl ToolCall {
    /// Creates a call with `arguments` and the scope of its door.
    pub(crate) fn new(arguments: Arguments, scope: Arc<dyn Any + Send + Sync>) -> Self {
        Self { arguments, scope }
    }

    /// Returns the scope if it is of type `T`.
    pub(crate) fn scope<T: Any>(&self) -> Option<&T> {
        self.scope.downcast_ref()
    }

    /// Extracts a `T` from the call, as an injected parameter of that type would.
    ///
    /// # Errors
    /// If the call does not provide a `T`; see the documentation of the type.
    pub fn extract<T: FromCall>(&self) -> Result<T, ToolError> {
        T::from_call(self).map_err(ToolError::into_refusal)
    }
}

impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolCall").finish_non_exhaustive()
    }
}

/// A type that is injected from the call instead of decoded from the arguments, such as `CallContext` or
/// `State<T>`.
///
/// Implement it for your own type, and mark the parameter `#[tool(inject)]`:
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
    note = "injectable types are `CallContext`, `Option<CallContext>`, `Identity`, `Option<Identity>`, `State<T>`, `CancellationToken`, `Progress` and types that implement `platools::FromCall`",
    note = "if this is an argument that the caller sends, mark it `#[tool(argument)]`"
)]
pub trait FromCall: Sized {
    /// Extracts the value from `call`.
    ///
    /// # Errors
    /// A [`ToolError`], which becomes the call's answer; the handler does not run.
    fn from_call(call: &ToolCall) -> Result<Self, ToolError>;

    /// Returns what the host must provide for this type; checked once, when the host is built. A type that extracts
    /// an `Identity` must return [`Requirement::identity`], otherwise calls are not authenticated for it.
    fn requirement() -> Option<Requirement> {
        None
    }
}

/// Something that a tool requires from the host: a state value, or an authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    pub(crate) kind: RequirementKind,
    type_name: &'static str,
}

/// The kind of a [`Requirement`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequirementKind {
    State {
        type_id: TypeId,
        /// The type that is registered if the user passes an `Arc` to `.state(…)`.
        shared_type_id: TypeId,
    },
    /// A verified identity; unless `optional`, calls without one are denied.
    Identity { optional: bool },
}

impl Requirement {
    /// Requires that `.state(value)` was called with a `T`.
    pub fn state<T: ?Sized + 'static>() -> Self {
        let (type_id, shared_type_id) = (TypeId::of::<T>(), TypeId::of::<Arc<T>>());
        Self { kind: RequirementKind::State { type_id, shared_type_id }, type_name: type_name::<T>() }
    }

    /// Requires a verified caller: calls without a verified user are denied, and the host does not start without an
    /// authenticator.
    pub fn identity() -> Self {
        Self { kind: RequirementKind::Identity { optional: false }, type_name: "Identity" }
    }

    /// Verifies the caller if the call carries a token and the host has an authenticator. A call with an invalid
    /// token is denied.
    pub fn optional_identity() -> Self {
        Self { kind: RequirementKind::Identity { optional: true }, type_name: "Option<Identity>" }
    }

    /// Returns the type's name, for error texts.
    pub fn type_name(self) -> &'static str {
        self.type_name
    }
}
