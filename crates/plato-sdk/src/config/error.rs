//! Errors of a configuration. No message quotes a key.

use platools_net::tls::TlsError;
use thiserror::Error;

/// A client that cannot be set up, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no API key.
    #[error("there is no API key: set PLATO_API_KEY, or call `.api_key(…)` on the builder")]
    NoKey,
    /// The key cannot go into an HTTP header.
    #[error(
        "the API key contains a character that an HTTP header cannot hold: copy the key alone, without spaces"
    )]
    UnusableKey,
    /// A URL cannot be used.
    #[error("{what} {problem}")]
    Url {
        /// Which one: `the base URL (PLATO_BASE_URL)`, or the template of desktops.
        what: &'static str,
        /// The problem, and the expected form.
        problem: String,
    },
    /// Desktops of an API on this machine would be looked for at Plato's own gateway (plato-api §1).
    #[error(
        "the API is on this machine, and its desktops would be looked for at Plato's production gateway: set \
         PLATO_DESKTOP_URL, or call `.desktop_url(…)`, to where they are, such as \
         http://127.0.0.1:8765/_desktop/{{job_id}}/{{port}}"
    )]
    ProductionGateway,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// A value is out of its range.
    #[error("{0}")]
    Value(String),
}

impl ConfigError {
    pub(crate) fn of_tls(error: TlsError) -> Self {
        match error {
            TlsError::Setup(problem) => Self::Tls(problem),
            error @ TlsError::CaFile { .. } => Self::Tls(error.to_string()),
        }
    }
}
