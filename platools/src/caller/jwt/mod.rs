//! Authentication by JSON Web Token.
//!
//! The backend's configuration determines the permitted algorithms, never the token's header.

mod algorithm;
mod keys;
#[cfg(feature = "jwks")]
mod published;
mod rules;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{DecodingKey, Header, decode_header};
use serde_json::Value;

pub use self::algorithm::JwtAlgorithm;
pub use self::keys::JwtKeyError;
use self::keys::KeySet;
use self::rules::Rules;
use super::{AuthenticationError, Authenticator, Credentials, Identity};
use crate::jwt::choose_provider;
use crate::jwt::unique::{self, Unreadable};

/// Maximum length of a token, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Authenticates users by a JSON Web Token: by default the user token that the backend put into the session token.
///
/// A token must be signed with a configured key and algorithm, must have an expiry (`exp`) in the future and no `nbf`
/// in the future, and must name the user. A token with an audience is rejected unless it matches
/// [`audience`](Self::audience).
///
/// ```
/// use std::time::Duration;
/// use platools::caller::JwtAuthenticator;
///
/// let users = JwtAuthenticator::shared_secret("b7f1c2d3e4f5a6978899aabbccddeeff")?
///     .issuer("https://accounts.example")
///     .audience("orders")
///     .leeway(Duration::from_secs(5))
///     .roles_claim("realm_access.roles");
/// # let _ = users;
/// # Ok::<(), platools::caller::JwtKeyError>(())
/// ```
pub struct JwtAuthenticator {
    keys: Box<dyn Keys>,
    rules: Rules,
    token: Token,
}

/// The source of the keys.
#[async_trait]
trait Keys: Send + Sync {
    /// Restricts the keys to these algorithms.
    fn pin(&mut self, algorithms: &[JwtAlgorithm]) -> Result<(), JwtKeyError>;

    /// Returns the keys that a token with this header may be signed with.
    async fn fitting(&self, header: &Header) -> Result<Vec<Arc<DecodingKey>>, AuthenticationError>;
}

/// The token of the call to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    User,
    Entity,
}

impl JwtAuthenticator {
    fn new(keys: impl Keys + 'static) -> Self {
        choose_provider();
        Self { keys: Box::new(keys), rules: Rules::default(), token: Token::User }
    }

    /// Accepts tokens signed with a secret that this backend shares with their issuer. The default algorithm is HS256;
    /// see [`algorithms`](Self::algorithms). Do not use the service secret, which the platform knows too.
    ///
    /// # Errors
    /// If the secret has less than 16 bytes.
    pub fn shared_secret(secret: impl AsRef<[u8]>) -> Result<Self, JwtKeyError> {
        Ok(Self::new(KeySet::shared_secret(secret.as_ref())?))
    }

    /// Accepts tokens that verify with this public key in PEM. The default algorithm is RS256, ES256, ES384 or
    /// `EdDSA`, depending on the key; see [`algorithms`](Self::algorithms).
    ///
    /// # Errors
    /// If the text is not a public key of one of these kinds.
    pub fn public_key_pem(pem: &str) -> Result<Self, JwtKeyError> {
        Ok(Self::new(KeySet::public_key_pem(pem)?))
    }

    /// Accepts tokens that verify with a key of this JSON Web Key Set. Symmetric keys, keys of unknown kinds and keys
    /// that are not for signatures are ignored.
    ///
    /// # Errors
    /// If the text is not a key set, or contains no usable key.
    pub fn jwks_json(json: &str) -> Result<Self, JwtKeyError> {
        Ok(Self::new(KeySet::jwks(json.as_bytes())?))
    }

    /// Sets the permitted algorithms. A key of a key set that declares its own algorithm is used only with that one.
    ///
    /// # Errors
    /// If no key supports any of them. A secret is never used with an algorithm for public keys, and vice versa.
    pub fn algorithms(
        mut self,
        algorithms: impl IntoIterator<Item = JwtAlgorithm>,
    ) -> Result<Self, JwtKeyError> {
        let algorithms: Vec<_> = algorithms.into_iter().collect();
        self.keys.pin(&algorithms)?;
        Ok(self)
    }

    /// Requires this issuer (`iss`). Call it repeatedly to allow several issuers.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.rules.issuers.push(issuer.into());
        self
    }

    /// Requires this audience (`aud`). Call it repeatedly to allow several audiences.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.rules.audiences.push(audience.into());
        self
    }

    /// Requires this type (`typ`) in the token's header, such as `at+jwt` for access tokens (RFC 9068). Call it
    /// repeatedly to allow several types. Default: `JWT`, `at+jwt` or none, so that tokens made for another purpose
    /// are rejected.
    pub fn token_type(mut self, name: impl AsRef<str>) -> Self {
        self.rules.types.push(rules::normal_type(name.as_ref()));
        self
    }

    /// Sets the tolerated clock skew between issuer and backend. Default: zero; at most an hour.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.rules.leeway = leeway.min(Duration::from_secs(3_600));
        self
    }

    /// Sets the claim that names the user. Default: `sub`. A path, such as `user.id`, selects a member of an object.
    pub fn subject_claim(mut self, path: impl Into<String>) -> Self {
        self.rules.subject = path.into();
        self
    }

    /// Sets the claim that lists the user's roles, as a list of texts or as one space-separated text. Default:
    /// `roles`. A path, such as `realm_access.roles`, selects a member of an object.
    pub fn roles_claim(mut self, path: impl Into<String>) -> Self {
        self.rules.roles = path.into();
        self
    }

    /// Sets the role of the token that makes a user an admin. Default: `admin`. With another role set, a role called
    /// `admin` in the token is ignored.
    pub fn admin_role(mut self, role: impl Into<String>) -> Self {
        self.rules.admin = Some(role.into());
        self
    }

    /// Verifies `entityToken` instead of the user's token.
    pub fn from_entity_token(mut self) -> Self {
        self.token = Token::Entity;
        self
    }
}

#[async_trait]
impl Authenticator for JwtAuthenticator {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, AuthenticationError> {
        let token = match self.token {
            Token::User => credentials.user_token(),
            Token::Entity => credentials.entity_token(),
        };
        let token = token.ok_or(AuthenticationError::NoCredentials)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthenticationError::rejected("it is too long to be a JSON Web Token"));
        }
        let malformed = |_| AuthenticationError::rejected("it is not a JSON Web Token");
        let header = decode_header(token).map_err(malformed)?;
        // RFC 7515 §4.1.11: an unsupported critical extension makes the token invalid.
        if header.crit.is_some() {
            return Err(AuthenticationError::rejected(
                "its header has critical extensions, which are not supported",
            ));
        }
        self.rules.check_type(header.typ.as_deref())?;
        check_claims(token)?;
        let keys = self.keys.fitting(&header).await?;
        self.rules.check(token, header.alg, &keys)
    }
}

/// Rejects a token with a duplicate claim, of which issuer and verifier could read different values, and one whose
/// issuer is not a text (RFC 7519 §4.1.1): a list would match every issuer that it names.
fn check_claims(token: &str) -> Result<(), AuthenticationError> {
    let payload = token.split('.').nth(1).and_then(|payload| BASE64URL_NOPAD.decode(payload.as_bytes()).ok());
    match unique::object(&payload.unwrap_or_default()) {
        Ok(claims) if claims.get("iss").is_none_or(Value::is_string) => Ok(()),
        Ok(_) => Err(AuthenticationError::rejected("its `iss` is not a text")),
        Err(Unreadable::Duplicate) => Err(AuthenticationError::rejected("it has a duplicate claim")),
        Err(Unreadable::NotAnObject) => Err(AuthenticationError::rejected("it is not a JSON Web Token")),
    }
}

impl fmt::Debug for JwtAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuthenticator")
            .field("token", &self.token)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
