//! Verification keys, each with its permitted algorithms.

use std::sync::Arc;

use async_trait::async_trait;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header};
use serde::Deserialize;
use serde_json::Value;

use super::{JwtAlgorithm, Keys};
use crate::caller::AuthenticationError;
use crate::error::Error;

/// Minimum length of a shared secret, in bytes.
const MIN_SECRET_BYTES: usize = 16;
/// Maximum number of keys read from a set.
const MAX_KEYS: usize = 100;

/// Unusable keys. The error texts contain no key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtKeyError {
    /// The shared secret is too short to be safe.
    #[error(
        "the shared secret has {bytes} bytes; it needs at least {MIN_SECRET_BYTES}, and 32 are recommended"
    )]
    ShortSecret {
        /// Its length.
        bytes: usize,
    },
    /// The text holds a private key.
    #[error(
        "this is a private key: pass the public key, and keep the private key only where tokens are signed"
    )]
    PrivateKey,
    /// The text is not a supported public key.
    #[error(
        "this is not a public key in PEM (a block `BEGIN PUBLIC KEY` or `BEGIN RSA PUBLIC KEY`) for RSA, P-256, P-384 \
         or Ed25519"
    )]
    NotAPublicKey,
    /// The text is not a key set.
    #[error("this is not a JSON Web Key Set (`{{\"keys\": […]}}`): {problem}")]
    NotAKeySet {
        /// The error of the parser.
        problem: String,
    },
    /// The set contains no usable key.
    #[error("the key set has no usable public key for signatures ({keys} keys were ignored)")]
    NoKeys {
        /// Number of unusable keys.
        keys: usize,
    },
    /// No key supports any of the algorithms.
    #[error("no key supports the algorithms {algorithms:?}")]
    NoFittingAlgorithm {
        /// The configured algorithms.
        algorithms: Vec<JwtAlgorithm>,
    },
    /// The URL of the keys is invalid.
    #[error("the URL of the keys {problem}")]
    Url {
        /// The problem.
        problem: String,
    },
    /// The TLS configuration failed.
    #[error("the keys cannot be fetched: {problem}")]
    Tls {
        /// The problem.
        problem: String,
    },
}

impl From<JwtKeyError> for Error {
    fn from(error: JwtKeyError) -> Self {
        Self::other(error)
    }
}

/// One key.
#[derive(Clone)]
pub(super) struct Key {
    id: Option<String>,
    /// The supported and the permitted algorithms.
    supported: Vec<Algorithm>,
    permitted: Vec<Algorithm>,
    material: Arc<DecodingKey>,
}

/// A set of keys.
#[derive(Clone)]
pub(super) struct KeySet(Vec<Key>);

impl KeySet {
    pub(super) fn shared_secret(secret: &[u8]) -> Result<Self, JwtKeyError> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(JwtKeyError::ShortSecret { bytes: secret.len() });
        }
        let key = DecodingKey::from_secret(secret);
        Ok(Self(vec![Key::of_family(key, &[Algorithm::HS256])]))
    }

    pub(super) fn public_key_pem(pem: &str) -> Result<Self, JwtKeyError> {
        if pem.contains("PRIVATE KEY") {
            return Err(JwtKeyError::PrivateKey);
        }
        let bytes = pem.as_bytes();
        let key = if let Ok(key) = DecodingKey::from_ec_pem(bytes) {
            // The length of an uncompressed point: one byte, then both coordinates.
            let algorithm = match key.try_get_as_bytes().map(<[u8]>::len) {
                Ok(65) => Algorithm::ES256,
                Ok(97) => Algorithm::ES384,
                _ => return Err(JwtKeyError::NotAPublicKey),
            };
            Key::only_for(key, algorithm)
        } else if let Ok(key) = DecodingKey::from_ed_pem(bytes) {
            Key::only_for(key, Algorithm::EdDSA)
        } else if pem.contains("PUBLIC KEY")
            && let Ok(key) = DecodingKey::from_rsa_pem(bytes)
        {
            Key::of_family(key, &[Algorithm::RS256])
        } else {
            return Err(JwtKeyError::NotAPublicKey);
        };
        Ok(Self(vec![key]))
    }

    pub(super) fn jwks(json: &[u8]) -> Result<Self, JwtKeyError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }

        let set: Set = serde_json::from_slice(json)
            .map_err(|error| JwtKeyError::NotAKeySet { problem: error.to_string() })?;
        let all = set.keys.len();
        // Decoded one by one: a key of an unknown kind must not invalidate the others.
        let keys: Vec<Key> = set.keys.into_iter().take(MAX_KEYS).filter_map(Key::of_jwk).collect();
        if keys.is_empty() { Err(JwtKeyError::NoKeys { keys: all }) } else { Ok(Self(keys)) }
    }

    /// Restricts the keys to these algorithms.
    pub(super) fn pin(&mut self, algorithms: &[JwtAlgorithm]) -> Result<(), JwtKeyError> {
        let wanted: Vec<_> = algorithms.iter().map(|algorithm| algorithm.inner()).collect();
        let mut keys = self.0.clone();
        keys.retain_mut(|key| {
            key.permitted =
                key.supported.iter().copied().filter(|algorithm| wanted.contains(algorithm)).collect();
            !key.permitted.is_empty()
        });
        if keys.is_empty() {
            return Err(JwtKeyError::NoFittingAlgorithm { algorithms: algorithms.to_vec() });
        }
        self.0 = keys;
        Ok(())
    }

    /// Returns the keys that a token with this header may refer to.
    pub(super) fn matching(&self, header: &Header) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(|key| key.matches(header))
    }

    /// Returns the keys that a token with this header may be signed with.
    pub(super) fn fitting(&self, header: &Header) -> Result<Vec<Arc<DecodingKey>>, AuthenticationError> {
        let mut matching = self.matching(header).peekable();
        if matching.peek().is_none() {
            return Err(AuthenticationError::rejected("it is signed with an unknown key"));
        }
        let fitting: Vec<_> = matching
            .filter(|key| key.permitted.contains(&header.alg))
            .map(|key| Arc::clone(&key.material))
            .collect();
        if fitting.is_empty() {
            return Err(AuthenticationError::rejected("it is signed with an unexpected algorithm"));
        }
        Ok(fitting)
    }
}

#[async_trait]
impl Keys for KeySet {
    fn pin(&mut self, algorithms: &[JwtAlgorithm]) -> Result<(), JwtKeyError> {
        self.pin(algorithms)
    }

    async fn fitting(&self, header: &Header) -> Result<Vec<Arc<DecodingKey>>, AuthenticationError> {
        self.fitting(header)
    }
}

impl Key {
    /// Creates a key that supports every algorithm of its family and is permitted for `permitted`.
    fn of_family(key: DecodingKey, permitted: &[Algorithm]) -> Self {
        let supported = key.family().algorithms().to_vec();
        Self { id: None, supported, permitted: permitted.to_vec(), material: Arc::new(key) }
    }

    fn only_for(key: DecodingKey, algorithm: Algorithm) -> Self {
        Self { id: None, supported: vec![algorithm], permitted: vec![algorithm], material: Arc::new(key) }
    }

    /// Decodes a key of a set; returns `None` unless it is a public key for signatures.
    fn of_jwk(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let is_for_signatures =
            jwk.common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature)
                && jwk.common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        if !is_for_signatures {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let only = match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
                EllipticCurve::P256 => Some(Algorithm::ES256),
                EllipticCurve::P384 => Some(Algorithm::ES384),
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                Some(Algorithm::EdDSA)
            }
            AlgorithmParameters::RSA(_) => None,
            // A symmetric key in a published set is not secret.
            _ => return None,
        };
        let own = match jwk.common.key_algorithm {
            Some(own) => Some(Algorithm::try_from(own).ok().filter(|own| own.family() == key.family())?),
            None => None,
        };
        let key = match (only, own) {
            (Some(only), Some(own)) if only != own => return None,
            (Some(one), _) | (None, Some(one)) => Self::only_for(key, one),
            (None, None) if key.family() == AlgorithmFamily::Rsa => Self::of_family(key, &[Algorithm::RS256]),
            (None, None) => return None,
        };
        Some(Self { id: jwk.common.key_id, ..key })
    }

    /// Returns whether a token with this header may refer to this key. A key without an id matches every token, and
    /// a token without a key id matches every key.
    fn matches(&self, header: &Header) -> bool {
        match (&self.id, &header.kid) {
            (Some(id), Some(named)) => id == named,
            _ => true,
        }
    }
}
