//! Strict decoding of a token into its parts, without verification.
//!
//! This module must not know keys or clocks.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

use super::TokenError;
use crate::jwt::unique::{self, Unreadable};

/// Maximum length of a token, in bytes. Longer tokens are rejected before decoding.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Maximum length of an algorithm name that an error quotes, in bytes.
const QUOTED_ALGORITHM_BYTES: usize = 16;

/// The parts of a token; only the header is decoded.
pub(super) struct Parts<'a> {
    pub(super) header: Map<String, Value>,
    /// Header and claims, as signed.
    pub(super) signed: &'a str,
    claims: &'a str,
    /// 43 characters of base64.
    pub(super) signature: &'a str,
}

impl<'a> Parts<'a> {
    /// Splits a token into its three parts and decodes the header.
    pub(super) fn split(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge { bytes: token.len(), limit: MAX_TOKEN_BYTES });
        }
        let three = TokenError::Malformed { problem: "a token has three parts separated by dots" };
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| three.clone())?;
        let (header, claims) = signed.split_once('.').ok_or_else(|| three.clone())?;
        if claims.contains('.') {
            return Err(three);
        }
        Ok(Self { header: object(header, "header")?, signed, claims, signature })
    }

    /// Returns the algorithm that the header names.
    pub(super) fn algorithm(&self) -> Option<&str> {
        self.header.get("alg")?.as_str()
    }

    /// Rejects every algorithm but HS256, and headers with critical extensions.
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
            let problem = "its header has critical extensions, which are not supported";
            return Err(TokenError::Malformed { problem });
        }
        Ok(())
    }

    /// Decodes the claims, without verification.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, TokenError> {
        object(self.claims, "claims")
    }
}

fn object(base64: &str, part: &'static str) -> Result<Map<String, Value>, TokenError> {
    // Without padding and unused bits, so that a token has exactly one text.
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

/// The unverified content of a token. `Debug` shows only the names of the claims.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct UnverifiedToken {
    /// The algorithm that the header names.
    pub algorithm: String,
    /// The claims.
    pub claims: Map<String, Value>,
}

impl UnverifiedToken {
    /// Returns a claim that is a text.
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// Returns a claim that is a non-negative integer, such as `exp`.
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

/// Decodes a token **without verifying it**: anyone can write such a token. For inspection, also of tokens signed by the
/// platform, for which a backend has no key. To trust a token, use [`TokenVerifier`](super::TokenVerifier).
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
/// If the text is not a token of three parts, is too long, or has a duplicate claim.
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
