//! How a call runs: admitted within the limits, run with a timeout and apart from everything else,
//! answered once.
//!
//! Every door (the socket, MCP, the command line, tests) enters here, after it has made sure of the
//! caller; there is no second way to run a tool. This room must not know sockets or frames.
//!
//! | step | what happens | what refuses |
//! | --- | --- | --- |
//! | admit | look up, rate limit, a place among the running or the waiting | `unknown tool`, `rate limited`, `overloaded`, `shutting down` |
//! | wait | the tool's own permits, then the host's | `timed out` |
//! | run | injections, arguments, handler; a panic stays inside | `denied`, `invalid arguments`, `timed out`, the handler's own error |

mod admission;
mod health;
mod limits;
mod run;

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use self::admission::Admission;
pub(crate) use self::health::Health;
pub use self::limits::Limits;
use self::limits::ToolLimits;
pub(crate) use self::run::{Admitted, answer_text};
use crate::context::{CallContext, CallScope, States};
use crate::tool::{Arguments, Registry, Tool, ToolError, ToolResult};

/// A tool with what the dispatcher keeps about it.
#[derive(Debug)]
pub(crate) struct Entry {
    tool: Tool,
    limits: ToolLimits,
    health: Health,
}

/// Runs the tools of one host. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Dispatcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    entries: HashMap<String, Arc<Entry>>,
    states: Arc<States>,
    limits: Limits,
    admission: Arc<Admission>,
    /// Cancelled when running calls have to end.
    cancellation: CancellationToken,
}

impl Dispatcher {
    /// A dispatcher of the tools in `registry`.
    pub(crate) fn new(registry: &Registry, states: Arc<States>, limits: Limits) -> Self {
        let entries = registry.iter().map(|tool| {
            let entry =
                Entry { tool: tool.clone(), limits: ToolLimits::new(tool.spec()), health: Health::default() };
            (tool.name().to_owned(), Arc::new(entry))
        });
        Self(Arc::new(Inner {
            entries: entries.collect(),
            states,
            admission: Arc::new(Admission::new(&limits)),
            limits,
            cancellation: CancellationToken::new(),
        }))
    }

    /// Gives a call of the tool `name` its place, or says why there is none. Never waits.
    pub(crate) fn admit(&self, name: &str) -> Result<Admitted, ToolError> {
        let inner = &self.0;
        let entry = inner.entries.get(name).ok_or_else(|| ToolError::unknown_tool(name.to_owned()))?;
        inner.admission.check_open()?;
        entry.limits.check_rate()?;
        let ticket = inner.admission.enter(&entry.limits)?;
        Ok(Admitted::new(Arc::clone(entry), ticket, &inner.limits))
    }

    /// Runs one call that came over no wire, in the context it brings.
    pub(crate) async fn call(&self, name: &str, arguments: Arguments, context: CallContext) -> ToolResult {
        let admitted = self.admit(name)?;
        let scope = CallScope::local(context, self.states(), self.cancellation());
        admitted.run(arguments, Arc::new(scope)).await.result
    }

    pub(crate) fn states(&self) -> Arc<States> {
        Arc::clone(&self.0.states)
    }

    /// What every call's own token is a child of.
    pub(crate) fn cancellation(&self) -> CancellationToken {
        self.0.cancellation.clone()
    }

    /// Refuses every call from now on.
    pub(crate) fn close(&self) {
        self.0.admission.close();
    }

    /// Waits until no call is running or waiting.
    pub(crate) async fn drained(&self) {
        self.0.admission.drained().await;
    }

    /// How many calls are running or waiting.
    pub(crate) fn in_flight(&self) -> usize {
        self.0.admission.in_flight()
    }

    /// Ends running calls: their tokens are cancelled.
    pub(crate) fn cancel(&self) {
        self.0.cancellation.cancel();
    }

    /// The health of every tool that has been called, with its name.
    pub(crate) fn health(&self) -> impl Iterator<Item = (&str, &Health)> {
        self.0.entries.iter().map(|(name, entry)| (name.as_str(), &entry.health))
    }
}

#[cfg(test)]
mod tests;
