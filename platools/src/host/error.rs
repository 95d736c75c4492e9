//! The errors for which a host does not start or stops.

use std::path::PathBuf;

use platools_net::ProxyError;
use platools_net::variables::VariableConflict;

use crate::verify::SecretError;
use crate::wire::UrlError;

/// The error for an invalid configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No URL was given.
    #[error(
        "no URL of the platform: set PLATOS_URL, for example to \
         wss://platos.example/tools/sync?entity=orders-prod, or call `.url(…)`"
    )]
    MissingUrl,
    /// The URL is invalid.
    #[error("PLATOS_URL: {0}")]
    Url(#[from] UrlError),
    /// The URL would send the secret unencrypted.
    #[error(
        "the platform's URL is not encrypted (ws:// to a host that is not this machine), so others could \
         read the secret: use wss://, or set PLATOS_ALLOW_INSECURE=1 if the network is trusted"
    )]
    Insecure,
    /// No secret was given.
    #[error("no service secret: set PLATOS_SECRET or PLATOS_SECRET_FILE, or call `.secret(…)`")]
    MissingSecret,
    /// The secret cannot be loaded or is invalid.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The certificate file is unreadable or invalid.
    #[error("PLATOS_CA_FILE: {path}: {problem}", path = path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// The state directory cannot be used.
    #[error("the state directory {path} (PLATOOLS_STATE_DIR or `state_dir`) {problem}", path = path.display())]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// The problem, and what to do.
        problem: String,
    },
    /// The proxy for the platform's URL cannot be used.
    #[error("{0}")]
    Proxy(#[from] ProxyError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The platform would not call the callback URL. The text does not quote it.
    #[error("PLATOS_CALLBACK_URL: {0}")]
    CallbackUrl(String),
    /// Two environment variables of one meaning are set to different values.
    #[error(
        "{first} and {second} are both set, to different values: set one of them, or both to the same value"
    )]
    Conflict {
        /// The variable that is looked for first.
        first: &'static str,
        /// The other one.
        second: &'static str,
    },
    /// A setting is out of bounds.
    #[error("`{setting}` is out of bounds: {expected}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// The allowed range.
        expected: &'static str,
    },
    /// An environment variable has an invalid value.
    #[error("{variable} is `{value}`: {expected}")]
    Variable {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The expected form.
        expected: &'static str,
    },
}

impl From<VariableConflict> for ConfigError {
    fn from(VariableConflict { first, second }: VariableConflict) -> Self {
        Self::Conflict { first, second }
    }
}

/// The reasons for which a platform refuses a secret (protocol §2).
pub(super) const SECRET_CAUSES: &str = "which has three causes that look alike: it is not the secret that the entity's \
    page shows, it belongs to another environment (PLATOS_ENV, or `env` in the URL; each has its own), or the entity is of \
    kind `mcp`, to which no host connects";

/// The reason for which a running host stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The platform received no secret.
    #[error(
        "the platform says that no secret was sent; check whether a proxy removes the `Authorization` header"
    )]
    SecretNotSent,
    /// The connection named no entity.
    #[error(
        "the platform was not told which entity this is: add `?entity=<slug>` to PLATOS_URL or set PLATOS_ENTITY \
         (the secret was not even checked)"
    )]
    MissingEntity,
    /// The platform does not know the secret or the entity.
    #[error("the platform refused {secret} for entity `{entity}`, {SECRET_CAUSES}")]
    InvalidSecret {
        /// The entity that was named.
        entity: String,
        /// Where the secret came from, such as ``the service secret in file `/run/secrets/platos` ``.
        secret: String,
    },
    /// The platform does not know the environment.
    #[error("the platform knows no environment `{environment}`: check `env` in PLATOS_URL, or PLATOS_ENV")]
    UnknownEnvironment {
        /// The environment that was named.
        environment: String,
    },
    /// Another process connected as the same entity and environment, and the policy is to exit.
    #[error(
        "another process connected as entity `{entity}` in the same environment and took over; run only one, or give \
         each its own entity or environment"
    )]
    Superseded {
        /// The entity that was named.
        entity: String,
    },
    /// A second signal arrived while the host was shutting down.
    #[error("stopped at once by a second signal; calls that were running and are lost: {running}")]
    Interrupted {
        /// The number of running and waiting calls.
        running: usize,
    },
    /// The coordinator could not start.
    #[error("{0}")]
    Coordinator(#[source] crate::tool::BoxError),
    /// Signal handlers cannot be installed.
    #[error("signal handlers cannot be installed: {0}; use `run_until` to end the host in another way")]
    Signals(#[source] std::io::Error),
}
