//! The keys that tokens are verified with, each with the algorithms that it is used for.

use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header};
use serde::Deserialize;
use serde_json::Value;

use super::JwtAlgorithm;
use crate::caller::AuthenticationError;

/// The fewest bytes of a shared secret.
const MIN_SECRET_BYTES: usize = 16;
/// The most keys of a set that are looked at.
const MAX_KEYS: usize = 100;

/// Keys that cannot be used. No text shows a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtKeyError {
    /// The shared secret is too short to be safe.
    #[error("the shared secret has {bytes} bytes; it needs {MIN_SECRET_BYTES} at least, and should have 32")]
    ShortSecret {
        /// Its length.
        bytes: usize,
    },
    /// The text holds a private key.
    #[error("this is a private key: give the public one, and keep the private one where tokens are signed")]
    PrivateKey,
    /// The text is no public key that can be used.
    #[error(
        "this is not a public key in PEM (a block `BEGIN PUBLIC KEY` or `BEGIN RSA PUBLIC KEY`) for RSA, P-256, P-384 \
         or Ed25519"
    )]
    NotAPublicKey,
    /// The text is no key set.
    #[error("this is not a JSON Web Key Set (`{{\"keys\": […]}}`): {problem}")]
    NotAKeySet {
        /// What the reader stumbled over.
        problem: String,
    },
    /// No key of the set can be used.
    #[error("the key set has no public key for signatures that can be used ({keys} keys were left out)")]
    NoKeys {
        /// How many keys there are that cannot be used.
        keys: usize,
    },
    /// None of the algorithms can be used with the keys.
    #[error("no key can be used with the algorithms {algorithms:?}")]
    NoFittingAlgorithm {
        /// What was asked for.
        algorithms: Vec<JwtAlgorithm>,
    },
    /// The URL of the keys cannot be used.
    #[error("the URL of the keys {problem}")]
    Url {
        /// What is wrong with it.
        problem: String,
    },
    /// TLS cannot be set up.
    #[error("the keys cannot be fetched: {problem}")]
    Tls {
        /// What is wrong.
        problem: String,
    },
}

/// One key.
#[derive(Clone)]
struct Key {
    id: Option<String>,
    /// What it could be used with, and what it is used with.
    possible: Vec<Algorithm>,
    used: Vec<Algorithm>,
    material: Arc<DecodingKey>,
}

/// Some keys.
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
            // An uncompressed point: one byte, then both coordinates.
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
        // One by one: a key of a kind that is not known must not cost the others.
        let keys: Vec<Key> = set.keys.into_iter().take(MAX_KEYS).filter_map(Key::of_jwk).collect();
        if keys.is_empty() { Err(JwtKeyError::NoKeys { keys: all }) } else { Ok(Self(keys)) }
    }

    /// Uses the keys with these algorithms only.
    pub(super) fn pin(&mut self, algorithms: &[JwtAlgorithm]) -> Result<(), JwtKeyError> {
        let wanted: Vec<_> = algorithms.iter().map(|algorithm| algorithm.inner()).collect();
        let mut keys = self.0.clone();
        keys.retain_mut(|key| {
            key.used = key.possible.iter().copied().filter(|possible| wanted.contains(possible)).collect();
            !key.used.is_empty()
        });
        if keys.is_empty() {
            return Err(JwtKeyError::NoFittingAlgorithm { algorithms: algorithms.to_vec() });
        }
        self.0 = keys;
        Ok(())
    }

    /// Whether the key that a token names is there.
    #[cfg(feature = "jwks")]
    pub(super) fn knows(&self, header: &Header) -> bool {
        self.0.iter().any(|key| key.is_meant(header))
    }

    /// The keys that a token with this header may be signed with.
    pub(super) fn fitting(&self, header: &Header) -> Result<Vec<Arc<DecodingKey>>, AuthenticationError> {
        let mut meant = self.0.iter().filter(|key| key.is_meant(header)).peekable();
        if meant.peek().is_none() {
            return Err(AuthenticationError::rejected("it is signed with a key that is not known"));
        }
        let fitting: Vec<_> =
            meant.filter(|key| key.used.contains(&header.alg)).map(|key| Arc::clone(&key.material)).collect();
        if fitting.is_empty() {
            return Err(AuthenticationError::rejected(
                "it is signed with another algorithm than is expected",
            ));
        }
        Ok(fitting)
    }
}

impl Key {
    /// A key that goes with every algorithm of its family, and is used with `used`.
    fn of_family(key: DecodingKey, used: &[Algorithm]) -> Self {
        let possible = key.family().algorithms().to_vec();
        Self { id: None, possible, used: used.to_vec(), material: Arc::new(key) }
    }

    fn only_for(key: DecodingKey, algorithm: Algorithm) -> Self {
        Self { id: None, possible: vec![algorithm], used: vec![algorithm], material: Arc::new(key) }
    }

    /// A key of a set; `None` when it is no public key for signatures.
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
            // A published secret is none.
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

    /// Whether a token with this header may mean this key. A key without a name is meant by every token,
    /// and every key by a token that names none.
    fn is_meant(&self, header: &Header) -> bool {
        match (&self.id, &header.kid) {
            (Some(id), Some(named)) => id == named,
            _ => true,
        }
    }
}
