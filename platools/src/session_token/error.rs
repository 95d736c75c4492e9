//! Errors of claims, of minting, and of verifying a token.

use std::borrow::Cow;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::host::ConfigError;
use crate::tool::BoxError;
use crate::verify::SecretError;

/// Invalid claims. The text starts with the field and quotes no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// A text is blank.
    #[error("`{field}` is blank: set it, or omit it if it is optional")]
    Blank {
        /// The field.
        field: &'static str,
    },
    /// The entity's id is not allowed in the mint's URL.
    #[error(
        "`entityId` must be 1 to 64 of the characters A-Z, a-z, 0-9, `_` and `-` for the platform's mint"
    )]
    EntityId,
    /// The lifetime is too short or too long.
    #[error("`lifetime` is {seconds} s: it must be from 60 s to 7 days ({} s)", 7 * 86_400)]
    Lifetime {
        /// The requested lifetime, in seconds.
        seconds: u64,
    },
    /// There are too many identities.
    #[error("`userIdentities` has {found} entries: at most 8 are allowed")]
    TooManyIdentities {
        /// Number of identities.
        found: usize,
    },
    /// An identity is invalid.
    #[error("`userIdentities[{index}].{part}` {problem}")]
    Identity {
        /// Its index in the list.
        index: usize,
        /// The invalid part.
        part: &'static str,
        /// The rule.
        problem: &'static str,
    },
    /// An extra claim has a reserved name.
    #[error("`{name}` is reserved and cannot be an extra claim: use its own method, or another name")]
    Reserved {
        /// The name.
        name: &'static str,
    },
    /// An extra claim has no name.
    #[error("an extra claim has no name: give it one")]
    Unnamed,
    /// The claims are too large in total.
    #[error(
        "the claims have {bytes} bytes as JSON, at most {limit} fit into a header: shorten `{largest}`, the largest"
    )]
    TooLarge {
        /// The size, in bytes.
        bytes: usize,
        /// The maximum, in bytes.
        limit: usize,
        /// The largest claim.
        largest: String,
    },
    /// The mint does not support a claim.
    #[error("the platform's mint does not support `{field}`: omit it, or use the local mint")]
    Unsupported {
        /// The field.
        field: &'static str,
    },
}

impl ClaimsError {
    /// Returns the field, as it is named in a token.
    pub fn field(&self) -> Cow<'static, str> {
        match self {
            Self::Blank { field } | Self::Unsupported { field } => (*field).into(),
            Self::EntityId => "entityId".into(),
            Self::Lifetime { .. } => "lifetime".into(),
            Self::TooManyIdentities { .. } => "userIdentities".into(),
            Self::Identity { index, part, .. } => format!("userIdentities[{index}].{part}").into(),
            Self::Reserved { name } => (*name).into(),
            Self::Unnamed => "".into(),
            Self::TooLarge { largest, .. } => largest.clone().into(),
        }
    }
}

/// An invalid configuration of a mint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MintConfigError {
    /// A setting is missing.
    #[error("{what} is missing: set {variable}, or give it in code")]
    Missing {
        /// The missing setting.
        what: &'static str,
        /// The variable that sets it.
        variable: &'static str,
    },
    /// The scope is invalid.
    #[error("the scope of the session tokens: {0}")]
    Scope(#[from] ClaimsError),
    /// The service secret is missing or invalid.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The bearer of the platform's mint is missing or invalid.
    #[error("the bearer of the platform's mint {problem}")]
    Bearer {
        /// The problem.
        problem: String,
    },
    /// The URL of the platform's mint is invalid.
    #[error("the URL of the platform's mint {problem}")]
    Url {
        /// The problem.
        problem: String,
    },
    /// A variable has an invalid value.
    #[error("{variable} is `{value}`: {expected}")]
    Variable {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The expected value.
        expected: &'static str,
    },
    /// Other environment variables are invalid.
    #[error(transparent)]
    Environment(#[from] ConfigError),
    /// The file of CA certificates is invalid.
    #[error("PLATOS_CA_FILE: {path}: {problem}", path = path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// The TLS configuration failed.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl From<MintConfigError> for crate::error::Error {
    fn from(error: MintConfigError) -> Self {
        Self::other(error)
    }
}

/// An error of minting.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The claims are invalid.
    #[error("the claims of a session token: {0}")]
    Claims(#[from] ClaimsError),
    /// The platform's mint failed.
    #[error(transparent)]
    Remote(#[from] super::RemoteMintError),
    /// A custom mint is temporarily unavailable.
    #[error("the mint is unavailable: {0}")]
    Unavailable(#[source] Arc<dyn Error + Send + Sync>),
    /// A custom mint failed.
    #[error("the mint failed: {0}")]
    Other(#[source] Arc<dyn Error + Send + Sync>),
}

impl From<MintError> for crate::error::Error {
    fn from(error: MintError) -> Self {
        Self::other(error)
    }
}

impl MintError {
    /// Creates a temporary error of a custom mint, such as an unreachable vault. Its text is logged.
    pub fn unavailable(error: impl Into<BoxError>) -> Self {
        Self::Unavailable(error.into().into())
    }

    /// Creates an error of a custom mint. Its text is logged.
    pub fn other(error: impl Into<BoxError>) -> Self {
        Self::Other(error.into().into())
    }

    /// Returns the time after which the platform's mint allows a retry, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Remote(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Returns whether a later retry may succeed.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Remote(error) => error.is_temporary(),
            Self::Unavailable(_) => true,
            Self::Claims(_) | Self::Other(_) => false,
        }
    }
}

/// The reason for which a token was rejected. The text starts with the machine-readable [`reason`](Self::reason) and
/// contains nothing of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The token is too long.
    #[error("too_large: the token has {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Its size, in bytes.
        bytes: usize,
        /// The maximum, in bytes.
        limit: usize,
    },
    /// The text is not a token.
    #[error("malformed: {problem}")]
    Malformed {
        /// The problem.
        problem: &'static str,
    },
    /// An object has a duplicate name, which different parsers could resolve differently.
    #[error("duplicate_claim: duplicate name in the token's {part}")]
    Duplicate {
        /// Where: `header` or `claims`.
        part: &'static str,
    },
    /// The token is unsigned, or signed with another algorithm.
    #[error("wrong_algorithm: only HS256 is accepted, the token names {found}")]
    WrongAlgorithm {
        /// The algorithm, if it is a plausible name.
        found: String,
    },
    /// The signature does not match the secret and the claims.
    #[error(
        "bad_signature: the signature does not match; check that both sides have the same service secret"
    )]
    BadSignature,
    /// The token has expired.
    #[error("expired: the token expired {seconds} s ago; mint a new one")]
    Expired {
        /// How long ago, in seconds.
        seconds: u64,
    },
    /// The token was issued in the future.
    #[error(
        "issued_in_the_future: the token was minted {seconds} s ahead of this machine's clock; check the clocks"
    )]
    IssuedInTheFuture {
        /// How far ahead, in seconds.
        seconds: u64,
    },
    /// A required claim is missing.
    #[error("claim_missing: the token has no `{claim}`")]
    ClaimMissing {
        /// The claim.
        claim: &'static str,
    },
    /// A claim has a value of the wrong type.
    #[error("claim_invalid: the token's `{claim}` is not {expected}")]
    ClaimInvalid {
        /// The claim.
        claim: &'static str,
        /// The expected value.
        expected: &'static str,
    },
    /// The token belongs to another scope.
    #[error("scope_mismatch: the token's `{claim}` belongs to another scope")]
    ScopeMismatch {
        /// The claim that differs.
        claim: &'static str,
    },
}

impl TokenError {
    /// Returns the machine-readable reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::Malformed { .. } => "malformed",
            Self::Duplicate { .. } => "duplicate_claim",
            Self::WrongAlgorithm { .. } => "wrong_algorithm",
            Self::BadSignature => "bad_signature",
            Self::Expired { .. } => "expired",
            Self::IssuedInTheFuture { .. } => "issued_in_the_future",
            Self::ClaimMissing { .. } => "claim_missing",
            Self::ClaimInvalid { .. } => "claim_invalid",
            Self::ScopeMismatch { .. } => "scope_mismatch",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_starts_with_its_reason() {
        for error in [
            TokenError::TooLarge { bytes: 2, limit: 1 },
            TokenError::Malformed { problem: "x" },
            TokenError::Duplicate { part: "claims" },
            TokenError::WrongAlgorithm { found: "none".to_owned() },
            TokenError::BadSignature,
            TokenError::Expired { seconds: 1 },
            TokenError::IssuedInTheFuture { seconds: 61 },
            TokenError::ClaimMissing { claim: "exp" },
            TokenError::ClaimInvalid { claim: "exp", expected: "a number" },
            TokenError::ScopeMismatch { claim: "projectId" },
        ] {
            let text = error.to_string();
            assert!(text.starts_with(&format!("{}: ", error.reason())), "{text}");
        }
    }
}
