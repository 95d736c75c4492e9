//! The connection: it is dialled, kept and, when it breaks, dialled again; calls come in over it and
//! answers go out.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `builder`, `config`, `local` | what a host is made of, checked before anything is dialled |
//! | `probe` | a look at the connection without being a host |
//! | `machine`, `backoff`, `ending` | the states of a connection and what follows each end; pure |
//! | `dial` | from a URL to an open WebSocket |
//! | `session` | one connection from its opening to its end |
//! | `shared` | what all connections of a host share; takes finished calls and puts their answers into the outbox |
//! | `outbox` | answers, which outlive the connection their call came over |
//! | `coordinator` | the seam for several processes behind one connection |
//! | `driver`, `shutdown` | connection after connection, until somebody says stop |
//! | `events` | what happens, for whoever wants to know |
//!
//! This room must not know how a call is verified or run: it hands frames to `intake` and takes finished calls.

mod backoff;
mod builder;
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
mod session;
mod shared;
mod shutdown;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

pub use self::builder::Platools;
pub use self::config::{HostConfig, WhenSuperseded};
pub use self::coordinator::{Coordinator, Gateway, KeptAnswer, RoutedCall};
pub use self::error::{ConfigError, HostError};
pub use self::events::{HostEvent, HostEvents};
pub use self::local::LocalHost;
pub use self::machine::HostState;
pub use self::probe::{CheckDepth, ConnectionCheck};
pub(crate) use self::shared::Shared;
pub use self::shutdown::Signals;
use crate::caller::CallContext;
use crate::intake::Door;
use crate::run::ToolTable;
use crate::tool::{Arguments, ToolResult};
use crate::verify::Secret;

/// A host that is ready to connect: its configuration is complete, its tools are checked.
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
    /// The tools, which may change at any time.
    pub fn tools(&self) -> &ToolTable {
        self.shared.dispatcher().tools()
    }

    /// The URL that is dialled.
    pub fn url(&self) -> &str {
        self.shared.url.as_str()
    }

    /// A handle that outlives [`run`](Self::run): to see the state, and to shut down.
    pub fn handle(&self) -> HostHandle {
        HostHandle { shared: Arc::clone(&self.shared), state: self.state.subscribe() }
    }

    /// Runs one call of a tool here, without the platform, through the same limits, timeouts and panic
    /// isolation.
    ///
    /// # Errors
    /// What the call was answered with.
    pub async fn call(&self, tool: &str, arguments: Arguments, context: CallContext) -> ToolResult {
        self.shared.dispatcher().call(tool, arguments, context).await
    }

    /// Connects and answers calls until SIGTERM or SIGINT (Ctrl-C), then shuts down in order: new calls
    /// are refused, running ones finish within the grace period, answers are flushed. A second signal
    /// stops at once.
    ///
    /// # Errors
    /// When the platform refuses the connection for a reason that only a person can mend, such as a wrong
    /// secret, or a second signal comes. A broken connection is no error; it is dialled again.
    pub async fn run(self) -> Result<(), HostError> {
        let signals = Signals::new().map_err(HostError::Signals)?;
        let shared = Arc::clone(&self.shared);
        let driver = on_a_worker(driver::drive(self.shared, self.secret, self.state));
        signals.guard(&shared, driver).await
    }

    /// Like [`run`](Self::run), but deaf to signals: until `stop` is ready, or the handle shuts it down.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), HostError> {
        let shutdown = self.shared.shutdown.clone();
        let driver = on_a_worker(driver::drive(self.shared, self.secret, self.state));
        tokio::pin!(driver);
        tokio::select! {
            result = &mut driver => result,
            () = stop => {
                shutdown.cancel();
                driver.await
            }
        }
    }
}

/// Runs the driver in a task of its own, which ends when this is dropped.
///
/// The thread in `block_on`, where `main` is, is none of the runtime's workers: each call would cost a switch to
/// one of them, and each answer a switch back.
async fn on_a_worker(
    driver: impl Future<Output = Result<(), HostError>> + Send + 'static,
) -> Result<(), HostError> {
    match AbortOnDropHandle::new(tokio::spawn(driver.in_current_span())).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

/// Watches and stops a running host. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HostHandle {
    shared: Arc<Shared>,
    state: watch::Receiver<HostState>,
}

impl HostHandle {
    #[cfg(feature = "http")]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The tools, which may change at any time.
    pub fn tools(&self) -> &ToolTable {
        self.shared.dispatcher().tools()
    }

    /// The door for calls that do not come from the platform. They share the limits of those that do.
    pub fn door(&self) -> Door {
        self.shared.intake.door()
    }

    /// The state of the connection at this moment.
    pub fn state(&self) -> HostState {
        *self.state.borrow()
    }

    /// Waits until the connection is in `state`. Returns `false` when the host stops before.
    pub async fn wait_for(&self, state: HostState) -> bool {
        self.state
            .clone()
            .wait_for(|now| *now == state || now.is_final())
            .await
            .is_ok_and(|now| *now == state)
    }

    /// What happens to the host from now on.
    pub fn events(&self) -> HostEvents {
        self.shared.events.listen()
    }

    /// How many calls are running or waiting.
    pub fn in_flight(&self) -> usize {
        self.shared.dispatcher().in_flight()
    }

    /// Shuts the host down in order, as SIGTERM does, and waits until it has stopped.
    pub async fn shutdown(&self) {
        self.shared.shutdown.cancel();
        // An error means that the host is gone, which is what was asked for.
        let _ = self.state.clone().wait_for(|now| now.is_final()).await;
    }
}

/// How long a closing handshake may take, and how long handlers that were told to stop.
const FAREWELL: Duration = Duration::from_secs(2);
