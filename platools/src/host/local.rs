//! The tools of a program without a platform.

use std::time::Duration;

use super::Toolbox;
use crate::caller::CallContext;
use crate::tool::{Arguments, Registry, ToolResult};

/// Runs the tools of a program in this process, without a platform: for tests and for the command line.
/// Made by [`Platools::build_local`](super::Platools::build_local). Limits, timeouts, access rules and panic isolation are the same as for
/// calls from the platform.
///
/// ```
/// use platools::prelude::*;
/// use platools::{CallContext, tools};
/// use serde_json::json;
///
/// /// Add two whole numbers.
/// #[tool(register = false)]
/// async fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let local = Platools::builder().tools(tools![add]).build_local()?;
/// let context = CallContext::builder().user_id("usr_7").build();
/// let answer = local.call("add", json!({"a": 1, "b": 2}).try_into()?, context).await;
/// assert_eq!(answer.unwrap().to_value(), json!(3));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LocalHost {
    pub(super) registry: Registry,
    pub(super) toolbox: Toolbox,
}

impl LocalHost {
    pub(crate) fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    /// The tools that the program starts with; [`tools`](Self::tools) has those of this moment.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Runs one call of a tool.
    ///
    /// # Errors
    /// What the call was answered with.
    pub async fn call(&self, tool: &str, arguments: Arguments, context: CallContext) -> ToolResult {
        self.toolbox.dispatcher.call(tool, arguments, context).await
    }

    /// Whether there is an authenticator, which enforces the `auth` and `roles` of the tools.
    pub fn is_authenticated(&self) -> bool {
        self.toolbox.dispatcher.is_authenticated()
    }

    /// How long any call may take, waiting included.
    pub fn call_timeout(&self) -> Duration {
        self.toolbox.dispatcher.call_timeout()
    }

    /// How many calls are running or waiting.
    pub fn in_flight(&self) -> usize {
        self.toolbox.dispatcher.in_flight()
    }
}
