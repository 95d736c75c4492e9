//! From the text of a token to its parts, strictly: one text, one reading.
//!
//! It must not know keys or clocks; what it returns is only claimed.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

use super::TokenError;
use crate::jwt::unique::{self, Unreadable};

/// The longest token that is read, in bytes. A longer one is refused before anything is done with it.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The longest name of an algorithm that an error quotes.
const QUOTED_ALGORITHM_BYTES: usize = 16;

/// A token's parts, of which only the header is decoded.
pub(super) struct Parts<'a> {
    pub(super) header: Map<String, Value>,
    /// Header and claims as they are signed.
    pub(super) signed: &'a str,
    claims: &'a str,
    /// 43 characters of base64.
    pub(super) signature: &'a str,
}

impl<'a> Parts<'a> {
    /// Cuts a token into its three parts and decodes the header.
    pub(super) fn split(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge { bytes: token.len(), limit: MAX_TOKEN_BYTES });
        }
        let three = TokenError::Malformed { problem: "a token has three parts with a dot between them" };
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| three.clone())?;
        let (header, claims) = signed.split_once('.').ok_or_else(|| three.clone())?;
        if claims.contains('.') {
            return Err(three);
        }
        Ok(Self { header: object(header, "header")?, signed, claims, signature })
    }

    /// The algorithm that the header names.
    pub(super) fn algorithm(&self) -> Option<&str> {
        self.header.get("alg")?.as_str()
    }

    /// Refuses every algorithm but HS256, and headers that ask for more than is understood here.
    pub(super) fn pin_algorithm(&self) -> Result<(), TokenError> {
        if self.algorithm() != Some("HS256") {
            let is_name = |name: &&str| {
                name.len() <= QUOTED_ALGORITHM_BYTES
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            };
            let found = match self.algorithm() {
                Some(name) => Some(name).filter(is_name).unwrap_or("another"),
                None => "none at all",
            };
            return Err(TokenError::WrongAlgorithm { found: found.to_owned() });
        }
        if self.header.contains_key("crit") {
            let problem = "its header has critical extensions, none of which is understood";
            return Err(TokenError::Malformed { problem });
        }
        Ok(())
    }

    /// The claims, which nobody has vouched for.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, TokenError> {
        object(self.claims, "claims")
    }
}

fn object(base64: &str, part: &'static str) -> Result<Map<String, Value>, TokenError> {
    // Without padding, and without bits that mean nothing: two texts are never one token.
    let json = BASE64URL_NOPAD.decode(base64.as_bytes()).map_err(|_| TokenError::Malformed {
        problem: if part == "header" {
            "its header is not base64url without padding"
        } else {
            "its claims are not base64url without padding"
        },
    })?;
    unique::object(&json).map_err(|unreadable| match unreadable {
        Unreadable::Duplicate => TokenError::Duplicate { part },
        Unreadable::NotAnObject if part == "header" => {
            TokenError::Malformed { problem: "its header is not a JSON object" }
        }
        Unreadable::NotAnObject => TokenError::Malformed { problem: "its claims are not a JSON object" },
    })
}

/// What a token claims, whoever made it. Its `Debug` shows names alone.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct UnverifiedToken {
    /// The algorithm that the header names.
    pub algorithm: String,
    /// The claims.
    pub claims: Map<String, Value>,
}

impl UnverifiedToken {
    /// A claim that is a text.
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// A claim that is a whole number from 0, such as `exp`.
    pub fn number(&self, claim: &str) -> Option<u64> {
        self.claims.get(claim)?.as_u64()
    }
}

impl fmt::Debug for UnverifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedToken")
            .field("algorithm", &self.algorithm)
            .field("claims", &self.claims.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Reads what a token claims **without verifying anything**: anyone can write such a token. For a look inside,
/// also of tokens that the platform signed, for which a backend has no key. To decide anything by a token use
/// [`TokenVerifier`](super::TokenVerifier).
///
/// ```
/// use platools::session_token::decode_unverified;
///
/// let token = decode_unverified("eyJhbGciOiJFUzI1NiJ9.eyJ1c2VySWQiOiJ1c3JfNyIsImV4cCI6MX0.c2ln")?;
/// assert_eq!((token.algorithm.as_str(), token.text("userId"), token.number("exp")), ("ES256", Some("usr_7"), Some(1)));
/// # Ok::<(), platools::session_token::TokenError>(())
/// ```
///
/// # Errors
/// When the text is not a token of three parts, is too long, or has a claim twice.
pub fn decode_unverified(token: &str) -> Result<UnverifiedToken, TokenError> {
    let parts = Parts::split(token)?;
    let Some(algorithm) = parts.algorithm() else {
        return Err(TokenError::Malformed { problem: "its header names no algorithm" });
    };
    BASE64URL_NOPAD
        .decode(parts.signature.as_bytes())
        .map_err(|_| TokenError::Malformed { problem: "its signature is not base64url without padding" })?;
    Ok(UnverifiedToken { algorithm: algorithm.to_owned(), claims: parts.claims()? })
}
