//! Errors of the platform's mint.

use std::time::Duration;

/// An error of the platform's mint. The text contains neither the bearer nor a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteMintError {
    /// The connection failed.
    #[error("the platform's mint is unreachable ({problem}): check PLATOS_MINT_URL and the network")]
    Unreachable {
        /// The problem.
        problem: String,
    },
    /// The request timed out.
    #[error("the platform's mint did not answer within {} ms: retry later", time.as_millis())]
    TimedOut {
        /// Timeout of the last attempt.
        time: Duration,
    },
    /// The connection was lost, or the response is not HTTP.
    #[error("the response of the platform's mint is unreadable ({problem}): check PLATOS_MINT_URL")]
    Broken {
        /// The problem.
        problem: String,
    },
    /// The response is too large.
    #[error("the platform's mint answered with more than {limit} bytes: check PLATOS_MINT_URL")]
    TooLarge {
        /// The maximum, in bytes.
        limit: usize,
    },
    /// 400: the platform rejected the claims.
    #[error("the platform's mint rejected the claims: {message}")]
    Refused {
        /// The platform's message.
        message: String,
    },
    /// 401 or 403: the platform rejected the bearer.
    #[error(
        "the platform's mint rejected the bearer: it is invalid, expired, revoked, or of another scope than \
         the configured one; create a new `plt_ent_…` key on the entity's page"
    )]
    Unauthorized,
    /// 404: the mint does not exist.
    #[error(
        "the platform has no mint at this URL for this entity (404): check PLATOS_MINT_URL and PLATOS_ENTITY, and \
         whether the platform signs tokens; older platforms need the local mint"
    )]
    NotFound,
    /// 3xx: the bearer is sent only to the configured URL.
    #[error(
        "the platform's mint redirects elsewhere ({status}), which is not followed: set PLATOS_MINT_URL to the \
         final address"
    )]
    Redirected {
        /// The status.
        status: u16,
    },
    /// 503: the platform cannot sign tokens.
    #[error("the platform cannot sign session tokens at the moment (503): retry later, or ask its operators")]
    CannotSign {
        /// The time after which the platform allows a retry.
        retry_after: Option<Duration>,
    },
    /// 429: too many requests.
    #[error("too many requests to the platform's mint (429): cache tokens, see `CachingMint`")]
    TooManyRequests {
        /// The time after which the platform allows a retry.
        retry_after: Option<Duration>,
    },
    /// Another status.
    #[error("the platform's mint answered with status {status}: retry later, and check PLATOS_MINT_URL")]
    Status {
        /// The status.
        status: u16,
    },
    /// The response is not a token.
    #[error("the platform's mint did not answer with a token ({problem}): check PLATOS_MINT_URL")]
    NotAToken {
        /// The problem.
        problem: String,
    },
    /// The token does not match the request.
    #[error(
        "the platform's mint returned a token whose `{claim}` does not match the request; it was discarded"
    )]
    AnotherToken {
        /// The claim that differs.
        claim: &'static str,
    },
    /// The token has already expired.
    #[error(
        "the platform's mint returned an expired token; it was discarded: check the clocks of both sides"
    )]
    Expired,
}

impl RemoteMintError {
    /// Returns whether a retry may succeed.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. }
            | Self::CannotSign { .. }
            | Self::TooManyRequests { .. } => true,
            Self::Status { status } => matches!(status, 502 | 504),
            _ => false,
        }
    }

    /// Returns the time after which the platform allows a retry.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::CannotSign { retry_after } | Self::TooManyRequests { retry_after } => *retry_after,
            _ => None,
        }
    }
}
