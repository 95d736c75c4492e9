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
//! | access | who is calling, and whether that is allowed; then the rate limit, by the verified user | `denied`, `rate limited` |
//! | run | injections, arguments, handler; a panic stays inside | `denied`, `invalid arguments`, `timed out`, the handler's own error |

mod access;
mod admission;
mod batch;
#[cfg(feature = "__bench")]
pub(crate) mod bench;
mod blocking;
mod handler;
mod health;
mod limits;
mod missing;
mod pace;
pub(crate) mod rate;
mod run;
mod watch;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::access::Access;
pub use self::access::AccessError;
use self::admission::Admission;
pub(crate) use self::admission::Presence;
pub(crate) use self::batch::{Batch, Batched, Rest};
use self::blocking::Threads;
pub(crate) use self::health::Health;
pub use self::limits::Limits;
use self::limits::ToolLimits;
pub use self::missing::MissingState;
use self::pace::Pace;
use self::run::Asking;
pub(crate) use self::run::{Admitted, Finished, answer_text};
use self::watch::Watch;
use crate::caller::Authentication;
#[cfg(feature = "mcp")]
use crate::caller::Progress;
use crate::caller::{CallContext, CallScope, States, Surroundings};
use crate::tool::{Arguments, Registry, Tool, ToolError, ToolResult};
use crate::wire::ToolHealth;

/// A tool with what the dispatcher keeps about it.
#[derive(Debug)]
pub(crate) struct Entry {
    tool: Tool,
    access: Access,
    limits: ToolLimits,
    health: Health,
    pace: Pace,
    enabled: AtomicBool,
    /// Whether somebody was told that its results are too large to be passed on whole.
    warned_of_size: AtomicBool,
}

impl Entry {
    fn new(tool: Tool) -> Self {
        let (access, limits) = (Access::new(tool.spec()), ToolLimits::new(tool.spec()));
        Self {
            tool,
            access,
            limits,
            health: Health::default(),
            pace: Pace::default(),
            enabled: AtomicBool::new(true),
            warned_of_size: AtomicBool::new(false),
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.tool.name()
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// What there is to say of its health, when it differs from what was said last.
    pub(crate) fn changed_health(&self) -> Option<ToolHealth> {
        // It is not of this library, and the connection asks it: a panic must not get any further.
        let down = catch_unwind(AssertUnwindSafe(|| self.tool.down_reason()));
        self.health
            .changed_while(down.unwrap_or_else(|_| Some("its own look at its health panicked".to_owned())))
    }

    /// Whether this is the first result that is too large to be passed on whole.
    pub(crate) fn is_first_large_result(&self) -> bool {
        !self.warned_of_size.swap(true, Ordering::Relaxed)
    }
}

/// Runs the tools of one host. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Dispatcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    entries: RwLock<HashMap<String, Arc<Entry>>>,
    surroundings: Arc<Surroundings>,
    authentication: Option<Arc<Authentication>>,
    limits: Limits,
    admission: Arc<Admission>,
    threads: Arc<Threads>,
    watch: Watch,
}

impl Dispatcher {
    /// A dispatcher of the tools in `registry`. Who may call them is enforced when there is an
    /// `authentication`.
    pub(crate) fn new(
        registry: &Registry,
        states: Arc<States>,
        authentication: Option<Authentication>,
        limits: Limits,
    ) -> Self {
        let entries =
            registry.iter().map(|tool| (tool.name().to_owned(), Arc::new(Entry::new(tool.clone()))));
        Self(Arc::new(Inner {
            entries: RwLock::new(entries.collect()),
            // Its token is cancelled when running calls have to end.
            surroundings: Arc::new(Surroundings { states, cancellation: CancellationToken::new() }),
            authentication: authentication.map(Arc::new),
            admission: Arc::new(Admission::new(&limits)),
            threads: Arc::default(),
            watch: Watch::of_process(),
            limits,
        }))
    }

    /// Gives a call of the tool `name` its place, or says why there is none. Never waits. `bytes` is what
    /// its arguments take; its time counts from when it `arrived`.
    pub(crate) fn admit(
        &self,
        name: &str,
        user: Option<&str>,
        bytes: usize,
        arrived: Instant,
    ) -> Result<Admitted, ToolError> {
        let inner = &self.0;
        let entry = self.entry(name).ok_or_else(|| ToolError::unknown_tool(name.to_owned()))?;
        inner.admission.check_open()?;
        let authentication = inner.authentication.clone().filter(|_| !entry.access.is_open());
        // A call whose user is looked at counts once that is known, so that nobody uses up a limit who is not
        // let in.
        if authentication.is_none() {
            entry.limits.check_rate(user)?;
        }
        let ticket = inner.admission.enter(&entry.limits, entry.tool.is_blocking(), bytes)?;
        let who =
            authentication.map(|authentication| Asking { authentication, stated: user.map(str::to_owned) });
        Ok(Admitted::new(entry, ticket, Arc::clone(&inner.threads), who, arrived, &inner.limits))
    }

    /// Where calls are gathered that are started together.
    pub(crate) fn batch<S: Batched>(&self, calls: Arc<S>) -> Batch<S> {
        Batch::new(self.0.watch.clone(), calls)
    }

    /// Runs one call that came over no wire, in the context it brings.
    pub(crate) async fn call(&self, name: &str, arguments: Arguments, context: CallContext) -> ToolResult {
        let admitted =
            self.admit(name, Some(context.user_id()), arguments.as_json().len(), Instant::now())?;
        let scope = CallScope::local(context, self.surroundings());
        admitted.run(arguments, Arc::new(scope)).await.result
    }

    /// The same for a caller who may take the call back, and hears how far it is.
    #[cfg(feature = "mcp")]
    pub(crate) async fn call_until(
        &self,
        taken_back: impl Future<Output = ()>,
        name: &str,
        arguments: Arguments,
        context: CallContext,
        progress: Progress,
    ) -> ToolResult {
        let admitted =
            self.admit(name, Some(context.user_id()), arguments.as_json().len(), Instant::now())?;
        let scope = CallScope::local(context, self.surroundings()).with_progress(progress);
        admitted.run_until(taken_back, arguments, Arc::new(scope)).await
    }

    /// Whether somebody verifies who is calling.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.0.authentication.is_some()
    }

    /// How long any call may take, waiting included.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.0.limits.call_timeout
    }

    pub(crate) fn states(&self) -> &States {
        &self.0.surroundings.states
    }

    /// What all calls share.
    pub(crate) fn surroundings(&self) -> Arc<Surroundings> {
        Arc::clone(&self.0.surroundings)
    }

    /// Refuses every call from now on.
    pub(crate) fn close(&self) {
        self.0.admission.close();
    }

    /// Whether every call is refused.
    #[cfg(feature = "http")]
    pub(crate) fn is_closed(&self) -> bool {
        self.0.admission.check_open().is_err()
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
        self.0.surroundings.cancellation.cancel();
    }

    /// Every tool with its health.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        let entries = self.0.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.values().map(Arc::clone).collect()
    }

    /// The tool of that name, if it is switched on.
    fn entry(&self, name: &str) -> Option<Arc<Entry>> {
        let entries = self.0.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(name).filter(|entry| entry.enabled.load(Ordering::Relaxed)).map(Arc::clone)
    }

    /// Adds a tool, or puts it in the place of another of its name.
    pub(crate) fn insert(&self, tool: Tool) {
        let mut entries = self.0.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.insert(tool.name().to_owned(), Arc::new(Entry::new(tool)));
    }

    /// Takes a tool out. Its running calls finish.
    pub(crate) fn remove(&self, name: &str) {
        self.0.entries.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Takes tools out and puts others in; no call sees the half of it.
    pub(crate) fn replace(&self, gone: &[&str], new: Vec<Tool>) {
        let new: Vec<_> =
            new.into_iter().map(|tool| (tool.name().to_owned(), Arc::new(Entry::new(tool)))).collect();
        let mut entries = self.0.entries.write().unwrap_or_else(PoisonError::into_inner);
        for name in gone {
            entries.remove(*name);
        }
        entries.extend(new);
    }

    /// Switches a tool on or off.
    pub(crate) fn enable(&self, name: &str, enabled: bool) {
        let entries = self.0.entries.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(name) {
            entry.enabled.store(enabled, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
