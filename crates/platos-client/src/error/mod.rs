//! What can go wrong, as one enum that says what to do next.
//!
//! This room must not know how requests are sent. No text in it ever holds a token or a key: what a server
//! sends back is masked before it gets here.

mod advice;
pub mod codes;
mod config;
mod network;
mod response;
mod turn_lost;

use std::time::Duration;

pub use config::ConfigError;
pub use network::{NetworkError, NetworkErrorKind, ProtocolError};
pub use response::{ErrorResponse, RefreshOutcome};
pub(crate) use response::{UPLOAD, shortened};
pub use turn_lost::{TurnLost, TurnState};

use crate::event::ErrorEvent;

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of any kind, as callbacks return it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a call failed, or a turn ended before it was done.
///
/// ```
/// use platos_client::Error;
///
/// fn what_to_do(error: &Error) -> &'static str {
///     match error {
///         Error::RateLimited(_) => "wait for `error.retry_after()`, then try again",
///         Error::Auth { .. } => "log in again",
///         _ if error.is_transient() => "try again later",
///         _ => "tell somebody",
///     }
/// }
/// # assert_eq!(what_to_do(&Error::Config(platos_client::ConfigError::MissingScope)), "tell somebody");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration or an argument cannot be used. Nothing was sent.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The platform refuses the credentials: 401 or 403.
    #[error("{response}; {refresh}")]
    Auth {
        /// What the platform answered.
        response: Box<ErrorResponse>,
        /// What came of asking for a fresh token.
        refresh: RefreshOutcome,
    },
    /// There is no such thing within the caller's scope: 404.
    #[error("{}{}", .0, advice::missing(.0))]
    NotFound(Box<ErrorResponse>),
    /// The platform does not take the request: 400 or 422.
    #[error("{response}{}{}", listed(errors), advice::invalid(response))]
    Validation {
        /// What the platform answered.
        response: Box<ErrorResponse>,
        /// What it says about each field.
        errors: Vec<String>,
    },
    /// Too many requests: 429. [`Error::retry_after`] is how long to wait.
    #[error("{}{}; {}", .0, advice::limit(.0.limit_scope.as_deref(), .0.limit), advice::wait(.0.retry_after))]
    RateLimited(Box<ErrorResponse>),
    /// The platform failed: 5xx, after all retries.
    #[error("{0}; this is usually over soon: try again later")]
    Server(Box<ErrorResponse>),
    /// Any other answer that is no success, also one of status 2xx that says that nothing was done.
    #[error("{}; {}", .0, advice::status(.0))]
    Status(Box<ErrorResponse>),
    /// There is no answer, or the connection is gone for good.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// What came is not what the protocol says.
    #[error(transparent)]
    Protocol(Box<ProtocolError>),
    /// The agent reported that the turn failed.
    #[error("the turn failed: {}", advice::turn(message, event))]
    Turn {
        /// What the agent said.
        message: String,
        /// The text that had been streamed before, where it was collected.
        text: String,
        /// The whole event.
        event: Box<ErrorEvent>,
    },
    /// The connection broke during a turn, and its reply could not be recovered. The message is not sent again by itself.
    #[error("{0}")]
    TurnLost(Box<TurnLost>),
}

impl Error {
    /// The answer of the platform, where there was one.
    pub fn response(&self) -> Option<&ErrorResponse> {
        match self {
            Self::Auth { response, .. }
            | Self::Validation { response, .. }
            | Self::NotFound(response)
            | Self::RateLimited(response)
            | Self::Server(response)
            | Self::Status(response) => Some(response),
            _ => None,
        }
    }

    /// The HTTP status, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Protocol(error) => error.status,
            _ => self.response().and_then(|response| response.status),
        }
    }

    /// The body of the answer, where there was one.
    pub fn body(&self) -> Option<&str> {
        match self {
            Self::Protocol(error) => error.body.as_deref(),
            _ => self.response().map(|response| response.body.as_str()),
        }
    }

    /// What is wrong, as a word for programs, where the platform says one; see [`codes`](crate::codes).
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Turn { event, .. } => event.code.as_deref(),
            _ => self.response().and_then(|response| response.code.as_deref()),
        }
    }

    /// How long the platform asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Turn { event, .. } => event.retry_after(),
            _ => self.response().and_then(|response| response.retry_after),
        }
    }

    /// Whether the same call may well succeed a little later. It says nothing about whether the call was
    /// applied already.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited(_) | Self::Server(_) => true,
            Self::Network(error) => error.kind != NetworkErrorKind::Idle,
            Self::Turn { event, .. } => {
                event.code.as_deref().is_some_and(|code| advice::PASSING.contains(&code))
            }
            _ => false,
        }
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(Box::new(error))
    }
}

fn listed(errors: &[String]) -> String {
    if errors.is_empty() { String::new() } else { format!(": {}", errors.join("; ")) }
}
