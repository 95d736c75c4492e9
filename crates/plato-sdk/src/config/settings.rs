//! The builder, the environment, and what comes of them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use platools_net::{ProxyConfig, SecretText};
use url::Url;

use super::base_url::PRODUCTION;
use super::{ConfigError, DesktopUrl, Retries, base_url};
use crate::secrets::ApiKey;

/// Sets a [`Plato`](crate::Plato) client up.
///
/// ```
/// use plato_sdk::Plato;
/// use std::time::Duration;
///
/// let plato = Plato::builder().api_key("pk-…").close_grace(Duration::from_secs(5));
/// # let plato = plato.api_key("pk-test");
/// let plato = plato.build()?;
/// # Ok::<(), plato_sdk::Error>(())
/// ```
#[derive(Clone)]
pub struct PlatoBuilder {
    key: Option<SecretText>,
    base_url: Option<String>,
    desktop_url: Option<String>,
    ca_file: Option<PathBuf>,
    allow_insecure: bool,
    proxy: Option<ProxyConfig>,
    connect_timeout: Duration,
    request_timeout: Duration,
    desktop_timeout: Duration,
    heartbeat_interval: Duration,
    close_grace: Duration,
    retries: Retries,
}

/// The validated settings of a client.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) key: ApiKey,
    pub(crate) base: Url,
    pub(crate) desktops: DesktopUrl,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) proxy: ProxyConfig,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) desktop_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) close_grace: Duration,
    pub(crate) retries: Retries,
}

impl Default for PlatoBuilder {
    fn default() -> Self {
        Self {
            key: None,
            base_url: None,
            desktop_url: None,
            ca_file: None,
            allow_insecure: false,
            proxy: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(600),
            desktop_timeout: Duration::from_secs(120),
            heartbeat_interval: Duration::from_secs(30),
            close_grace: Duration::from_secs(10),
            retries: Retries::default(),
        }
    }
}

impl PlatoBuilder {
    /// Reads the environment: `PLATO_API_KEY`, `PLATO_BASE_URL`, `PLATO_DESKTOP_URL` and `PLATO_CA_FILE`. An
    /// empty variable counts as unset; what is set on the builder afterwards wins.
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads the variables of [`from_env`](Self::from_env) by a function.
    ///
    /// ```
    /// use plato_sdk::PlatoBuilder;
    ///
    /// let builder = PlatoBuilder::from_lookup(|name| (name == "PLATO_API_KEY").then(|| "pk-1".to_owned()));
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn from_lookup(look_up: impl Fn(&str) -> Option<String>) -> Self {
        let look_up = |name: &str| look_up(name).filter(|value| !value.trim().is_empty());
        Self {
            key: look_up("PLATO_API_KEY").map(SecretText::from),
            base_url: look_up("PLATO_BASE_URL"),
            desktop_url: look_up("PLATO_DESKTOP_URL"),
            ca_file: look_up("PLATO_CA_FILE").map(PathBuf::from),
            ..Self::default()
        }
    }

    /// The API key.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into().into());
        self
    }

    /// Where Plato is; `https://plato.so` unless said otherwise.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Where ports of desktops are, with `{job_id}` and `{port}` in it. Without it, it is the gateway that belongs
    /// to the base URL; for an API on this machine there is none, and it has to be given.
    pub fn desktop_url(mut self, template: impl Into<String>) -> Self {
        self.desktop_url = Some(template.into());
        self
    }

    /// A file with certificates, in PEM, that are trusted beside the system's own.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Permits `http://` to other machines, with the key in the clear.
    pub fn allow_insecure(mut self) -> Self {
        self.allow_insecure = true;
        self
    }

    /// The proxies for requests to Plato and to desktops, instead of those of the environment: `HTTPS_PROXY`,
    /// `ALL_PROXY`, `NO_PROXY`, and `HTTP_PROXY` for `http://`. Loopback never goes through a proxy.
    pub fn proxy(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// How long a connection may take, with its TLS handshake; 10 s unless said otherwise.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time;
        self
    }

    /// How long a request to the API may take; 10 min unless said otherwise, for snapshots take long.
    pub fn request_timeout(mut self, time: Duration) -> Self {
        self.request_timeout = time;
        self
    }

    /// How long a request to a desktop may take, beside the time that a command or a pause of its own has; 2 min
    /// unless said otherwise.
    pub fn desktop_timeout(mut self, time: Duration) -> Self {
        self.desktop_timeout = time;
        self
    }

    /// How often a session says that it is still wanted; 30 s unless said otherwise. Plato ends one that has been
    /// silent for its heartbeat timeout, which is 300 s.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_interval = interval;
        self
    }

    /// How long the drop of the last handle of the client waits for sessions that are still being closed; 10 s
    /// unless said otherwise, zero does not wait. See [`Plato`](crate::Plato).
    pub fn close_grace(mut self, time: Duration) -> Self {
        self.close_grace = time;
        self
    }

    /// How often requests that may be repeated are sent again.
    pub fn retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// # Errors
    /// When there is no key, or an option cannot be used.
    pub(crate) fn settings(self) -> Result<Settings, ConfigError> {
        let key = ApiKey::new(self.key.as_ref().map_or("", SecretText::expose))?;
        let base = base_url(self.base_url.as_deref().unwrap_or(PRODUCTION), self.allow_insecure)?;
        let desktops = DesktopUrl::new(self.desktop_url.as_deref(), &base, self.allow_insecure)?;
        if self.heartbeat_interval.is_zero() {
            return Err(ConfigError::Value(
                "the heartbeat interval is zero: give a time, such as the default of 30 s".to_owned(),
            ));
        }
        Ok(Settings {
            key,
            base,
            desktops,
            ca_file: self.ca_file,
            proxy: self.proxy.unwrap_or_else(ProxyConfig::from_env),
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
            desktop_timeout: self.desktop_timeout,
            heartbeat_interval: self.heartbeat_interval,
            close_grace: self.close_grace,
            retries: self.retries,
        })
    }
}

impl fmt::Debug for PlatoBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatoBuilder")
            .field("has_key", &self.key.is_some())
            .field("base_url", &self.base_url)
            .field("desktop_url", &self.desktop_url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_and_an_empty_variable_counts_as_unset() {
        let builder = PlatoBuilder::from_lookup(|name| match name {
            "PLATO_API_KEY" => Some("pk-s3cret".to_owned()),
            "PLATO_BASE_URL" => Some("https://testing.plato.so/api/".to_owned()),
            _ => Some(" ".to_owned()),
        });
        assert!(!format!("{builder:?}").contains("s3cret"));
        let settings = builder.settings().unwrap();
        assert_eq!(settings.base.as_str(), "https://testing.plato.so/");
        assert!(!format!("{settings:?}").contains("s3cret"));
        assert_eq!(PlatoBuilder::from_lookup(|_| None).settings().unwrap_err(), ConfigError::NoKey);
        let builder = PlatoBuilder::default().api_key("a b");
        assert_eq!(builder.settings().unwrap_err(), ConfigError::UnusableKey);
        let builder = PlatoBuilder::default().api_key("k").heartbeat_interval(Duration::ZERO);
        assert!(builder.settings().unwrap_err().to_string().contains("30 s"));
    }
}
