//! The errors of this crate, as one type. Messages say what to do next and hold no key, job id or URL of a job.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use crate::config::ConfigError;
use crate::desktop::PictureError;
use crate::secrets::redact;

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why Plato did not do what it was asked to.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The client cannot be set up, or not be used for this.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server said no.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// No answer came.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An answer came that is none.
    #[error("{operation} was answered with {problem}")]
    UnexpectedAnswer {
        /// The request, such as `POST /sessions/make`.
        operation: &'static str,
        /// The unexpected part of the answer.
        problem: String,
    },
    /// The arguments are invalid; nothing was sent.
    #[error("{0}")]
    InvalidInput(String),
    /// Something could not be done with environments. A session whose environments could not be created, or could
    /// not be reset while it was started, was closed.
    #[error("environments could not be {action}: {}", list(.environments))]
    EnvironmentsFailed {
        /// The participle of the operation that failed, such as `created` or `reset`.
        action: &'static str,
        /// The environments with which it failed, and the server's words.
        environments: Vec<EnvFailure>,
    },
    /// Environments did not become ready in time. A session that was being started was closed.
    #[error("not ready within {} s: {}", .waited.as_secs(), list(.pending))]
    NotReady {
        /// How long was waited.
        waited: Duration,
        /// The environments that were not ready, with the server's reasons.
        pending: Vec<EnvFailure>,
    },
    /// Environments came to an end before they were ready. A session that was being started was closed.
    #[error("failed before being ready: {}", list(.0))]
    StartFailed(Vec<EnvFailure>),
    /// The session was closed here.
    #[error("the session is closed: start another one")]
    Closed,
    /// The session ended on the server: its time was up, it was closed elsewhere, or its machines died.
    #[error("the session is gone ({0}): start another one")]
    Gone(String),
    /// The session has no desktop, or no environment of that name.
    #[error("{0}")]
    NoEnvironment(String),
    /// A screenshot is none, or none that can be shown.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The desktop's agent answered that a tool failed.
    #[error("the desktop could not {action}: {message}")]
    Tool {
        /// The action, such as `left_click`.
        action: &'static str,
        /// Its own words.
        message: String,
    },
    /// The browser on the desktop could not be used, or a login did not come about.
    #[error("{0}")]
    Browser(String),
    /// A signal ended the work.
    #[error("interrupted by {0}")]
    Interrupted(&'static str),
    /// An error of the caller's own code in [`SessionRequest::prepare`](crate::SessionRequest::prepare), wrapped by
    /// [`Error::other`].
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// An error that is not of this crate, so that preparing a session can return it.
    ///
    /// ```
    /// let error = plato_sdk::Error::other("the shop has no products");
    /// assert_eq!(error.to_string(), "the shop has no products");
    /// ```
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// The status of the server's answer, if it said no.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api(error) => Some(error.status),
            _ => None,
        }
    }

    /// How long the server asked to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after,
            _ => None,
        }
    }

    /// Whether the session, or what was asked for in it, is no more: there is no use in asking again.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Closed | Self::Gone(_) => true,
            Self::Api(error) => error.is_gone(),
            _ => false,
        }
    }

    /// Whether it is certain that the server did not see the request.
    pub fn was_not_sent(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::InvalidInput(_)
                | Self::Closed
                | Self::NoEnvironment(_)
                | Self::Transport(TransportError { kind: TransportErrorKind::Connect, .. })
        )
    }
}

/// An answer that is not a success (plato-api §3).
#[derive(Clone, PartialEq)]
pub struct ApiError {
    pub(crate) operation: &'static str,
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) is_missing_route: bool,
    // Boxed: every result has room for an error.
    pub(crate) body: Option<Box<Value>>,
}

impl ApiError {
    /// The request, such as `POST /sessions/make`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The server's words, with job ids shortened. A list of problems is one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How long the server asked to wait, from either form of `Retry-After`.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The whole answer, if it was JSON. It may contain job ids.
    pub fn body(&self) -> Option<&Value> {
        self.body.as_deref()
    }

    /// Whether it is the route that the server does not know, and not what was asked for: the base URL is another
    /// server's, or the server is older or newer than this client.
    pub fn is_missing_route(&self) -> bool {
        self.is_missing_route
    }

    /// Whether what was asked for is no more.
    pub(crate) fn is_gone(&self) -> bool {
        self.status == 410 || (self.status == 404 && !self.is_missing_route)
    }

    fn advice(&self) -> &'static str {
        match self.status {
            404 if self.is_missing_route => {
                ": the server has no such route, is the base URL right, and is the server of this version?"
            }
            300..=399 => ": redirects are not followed, is the base URL right?",
            401 => ": check the API key (PLATO_API_KEY)",
            403 => ": this key may not do that",
            410 => ": it has ended, start another session",
            429 => ": too many requests",
            502..=504 => ": Plato or the machine is not available now, try again later",
            _ => "",
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was answered with status {}{}", self.operation, self.status, self.advice())?;
        if let Some(wait) = self.retry_after {
            write!(f, ", try again in {} s", wait.as_secs_f64().ceil())?;
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, " ({})", self.message) }
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body may hold ids that open machines.
        f.debug_struct("ApiError")
            .field("operation", &self.operation)
            .field("status", &self.status)
            .field("message", &self.message)
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for ApiError {}

/// A request without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{operation} has no answer: {problem}")]
pub struct TransportError {
    pub(crate) operation: &'static str,
    pub(crate) kind: TransportErrorKind,
    pub(crate) problem: String,
}

impl TransportError {
    /// The request, such as `POST /sessions/make`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The kind of failure.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection: the server has not seen the request.
    Connect,
    /// It took too long. The server may have done it.
    Timeout,
    /// The connection broke. The server may have done it.
    Broken,
    /// The answer is larger than it may be.
    TooLarge,
}

/// The failure of one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvFailure {
    /// The environment's alias.
    pub alias: String,
    /// The state of its job, or the server's words about it, with job ids shortened.
    pub problem: String,
}

impl fmt::Display for EnvFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.alias, self.problem)
    }
}

impl EnvFailure {
    pub(crate) fn new(alias: impl Into<String>, problem: &str) -> Self {
        Self { alias: alias.into(), problem: redact(problem) }
    }
}

fn list(failures: &[EnvFailure]) -> String {
    if failures.is_empty() {
        return "the server did not say of what".to_owned();
    }
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
