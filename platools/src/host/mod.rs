//! The connection to the platform: dials it, keeps it alive, redials it, reads calls and writes answers.
//!
//! | file | purpose |
//! | --- | --- |
//! | `builder`, `config`, `callback`, `local` | building a host and validating its configuration before it dials |
//! | `probe` | checks of the connection without a host |
//! | `machine`, `backoff`, `ending` | the state machine of the connection; pure |
//! | `dial` | from a URL to an open WebSocket |
//! | `session` | one connection from its opening to its end |
//! | `shared` | state shared by all connections of a host; puts the answers of finished calls into the outbox |
//! | `outbox`, `budget` | unsent answers, which outlive their connection, and the bounds of their memory |
//! | `coordinator` | the seam for several processes behind one connection |
//! | `driver`, `shutdown` | the reconnect loop, and signals |
//! | `succession` | one host of a process takes over the connection of another |
//! | `events` | events for observers |
//! | `state_dir`, `replay_file` | the directory for what must outlive the process, and the memory of nonces in it |
//!
//! This room must not know how a call is verified or run: it hands frames to `intake` and takes finished calls.

mod backoff;
mod budget;
mod builder;
mod callback;
mod config;
mod coordinator;
mod dial;
mod driver;
mod ending;
mod error;
mod events;
mod local;
mod machine;
mod outbox;
mod probe;
mod replay_file;
#[cfg(all(test, shuttle))]
mod schedules;
mod session;
mod shared;
mod shutdown;
mod state_dir;
mod succession;

use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
pub use platools_net::signals::Signals;
pub use platools_net::{ProxyConfig, ProxyError};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

pub use self::builder::Platools;
pub use self::config::{HostConfig, WhenSuperseded};
pub use self::coordinator::{
    Connection, Coordinator, CoordinatorFuture, Gateway, KeptAnswer, Lead, RoutedCall, Runner,
};
#[cfg(feature = "http")]
pub use self::coordinator::{RequestAnswer, SignedRequest};
pub use self::error::{ConfigError, HostError};
pub use self::events::{HostEvent, HostEvents};
pub use self::local::LocalHost;
pub use self::machine::HostState;
pub use self::probe::{CheckDepth, ConnectionCheck};
pub(crate) use self::shared::Shared;
pub use self::state_dir::StateDir;
use crate::caller::CallContext;
use crate::intake::{CallRequest, Door};
use crate::run::{Limits, ToolTable};
use crate::tool::{Arguments, ToolResult};
use crate::verify::Secret;

/// A host that is ready to connect, with a validated configuration and tools.
///
/// Built by [`Platools::build`]. [`run`](Self::run) connects and stays connected until the process is
/// told to stop.
#[derive(Debug)]
pub struct Host {
    shared: Arc<Shared>,
    secret: Secret,
    state: watch::Sender<HostState>,
}

impl Host {
    /// Returns the tool table, which may change at any time.
    pub fn tools(&self) -> &ToolTable {
        self.shared.dispatcher().tools()
    }

    /// Returns the URL that the host dials.
    pub fn url(&self) -> &str {
        self.shared.url.as_str()
    }

    /// Returns a handle that outlives [`run`](Self::run), to observe the host and to shut it down.
    pub fn handle(&self) -> HostHandle {
        HostHandle { shared: Arc::clone(&self.shared), state: self.state.subscribe() }
    }

    /// Runs one call of a tool without the platform, with the host's limits, timeouts and panic isolation.
    ///
    /// # Errors
    /// When the call is not admitted or the tool fails.
    pub async fn call(&self, tool: &str, arguments: Arguments, context: CallContext) -> ToolResult {
        self.shared.intake.door().result(CallRequest::new(tool, arguments, context)).await
    }

    /// Connects and answers calls until SIGTERM or SIGINT (Ctrl-C), then shuts down gracefully: new calls are rejected,
    /// running ones finish within the grace period, answers are flushed. A second signal stops it at once.
    ///
    /// # Errors
    /// When the platform rejects the connection for a reason that needs a person, such as an invalid secret, or a
    /// second signal arrives. A lost connection is not an error; the host reconnects.
    pub async fn run(self) -> Result<(), HostError> {
        let signals = Signals::new().map_err(HostError::Signals)?;
        let shared = Arc::clone(&self.shared);
        let driver = on_a_worker(driver::drive(self.shared, self.secret, self.state));
        shutdown::guard(signals, &shared, driver).await
    }

    /// Runs the host until `stop` is ready or the handle shuts it down. Ignores signals, unlike [`run`](Self::run).
    ///
    /// # Errors
    /// When the platform rejects the connection permanently, as for [`run`](Self::run).
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), HostError> {
        let stopping = self.shared.stop.clone();
        let driver = on_a_worker(driver::drive(self.shared, self.secret, self.state));
        tokio::pin!(driver);
        tokio::select! {
            result = &mut driver => result,
            () = stop => {
                stopping.cancel();
                driver.await
            }
        }
    }
}

/// Runs the driver in its own task, which is aborted when this future is dropped.
///
/// The thread of `block_on`, which runs `main`, is not a worker of the runtime: each call would cost a switch to a
/// worker, and each answer a switch back. Boxed, so that the future of a program that runs a host stays small.
fn on_a_worker(
    driver: impl Future<Output = Result<(), HostError>> + Send + 'static,
) -> BoxFuture<'static, Result<(), HostError>> {
    Box::pin(async {
        match AbortOnDropHandle::new(tokio::spawn(driver.in_current_span())).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down, including this task.
                Err(_cancelled) => std::future::pending().await,
            },
        }
    })
}

/// Observes and stops a running host. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HostHandle {
    shared: Arc<Shared>,
    state: watch::Receiver<HostState>,
}

/// Whether the platform has applied the latest `tool_register` of a host, the declaration of its tools.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Registration {
    /// None was sent yet.
    #[default]
    None,
    /// It was sent, and the platform has not answered yet.
    Sent,
    /// The platform applied it.
    Applied {
        /// The number of registered tools, if the platform states it.
        tools: Option<u64>,
    },
    /// The platform refused it, so that the tools declared before still apply.
    Rejected {
        /// The platform's reason, such as `duplicate_tool_name:lookup_order`.
        reason: String,
    },
}

impl HostHandle {
    #[cfg(feature = "http")]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the tool table, which may change at any time.
    pub fn tools(&self) -> &ToolTable {
        self.shared.dispatcher().tools()
    }

    /// Returns the door for calls that do not come from the platform. All calls share the limits of the host.
    pub fn door(&self) -> Door {
        self.shared.intake.door()
    }

    /// Returns the current state of the connection.
    pub fn state(&self) -> HostState {
        *self.state.borrow()
    }

    /// Waits until the connection is in `state`. Returns `false` if the host stops first.
    pub async fn wait_for(&self, state: HostState) -> bool {
        self.state
            .clone()
            .wait_for(|now| *now == state || now.is_final())
            .await
            .is_ok_and(|now| *now == state)
    }

    /// Returns whether the platform has applied the latest declaration of the tools.
    pub fn registration(&self) -> Registration {
        self.shared.registration.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the connection back from the process that superseded this host: a host that stands by dials at once,
    /// which evicts the other one; one that still answers calls on the old connection dials when they are answered. The other one then stands by in turn and comes back after 30 to 60 s, unless it is
    /// stopped meanwhile.
    ///
    /// Use it when the other process is known to be gone or unwanted. A host that stands by cannot find that out, since
    /// dialling evicts, so it waits.
    ///
    /// Returns whether the host is superseded or stands by. With a [`Coordinator`], which decides who may dial, it does nothing.
    pub fn take_over(&self) -> bool {
        let is_superseded = matches!(self.state(), HostState::Superseded | HostState::Standby);
        let takes_over = is_superseded && self.shared.coordinator.is_none();
        if takes_over {
            self.shared.take_over.send_modify(|requests| *requests += 1);
        }
        takes_over
    }

    /// Subscribes to the events of the host, from now on.
    pub fn events(&self) -> HostEvents {
        self.shared.events.listen()
    }

    /// Returns the number of running and waiting calls.
    pub fn in_flight(&self) -> usize {
        self.shared.dispatcher().in_flight()
    }

    /// Changes the limits of the running host, all but [`call_timeout`](Limits::call_timeout). Calls in flight go on; if
    /// there are more of them than allowed now, further ones wait. Needs a tokio runtime.
    ///
    /// # Errors
    /// When a limit is out of its range, as for [`Platools::build`]; then nothing changes.
    ///
    /// ```
    /// # use platools::{Platools, run::Limits};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> platools::Result<()> {
    /// # let host = Platools::builder().url("ws://127.0.0.1:9/?entity=a").secret("0123456789abcdef").tools([]).build()?;
    /// let mut limits = Limits::default();
    /// limits.max_running = 16;
    /// host.handle().set_limits(&limits)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_limits(&self, limits: &Limits) -> Result<(), ConfigError> {
        config::check_limits(limits)?;
        self.shared.dispatcher().set_limits(limits);
        self.shared.outbox.set_limits(limits);
        Ok(())
    }

    /// Shuts the host down gracefully, like SIGTERM, and waits until it has stopped.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        // An error means that the host was dropped, so it has stopped.
        let _ = self.state.clone().wait_for(|now| now.is_final()).await;
    }
}

/// The timeout of the closing handshake, and the time in which cancelled handlers may still answer.
const FAREWELL: Duration = Duration::from_secs(2);
