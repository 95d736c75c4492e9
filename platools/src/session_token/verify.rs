//! Verifies tokens that the entity signed: for tests, for a look inside, for a backend that wants to know its
//! own tokens.

use std::fmt;
use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::decode::Parts;
use super::{SessionScope, TokenError, UserIdentity, UserMeta, unix_seconds};
use crate::jwt;
use crate::verify::Secret;

/// How far ahead of this machine's clock a token may have been minted, in seconds.
const MAX_AHEAD_SECONDS: u64 = 60;

/// Verifies tokens signed with one secret.
///
/// Accepted is HS256 and nothing else, with every required claim; a token ends on the second, unless there is
/// a [`leeway`](Self::leeway), and may have been minted at most 60 s ahead of this machine's clock.
///
/// ```
/// use platools::verify::Secret;
/// use platools::session_token::TokenVerifier;
///
/// let verifier = TokenVerifier::new(&Secret::new("b7f1c2d3e4f5a6978899aabbccddeeff")?);
/// let error = verifier.verify("not.a.token").unwrap_err();
/// assert_eq!(error.reason(), "malformed");
/// # Ok::<(), platools::verify::SecretError>(())
/// ```
#[derive(Clone)]
pub struct TokenVerifier {
    key: DecodingKey,
    leeway: u64,
    scope: Option<SessionScope>,
}

impl TokenVerifier {
    /// A verifier for tokens of any scope.
    pub fn new(secret: &Secret) -> Self {
        jwt::choose_provider();
        Self { key: DecodingKey::from_secret(secret.expose().as_bytes()), leeway: 0, scope: None }
    }

    /// Accepts a token for this much longer than it lives, in whole seconds. None unless said otherwise.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway.as_secs();
        self
    }

    /// Accepts tokens of one scope only.
    pub fn scope(mut self, scope: SessionScope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// The claims of a token that holds now.
    ///
    /// # Errors
    /// When the token is not one, is signed otherwise, has ended, or lacks something.
    pub fn verify(&self, token: &str) -> Result<SessionTokenClaims, TokenError> {
        self.verify_at(token, SystemTime::now())
    }

    /// The claims of a token that holds at a moment.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_at(&self, token: &str, now: SystemTime) -> Result<SessionTokenClaims, TokenError> {
        let parts = Parts::split(token)?;
        parts.pin_algorithm()?;
        // Before the claims are looked at. The comparison inside takes the same time for every signature.
        let signed = parts.signed.as_bytes();
        match jsonwebtoken::crypto::verify(parts.signature, signed, &self.key, Algorithm::HS256) {
            Ok(true) => {}
            Ok(false) => return Err(TokenError::BadSignature),
            Err(_) => {
                let problem = "its signature is not base64url without padding";
                return Err(TokenError::Malformed { problem });
            }
        }
        let claims = SessionTokenClaims::read(parts.claims()?)?;
        self.check(&claims, unix_seconds(now))?;
        Ok(claims)
    }

    fn check(&self, claims: &SessionTokenClaims, now: u64) -> Result<(), TokenError> {
        if now >= claims.expires_at.saturating_add(self.leeway) {
            return Err(TokenError::Expired { seconds: now - claims.expires_at });
        }
        let ahead = claims.issued_at.saturating_sub(now);
        if ahead > MAX_AHEAD_SECONDS {
            return Err(TokenError::IssuedInTheFuture { seconds: ahead });
        }
        let Some(scope) = &self.scope else { return Ok(()) };
        let found = claims.scope.ids();
        match scope.ids().into_iter().zip(found).find(|(wanted, found)| wanted != found) {
            Some(((claim, _), _)) => Err(TokenError::ScopeMismatch { claim }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenVerifier")
            .field("leeway", &self.leeway)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// What a verified token says. Its `Debug` shows nothing secret or personal.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct SessionTokenClaims {
    /// The scope.
    pub scope: SessionScope,
    /// The user.
    pub user_id: String,
    /// The opaque proof of the user.
    pub user_token: Option<String>,
    /// The one agent that the token is for.
    pub agent_id: Option<String>,
    /// How the user is called.
    pub user_meta: Option<UserMeta>,
    /// Who the user is on other channels.
    pub user_identities: Vec<UserIdentity>,
    /// The permissions, where they are limited.
    pub permissions: Option<Vec<String>>,
    /// Who says to have signed it: `entity` or `platos-platform`.
    pub issuer: Option<String>,
    /// When it was minted, in seconds since 1970.
    pub issued_at: u64,
    /// When it ends, in seconds since 1970.
    pub expires_at: u64,
    /// All other claims.
    pub extra: Map<String, Value>,
}

impl SessionTokenClaims {
    fn read(claims: Map<String, Value>) -> Result<Self, TokenError> {
        let mut rest = Rest(claims);
        Ok(Self {
            scope: SessionScope {
                organization_id: rest.id("organizationId")?,
                project_id: rest.id("projectId")?,
                environment_id: rest.id("environmentId")?,
                entity_id: rest.id("entityId")?,
            },
            user_id: rest.id("userId")?,
            user_token: rest.optional("userToken", "a text")?,
            agent_id: rest.optional("agentId", "a text")?,
            user_meta: rest.optional("userMeta", "an object with the texts `name` and `email`")?,
            user_identities: rest
                .optional("userIdentities", "a list of objects with `channel` and `handle`")?
                .unwrap_or_default(),
            permissions: rest.optional("permissions", "a list of texts")?,
            issuer: rest.optional("iss", "a text")?,
            issued_at: rest.seconds("iat")?,
            expires_at: rest.seconds("exp")?,
            extra: rest.0,
        })
    }
}

/// The claims that nobody has taken yet.
struct Rest(Map<String, Value>);

impl Rest {
    fn optional<T: serde::de::DeserializeOwned>(
        &mut self,
        claim: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, TokenError> {
        let Some(value) = self.0.shift_remove(claim) else { return Ok(None) };
        serde_json::from_value(value).map(Some).map_err(|_| TokenError::ClaimInvalid { claim, expected })
    }

    fn required<T: serde::de::DeserializeOwned>(
        &mut self,
        claim: &'static str,
        expected: &'static str,
    ) -> Result<T, TokenError> {
        self.optional(claim, expected)?.ok_or(TokenError::ClaimMissing { claim })
    }

    fn id(&mut self, claim: &'static str) -> Result<String, TokenError> {
        let expected = "a text that is not blank";
        let id: String = self.required(claim, expected)?;
        if id.trim().is_empty() { Err(TokenError::ClaimInvalid { claim, expected }) } else { Ok(id) }
    }

    fn seconds(&mut self, claim: &'static str) -> Result<u64, TokenError> {
        self.required(claim, "a whole number of seconds since 1970")
    }
}

impl fmt::Debug for SessionTokenClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTokenClaims")
            .field("scope", &self.scope)
            .field("user_id", &self.user_id)
            .field("user_token", &self.user_token.as_ref().map(|_| "[redacted]"))
            .field("agent_id", &self.agent_id)
            .field("user_meta", &self.user_meta)
            .field("user_identities", &self.user_identities)
            .field("permissions", &self.permissions)
            .field("issuer", &self.issuer)
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .field("extra", &self.extra.keys().collect::<Vec<_>>())
            .finish()
    }
}
