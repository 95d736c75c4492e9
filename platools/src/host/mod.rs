//! The connection: it is dialled, kept and, when it breaks, dialled again; calls come in over it and
//! answers go out.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `builder`, `config`, `declaration`, `tools`, `local` | what a host is made of, checked before anything is dialled |
//! | `probe` | a look at the connection without being a host |
//! | `machine`, `backoff`, `ending` | the states of a connection and what follows each end; pure |
//! | `dial`, `tls` | from a URL to an open WebSocket |
//! | `session` | one connection from its opening to its end |
//! | `http` | calls that come over HTTP instead |
//! | `outbox`, `calls` | answers, which outlive the connection their call came over, and calls by their id |
//! | `driver`, `shutdown` | connection after connection, until somebody says stop |
//! | `events` | what happens, for whoever wants to know |
//!
//! This room must not know how a call is verified or run; it asks `verify` and `run`.

mod backoff;
mod builder;
mod calls;
mod config;
mod declaration;
mod dial;
mod driver;
mod ending;
mod error;
mod events;
#[cfg(feature = "http")]
mod http;
mod local;
mod machine;
mod outbox;
mod probe;
mod session;
mod shutdown;
mod tls;
mod tools;

use std::future::Future;
#[cfg(feature = "http")]
use std::sync::Mutex;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

pub use self::builder::Platools;
use self::calls::Calls;
pub use self::config::{HostConfig, WhenSuperseded};
pub use self::error::{ConfigError, DeclarationError, HostError};
use self::events::Events;
pub use self::events::{HostEvent, HostEvents};
#[cfg(feature = "http")]
pub(crate) use self::http::{HttpAnswer, HttpCall, HttpRefusal};
pub use self::local::LocalHost;
pub use self::machine::HostState;
use self::outbox::Outbox;
pub use self::probe::{CheckDepth, ConnectionCheck};
pub(crate) use self::shutdown::Signals;
pub(crate) use self::tools::Toolbox;
use self::tools::Tools;
use crate::caller::CallContext;
use crate::run::Dispatcher;
use crate::tool::{Arguments, Registry, ToolResult};
use crate::verify::{Secret, SecretSource, Verifier};
use crate::wire::{ConnectUrl, Scope};

/// A host that is ready to connect: its configuration is complete, its tools are checked.
///
/// Built by [`Platools::build`]. [`run`](Self::run) connects and stays connected until the process is
/// told to stop.
#[derive(Debug)]
pub struct Host {
    shared: Arc<Shared>,
    secret: Secret,
    registry: Registry,
    state: watch::Sender<HostState>,
}

/// What every connection of one host uses.
#[derive(Debug)]
struct Shared {
    url: ConnectUrl,
    secret: SecretSource,
    config: HostConfig,
    tls: Option<tls::TlsConnector>,
    toolbox: Toolbox,
    events: Events,
    verifier: Verifier,
    outbox: Outbox,
    calls: Calls,
    /// When the secret was looked up last since a signature was wrong.
    #[cfg(feature = "http")]
    looked_up: Mutex<Option<tokio::time::Instant>>,
    /// What the latest `welcome` said; before it, what the configuration says.
    scope: RwLock<Scope>,
    shutdown: CancellationToken,
}

impl Shared {
    /// What runs the tools.
    fn dispatcher(&self) -> &Dispatcher {
        &self.toolbox.dispatcher
    }

    /// The tools as they are declared.
    fn tools(&self) -> &Tools {
        &self.toolbox.tools
    }

    /// Where this host belongs, as far as that is known.
    #[cfg(feature = "http")]
    fn scope(&self) -> Scope {
        self.scope.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_scope(&self, scope: Scope) {
        *self.scope.write().unwrap_or_else(PoisonError::into_inner) = scope;
    }
}

impl Host {
    /// The tools that the host starts with; [`HostHandle::tools`] has those of a running host.
    pub fn registry(&self) -> &Registry {
        &self.registry
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
    pub(crate) fn toolbox(&self) -> &Toolbox {
        &self.shared.toolbox
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
