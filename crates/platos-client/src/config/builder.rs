//! From settings to a client. Which mode it is in is part of the builder's type: there are no two of them.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::HeaderName;
use platools_net::{ProxyConfig, SecretText};

use super::{
    BaseUrl, ReconnectPolicy, RefreshFn, RefreshRequest, Refresher, RetryPolicy, Scope, Secret, StreamLimits,
    check_scope,
};
use crate::client::PlatosClient;
use crate::error::{BoxError, ConfigError, Error};
use crate::model::GuestToken;

/// The credentials of a client.
#[derive(Debug, Clone)]
pub(crate) enum Mode {
    Session {
        token: Option<Secret>,
        refresh: Option<Refresher>,
    },
    Direct {
        api_key: Secret,
    },
    /// For what needs no credentials.
    Nobody,
}

/// A configuration that was checked.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) base: BaseUrl,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) proxy: ProxyConfig,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) reconnect: ReconnectPolicy,
    pub(crate) limits: StreamLimits,
    pub(crate) namespace: String,
    pub(crate) headers: Vec<(HeaderName, Secret)>,
}

/// A builder without credentials: it has no `build`.
#[derive(Debug, Clone)]
pub struct NoMode(());

/// A builder with a session token, or a way to get one.
#[derive(Clone)]
pub struct Session {
    token: Option<SecretText>,
    refresh: Option<Arc<RefreshFn>>,
}

/// A builder with an API key.
#[derive(Clone)]
pub struct Direct {
    api_key: SecretText,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session([redacted])")
    }
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Direct([redacted])")
    }
}

/// Builds a [`PlatosClient`]; it comes from [`PlatosClient::builder`].
///
/// With neither mode there is no `build`, and with one the other cannot be chosen any more:
///
/// ```compile_fail
/// use platos_client::PlatosClient;
///
/// let client = PlatosClient::builder("https://platos.example").build();
/// ```
///
/// ```compile_fail
/// use platos_client::PlatosClient;
///
/// let builder = PlatosClient::builder("https://platos.example").session_token("a.b.c").api_key("plt_…");
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct ClientBuilder<M> {
    mode: M,
    /// May turn out to hold a password.
    base: SecretText,
    allow_insecure: bool,
    scope: Option<Scope>,
    user_token: Option<SecretText>,
    ca_file: Option<PathBuf>,
    proxy: Option<ProxyConfig>,
    timeout: Duration,
    connect_timeout: Duration,
    retry: RetryPolicy,
    reconnect: ReconnectPolicy,
    limits: StreamLimits,
    namespace: String,
    headers: Vec<(String, SecretText)>,
}

impl ClientBuilder<NoMode> {
    pub(crate) fn new(base: String) -> Self {
        Self {
            mode: NoMode(()),
            base: base.into(),
            allow_insecure: false,
            scope: None,
            user_token: None,
            ca_file: None,
            proxy: None,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            retry: RetryPolicy::default(),
            reconnect: ReconnectPolicy::default(),
            limits: StreamLimits::default(),
            namespace: "/agent".to_owned(),
            headers: Vec::new(),
        }
    }

    /// Session-token mode: what a frontend holds, or a backend on behalf of one user.
    pub fn session_token(self, token: impl Into<String>) -> ClientBuilder<Session> {
        self.with_mode(Session { token: Some(token.into().into()), refresh: None })
    }

    /// Session-token mode without a token to begin with: the callback is asked for the first one too, with
    /// neither a current token nor a status.
    pub fn session_token_from<F, R, E>(self, refresh: F) -> ClientBuilder<Session>
    where
        F: Fn(RefreshRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.with_mode(Session { token: None, refresh: None }).on_token_refresh(refresh)
    }

    /// Direct mode, for trusted servers: an API key, and a scope with all four ids with every call. Platforms take it only
    /// from who reaches them without a proxy between, a load balancer among them: through one, use a session token.
    pub fn api_key(self, api_key: impl Into<String>) -> ClientBuilder<Direct> {
        self.with_mode(Direct { api_key: api_key.into().into() })
    }

    /// A session token for somebody who did not log in, for an agent that is open to guests. Platforms give it without
    /// credentials; everything else of the builder counts. Each token is for another guest, with threads of their own.
    ///
    /// ```
    /// # async fn example() -> Result<(), platos_client::Error> {
    /// use platos_client::PlatosClient;
    ///
    /// let builder = PlatosClient::builder("https://platos.example");
    /// let guest = builder.guest_token("agt_public", None).await?;
    /// let client = builder.session_token(guest.token).build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`build`](ClientBuilder::<Session>::build), and those of [`Guests::token`](crate::Guests::token).
    pub async fn guest_token(
        &self,
        agent_id: &str,
        environment_id: Option<&str>,
    ) -> Result<GuestToken, Error> {
        self.clone().finish(Mode::Nobody)?.guests().token(agent_id, environment_id).await
    }

    fn with_mode<M>(self, mode: M) -> ClientBuilder<M> {
        ClientBuilder {
            mode,
            base: self.base,
            allow_insecure: self.allow_insecure,
            scope: self.scope,
            user_token: self.user_token,
            ca_file: self.ca_file,
            proxy: self.proxy,
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            retry: self.retry,
            reconnect: self.reconnect,
            limits: self.limits,
            namespace: self.namespace,
            headers: self.headers,
        }
    }
}

impl ClientBuilder<Session> {
    /// Where a fresh session token comes from when the platform refuses the current one with 401 or 403. It is
    /// asked once per refused request, however many requests are refused at the same time, and then the request
    /// is sent once more.
    ///
    /// ```
    /// use platos_client::PlatosClient;
    ///
    /// # async fn mint() -> Result<String, std::io::Error> { Ok("a.b.c".to_owned()) }
    /// let client = PlatosClient::builder("https://platos.example")
    ///     .session_token("a.b.c")
    ///     .on_token_refresh(|refused| async move {
    ///         eprintln!("the platform said {:?}", refused.status);
    ///         mint().await
    ///     })
    ///     .build()?;
    /// # Ok::<(), platos_client::ConfigError>(())
    /// ```
    pub fn on_token_refresh<F, R, E>(mut self, refresh: F) -> Self
    where
        F: Fn(RefreshRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.mode.refresh = Some(Arc::new(move |request| {
            let token = refresh(request);
            async move { token.await.map_err(Into::into) }.boxed()
        }));
        self
    }

    /// The client. Nothing is dialled yet.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn build(self) -> Result<PlatosClient, ConfigError> {
        let token = self.mode.token.clone();
        let token = token.map(|token| Secret::new("the session token", token)).transpose()?;
        let refresh = self.mode.refresh.clone().map(Refresher);
        self.finish(Mode::Session { token, refresh })
    }
}

impl ClientBuilder<Direct> {
    /// The client. Nothing is dialled yet.
    ///
    /// # Errors
    /// When a setting cannot be used, and when requests in the clear would go through a proxy. A missing scope is no such
    /// error: it may come with the calls.
    pub fn build(self) -> Result<PlatosClient, ConfigError> {
        let api_key = Secret::new("the API key", self.mode.api_key.clone())?;
        self.finish(Mode::Direct { api_key })
    }
}

impl<M> ClientBuilder<M> {
    /// The scope of every call that does not say otherwise.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// A proof of who the user is, which the platform hands on to tools.
    pub fn user_token(mut self, token: impl Into<String>) -> Self {
        self.user_token = Some(token.into().into());
        self
    }

    /// Permits `http://` to hosts that are not this machine, with credentials in the clear.
    pub fn allow_insecure(mut self, allow: bool) -> Self {
        self.allow_insecure = allow;
        self
    }

    /// Certificates in a PEM file that are trusted beside the system's.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// The proxies for requests and streams, instead of those of the environment: `HTTPS_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`, and `HTTP_PROXY` for `http://`. Loopback never goes through a proxy.
    pub fn proxy(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// How long one attempt of a request may take, 30 s by default, and how long a stream may take from dialling
    /// to the namespace.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// How long a connection may take with its TLS handshake, 10 s by default.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time;
        self
    }

    /// What is tried again, and how often.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How a stream that was lost is taken up again.
    pub fn reconnect(mut self, policy: ReconnectPolicy) -> Self {
        self.reconnect = policy;
        self
    }

    /// How patient streams are, and how much of them may wait to be read.
    pub fn stream_limits(mut self, limits: StreamLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The Socket.IO namespace, `/agent` by default.
    pub fn socket_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// An access key, `platos_live_…`, which environments may want besides the credentials. It goes with every request and
    /// stream.
    pub fn access_key(self, key: impl Into<String>) -> Self {
        self.header("x-platos-api-key", key)
    }

    /// A header for every request and stream, such as one that a gateway before the platform wants. Its value is treated as a
    /// secret. Uploads do not carry it.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into().into()));
        self
    }

    fn finish(self, mode: Mode) -> Result<PlatosClient, ConfigError> {
        let base = BaseUrl::new(self.base.expose(), self.allow_insecure)?;
        self.scope.as_ref().map_or(Ok(()), check_scope)?;
        let user_token = self.user_token.map(|token| Secret::new("the user token", token)).transpose()?;
        self.retry.backoff.check("retry")?;
        self.reconnect.backoff.check("reconnect")?;
        self.limits.check()?;
        let bounds = Duration::from_millis(1)..=Duration::from_secs(24 * 3_600);
        for (setting, time) in [("timeout", self.timeout), ("connect_timeout", self.connect_timeout)] {
            if !bounds.contains(&time) {
                return Err(ConfigError::Setting { setting, expected: "from 1 ms to 24 hours" });
            }
        }
        let namespace = self.namespace;
        if !namespace.starts_with('/') || namespace.contains(',') {
            let expected = "a namespace such as /agent: it begins with a slash and has no comma";
            return Err(ConfigError::Setting { setting: "socket_namespace", expected });
        }
        let headers = self.headers.into_iter().map(|(name, value)| {
            let expected = "a name such as x-gateway-key, and none that this client sets itself";
            let name = HeaderName::from_bytes(name.as_bytes()).ok().filter(|name| !is_own(name));
            let name = name.ok_or(ConfigError::Setting { setting: "header", expected })?;
            Ok((name, Secret::new("the value of a header", value)?))
        });
        let headers = headers.collect::<Result<_, ConfigError>>()?;
        let proxy = self.proxy.unwrap_or_else(ProxyConfig::from_env);
        if matches!(mode, Mode::Direct { .. }) && base.is_forwarded_by(&proxy) {
            return Err(ConfigError::DirectThroughProxy);
        }
        let config = Config {
            base,
            ca_file: self.ca_file,
            proxy,
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            retry: self.retry,
            reconnect: self.reconnect,
            limits: self.limits,
            namespace,
            headers,
        };
        PlatosClient::new(config, mode, self.scope, user_token)
    }
}

/// Whether this client decides about a header by itself.
fn is_own(name: &HeaderName) -> bool {
    let name = name.as_str();
    let is_scope = name.starts_with("x-platos-") && name != "x-platos-api-key" && name != "x-platos-config";
    is_scope
        || [
            "authorization",
            "content-type",
            "content-length",
            "host",
            "user-agent",
            "accept",
            "idempotency-key",
        ]
        .contains(&name)
        || name.starts_with("sec-websocket-")
        || ["connection", "upgrade", "transfer-encoding"].contains(&name)
}
