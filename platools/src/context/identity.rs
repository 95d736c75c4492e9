//! A verified identity as a handler's parameter.

use super::CallScope;
use crate::security::Identity;
use crate::tool::{FromCall, Requirement, ToolCall, ToolError};

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
