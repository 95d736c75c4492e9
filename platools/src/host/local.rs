//! A host without a platform.

use std::time::Duration;

use crate::caller::CallContext;
use crate::intake::{CallRequest, Door};
use crate::run::{Dispatcher, ToolTable};
use crate::tool::{Arguments, ToolResult};

/// Runs the tools of a program in this process, without a platform: for tests and for the command line.
///
/// Built by [`Platools::build_local`](super::Platools::build_local). Limits, timeouts, access rules and panic isolation
/// apply as to calls from the platform.
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
    pub(super) dispatcher: Dispatcher,
    pub(super) show_internal_errors: bool,
}

impl LocalHost {
    /// Returns the tool table, which may change at any time.
    pub fn tools(&self) -> &ToolTable {
        self.dispatcher.tools()
    }

    /// Returns the door for calls whose caller is verified elsewhere, such as those of an MCP client.
    pub fn door(&self) -> Door {
        Door::new(self.dispatcher.clone(), self.show_internal_errors)
    }

    /// Runs one call of a tool.
    ///
    /// # Errors
    /// When the call is not admitted or the tool fails.
    pub async fn call(&self, tool: &str, arguments: Arguments, context: CallContext) -> ToolResult {
        self.door().result(CallRequest::new(tool, arguments, context)).await
    }

    /// Returns whether there is an authenticator, which enforces the `auth` and `roles` of the tools.
    pub fn is_authenticated(&self) -> bool {
        self.dispatcher.is_authenticated()
    }

    /// Returns the maximum duration of a call, waiting included.
    pub fn call_timeout(&self) -> Duration {
        self.dispatcher.limits().call_timeout
    }

    /// Returns the number of running and waiting calls.
    pub fn in_flight(&self) -> usize {
        self.dispatcher.in_flight()
    }
}
