//! Several replicas of a [`platools`] host behind one connection, on NATS.
//!
//! The platform keeps one connection for an entity and environment. Replicas that join a [`Fleet`] elect the one that
//! holds it, the gateway. It verifies calls and hands them to the others by their free places; when it stops or is lost,
//! another one takes over and sends the answers.
//!
//! ```no_run
//! use platools::prelude::*;
//! use platools_fleet::Fleet;
//!
//! #[tokio::main]
//! async fn main() -> platools::Result<()> {
//!     // PLATOOLS_FLEET=nats://nats.example:4222
//!     Platools::from_env()?.coordinator(Fleet::from_env()?).run().await
//! }
//! ```
//!
//! All replicas run the same program with the same configuration. They need a NATS server of version 2.10 or later with
//! JetStream. `docs/fleet.md` in the repository says what is guaranteed and what is not.
//!
//! | file | contents |
//! | --- | --- |
//! | `lease` | who holds the connection; pure |
//! | `desk`, `settled` | the gateway's members, tools and open calls, and the answered ones; pure |
//! | `shelf` | a member's running calls and kept answers; pure |
//! | `node` | these three together; pure, and what `simulation` drives |
//! | `member` | does what the node says, for a host |
//! | `declare` | the tools of all members in the gateway's table |
//! | `link`, `seal` | NATS, and messages that only members can read |
//! | `operator` | asks a fleet how it is, from outside |

mod build;
mod config;
mod declare;
mod desk;
mod error;
mod figures;
mod lease;
mod link;
mod map;
mod member;
mod message;
mod node;
mod observe;
mod operator;
mod seal;
mod settled;
mod shelf;
#[cfg(test)]
mod simulation;
mod status;
mod time;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use platools::host::{Coordinator, CoordinatorFuture, Gateway, KeptAnswer, RoutedCall};
use platools::tool::BoxError;

use self::config::{Config, Login};
pub use self::error::FleetError;
use self::member::Shell;
pub use self::operator::Operator;
pub use self::status::{FleetStatus, MemberRole, MemberStatus};

/// The fleet that a host joins; given to [`Platools::coordinator`](platools::Platools::coordinator). Cheap to clone; a
/// clone observes the member that the host became.
///
/// | variable | meaning |
/// | --- | --- |
/// | `PLATOOLS_FLEET` | the NATS servers, such as `nats://nats:4222` or `tls://a:4222,tls://b:4222` |
/// | `PLATOOLS_FLEET_CREDS` | a credentials file of NATS |
/// | `PLATOOLS_FLEET_NKEY` | a file with the seed of an NKey |
/// | `PLATOOLS_FLEET_TOKEN_FILE` | a file with a token |
/// | `PLATOOLS_FLEET_CA_FILE` | a PEM file of certificates to trust in addition to the system's |
/// | `PLATOOLS_FLEET_OPTIONAL` | `true`: a host starts without NATS, and waits for it |
/// | `PLATOOLS_FLEET_GATEWAY_SERVES` | `false`: the gateway runs no calls itself while others can |
/// | `PLATOOLS_FLEET_BUILD` | the build, such as `1.4.2`; by default the time at which the program was built |
/// | `PLATOOLS_FLEET_REPLICAS` | how many servers of a NATS cluster keep the lease, 1 to 5; default 1 |
#[derive(Clone)]
pub struct Fleet {
    config: Config,
    shell: Arc<OnceLock<Arc<Shell>>>,
}

impl Fleet {
    /// Reads the environment.
    ///
    /// # Errors
    /// When `PLATOOLS_FLEET` is not set, or a variable is invalid.
    pub fn from_env() -> Result<Self, FleetError> {
        Self::from_env_if_set()?.ok_or(FleetError::Missing)
    }

    /// Reads the environment; `None` if `PLATOOLS_FLEET` is not set, for programs that also run alone.
    ///
    /// # Errors
    /// When a variable is invalid.
    pub fn from_env_if_set() -> Result<Option<Self>, FleetError> {
        let config = Config::from_lookup(|variable| std::env::var(variable).ok())?;
        Ok(config.map(Self::of))
    }

    /// A fleet on these NATS servers, separated by commas.
    ///
    /// # Errors
    /// When a URL is invalid.
    pub fn new(servers: &str) -> Result<Self, FleetError> {
        Ok(Self::of(Config::new(servers)?))
    }

    /// The same fleet for another host: each host joins with a value of its own.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::of(self.config.clone())
    }

    fn of(config: Config) -> Self {
        Self { config, shell: Arc::default() }
    }

    /// Sets a credentials file of NATS.
    #[must_use]
    pub fn with_credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.login = Login::Credentials(path.into());
        self
    }

    /// Sets a file with the seed of an NKey.
    #[must_use]
    pub fn with_nkey_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.login = Login::Nkey(path.into());
        self
    }

    /// Sets a file with a token.
    #[must_use]
    pub fn with_token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.login = Login::Token(path.into());
        self
    }

    /// Sets a PEM file of certificates to trust in addition to the system's.
    #[must_use]
    pub fn with_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.ca_file = Some(path.into());
        self
    }

    /// Sets whether a host starts without NATS and waits for it. Otherwise that is an error.
    #[must_use]
    pub fn with_optional(mut self, optional: bool) -> Self {
        self.config.optional = optional;
        self
    }

    /// Sets whether the gateway runs calls itself. If not, it still runs them when it is alone.
    #[must_use]
    pub fn with_gateway_serving(mut self, serves: bool) -> Self {
        self.config.gateway_serves_calls = serves;
        self
    }

    /// Sets the name of the build, which decides whose declaration of a tool counts: numbers in it are compared by their
    /// value.
    #[must_use]
    pub fn with_build(mut self, build: impl Into<String>) -> Self {
        self.config.build = build.into();
        self
    }

    /// Sets the name of this member, for people.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.config.name = name.into();
        self
    }

    /// Sets how many servers of a NATS cluster keep the lease.
    #[must_use]
    pub fn with_store_replicas(mut self, replicas: usize) -> Self {
        self.config.replicas = replicas.clamp(1, 5);
        self
    }

    /// Returns whether the host of this fleet knows the gateway, or is it: whether it is ready.
    pub fn is_attached(&self) -> bool {
        self.shell.get().is_some_and(|shell| shell.is_attached())
    }

    /// Returns whether the host of this fleet has the connection.
    pub fn is_gateway(&self) -> bool {
        self.shell.get().is_some_and(|shell| shell.is_gateway())
    }

    /// Waits until the host of this fleet knows the gateway, or is it. Returns `false` if no host has joined yet.
    pub async fn attached(&self) -> bool {
        match self.shell.get() {
            Some(shell) => {
                shell.attached().await;
                true
            }
            None => false,
        }
    }

    /// The fleet as the host of this one sees it, which is complete at the gateway; `None` if no host has joined yet.
    pub fn status(&self) -> Option<FleetStatus> {
        self.shell.get().map(|shell| shell.status())
    }

    fn shell(&self) -> Option<&Arc<Shell>> {
        self.shell.get()
    }
}

impl Coordinator for Fleet {
    fn attach(&self, gateway: Gateway) -> CoordinatorFuture<Result<(), BoxError>> {
        let (config, shell) = (self.config.clone(), Arc::clone(&self.shell));
        Box::pin(async move {
            let joined = Shell::start(&config, gateway).await?;
            shell.set(joined).map_err(|_| {
                BoxError::from("a fleet is joined by one host: give the other one a fleet of its own")
            })
        })
    }

    fn place(&self, call: RoutedCall) -> Option<RoutedCall> {
        match self.shell() {
            Some(shell) => shell.place(call),
            None => Some(call),
        }
    }

    fn keep(&self, answers: Vec<KeptAnswer>) {
        if let Some(shell) = self.shell() {
            shell.keep(answers);
        }
    }

    fn delivered(&self, call_ids: Vec<Arc<str>>) {
        if let Some(shell) = self.shell() {
            shell.delivered(&call_ids);
        }
    }

    fn down(&self, tool: &str, here: Option<String>) -> Option<String> {
        match self.shell() {
            Some(shell) => shell.judge(tool, here),
            None => here,
        }
    }

    fn release(&self) -> CoordinatorFuture<()> {
        match self.shell() {
            Some(shell) => Box::pin(Arc::clone(shell).release()),
            None => Box::pin(std::future::ready(())),
        }
    }

    fn finish(&self) -> CoordinatorFuture<()> {
        match self.shell() {
            Some(shell) => Box::pin(Arc::clone(shell).finish()),
            None => Box::pin(std::future::ready(())),
        }
    }

    #[cfg(feature = "http")]
    fn forward(
        &self,
        call: platools::host::SignedRequest,
    ) -> Option<CoordinatorFuture<platools::host::RequestAnswer>> {
        let forwarded = self.shell()?.forward(call)?;
        Some(Box::pin(forwarded))
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("config", &self.config).finish_non_exhaustive()
    }
}
