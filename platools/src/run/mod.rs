//! Runs calls: admits them within the limits, runs each with a timeout and isolated from the others, finishes it once.
//!
//! Every door enters here through [`intake`](crate::intake), after it has verified the caller; there is no other way to
//! run a tool. This room must not know sockets, frames or doors; finished calls go to a `Sink`.
//!
//! | step | what happens | errors |
//! | --- | --- | --- |
//! | admit | look up the tool, count against its rate limit, take a place among the running or the waiting | `unknown tool`, `unavailable`, `rate limited`, `overloaded`, `shutting down` |
//! | wait | the tool's own permits, then the host's | `timed out` |
//! | access | authenticate the caller and check the tool's rules; then count against the rate limit, by the verified user | `denied`, `rate limited` |
//! | run | injected parameters, arguments, handler; a panic is caught | `denied`, `invalid arguments`, `timed out`, the handler's own error |

mod access;
mod admission;
mod admitted;
mod batch;
#[cfg(feature = "__bench")]
pub(crate) mod bench;
mod blocking;
mod course;
mod entry;
mod handler;
mod health;
mod limits;
mod missing;
mod pace;
pub(crate) mod rate;
#[cfg(all(test, shuttle))]
mod schedules;
mod table;
mod watch;

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::access::AccessError;
use self::admission::Admission;
pub(crate) use self::admission::SHUTTING_DOWN;
pub use self::admitted::Admitted;
pub(crate) use self::admitted::Finished;
pub(crate) use self::batch::{Batch, Sink};
use self::blocking::Threads;
use self::course::CallerCheck;
pub use self::limits::Limits;
pub use self::missing::MissingState;
pub(crate) use self::table::Rules;
pub use self::table::{TableError, ToolChanges, ToolEntry, ToolTable};
use self::watch::Watch;
use crate::caller::{Authentication, CallContext, CallScope, States, Surroundings};
use crate::observe::HostMetrics;
use crate::tool::{Arguments, Handler, ToolError};

/// Runs the tools of one host. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Dispatcher(Arc<Core>);

/// The state that all calls of one host share.
#[derive(Debug)]
struct Core {
    tools: ToolTable,
    surroundings: Arc<Surroundings>,
    authentication: Option<Arc<Authentication>>,
    limits: Limits,
    admission: Arc<Admission>,
    threads: Threads,
    watch: Watch,
}

/// A request to admit a call.
#[derive(Debug)]
pub(crate) struct AdmissionRequest<'a> {
    pub(crate) tool: &'a str,
    /// The user as stated by the door, unverified.
    pub(crate) user: Option<&'a str>,
    /// The size of the arguments, in bytes.
    pub(crate) bytes: usize,
    /// The arrival of the call, from which its timeout counts.
    pub(crate) arrived: Instant,
    /// Whether the call counts against the rate limit of its tool. One that another process received was counted there.
    pub(crate) counts: bool,
}

impl Dispatcher {
    /// Creates a dispatcher for the tools in the table. Access rules are enforced if there is an `authentication`.
    pub(crate) fn new(
        tools: ToolTable,
        states: Arc<States>,
        authentication: Option<Authentication>,
        limits: Limits,
    ) -> Self {
        let metrics = tools.metrics().clone();
        Self(Arc::new(Core {
            admission: Arc::new(Admission::new(&limits, metrics.clone())),
            tools,
            // The token in it is cancelled when running calls have to end.
            surroundings: Arc::new(Surroundings { states, cancellation: CancellationToken::new(), metrics }),
            authentication: authentication.map(Arc::new),
            threads: Threads::default(),
            watch: Watch::of_process(),
            limits,
        }))
    }

    /// Admits a call, or returns the error that answers it. Never waits. `parts` is called once the call has its place.
    pub(crate) fn admit(
        &self,
        asked: &AdmissionRequest<'_>,
        parts: impl FnOnce(Arc<Surroundings>) -> (Arguments, CallScope),
    ) -> Result<Admitted, ToolError> {
        let core = &self.0;
        let unknown = || ToolError::unknown_tool(asked.tool.to_owned());
        let entry = core.tools.find(asked.tool).ok_or_else(unknown)?;
        if let Handler::Withheld(reason) = entry.tool.handler() {
            return Err(ToolError::unavailable(reason.to_string()));
        }
        // Counted before anything else is checked, so that a shutdown sees every call that may still run.
        let presence = core.admission.count(asked.bytes)?;
        let authentication = core.authentication.clone().filter(|_| !entry.access.is_open());
        // If the tool needs authentication, the call counts after it, so that a stranger cannot use up a user's limit.
        if asked.counts && authentication.is_none() {
            entry.limits.check_rate(asked.user)?;
        }
        let ticket = core.admission.enter(&entry, presence)?;
        let check = authentication.map(|authentication| {
            let stated = asked.user.map(str::to_owned);
            CallerCheck { authentication, stated, counts: asked.counts }
        });
        let (arguments, scope) = parts(Arc::clone(&core.surroundings));
        Ok(Admitted {
            core: Arc::clone(core),
            entry,
            ticket,
            check,
            arrived: asked.arrived,
            limit: core.limits.call_timeout,
            arguments,
            scope: Arc::new(scope),
            cancel: None,
        })
    }

    /// Admits a call whose caller the door has verified.
    pub(crate) fn admit_local(
        &self,
        tool: &str,
        arguments: Arguments,
        context: CallContext,
        finish: impl FnOnce(CallScope) -> CallScope,
    ) -> Result<Admitted, ToolError> {
        let caller = context.clone();
        let (bytes, arrived) = (arguments.as_json().len(), Instant::now());
        let asked = AdmissionRequest { tool, user: Some(caller.user_id()), bytes, arrived, counts: true };
        self.admit(&asked, |surroundings| (arguments, finish(CallScope::local(context, surroundings))))
    }

    #[cfg(test)]
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: Arguments,
        context: CallContext,
    ) -> crate::tool::ToolResult {
        self.admit_local(tool, arguments, context, std::convert::identity)?.run().await.result
    }

    /// Creates a batch, for calls that are started together; `sink` takes their results.
    pub(crate) fn batch<S: Sink>(&self, sink: Arc<S>) -> Batch<S> {
        Batch::new(self.0.watch.clone(), sink)
    }

    pub(crate) fn tools(&self) -> &ToolTable {
        &self.0.tools
    }

    pub(crate) fn metrics(&self) -> &HostMetrics {
        self.0.tools.metrics()
    }

    /// Returns whether there is an authenticator.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.0.authentication.is_some()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Changes the limits, except for the timeout of calls.
    pub(crate) fn set_limits(&self, limits: &Limits) {
        self.0.admission.set_limits(limits);
    }

    /// Rejects every call from now on.
    pub(crate) fn close(&self) {
        self.0.admission.close();
    }

    /// Returns whether every call is rejected.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.admission.is_closed()
    }

    /// Waits until no call is running or waiting.
    pub(crate) async fn drained(&self) {
        self.0.admission.drained().await;
    }

    /// Returns how many calls may run at the same time, and how many on threads.
    pub(crate) fn places(&self) -> (usize, usize) {
        self.0.admission.places()
    }

    /// Returns the number of running and waiting calls.
    pub(crate) fn in_flight(&self) -> usize {
        self.0.admission.in_flight()
    }

    /// Cancels the tokens of all running calls.
    pub(crate) fn cancel(&self) {
        self.0.surroundings.cancellation.cancel();
    }
}

#[cfg(test)]
mod tests;
