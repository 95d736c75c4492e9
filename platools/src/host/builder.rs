//! Builds a host from tools and a configuration, and validates both.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use platools_net::ProxyConfig;
use platools_net::ration::Ration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::callback::Callback;
use super::coordinator::{Connection, Coordinator, Fence, Lead};
use super::events::Events;
use super::outbox::Outbox;
use super::succession::Succession;
use super::{ConfigError, Host, HostConfig, HostState, LocalHost, Shared, WhenSuperseded, replay_file};
use crate::caller::{Authentication, Authenticator, States};
use crate::error::Error;
use crate::intake::Intake;
use crate::observe::{self, HostMetrics};
use crate::run::{Dispatcher, Limits, Rules, ToolTable};
use crate::tool::{Registry, Tool, Toolset, format_duration};
use crate::verify::{SecretSource, VerificationMode, Verifier, VerifierOptions};
use crate::wire::Scope;

/// Builds a [`Host`].
///
/// Every `#[tool]` function of the program is registered automatically, unless [`tools`](Self::tools) sets an explicit
/// list.
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
    /// When a variable has an invalid value.
    pub fn from_env() -> Result<Self, Error> {
        Ok(Self::new(HostConfig::from_env()?))
    }

    /// Starts from the defaults, without reading the environment.
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

    /// Sets the platform's URL, such as `wss://platos.example/tools/sync?entity=orders-prod`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.config.url = Some(url.into());
        self
    }

    /// Sets the service secret; see [`secret_source`](Self::secret_source) to keep it out of the program.
    pub fn secret(self, secret: impl Into<String>) -> Self {
        self.secret_source(SecretSource::text(secret))
    }

    /// Sets the source of the service secret. It is read again when the platform rotates the secret.
    pub fn secret_source(mut self, source: SecretSource) -> Self {
        self.config.secret = Some(source);
        self
    }

    /// Sets the entity, if the URL does not name it.
    pub fn entity(mut self, entity: impl Into<String>) -> Self {
        self.config.entity = Some(entity.into());
        self
    }

    /// Sets the environment, if the URL does not name it.
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.config.environment = Some(environment.into());
        self
    }

    /// Sets a PEM file of certificates to trust in addition to the system's.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.ca_file = Some(path.into());
        self
    }

    /// Sets the directory for what must outlive the process; see [`HostConfig::state_dir`].
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.state_dir = Some(path.into());
        self
    }

    /// Sets whether to allow `ws://` to other machines, which sends the secret unencrypted, and a callback URL with
    /// `http://`. For development.
    pub fn allow_insecure(mut self, allow: bool) -> Self {
        self.config.allow_insecure = allow;
        self
    }

    /// Sets the URL at which the platform calls the tools over HTTP while the WebSocket is away; see
    /// [`HostConfig::callback_url`].
    pub fn callback_url(mut self, url: impl Into<String>) -> Self {
        self.config.callback_url = Some(url.into());
        self
    }

    /// Sets whether there is a built-in tool `ping` for the platform's wire test; see [`HostConfig::ping`].
    pub fn ping(mut self, ping: bool) -> Self {
        self.config.ping = ping;
        self
    }

    /// Sets the proxies for the connection to the platform, instead of those of the environment; see
    /// [`HostConfig::proxy`].
    ///
    /// ```
    /// use platools::Platools;
    /// use platools::host::ProxyConfig;
    ///
    /// let proxy = ProxyConfig::new("http://build:s3cret@proxy.example:3128")?;
    /// let builder = Platools::builder().proxy(proxy);
    /// assert!(!format!("{builder:?}").contains("s3cret"));
    /// # Ok::<(), platools::host::ProxyError>(())
    /// ```
    pub fn proxy(mut self, proxy: ProxyConfig) -> Self {
        self.config.proxy = Some(proxy);
        self
    }

    /// Sets the heartbeat interval, which is jittered by 10 %.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.config.heartbeat_interval = interval;
        self
    }

    /// Sets the grace period for running calls when the host shuts down.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.config.shutdown_grace = grace;
        self
    }

    /// Sets the reaction when another process connects as the same entity and environment.
    pub fn when_superseded(mut self, policy: WhenSuperseded) -> Self {
        self.config.when_superseded = policy;
        self
    }

    /// Sets the limits on the number and the duration of calls.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Sets the verification of calls. Weaker settings than the default are logged at start.
    pub fn verification(mut self, options: VerifierOptions) -> Self {
        self.config.verification = options;
        self
    }

    /// Sets the authenticator, which verifies users. With one, the `auth` and `roles` of the tools are enforced, and
    /// tools can take an [`Identity`](crate::Identity).
    pub fn authenticator(self, authenticator: impl Authenticator) -> Self {
        self.shared_authenticator(Arc::new(authenticator))
    }

    /// Sets an authenticator that is already in an `Arc`.
    pub fn shared_authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// Lets several processes share one connection. Without a coordinator this process dials and runs all calls itself.
    pub fn coordinator(mut self, coordinator: impl Coordinator) -> Self {
        self.coordinator = Some(Arc::new(coordinator));
        self
    }

    /// Sets the time for which a verified identity is cached; see [`HostConfig::identity_ttl`].
    pub fn identity_ttl(mut self, ttl: Duration) -> Self {
        self.config.identity_ttl = ttl;
        self
    }

    /// Sets whether building fails if tools declare `auth` or `roles` and there is no authenticator to enforce them.
    pub fn strict_access(mut self, strict: bool) -> Self {
        self.config.strict_access = strict;
        self
    }

    /// Sets whether the descriptions that the platform is sent end with a summary of the parameters; see
    /// [`HostConfig::describe_parameters`].
    pub fn describe_parameters(mut self, describe: bool) -> Self {
        self.config.describe_parameters = describe;
        self
    }

    /// Sets whether answers contain the texts of internal errors. For development only.
    pub fn show_internal_errors(mut self, show: bool) -> Self {
        self.config.show_internal_errors = show;
        self
    }

    /// Adds a value for every handler with a `State<T>` parameter. A later value of the same type replaces it.
    pub fn state<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.shared_state(Arc::new(value))
    }

    /// Adds a state that is already in an `Arc`, or a trait object: `.shared_state::<dyn Repository>(repository)`.
    pub fn shared_state<T: ?Sized + Send + Sync + 'static>(mut self, value: Arc<T>) -> Self {
        self.states.insert(value);
        self
    }

    /// Sets an explicit list of tools, instead of every `#[tool]` function of the program: `.tools(tools![a, b])`.
    pub fn tools(mut self, tools: impl IntoIterator<Item = Tool>) -> Self {
        self.explicit.get_or_insert_default().extend(tools);
        self
    }

    /// Adds a tool, for example one whose schema is known only at run time.
    pub fn tool(mut self, tool: Tool) -> Self {
        self.more.push(tool);
        self
    }

    /// Adds the tools of a `#[toolset]`.
    pub fn toolset<T: Toolset>(self, toolset: T) -> Self {
        self.toolset_with_prefix("", toolset)
    }

    /// Adds the tools of a `#[toolset]` with `prefix` before each name, so that one host can have several instances.
    pub fn toolset_with_prefix<T: Toolset>(mut self, prefix: &str, toolset: T) -> Self {
        let tools = Arc::new(toolset).tools();
        self.more.extend(tools.into_iter().map(|tool| {
            let name = format!("{prefix}{}", tool.name());
            tool.with_spec(|spec| spec.rename(name))
        }));
        self
    }

    /// Validates the configuration and the tools, and builds the host. Does not connect.
    ///
    /// # Errors
    /// When the URL or the secret is missing or invalid, the platform would not call the callback URL, two tools have the
    /// same name, a tool's schema cannot be built, its state or its authenticator is missing, the declaration exceeds the
    /// platform's limit, or the state directory cannot be used.
    pub fn build(self) -> Result<Host, Error> {
        let url = self.config.connect_url()?;
        let source = self.config.secret.clone().ok_or(ConfigError::MissingSecret)?;
        let secret = source.load().map_err(ConfigError::from)?;
        let tls = self.config.tls(&url)?;
        let callback = self.config.callback()?;
        let proxy = self.config.proxy_for(&url)?;

        let coordinator = self.coordinator.clone();
        let (dispatcher, config) = self.assemble(true, HostMetrics::new(url.entity().as_deref()))?;

        for weakness in config.verification.weaknesses() {
            tracing::warn!("{weakness}");
        }
        if let Some(doubt) = callback.as_ref().and_then(Callback::doubt) {
            tracing::warn!("{doubt}");
        }
        if let Some(proxy) = &proxy {
            tracing::info!(proxy = proxy.describe(), "connections to the platform go through a proxy");
        }
        if url.entity().is_none() {
            tracing::warn!("no entity is configured: set PLATOS_ENTITY or add `?entity=<slug>` to the URL");
        }
        warn_of_oversights(&dispatcher.tools().registry(), &config.limits);
        let events = Events::default();
        let scope = Scope { entity_id: url.entity(), ..Scope::default() };
        let options = config.verification.clone();
        let verifier = match &config.state_dir {
            // Last, so that a host that is not built after all leaves nothing behind.
            Some(path) if options.mode != VerificationMode::Off => {
                let memory = replay_file::open(path, &url, &options)?;
                Verifier::with_memory(&secret, options, memory)
            }
            _ => Verifier::new(&secret, options),
        };
        let stop = CancellationToken::new();
        let shared = Shared {
            outbox: Outbox::new(events.clone(), &config.limits).counted_in(dispatcher.metrics().clone()),
            intake: Intake::new(verifier, dispatcher, config.show_internal_errors),
            scope: scope.into(),
            url,
            secret: source,
            registration: RwLock::default(),
            config,
            tls,
            callback,
            proxy,
            take_over: watch::Sender::new(0),
            events,
            shutdown: if coordinator.is_some() { CancellationToken::new() } else { stop.clone() },
            stop,
            lead: watch::Sender::new(if coordinator.is_none() { Lead::Yes } else { Lead::No }),
            is_secret_trusted: AtomicBool::new(false),
            fence: Fence::default(),
            connection: watch::Sender::new(Connection::Absent),
            #[cfg(feature = "http")]
            secret_read: std::sync::Mutex::default(),
            declare_again: Notify::new(),
            stops_at_second_signal: AtomicBool::new(false),
            succession: Succession::default(),
            refusals_logged: Ration::default(),
            frames_logged: Ration::default(),
            coordinator,
        };
        observe::describe();
        let (state, _) = watch::channel(HostState::Connecting);
        Ok(Host { shared: Arc::new(shared), secret, state })
    }

    /// Validates the tools and builds a host that runs them in this process, without a platform. Needs no URL and no
    /// secret.
    ///
    /// # Errors
    /// When two tools have the same name, a tool's schema cannot be built, or its state or its authenticator is
    /// missing.
    pub fn build_local(self) -> Result<LocalHost, Error> {
        let (dispatcher, config) = self.assemble(false, HostMetrics::default())?;
        Ok(LocalHost { dispatcher, show_internal_errors: config.show_internal_errors })
    }

    /// Validates the tools and builds the dispatcher.
    fn assemble(self, is_declared: bool, metrics: HostMetrics) -> Result<(Dispatcher, HostConfig), Error> {
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
        if config.ping {
            registry.extend([crate::tool::ping()])?;
        }
        let rules = Rules {
            is_authenticated: authenticator.is_some(),
            strict_access: config.strict_access,
            is_declared,
            describe_parameters: config.describe_parameters,
        };
        let states = Arc::new(states);
        let tools = ToolTable::new(registry, Arc::clone(&states), rules, metrics)?;
        let authentication = authenticator.map(|who| Authentication::new(who, config.identity_ttl));
        let dispatcher = Dispatcher::new(tools, states, authentication, config.limits.clone());
        Ok((dispatcher, config))
    }

    /// Builds the host and runs it until SIGTERM or SIGINT; see [`Host::run`].
    ///
    /// # Errors
    /// When [`build`](Self::build) or [`Host::run`] fails.
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

/// Logs warnings about valid settings that are probably mistakes.
fn warn_of_oversights(registry: &Registry, limits: &Limits) {
    let named = |tools: Vec<&Tool>| tools.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", ");
    let mute: Vec<_> = registry.iter().filter(|tool| tool.spec().description.trim().is_empty()).collect();
    if !mute.is_empty() {
        tracing::warn!(
            tools = named(mute),
            "tools without a description: agents rarely choose them, add one"
        );
    }
    let too_slow = |tool: &&Tool| tool.spec().timeout.is_some_and(|timeout| timeout > limits.call_timeout);
    let slow: Vec<_> = registry.iter().filter(too_slow).collect();
    if !slow.is_empty() {
        let limit = format_duration(limits.call_timeout);
        tracing::warn!(
            tools = named(slow),
            limit,
            "timeouts above the host's call timeout have no effect: raise `limits.call_timeout` or lower them"
        );
    }
    let executes =
        |tool: &&Tool| tool.spec().executor_parameters().is_some() && !tool.spec().is_dynamic_executor();
    let executors: Vec<_> = registry.iter().filter(executes).collect();
    if !executors.is_empty() {
        tracing::warn!(
            tools = named(executors),
            "the platform takes these tools for dynamic executors, by the names of two parameters, and may send them the \
             calls of unknown tools: rename one, or mark the tool `dynamic_executor`"
        );
    }
    if registry.is_empty() {
        tracing::warn!(
            "no tools are registered: refer to the crate that defines them, or list them with `tools![…]`"
        );
    }
}
