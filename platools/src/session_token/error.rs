//! What can go wrong with claims, with minting, and with a token that somebody presents.

use std::borrow::Cow;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "remote-mint")]
use platools_net::tls::TlsError;

use crate::host::ConfigError;
use crate::tool::BoxError;
use crate::verify::SecretError;

/// Claims that break a rule. The text starts with the field and quotes no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// A text has nothing in it.
    #[error("`{field}` is blank: give it a value, or leave it out where it is optional")]
    Blank {
        /// The field.
        field: &'static str,
    },
    /// The entity's id cannot stand in the mint's URL.
    #[error(
        "`entityId` has to be 1 to 64 of the characters A-Z, a-z, 0-9, `_` and `-` for the platform's mint"
    )]
    EntityId,
    /// The token would live too short or too long.
    #[error("`lifetime` is {seconds} s: a session token lives from 60 s to 7 days ({} s)", 7 * 86_400)]
    Lifetime {
        /// What was asked for, in seconds.
        seconds: u64,
    },
    /// There are too many identities.
    #[error("`userIdentities` has {found} entries: at most 8 fit")]
    TooManyIdentities {
        /// How many there are.
        found: usize,
    },
    /// An identity breaks a rule.
    #[error("`userIdentities[{index}].{part}` {problem}")]
    Identity {
        /// Its place in the list, from 0.
        index: usize,
        /// The part of it.
        part: &'static str,
        /// The rule.
        problem: &'static str,
    },
    /// An extra claim has a name that means something already.
    #[error("`{name}` is reserved and cannot be an extra claim: use its own method, or another name")]
    Reserved {
        /// The name.
        name: &'static str,
    },
    /// An extra claim has no name.
    #[error("an extra claim has no name: give it one")]
    Unnamed,
    /// All claims together are too large.
    #[error(
        "the claims take {bytes} bytes as JSON, at most {limit} fit into a header: `{largest}` is the largest, shorten it"
    )]
    TooLarge {
        /// The size, in bytes.
        bytes: usize,
        /// The most, in bytes.
        limit: usize,
        /// The largest of them.
        largest: String,
    },
    /// The mint in use has no place for a claim.
    #[error("`{field}` cannot be minted by the platform's mint: leave it out, or use the local mint")]
    Unsupported {
        /// The field.
        field: &'static str,
    },
}

impl ClaimsError {
    /// The field, as it is called in a token.
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

/// A mint that cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MintConfigError {
    /// Something is not configured.
    #[error("{what} is missing: set {variable}, or give it in code")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// The variable that says it.
        variable: &'static str,
    },
    /// The scope breaks a rule.
    #[error("the scope of the session tokens: {0}")]
    Scope(#[from] ClaimsError),
    /// The service secret cannot be had or used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The bearer of the platform's mint cannot be had or used.
    #[error("the bearer of the platform's mint {problem}")]
    Bearer {
        /// What is wrong with it.
        problem: String,
    },
    /// The URL of the platform's mint cannot be used.
    #[error("the URL of the platform's mint {problem}")]
    Url {
        /// What is wrong with it.
        problem: String,
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
    /// The environment's other variables cannot be read.
    #[error(transparent)]
    Environment(#[from] ConfigError),
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
}

#[cfg(feature = "remote-mint")]
impl MintConfigError {
    pub(super) fn of_tls(error: TlsError) -> Self {
        match error {
            TlsError::CaFile { path, problem } => Self::CaFile { path, problem },
            TlsError::Setup(problem) => Self::Tls(problem),
        }
    }
}

/// Why no token was minted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The claims break a rule.
    #[error("the claims of a session token: {0}")]
    Claims(#[from] ClaimsError),
    /// The platform's mint did not give a token.
    #[cfg(feature = "remote-mint")]
    #[error(transparent)]
    Remote(#[from] super::RemoteMintError),
    /// A mint of somebody else's has no token now.
    #[error("the mint is unavailable: {0}")]
    Unavailable(#[source] Arc<dyn Error + Send + Sync>),
    /// A mint of somebody else's failed.
    #[error("the mint failed: {0}")]
    Other(#[source] Arc<dyn Error + Send + Sync>),
}

impl MintError {
    /// An error of a mint of one's own that passes, such as a vault that is not reached. Its text goes into logs.
    pub fn unavailable(error: impl Into<BoxError>) -> Self {
        Self::Unavailable(error.into().into())
    }

    /// An error of a mint of one's own. Its text goes into logs.
    pub fn other(error: impl Into<BoxError>) -> Self {
        Self::Other(error.into().into())
    }

    /// When the platform's mint says to try again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            #[cfg(feature = "remote-mint")]
            Self::Remote(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether trying again later may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            #[cfg(feature = "remote-mint")]
            Self::Remote(error) => error.is_temporary(),
            Self::Unavailable(_) => true,
            Self::Claims(_) | Self::Other(_) => false,
        }
    }
}

/// Why a token is refused. The text starts with the machine-readable [`reason`](Self::reason) and shows
/// nothing of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The token is longer than any that is minted.
    #[error("too_large: the token has {bytes} bytes, at most {limit} are read")]
    TooLarge {
        /// Its size, in bytes.
        bytes: usize,
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// The text is not a token.
    #[error("malformed: {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A name occurs twice in one object, so that two readers could see two values.
    #[error("duplicate_claim: a name occurs twice in the token's {part}")]
    Duplicate {
        /// Where: `header` or `claims`.
        part: &'static str,
    },
    /// The token is signed in another way, or not at all.
    #[error("wrong_algorithm: only HS256 is accepted, the token names {found}")]
    WrongAlgorithm {
        /// What it names, as far as that is a name.
        found: String,
    },
    /// The signature is not of this secret over these claims.
    #[error(
        "bad_signature: the signature does not match; check that both sides have the same service secret"
    )]
    BadSignature,
    /// The token has ended.
    #[error("expired: the token ended {seconds} s ago; mint a new one")]
    Expired {
        /// How long ago, in seconds.
        seconds: u64,
    },
    /// The token claims to be minted later than now.
    #[error(
        "issued_in_the_future: the token was minted {seconds} s ahead of this machine's clock; check the clocks"
    )]
    IssuedInTheFuture {
        /// How far ahead, in seconds.
        seconds: u64,
    },
    /// A claim that every token has is not there.
    #[error("claim_missing: the token has no `{claim}`")]
    ClaimMissing {
        /// The claim.
        claim: &'static str,
    },
    /// A claim has a value of another kind.
    #[error("claim_invalid: the token's `{claim}` is not {expected}")]
    ClaimInvalid {
        /// The claim.
        claim: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The token is for somebody else.
    #[error("scope_mismatch: the token's `{claim}` is another one's")]
    ScopeMismatch {
        /// The claim that differs.
        claim: &'static str,
    },
}

impl TokenError {
    /// The machine-readable reason.
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
