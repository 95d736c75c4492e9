//! Checks the connection without running a host: configuration, reachability and secret. Registers no tools, so the
//! platform keeps the registered ones.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use platools_net::dial::Connection;
use platools_net::tls::{TlsError, client_config};
use platools_net::{Proxy, ProxyConfig};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::dial::{reach, upgrade};
use super::ending;
use super::{ConfigError, HostConfig};
use crate::tool::format_duration;
use crate::verify::Secret;
use crate::wire::{ConnectUrl, Inbound};

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCheck {
    /// The subject of the check, such as `URL` or `TLS`.
    pub what: &'static str,
    /// The finding, or the problem and its fix.
    pub found: Result<String, String>,
}

/// The depth of a connection check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CheckDepth {
    /// Up to an open connection. The secret is not sent.
    #[default]
    Reach,
    /// Up to the platform's welcome. This disconnects a host that is connected as the same entity and environment,
    /// which then stands by for up to a minute.
    Authenticate,
}

impl HostConfig {
    /// Checks URL, entity, secret, callback URL, TLS, proxy and connection in this order; stops at a failure that later
    /// checks depend on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use platools::host::CheckDepth;
    /// use platools::HostConfig;
    ///
    /// let checks = HostConfig::default().check_connection(CheckDepth::Reach).await;
    /// assert_eq!(checks[0].what, "URL");
    /// assert!(checks[0].found.as_ref().unwrap_err().contains("PLATOS_URL"));
    /// # }
    /// ```
    pub async fn check_connection(&self, depth: CheckDepth) -> Vec<ConnectionCheck> {
        let mut checks = Vec::new();
        let mut note = |what, found: Result<String, String>| {
            let is_good = found.is_ok();
            checks.push(ConnectionCheck { what, found });
            is_good
        };
        let secret =
            self.secret.as_ref().ok_or(ConfigError::MissingSecret).and_then(|source| Ok(source.load()?));
        let found = secret.as_ref().map(|secret| format!("set, {} characters", secret.expose().len()));
        let found_secret = found.map_err(explain);
        let url = match self.connect_url() {
            Ok(url) => url,
            Err(error) => {
                note("URL", Err(explain(&error)));
                note("secret", found_secret);
                return checks;
            }
        };
        note("URL", Ok(url.to_string()));
        note(
            "entity",
            match url.entity() {
                Some(entity) => Ok(entity),
                None => {
                    Err("none is named: set PLATOS_ENTITY, or add `?entity=<slug>` to the URL".to_owned())
                }
            },
        );
        note("secret", found_secret);
        match self.callback() {
            Ok(None) => {}
            Ok(Some(callback)) => {
                let resolved = timeout(self.connect_timeout, callback.resolve()).await;
                let found = resolved.unwrap_or_else(|_| {
                    Err(format!("{}: the name was not resolved in time", callback.shown()))
                });
                note("callback", found);
            }
            Err(error) => {
                note("callback", Err(error.to_string()));
            }
        }
        let tls = match self.tls(&url) {
            Ok(tls) => tls,
            Err(error) => {
                note("TLS", Err(error.to_string()));
                return checks;
            }
        };
        let proxy = match self.proxy_for(&url) {
            Ok(proxy) => proxy,
            Err(error) => {
                note("proxy", Err(error.to_string()));
                return checks;
            }
        };
        if let Some(proxy) = &proxy {
            note("proxy", Ok(proxy.describe()));
        }
        let started = Instant::now();
        let reached = match timeout(self.connect_timeout, reach(&url, tls.as_ref(), proxy.as_ref())).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(ending)) => Err(ending.to_string()),
            Err(_) => Err(format!("no answer within {}", format_duration(self.connect_timeout))),
        };
        let stream = match reached {
            Ok(stream) => stream,
            Err(problem) => {
                note("connection", Err(problem));
                return checks;
            }
        };
        let how = if tls.is_some() { "encrypted" } else { "not encrypted" };
        let took = format_duration(Duration::from_millis(started.elapsed().as_millis() as u64));
        note("connection", Ok(format!("open after {took}, {how}")));
        if let (CheckDepth::Authenticate, Ok(secret)) = (depth, secret) {
            let welcomed = timeout(self.connect_timeout, welcome(&url, stream, &secret));
            note(
                "welcome",
                welcomed.await.unwrap_or_else(|_| Err("the platform sent no welcome in time".to_owned())),
            );
        }
        checks
    }

    /// Returns the entity, from the URL or the configuration.
    #[cfg(feature = "jwt")]
    pub(crate) fn named_entity(&self) -> Option<String> {
        let url = self.url.as_deref().and_then(|url| ConnectUrl::new(url, None, None).ok());
        url.and_then(|url| url.entity()).or_else(|| self.entity.clone())
    }

    /// Returns the URL to dial.
    pub(super) fn connect_url(&self) -> Result<ConnectUrl, ConfigError> {
        let url = self.url.as_deref().ok_or(ConfigError::MissingUrl)?;
        let url = ConnectUrl::new(url, self.entity.as_deref(), self.environment.as_deref())?;
        if url.is_exposed() && !self.allow_insecure { Err(ConfigError::Insecure) } else { Ok(url) }
    }

    /// Returns the proxy for a URL, if there is one.
    pub(super) fn proxy_for(&self, url: &ConnectUrl) -> Result<Option<Proxy>, ConfigError> {
        let proxies = self.proxy.clone().unwrap_or_else(ProxyConfig::from_env);
        Ok(proxies.for_url(url.url())?.cloned())
    }

    /// Returns the TLS configuration for a URL, if it needs TLS.
    pub(super) fn tls(&self, url: &ConnectUrl) -> Result<Option<Arc<rustls::ClientConfig>>, ConfigError> {
        if !url.is_tls() {
            return Ok(None);
        }
        match client_config(self.ca_file.as_deref()) {
            Ok(config) => Ok(Some(Arc::new(config))),
            Err(TlsError::CaFile { path, problem }) => Err(ConfigError::CaFile { path, problem }),
            Err(TlsError::Setup(problem)) => Err(ConfigError::Tls(problem)),
        }
    }
}

/// Describes a configuration error without advice to change code.
fn explain(error: &ConfigError) -> String {
    match error {
        ConfigError::MissingUrl => {
            "none: set PLATOS_URL, for example to wss://platos.example/tools/sync?entity=orders-prod"
                .to_owned()
        }
        ConfigError::MissingSecret => "none: set PLATOS_SECRET or PLATOS_SECRET_FILE".to_owned(),
        other => other.to_string(),
    }
}

/// Waits for the platform's welcome; returns the entity and environment that it names.
async fn welcome(url: &ConnectUrl, stream: Connection, secret: &Secret) -> Result<String, String> {
    let mut socket = upgrade(url, stream, secret).await.map_err(|ending| ending.to_string())?;
    let mut last_error = None;
    while let Some(message) = socket.next().await {
        match message.map_err(|error| error.to_string())? {
            Message::Text(text) => match Inbound::parse(&text) {
                Ok(Inbound::Welcome(welcome)) => {
                    let _ = socket.send(Message::Close(None)).await;
                    let named = |id: Option<String>| id.unwrap_or_else(|| "?".to_owned());
                    let (entity, environment) = (welcome.scope.entity_id, welcome.scope.environment_id);
                    return Ok(format!("as entity {} in environment {}", named(entity), named(environment)));
                }
                Ok(Inbound::Error(error)) => last_error = Some(error.message),
                _ => {}
            },
            Message::Close(frame) => {
                let code = frame.as_ref().map(|frame| u16::from(frame.code));
                let reason = frame.as_ref().map_or("", |frame| frame.reason.as_str());
                return Err(ending::of_close(code, reason, last_error.as_deref()).to_string());
            }
            _ => {}
        }
    }
    Err("the connection ended before the welcome".to_owned())
}
