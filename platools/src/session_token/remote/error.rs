//! Why the platform gave no token.

use std::time::Duration;

/// Why the platform's mint gave no token. The text holds neither the bearer nor a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteMintError {
    /// Nobody was reached.
    #[error("the platform's mint is not reached ({problem}): check PLATOS_MINT_URL and the network")]
    Unreachable {
        /// What went wrong.
        problem: String,
    },
    /// No answer came in time.
    #[error("the platform's mint did not answer within {} ms: try again later", time.as_millis())]
    TimedOut {
        /// How long was waited for the last attempt.
        time: Duration,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("the answer of the platform's mint could not be read ({problem}): check PLATOS_MINT_URL")]
    Broken {
        /// What went wrong.
        problem: String,
    },
    /// The answer is larger than any token.
    #[error("the platform's mint answered with more than {limit} bytes: check PLATOS_MINT_URL")]
    TooLarge {
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// 400: the platform misses something, or does not like it.
    #[error("the platform's mint refused the claims: {message}")]
    Refused {
        /// What it says.
        message: String,
    },
    /// 401 or 403: the bearer does not permit this.
    #[error(
        "the platform's mint refused the bearer: it is invalid, expired, revoked, or of another scope than \
         organization, project, environment and entity say; take a new `plt_ent_…` key from the entity's page"
    )]
    Unauthorized,
    /// 404: there is no such mint.
    #[error(
        "the platform has no mint at this URL for this entity (404): check PLATOS_MINT_URL and PLATOS_ENTITY, and \
         that the platform signs tokens at all; older ones need the local mint"
    )]
    NotFound,
    /// 3xx: the bearer is not sent to another place than the configured one.
    #[error(
        "the platform's mint redirects elsewhere ({status}), which is not followed: set PLATOS_MINT_URL to the \
         final address"
    )]
    Redirected {
        /// The status.
        status: u16,
    },
    /// 503: the platform cannot sign.
    #[error(
        "the platform cannot sign session tokens at the moment (503): try again later, or ask its operators"
    )]
    CannotSign {
        /// When it says to try again.
        retry_after: Option<Duration>,
    },
    /// 429: there were too many requests.
    #[error("the platform's mint was asked too often (429): keep tokens for longer, see `CachingMint`")]
    TooManyRequests {
        /// When it says to try again.
        retry_after: Option<Duration>,
    },
    /// Another status.
    #[error("the platform's mint answered with status {status}: try again later, and check PLATOS_MINT_URL")]
    Status {
        /// The status.
        status: u16,
    },
    /// The answer is not what a mint answers.
    #[error(
        "the platform's mint answered with something else than a token ({problem}): check PLATOS_MINT_URL"
    )]
    NotAToken {
        /// What is wrong with it.
        problem: String,
    },
    /// The token is not what was asked for.
    #[error("the platform's mint gave a token whose `{claim}` is not what was asked for; it is not used")]
    AnotherToken {
        /// The claim that differs.
        claim: &'static str,
    },
    /// The token has ended.
    #[error(
        "the platform's mint gave a token that has ended; it is not used: check the clocks of both sides"
    )]
    Expired,
}

impl RemoteMintError {
    /// Whether trying again may help, now or later.
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

    /// When the platform says to try again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::CannotSign { retry_after } | Self::TooManyRequests { retry_after } => *retry_after,
            _ => None,
        }
    }
}
