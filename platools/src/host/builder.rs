//! From tools and a configuration to a host, with everything checked that can be checked beforehand.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::coordinator::Coordinator;
use super::events::Events;
use super::outbox::Outbox;
use super::{ConfigError, Host, HostConfig, HostState, LocalHost, Shared, WhenSuperseded};
use crate::caller::{Authentication, Authenticator, States};
use crate::error::Error;
use crate::intake::Intake;
use crate::run::{Dispatcher, Limits, Rules, ToolTable};
use crate::tool::{Registry, Tool, Toolset};
use crate::verify::{SecretSource, Verifier, VerifierOptions};
use crate::wire::Scope;

/// Builds a [`Host`].
///
/// Every `#[tool]` function of the program is registered by itself, unless [`tools`](Self::tools) gives
/// an explicit list.
///
/// ```no_run
/// # struct Db;
/// #[tokio::main]
/// async fn main() -> platools::Result<()> {
///     platools::Platools::from_env()?.state(Db).run().await
/// }
/// ```
#[must_use = "a builder does nothing before `run` or `build`"]
pub struct Platools {
    config: HostConfig,
    explicit: Option<Vec<Tool>>,
    more: Vec<Tool>,
    states: States,
    authenticator: Option<Arc<dyn Authenticator>>,
    coordinator: Option<Arc<dyn Coordinator>>,
}

impl Platools {
    /// Starts from the environment variables that [`HostConfig`] lists.
    ///
    /// # Errors
    /// When a variable has a value that cannot be read.
    pub fn from_env() -> Result<Self, Error> {
        Ok(Self::new(HostConfig::from_env()?))
    }

    /// Starts from nothing but defaults; the environment is not read.
    pub fn builder() -> Self {
        Self::new(HostConfig::default())
    }

    /// Starts from a configuration.
    pub fn new(config: HostConfig) -> Self {
        Self {
            config,
            explicit: None,
            more: Vec::new(),
            states: States::default(),
            authenticator: None,
            coordinator: None,
        }
    }

    /// The platform's URL, such as `wss://platos.example/tools/sync?entity=orders-prod`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.config.url = Some(url.into());
        self
    }

    /// The service secret itself; see [`secret_source`](Self::secret_source) for better places.
    pub fn secret(self, secret: impl Into<String>) -> Self {
        self.secret_source(SecretSource::text(secret))
    }

    /// Where the service secret comes from. It is asked again when the platform rotates the secret.
    pub fn secret_source(mut self, source: SecretSource) -> Self {
        self.config.secret = Some(source);
        self
    }

    /// The entity, where the URL does not name it.
    pub fn entity(mut self, entity: impl Into<String>) -> Self {
        self.config.entity = Some(entity.into());
        self
    }

    /// The environment, where the URL does not name it.
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.config.environment = Some(environment.into());
        self
    }

    /// A PEM file with certificates that are trusted beside the system's own.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.ca_file = Some(path.into());
        self
    }

    /// How often the host says that it is alive, within 10 %.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.config.heartbeat_interval = interval;
        self
    }

    /// How long running calls may take to finish once the host shuts down.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.config.shutdown_grace = grace;
        self
    }

    /// What to do when another process connects as the same entity and environment.
    pub fn when_superseded(mut self, policy: WhenSuperseded) -> Self {
        self.config.when_superseded = policy;
        self
    }

    /// How many calls run and wait, and how long.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// How strictly calls are verified. Anything but the default is logged at start.
    pub fn verification(mut self, options: VerifierOptions) -> Self {
        self.config.verification = options;
        self
    }

    /// Who finds out who is calling. From then on the `auth` and `roles` of the tools are enforced, and tools
    /// can take an [`Identity`](crate::Identity).
    pub fn authenticator(self, authenticator: impl Authenticator) -> Self {
        self.shared_authenticator(Arc::new(authenticator))
    }

    /// The same, for an authenticator that is shared already.
    pub fn shared_authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// Lets several processes share one connection. Without a coordinator this process dials and runs all calls itself.
    pub fn coordinator(mut self, coordinator: impl Coordinator) -> Self {
        self.coordinator = Some(Arc::new(coordinator));
        self
    }

    /// How long a verified identity is remembered; see [`HostConfig::identity_ttl`].
    pub fn identity_ttl(mut self, ttl: Duration) -> Self {
        self.config.identity_ttl = ttl;
        self
    }

    /// Whether to refuse to start when tools declare `auth` or `roles` and there is no authenticator to
    /// enforce them.
    pub fn strict_access(mut self, strict: bool) -> Self {
        self.config.strict_access = strict;
        self
    }

    /// Whether the model is told what broke inside. For development only.
    pub fn show_internal_errors(mut self, show: bool) -> Self {
        self.config.show_internal_errors = show;
        self
    }

    /// A value for every handler with a `State<T>` parameter. Of two of one type the later one counts.
    pub fn state<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.shared_state(Arc::new(value))
    }

    /// A value that is shared already, or a trait object: `.shared_state::<dyn Repository>(repository)`.
    pub fn shared_state<T: ?Sized + Send + Sync + 'static>(mut self, value: Arc<T>) -> Self {
        self.states.insert(value);
        self
    }

    /// Exactly these tools, instead of every `#[tool]` function of the program: `.tools(tools![a, b])`.
    pub fn tools(mut self, tools: impl IntoIterator<Item = Tool>) -> Self {
        self.explicit.get_or_insert_default().extend(tools);
        self
    }

    /// One tool more, for example one whose shape is known only at run time.
    pub fn tool(mut self, tool: Tool) -> Self {
        self.more.push(tool);
        self
    }

    /// The tools of a `#[toolset]`, beside the others.
    pub fn toolset<T: Toolset>(self, toolset: T) -> Self {
        self.toolset_with_prefix("", toolset)
    }

    /// The tools of a `#[toolset]` under other names: each begins with `prefix`, so that several
    /// instances fit into one host.
    pub fn toolset_with_prefix<T: Toolset>(mut self, prefix: &str, toolset: T) -> Self {
        let tools = Arc::new(toolset).tools();
        self.more.extend(tools.into_iter().map(|tool| {
            let name = format!("{prefix}{}", tool.name());
            tool.with_spec(|spec| spec.rename(name))
        }));
        self
    }

    /// Checks everything and makes the host. Nothing is dialled yet.
    ///
    /// # Errors
    /// When the URL or the secret is missing or cannot be used, two tools have one name, a tool's schema
    /// cannot be built, its state or its authenticator is missing, or the declaration is larger than the platform takes.
    pub fn build(self) -> Result<Host, Error> {
        let url = self.config.connect_url()?;
        let source = self.config.secret.clone().ok_or(ConfigError::MissingSecret)?;
        let secret = source.load().map_err(ConfigError::from)?;
        let tls = self.config.tls(&url)?;

        let coordinator = self.coordinator.clone();
        let (dispatcher, config) = self.assemble(true)?;

        for weakness in config.verification.weaknesses() {
            tracing::warn!("{weakness}");
        }
        if url.entity().is_none() {
            tracing::warn!("no entity is named: set PLATOS_ENTITY or add `?entity=<slug>` to the URL");
        }
        warn_of_oversights(&dispatcher.tools().registry(), &config.limits);
        let events = Events::default();
        let scope = Scope { entity_id: url.entity(), ..Scope::default() };
        let verifier = Verifier::new(&secret, config.verification.clone());
        let shared = Shared {
            intake: Intake::new(verifier, dispatcher, config.show_internal_errors),
            scope: scope.into(),
            url,
            secret: source,
            config,
            tls,
            outbox: Outbox::new(events.clone()),
            events,
            shutdown: CancellationToken::new(),
            lead: watch::Sender::new(coordinator.is_none()),
            coordinator,
        };
        let (state, _) = watch::channel(HostState::Connecting);
        Ok(Host { shared: Arc::new(shared), secret, state })
    }

    /// Checks the tools and makes something that runs them in this process, without a platform: URL and
    /// secret are not needed.
    ///
    /// # Errors
    /// When two tools have one name, a tool's schema cannot be built, or its state or its authenticator is
    /// missing.
    pub fn build_local(self) -> Result<LocalHost, Error> {
        let (dispatcher, config) = self.assemble(false)?;
        Ok(LocalHost { dispatcher, show_internal_errors: config.show_internal_errors })
    }

    /// Checks the tools, and makes what runs them.
    fn assemble(self, is_declared: bool) -> Result<(Dispatcher, HostConfig), Error> {
        let Self { config, explicit, more, states, authenticator, .. } = self;
        config.check()?;
        let mut registry = match explicit {
            Some(tools) => {
                let mut registry = Registry::new();
                registry.extend(tools)?;
                registry
            }
            None => Registry::collect()?,
        };
        registry.extend(more)?;
        let rules = Rules {
            is_authenticated: authenticator.is_some(),
            strict_access: config.strict_access,
            is_declared,
        };
        let states = Arc::new(states);
        let tools = ToolTable::new(registry, Arc::clone(&states), rules)?;
        let authentication = authenticator.map(|who| Authentication::new(who, config.identity_ttl));
        let dispatcher = Dispatcher::new(tools, states, authentication, config.limits.clone());
        Ok((dispatcher, config))
    }

    /// Builds the host and runs it until SIGTERM or SIGINT; see [`Host::run`].
    ///
    /// # Errors
    /// As [`build`](Self::build) and [`Host::run`].
    pub async fn run(self) -> Result<(), Error> {
        Ok(self.build()?.run().await?)
    }
}

impl fmt::Debug for Platools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platools")
            .field("config", &self.config)
            .field("explicit", &self.explicit)
            .field("more", &self.more)
            .field("states", &self.states)
            .field("authenticator", &self.authenticator.is_some())
            .field("coordinator", &self.coordinator)
            .finish()
    }
}

/// Says in the log what is allowed and probably not meant.
fn warn_of_oversights(registry: &Registry, limits: &Limits) {
    let named = |tools: Vec<&Tool>| tools.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", ");
    let mute: Vec<_> = registry.iter().filter(|tool| tool.spec().description.trim().is_empty()).collect();
    if !mute.is_empty() {
        tracing::warn!(tools = named(mute), "tools without a description are hardly ever found by an agent");
    }
    let too_slow = |tool: &&Tool| tool.spec().timeout.is_some_and(|timeout| timeout > limits.call_timeout);
    let slow: Vec<_> = registry.iter().filter(too_slow).collect();
    if !slow.is_empty() {
        let limit = limits.call_timeout;
        tracing::warn!(tools = named(slow), ?limit, "timeouts above the host's own limit never come to bear");
    }
    if registry.is_empty() {
        tracing::warn!("no tools are registered; tools of a crate that nothing refers to are not linked");
    }
}
