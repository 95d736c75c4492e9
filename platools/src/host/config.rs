//! The configuration of a host, from the environment or from code.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use platools_net::ProxyConfig;
use platools_net::variables::same;

use super::ConfigError;
use crate::run::Limits;
use crate::verify::{SecretSource, VerifierOptions};
use crate::wire::{HEARTBEAT_INTERVAL, same_environment};

/// The allowed heartbeat intervals.
const HEARTBEATS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3_600);

/// The maximum of all other durations.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// The least bound of unsent answers, in bytes.
const LEAST_UNSENT: usize = 64 * 1_024;

/// The reaction when another process connects as the same entity and environment and takes over the connection
/// (protocol §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WhenSuperseded {
    /// Wait before reconnecting: 30 to 60 s, doubling up to 15 minutes while it keeps happening.
    #[default]
    StandBy,
    /// Stop: [`Host::run`](super::Host::run) returns [`HostError::Superseded`](super::HostError).
    Exit,
    /// Take over again after the usual backoff. Two hosts with this policy keep evicting each other.
    TakeOver,
}

/// The environment variables that configure a host.
const VARIABLES: [&str; 14] = [
    "PLATOS_URL",
    "PLATOS_SECRET",
    "PLATOS_SERVICE_SECRET",
    "PLATOS_ENTITY_SERVICE_SECRET",
    "PLATOS_SECRET_FILE",
    "PLATOS_ENTITY",
    "PLATOS_ENV",
    "PLATOS_ENV_ID",
    "PLATOS_CA_FILE",
    "PLATOS_ALLOW_INSECURE",
    "PLATOS_CALLBACK_URL",
    "PLATOOLS_HEARTBEAT_INTERVAL",
    "PLATOOLS_PING",
    "PLATOOLS_STATE_DIR",
];

/// The configuration of a host. `Default` lacks only the URL and the secret.
///
/// | field | variable |
/// | --- | --- |
/// | `url` | `PLATOS_URL` |
/// | `secret` | `PLATOS_SECRET`, or `PLATOS_SECRET_FILE`; also `PLATOS_SERVICE_SECRET`, `PLATOS_ENTITY_SERVICE_SECRET` |
/// | `entity`, `environment` | `PLATOS_ENTITY`, `PLATOS_ENV` or `PLATOS_ENV_ID`; an error if the URL's query names others |
/// | `ca_file` | `PLATOS_CA_FILE` |
/// | `allow_insecure` | `PLATOS_ALLOW_INSECURE=1` |
/// | `callback_url` | `PLATOS_CALLBACK_URL` |
/// | `proxy` | `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, and `HTTP_PROXY` for `ws://`; also in lower case |
/// | `heartbeat_interval` | `PLATOOLS_HEARTBEAT_INTERVAL`, for example `1s` |
/// | `ping` | `PLATOOLS_PING=1` |
/// | `state_dir` | `PLATOOLS_STATE_DIR` |
///
/// An empty variable counts as unset. Two variables of one meaning that are set to different values are an error.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct HostConfig {
    /// The platform's URL.
    pub url: Option<String>,
    /// The source of the service secret.
    pub secret: Option<SecretSource>,
    /// The entity, if the URL does not name it.
    pub entity: Option<String>,
    /// The environment, if the URL does not name it. Platform default: `dev`.
    pub environment: Option<String>,
    /// PEM file of certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether to allow `ws://` to other machines, which sends the secret unencrypted, and a `callback_url` with
    /// `http://`.
    pub allow_insecure: bool,
    /// The directory for what must outlive the process. Created where it is missing. Default: none.
    ///
    /// It keeps the memory of nonces, so that a call captured before a restart is refused after it, over the socket and
    /// over HTTP. Without it, such a call runs again within 300 s of its signature. Entities may share a directory; two
    /// processes of the same entity and environment may not.
    pub state_dir: Option<PathBuf>,
    /// The URL at which the platform calls the tools over HTTP while the WebSocket is away (protocol §6). Without one,
    /// agents do not see the tools meanwhile.
    ///
    /// An HTTP server of this process answers there, with `fallback::HttpFallback` (feature `http`). The platform calls
    /// only `https` URLs without credentials, not at ports of other well-known services, and whose host resolves to
    /// public addresses.
    pub callback_url: Option<String>,
    /// Whether there is a built-in tool `ping`, which the platform's wire test calls (protocol §9). It is declared like
    /// every other tool, so agents see it too. Default: `false`.
    pub ping: bool,
    /// The proxies for the connection to the platform. `None` takes those of the environment
    /// ([`ProxyConfig::from_env`]) when the host is built; [`ProxyConfig::direct`] uses none. Loopback never goes
    /// through a proxy.
    pub proxy: Option<ProxyConfig>,
    /// The heartbeat interval, jittered by 10 %. A connection on which nothing arrives for two intervals is dead.
    /// Default: 30 s.
    pub heartbeat_interval: Duration,
    /// The timeout for dialling, handshake and authentication together. Default: 15 s.
    pub connect_timeout: Duration,
    /// The grace period for running calls when the host shuts down. Default: 25 s.
    pub shutdown_grace: Duration,
    /// The reaction when another process connects as the same entity and environment.
    pub when_superseded: WhenSuperseded,
    /// The limits on the number and the duration of calls.
    pub limits: Limits,
    /// The options of verification.
    pub verification: VerifierOptions,
    /// The time for which a verified identity is cached, at most until it expires. A user blocked meanwhile can keep
    /// calling for that long. Zero authenticates every call. Default: 60 s.
    pub identity_ttl: Duration,
    /// Whether building fails if tools declare `auth` or `roles` and there is no authenticator to enforce them. If
    /// `false`, a warning is logged.
    pub strict_access: bool,
    /// Whether the descriptions that the platform is sent end with a summary of the parameters, for models that see only
    /// their names (protocol §8). A tool may decide for itself; see
    /// [`ToolSpec::describe_parameters`](crate::ToolSpec::describe_parameters). Switching it makes other tools of them
    /// at the platform: policies of operators that name the old ones do not apply. Default: off.
    pub describe_parameters: bool,
    /// Whether answers contain the texts of internal errors. For development only.
    pub show_internal_errors: bool,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            url: None,
            secret: None,
            entity: None,
            environment: None,
            ca_file: None,
            allow_insecure: false,
            state_dir: None,
            callback_url: None,
            ping: false,
            proxy: None,
            heartbeat_interval: HEARTBEAT_INTERVAL,
            connect_timeout: Duration::from_secs(15),
            shutdown_grace: Duration::from_secs(25),
            when_superseded: WhenSuperseded::default(),
            limits: Limits::default(),
            verification: VerifierOptions::default(),
            identity_ttl: Duration::from_secs(60),
            strict_access: false,
            describe_parameters: false,
            show_internal_errors: false,
        }
    }
}

impl HostConfig {
    /// Reads the environment variables of this process.
    ///
    /// # Errors
    /// When a variable has an invalid value. A missing value is an error only when the host is built, since code may
    /// still supply it.
    pub fn from_env() -> Result<Self, ConfigError> {
        for variable in VARIABLES {
            if std::env::var_os(variable).is_some_and(|value| value.to_str().is_none()) {
                let value = "(not shown)".to_owned();
                return Err(ConfigError::Variable { variable, value, expected: "must be valid UTF-8" });
            }
        }
        Self::from_lookup(|variable| std::env::var(variable).ok())
    }

    /// Returns what all processes that connect as the same entity and environment of the same platform have in common, and
    /// others have not; see [`Gateway::identity`](super::Gateway::identity).
    ///
    /// # Errors
    /// When the URL is missing or invalid.
    pub fn identity(&self) -> Result<String, ConfigError> {
        Ok(self.connect_url()?.identity())
    }

    /// Validates the settings made in code.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !HEARTBEATS.contains(&self.heartbeat_interval) {
            return Err(ConfigError::Setting { setting: "heartbeat_interval", expected: "10 ms to 1 h" });
        }
        for (setting, value) in [
            ("connect_timeout", self.connect_timeout),
            ("shutdown_grace", self.shutdown_grace),
            ("identity_ttl", self.identity_ttl),
        ] {
            check_duration(setting, value)?;
        }
        check_limits(&self.limits)
    }

    /// Reads the environment variables through `lookup`.
    ///
    /// ```
    /// use platools::HostConfig;
    ///
    /// let config = HostConfig::from_lookup(|variable| match variable {
    ///     "PLATOS_URL" => Some("wss://platos.example/tools/sync".to_owned()),
    ///     "PLATOS_ENTITY" => Some("orders-prod".to_owned()),
    ///     _ => None,
    /// })?;
    /// assert_eq!(config.entity.as_deref(), Some("orders-prod"));
    /// # Ok::<(), platools::host::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// When a variable has an invalid value.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |variable: &str| lookup(variable).filter(|value| !value.is_empty());
        let file = get("PLATOS_SECRET_FILE");
        let secrets = ["PLATOS_SECRET", "PLATOS_SERVICE_SECRET", "PLATOS_ENTITY_SERVICE_SECRET"];
        let secret = match same(&lookup, &secrets)? {
            Some(secret) => {
                if file.is_some() {
                    tracing::warn!(
                        "a variable with the secret and PLATOS_SECRET_FILE are set; the variable is used"
                    );
                }
                let is_set = |name: &&&str| get(name).is_some_and(|value| !value.trim().is_empty());
                let variable = secrets.iter().find(is_set).copied().unwrap_or_default();
                Some(SecretSource::of_variable(variable, secret))
            }
            None => file.map(SecretSource::file),
        };
        let mut config = Self {
            url: get("PLATOS_URL"),
            secret,
            entity: get("PLATOS_ENTITY"),
            environment: environment(&lookup)?,
            ca_file: get("PLATOS_CA_FILE").map(PathBuf::from),
            state_dir: get("PLATOOLS_STATE_DIR").map(PathBuf::from),
            callback_url: get("PLATOS_CALLBACK_URL"),
            proxy: Some(ProxyConfig::from_lookup(&lookup)),
            ..Self::default()
        };
        let switch = |variable: &'static str, expected: &'static str| {
            let Some(value) = get(variable) else { return Ok(false) };
            match value.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" => Ok(true),
                "0" | "false" | "no" => Ok(false),
                _ => Err(ConfigError::Variable { variable, value, expected }),
            }
        };
        config.allow_insecure =
            switch("PLATOS_ALLOW_INSECURE", "write 1 to allow unencrypted connections, or 0")?;
        config.ping = switch("PLATOOLS_PING", "write 1 for the built-in tool `ping`, or 0")?;
        if let Some(value) = get("PLATOOLS_HEARTBEAT_INTERVAL") {
            config.heartbeat_interval = humantime::parse_duration(&value)
                .ok()
                .filter(|interval| HEARTBEATS.contains(interval))
                .ok_or(ConfigError::Variable {
                    variable: "PLATOOLS_HEARTBEAT_INTERVAL",
                    value,
                    expected: "write a duration from 10ms to 1h, such as 30s or 1m",
                })?;
        }
        Ok(config)
    }
}

fn check_duration(setting: &'static str, value: Duration) -> Result<(), ConfigError> {
    if value > LONGEST { Err(ConfigError::Setting { setting, expected: "at most 24 h" }) } else { Ok(()) }
}

/// Checks the limits with which a host starts, and those that it gets later.
pub(super) fn check_limits(limits: &Limits) -> Result<(), ConfigError> {
    check_duration("limits.call_timeout", limits.call_timeout)?;
    // Below it, a host could not even send errors.
    if limits.max_unsent_bytes < LEAST_UNSENT {
        let setting = "limits.max_unsent_bytes";
        return Err(ConfigError::Setting { setting, expected: "at least 64 KiB" });
    }
    if limits.max_kept_bytes < limits.max_unsent_bytes {
        let (setting, expected) = ("limits.max_kept_bytes", "at least `limits.max_unsent_bytes`");
        return Err(ConfigError::Setting { setting, expected });
    }
    Ok(())
}

/// The environment that variables name.
fn environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<String>, ConfigError> {
    const VARIABLES: [&str; 2] = ["PLATOS_ENV", "PLATOS_ENV_ID"];
    let [first, second] = VARIABLES.map(|variable| lookup(variable).unwrap_or_default());
    if !first.is_empty() && same_environment(&first, &second) {
        return Ok(Some(first));
    }
    Ok(same(lookup, &VARIABLES)?)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<HostConfig, ConfigError> {
        let variables: HashMap<&str, &str> = variables.iter().copied().collect();
        HostConfig::from_lookup(|variable| variables.get(variable).map(|value| (*value).to_owned()))
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let config =
            config(&[("PLATOS_URL", ""), ("PLATOS_SECRET", ""), ("PLATOOLS_STATE_DIR", "")]).unwrap();
        assert!(config.url.is_none() && config.secret.is_none() && config.state_dir.is_none());
        assert_eq!(config.heartbeat_interval, Duration::from_secs(30));
    }

    #[test]
    fn the_secret_wins_over_its_file() {
        let both = [("PLATOS_SECRET", "0123456789abcdef"), ("PLATOS_SECRET_FILE", "/no/such/file")];
        let secret = config(&both).unwrap().secret.unwrap().load().unwrap();
        assert_eq!(secret.expose(), "0123456789abcdef");
        assert!(config(&both[1..]).unwrap().secret.unwrap().load().is_err());
        let empty = [("PLATOS_SECRET", ""), both[1]];
        assert!(config(&empty).unwrap().secret.unwrap().load().is_err());
    }

    #[test]
    fn the_names_of_the_platforms_guides_are_understood_and_must_agree() {
        for name in ["PLATOS_SECRET", "PLATOS_SERVICE_SECRET", "PLATOS_ENTITY_SERVICE_SECRET"] {
            let secret = config(&[(name, "0123456789abcdef")]).unwrap().secret.unwrap().load().unwrap();
            assert_eq!(secret.expose(), "0123456789abcdef");
        }
        assert_eq!(config(&[("PLATOS_ENV_ID", "env_1")]).unwrap().environment.as_deref(), Some("env_1"));
        let twice = [("PLATOS_ENV", "prod"), ("PLATOS_ENV_ID", "production")];
        assert_eq!(config(&twice).unwrap().environment.as_deref(), Some("prod"), "two names of one");
        let same = [("PLATOS_SERVICE_SECRET", "0123456789abcdef"), ("PLATOS_SECRET", "0123456789abcdef")];
        assert!(config(&same).unwrap().secret.is_some());
        for (first, second) in [
            (("PLATOS_SECRET", "s3cret-s3cret-s3cret"), ("PLATOS_SERVICE_SECRET", "s3cret-another-s3cret")),
            (
                ("PLATOS_SERVICE_SECRET", "s3cret-s3cret-s3cret"),
                ("PLATOS_ENTITY_SERVICE_SECRET", "s3cret-another-s3cret"),
            ),
            (("PLATOS_ENV", "prod"), ("PLATOS_ENV_ID", "env_1")),
        ] {
            let error = config(&[first, second]).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(
                shown.contains(first.0) && shown.contains(second.0) && !shown.contains("s3cret"),
                "{shown}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (variable, value) in [
            ("PLATOOLS_HEARTBEAT_INTERVAL", "often"),
            ("PLATOOLS_HEARTBEAT_INTERVAL", "30"),
            ("PLATOOLS_HEARTBEAT_INTERVAL", "0s"),
            ("PLATOOLS_HEARTBEAT_INTERVAL", "300000000000y"),
            ("PLATOS_ALLOW_INSECURE", "maybe"),
            ("PLATOOLS_PING", "pong"),
        ] {
            let error = config(&[(variable, value)]).unwrap_err().to_string();
            assert!(error.contains(variable) && error.contains(value), "{error}");
        }
        let config =
            config(&[("PLATOOLS_HEARTBEAT_INTERVAL", "1s"), ("PLATOS_ALLOW_INSECURE", "1")]).unwrap();
        assert_eq!((config.heartbeat_interval, config.allow_insecure), (Duration::from_secs(1), true));
    }
}
