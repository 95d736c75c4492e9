//! Why a host does not start, and why it gives up.

use std::path::PathBuf;

use crate::verify::SecretError;
use crate::wire::UrlError;

/// A configuration that no connection can be made with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No URL was given.
    #[error(
        "no URL of the platform: set PLATOS_URL, for example to \
         wss://platos.example/tools/sync?entity=orders-prod, or call `.url(…)`"
    )]
    MissingUrl,
    /// The URL cannot be used.
    #[error("PLATOS_URL: {0}")]
    Url(#[from] UrlError),
    /// The URL would send the secret in the clear.
    #[error(
        "the platform's URL is not encrypted (ws:// to a host that is not this machine), so anyone on the way could \
         read the secret: use wss://, or set PLATOS_ALLOW_INSECURE=1 if the network is trusted"
    )]
    Insecure,
    /// No secret was given.
    #[error("no service secret: set PLATOS_SECRET or PLATOS_SECRET_FILE, or call `.secret(…)`")]
    MissingSecret,
    /// The secret cannot be had or used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The file with certificates cannot be used.
    #[error("PLATOS_CA_FILE: {path}: {problem}", path = path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// A setting is out of its bounds.
    #[error("`{setting}` is out of bounds: {expected}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its bounds.
        expected: &'static str,
    },
    /// A variable has a value that cannot be read.
    #[error("{variable} is `{value}`: {expected}")]
    Variable {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it should look like.
        expected: &'static str,
    },
}

/// Why a host gave up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The platform did not get a secret.
    #[error(
        "the platform says that no secret was sent; check what stands between this host and the platform"
    )]
    SecretNotSent,
    /// The platform was not told which entity this is.
    #[error(
        "the platform was not told which entity this is: add `?entity=<slug>` to PLATOS_URL or set PLATOS_ENTITY \
         (the secret was not even checked)"
    )]
    MissingEntity,
    /// The platform does not know the secret, or not the entity.
    #[error(
        "the platform refused the secret for entity `{entity}`: check PLATOS_SECRET against the entity's page, and \
         that the entity exists in that project"
    )]
    InvalidSecret {
        /// The entity that was named.
        entity: String,
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
    /// A second signal came while the host was shutting down.
    #[error("stopped at once by a second signal; {running} calls were running")]
    Interrupted {
        /// How many calls were running or waiting.
        running: usize,
    },
    /// Signals cannot be listened to.
    #[error("signals cannot be listened to: {0}")]
    Signals(#[source] std::io::Error),
}
