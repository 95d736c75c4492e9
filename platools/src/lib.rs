//! A tool host for Platos.

// Generated code says `::platools`, also in this crate's own tests.
#[allow(unused_extern_crates, reason = "used by the macro")]
extern crate self as platools;

#[doc(hidden)]
pub mod __private;
mod context;
mod dispatch;
mod error;
mod host;
mod json;
#[cfg(feature = "logging")]
pub mod logging;
pub mod protocol;
pub mod security;
mod tool;

pub use platools_macros::{tool, toolset};
pub use schemars;
pub use tokio_util::sync::CancellationToken;

pub use crate::context::{
    CallContext, CallContextBuilder, State, current_agent_id, current_call_id, current_context,
    current_entity_id, current_entity_token, current_scope, current_thread_id, current_user_id,
    current_user_token,
};
pub use crate::dispatch::Limits;
pub use crate::error::{Error, MissingState, Result};
pub use crate::host::{
    ConfigError, DeclarationError, Host, HostConfig, HostError, HostHandle, HostState, Platools,
};
pub use crate::security::SecretSource;
pub use crate::tool::{
    Arguments, ArgumentsError, Auth, BoxError, FromCall, IntoOutput, InvalidRateLimit, Location, Media,
    NameError, RateLimit, Registry, RegistryError, Requirement, Tool, ToolCall, ToolError, ToolErrorKind,
    ToolOutput, ToolResult, ToolSpec, Toolset, UserFacingError, check_name,
};

/// What most programs use: `use platools::prelude::*`.
pub mod prelude {
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};

    pub use crate::{
        CallContext, CancellationToken, Media, Platools, State, ToolError, ToolOutput, UserFacingError, tool,
        tools, toolset,
    };
}

/// The tools made of the named `#[tool]` functions, as a list.
///
/// For two hosts in one process, for tests, and wherever automatic registration is not wanted:
///
/// ```ignore
/// Platools::from_env()?.tools(tools![lookup_order, orders::cancel]).run().await
/// ```
#[macro_export]
macro_rules! tools {
    ($($tool:path),* $(,)?) => {
        ::std::vec![$(<$tool as $crate::__private::ToolDefinition>::tool()),*] as ::std::vec::Vec<$crate::Tool>
    };
}
