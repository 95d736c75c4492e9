//! Verifies tokens that the entity signed, for tests, inspection, and backends that accept their own tokens.

use std::fmt;
use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::decode::Parts;
use super::{SessionScope, TokenError, UserIdentity, UserMeta, unix_seconds};
use crate::jwt;
use crate::verify::Secret;

/// Maximum time by which a token may have been issued ahead of this machine's clock, in seconds.
const MAX_AHEAD_SECONDS: u64 = 60;

/// Verifies tokens signed with one secret.
///
/// Accepts only HS256, and requires every mandatory claim. A token expires on the second, unless a
/// [`leeway`](Self::leeway) is set, and may have been issued at most 60 s ahead of this machine's clock.
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
    /// Creates a verifier for tokens of any scope.
    pub fn new(secret: &Secret) -> Self {
        jwt::choose_provider();
        Self { key: DecodingKey::from_secret(secret.expose().as_bytes()), leeway: 0, scope: None }
    }

    /// Accepts expired tokens for this much longer, in whole seconds. Default: zero.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway.as_secs();
        self
    }

    /// Accepts only tokens of this scope.
    pub fn scope(mut self, scope: SessionScope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Verifies a token at the current time and returns its claims.
    ///
    /// # Errors
    /// If the token is malformed, has an invalid signature, has expired, or lacks a claim.
    pub fn verify(&self, token: &str) -> Result<SessionTokenClaims, TokenError> {
        self.verify_at(token, SystemTime::now())
    }

    /// Verifies a token at the time `now` and returns its claims.
    ///
    /// # Errors
    /// See [`verify`](Self::verify).
    pub fn verify_at(&self, token: &str, now: SystemTime) -> Result<SessionTokenClaims, TokenError> {
        let parts = Parts::split(token)?;
        parts.pin_algorithm()?;
        // Verified before the claims are decoded. The comparison is constant-time.
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

/// The claims of a verified token. `Debug` shows nothing secret or personal.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct SessionTokenClaims {
    /// The scope.
    pub scope: SessionScope,
    /// The user.
    pub user_id: String,
    /// The opaque credential of the user.
    pub user_token: Option<String>,
    /// The agent that the token is restricted to.
    pub agent_id: Option<String>,
    /// The user's name and e-mail address.
    pub user_meta: Option<UserMeta>,
    /// The user's identities on other channels.
    pub user_identities: Vec<UserIdentity>,
    /// The permissions, if they are limited.
    pub permissions: Option<Vec<String>>,
    /// The issuer: `entity` or `platos-platform`.
    pub issuer: Option<String>,
    /// When it was issued, in seconds since 1970.
    pub issued_at: u64,
    /// When it expires, in seconds since 1970.
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

/// The claims that were not read yet.
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
