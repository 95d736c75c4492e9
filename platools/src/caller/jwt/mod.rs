//! Callers known by a JSON Web Token.
//!
//! The algorithms are pinned by what the backend configures, never by what a token says.

mod algorithm;
mod keys;
#[cfg(feature = "jwks")]
mod published;
mod rules;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::decode_header;

pub use self::algorithm::JwtAlgorithm;
pub use self::keys::JwtKeyError;
use self::keys::KeySet;
#[cfg(feature = "jwks")]
use self::published::Published;
use self::rules::Rules;
use super::{AuthenticationError, Authenticator, Credentials, Identity};
use crate::jwt::choose_provider;
use crate::jwt::unique::{self, Unreadable};

/// The longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Knows users by a JSON Web Token: by default the user token that the backend put into the session token.
///
/// A token has to be signed with a key and an algorithm that are configured here, has to have an end
/// (`exp`) in the future, must not be used before its `nbf`, and has to name the user. A token that names an
/// audience is refused unless [`audience`](Self::audience) says which one this backend is.
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
    keys: Keys,
    rules: Rules,
    token: Token,
}

/// Where the keys come from.
enum Keys {
    Fixed(KeySet),
    #[cfg(feature = "jwks")]
    Published(Box<Published>),
}

/// Which token of the call is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    User,
    Entity,
}

impl JwtAuthenticator {
    fn new(keys: Keys) -> Self {
        choose_provider();
        Self { keys, rules: Rules::default(), token: Token::User }
    }

    /// Tokens that are signed with a secret that this backend shares with their issuer: HS256, unless
    /// [`algorithms`](Self::algorithms) says otherwise. Not with the service secret, which the platform has
    /// too.
    ///
    /// # Errors
    /// When the secret has less than 16 bytes.
    pub fn shared_secret(secret: impl AsRef<[u8]>) -> Result<Self, JwtKeyError> {
        Ok(Self::new(Keys::Fixed(KeySet::shared_secret(secret.as_ref())?)))
    }

    /// Tokens that are signed with the private key of this public one, in PEM: RS256, ES256, ES384 or `EdDSA`,
    /// as the key is, unless [`algorithms`](Self::algorithms) says otherwise.
    ///
    /// # Errors
    /// When the text is not a public key of one of these kinds.
    pub fn public_key_pem(pem: &str) -> Result<Self, JwtKeyError> {
        Ok(Self::new(Keys::Fixed(KeySet::public_key_pem(pem)?)))
    }

    /// Tokens that are signed with one of the keys of a JSON Web Key Set. Keys that are not for signatures,
    /// are symmetric or of an unknown kind are left out.
    ///
    /// # Errors
    /// When the text is not a key set, or no key is left.
    pub fn jwks_json(json: &str) -> Result<Self, JwtKeyError> {
        Ok(Self::new(Keys::Fixed(KeySet::jwks(json.as_bytes())?)))
    }

    /// Tokens that are signed with one of the keys that an issuer publishes at `url`, such as
    /// `https://accounts.example/.well-known/jwks.json`.
    ///
    /// The keys are fetched when the first token comes, again after an hour, and when a token names a key
    /// that is not known, though not more often than every 10 s. While they cannot be fetched, those that are
    /// known stay good for a day; without any, calls are refused until they can be. Redirects are not
    /// followed.
    ///
    /// # Errors
    /// When the URL is not `https://` (or `http://` on this machine).
    #[cfg(feature = "jwks")]
    pub fn jwks_url(url: &str) -> Result<Self, JwtKeyError> {
        Ok(Self::new(Keys::Published(Box::new(Published::new(url)?))))
    }

    /// Exactly these algorithms. Of a key set, a key that states its own algorithm is used with that alone.
    ///
    /// # Errors
    /// When there is no key that one of them could be used with. A secret is never used with an algorithm for
    /// public keys, nor the other way round.
    pub fn algorithms(
        mut self,
        algorithms: impl IntoIterator<Item = JwtAlgorithm>,
    ) -> Result<Self, JwtKeyError> {
        let algorithms: Vec<_> = algorithms.into_iter().collect();
        match &mut self.keys {
            Keys::Fixed(keys) => keys.pin(&algorithms)?,
            #[cfg(feature = "jwks")]
            Keys::Published(keys) => keys.pin(&algorithms)?,
        }
        Ok(self)
    }

    /// Tokens of this issuer only (`iss`). Said several times, any one of them.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.rules.issuers.push(issuer.into());
        self
    }

    /// Tokens for this audience only (`aud`). Said several times, any one of them.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.rules.audiences.push(audience.into());
        self
    }

    /// How far the clocks of issuer and backend may be apart; nothing unless said otherwise, and an hour at
    /// most.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.rules.leeway = leeway.min(Duration::from_secs(3_600));
        self
    }

    /// The claim that names the user; `sub` unless said otherwise. A path, such as `user.id`, leads into
    /// objects.
    pub fn subject_claim(mut self, path: impl Into<String>) -> Self {
        self.rules.subject = path.into();
        self
    }

    /// The claim that lists the user's roles, as a list of texts or one text with spaces between;
    /// `roles` unless said otherwise. A path, such as `realm_access.roles`, leads into objects.
    pub fn roles_claim(mut self, path: impl Into<String>) -> Self {
        self.rules.roles = path.into();
        self
    }

    /// The role whose holders are admins; `admin` unless said otherwise. A role called `admin` in the token
    /// means nothing then.
    pub fn admin_role(mut self, role: impl Into<String>) -> Self {
        self.rules.admin = Some(role.into());
        self
    }

    /// Looks at `entityToken` instead of the user's token.
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
        // RFC 7515 §4.1.11: what the issuer calls critical and is not understood makes the token invalid.
        if header.crit.is_some() {
            return Err(AuthenticationError::rejected(
                "its header has critical extensions, none of which is understood",
            ));
        }
        check_claims(token)?;
        let keys = match &self.keys {
            Keys::Fixed(keys) => keys.fitting(&header)?,
            #[cfg(feature = "jwks")]
            Keys::Published(keys) => keys.fitting(&header).await?,
        };
        self.rules.check(token, header.alg, &keys)
    }
}

/// Refuses a token in which a claim stands twice: its issuer and we could read different ones.
fn check_claims(token: &str) -> Result<(), AuthenticationError> {
    let payload = token.split('.').nth(1).and_then(|payload| BASE64URL_NOPAD.decode(payload.as_bytes()).ok());
    match unique::object(&payload.unwrap_or_default()) {
        Ok(_) => Ok(()),
        Err(Unreadable::Duplicate) => Err(AuthenticationError::rejected("a claim stands in it twice")),
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
