//! The library's implementations of [`FromCall`].

use std::any::type_name;

use tokio_util::sync::CancellationToken;

use super::{CallContext, CallScope, Identity, Progress, State};
use crate::tool::{FromCall, Requirement, ToolCall, ToolError};

impl FromCall for CallContext {
    fn from_call(call: &ToolCall) -> Result<Self, ToolError> {
        let scope = call.scope::<CallScope>().ok_or_else(|| ToolError::denied("this call has no context"))?;
        scope
            .context()
            .map_err(|missing| ToolError::denied(format!("call context incomplete: {}", missing.join(", "))))
    }
}

impl FromCall for Option<CallContext> {
    fn from_call(call: &ToolCall) -> Result<Self, ToolError> {
        Ok(CallContext::from_call(call).ok())
    }
}

impl FromCall for CancellationToken {
    fn from_call(call: &ToolCall) -> Result<Self, ToolError> {
        Ok(call.scope::<CallScope>().map(|scope| scope.cancellation().clone()).unwrap_or_default())
    }
}

impl FromCall for Identity {
    fn from_call(call: &ToolCall) -> Result<Self, ToolError> {
        let identity = call.scope::<CallScope>().and_then(CallScope::identity);
        identity.cloned().ok_or_else(|| ToolError::denied("this call has no verified user"))
    }

    fn requirement() -> Option<Requirement> {
        Some(Requirement::identity())
    }
}

impl FromCall for Option<Identity> {
    fn from_call(call: &ToolCall) -> Result<Self, ToolError> {
        Ok(call.scope::<CallScope>().and_then(CallScope::identity).cloned())
    }

    fn requirement() -> Option<Requirement> {
        Some(Requirement::optional_identity())
    }
}

impl FromCall for Progress {
    fn from_call(call: &ToolCall) -> Result<Self, ToolError> {
        Ok(call.scope::<CallScope>().map(|scope| scope.progress().clone()).unwrap_or_default())
    }
}

impl FromCall for Option<Progress> {
    fn from_call(call: &ToolCall) -> Result<Self, ToolError> {
        Progress::from_call(call).map(|progress| progress.is_enabled().then_some(progress))
    }
}

impl<T: ?Sized + Send + Sync + 'static> FromCall for State<T> {
    fn from_call(call: &ToolCall) -> Result<Self, ToolError> {
        let state = call.scope::<CallScope>().and_then(|scope| scope.states().get::<T>());
        state.map(State::from).ok_or_else(|| {
            ToolError::internal(format!("no state of type `{}` is registered", type_name::<T>()))
        })
    }

    fn requirement() -> Option<Requirement> {
        Some(Requirement::state::<T>())
    }
}
