//! What cannot be used, before anything is sent.

use std::path::PathBuf;

use platools_net::tls::TlsError;

/// A configuration, or an argument of a call, that nothing can be sent with. Texts never quote credentials
/// or URLs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No URL was given.
    #[error("no base URL of the platform: set PLATOS_API_URL, for example to https://platos.example")]
    MissingUrl,
    /// The URL cannot be used.
    #[error("the base URL of the platform {0}")]
    Url(String),
    /// The URL would send credentials in the clear.
    #[error(
        "the base URL of the platform is not encrypted (http:// to a host that is not this machine), so anyone on the \
         way could read the credentials: use https://, or call `.allow_insecure(true)` or set PLATOS_ALLOW_INSECURE=1 \
         if the network is trusted"
    )]
    Insecure,
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
    /// There are no credentials.
    #[error(
        "no credentials: set PLATOS_SESSION_TOKEN to a session token, or, on a trusted server, PLATOS_API_KEY to an \
         API key, with a scope"
    )]
    NoMode,
    /// There are credentials of both modes.
    #[error(
        "credentials of two modes: PLATOS_SESSION_TOKEN and PLATOS_API_KEY are both set; keep the one that is meant"
    )]
    TwoModes,
    /// Direct mode needs to know on whose behalf each call is.
    #[error(
        "an API key says nothing about the scope: give one to the client with `.scope(…)`, or to the call with \
         `client.with_scope(…)`"
    )]
    MissingScope,
    /// Direct mode needs to know for which user each call is.
    #[error(
        "the scope has no user: in direct mode platforms want all four ids, so add `.user(…)` to the scope or set \
         PLATOS_USER_ID"
    )]
    MissingUser,
    /// Direct mode would go through a proxy.
    #[error(
        "direct mode works only without a proxy between, and one is set for this base URL: leave its host out with \
         NO_PROXY, use https://, or use a session token"
    )]
    DirectThroughProxy,
    /// Part of a scope is missing.
    #[error("the scope has no {part}: give organization, project and environment, all three")]
    IncompleteScope {
        /// The part that is missing.
        part: &'static str,
    },
    /// A credential, or another value that travels in a header, cannot go there.
    #[error("{what} {problem}")]
    Header {
        /// What the value is.
        what: &'static str,
        /// The problem with the value.
        problem: &'static str,
    },
    /// An id cannot be part of a path.
    #[error("the {what} is {problem}: give the id as the platform shows it")]
    Id {
        /// What the id is of.
        what: &'static str,
        /// The problem with the value.
        problem: &'static str,
    },
    /// A path for a raw request cannot be used.
    #[error("the path of a raw request {0}")]
    Path(&'static str),
    /// The message is larger than the platform takes.
    #[error(
        "the message is {bytes} bytes on the wire and the platform takes at most {limit}: shorten it, or upload its \
         parts and name them with `NewMessage::attachment`"
    )]
    MessageTooLarge {
        /// The size of the message's frame.
        bytes: usize,
        /// The most that the platform takes in one frame.
        limit: usize,
    },
    /// The way that was chosen for a message does not carry one of its fields.
    #[error(
        "the way that was chosen for the message does not carry `{field}`: leave that out, or choose another \
         `Transport`; `Sse` carries most"
    )]
    NotCarried {
        /// The field, as the platform calls it.
        field: String,
    },
    /// The file with certificates cannot be used.
    #[error("{path}: {problem}", path = path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The problem with the value.
        problem: String,
    },
    /// A file with a credential cannot be read.
    #[error("{variable} names a file that cannot be read: {problem}")]
    CredentialFile {
        /// The variable.
        variable: &'static str,
        /// What the operating system says.
        problem: String,
    },
    /// TLS, or the HTTP client, cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// A setting, or an argument, is not what it may be.
    #[error("`{setting}` cannot be used: expected {expected}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// A session token was given to a client in direct mode.
    #[error("this client is in direct mode: it sends an API key and has no session token to replace")]
    NotSessionMode,
}

impl ConfigError {
    pub(crate) fn of_tls(error: TlsError) -> Self {
        match error {
            TlsError::CaFile { path, problem } => Self::CaFile { path, problem },
            TlsError::Setup(problem) => Self::Tls(problem),
        }
    }
}

impl From<platools_net::variables::VariableConflict> for ConfigError {
    fn from(conflict: platools_net::variables::VariableConflict) -> Self {
        Self::Conflict { first: conflict.first, second: conflict.second }
    }
}
