//! The local mint, which signs with the entity's secret.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde::Serialize;
use serde_json::Value;

use super::rotating::{Rotating, Unusable};
use super::{
    CheckedClaims, Mint, MintConfigError, MintError, SessionScope, SessionToken, UserIdentity, UserMeta,
    unix_seconds,
};
use crate::jwt;
use crate::verify::{Secret, SecretSource};

/// The encoded header `{"alg":"HS256","typ":"JWT"}` with its trailing dot.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.";

/// Signs tokens in this process with the service secret.
///
/// Follows a rotated secret: a file or a variable is read again at most once a second, a callback is called again at
/// most once a minute. If loading fails, the last secret stays in use.
pub struct LocalMint {
    scope: SessionScope,
    key: Rotating<EncodingKey>,
}

impl LocalMint {
    /// Creates a mint for one scope. Loads the secret on the current thread.
    ///
    /// # Errors
    /// If the secret is missing or invalid, or an id of the scope is blank.
    pub fn new(secret: SecretSource, scope: SessionScope) -> Result<Self, MintConfigError> {
        jwt::choose_provider();
        scope.check()?;
        let key = Rotating::new(secret, key).map_err(|unusable| match unusable {
            Unusable::Secret(error) => MintConfigError::Secret(error),
            #[cfg(feature = "remote-mint")]
            Unusable::Refused(problem) => MintConfigError::Bearer { problem: problem.to_owned() },
        })?;
        Ok(Self { scope, key })
    }

    fn sign(&self, key: &EncodingKey, claims: &CheckedClaims, now: u64) -> Result<SessionToken, MintError> {
        let expires_at = now.saturating_add(claims.lifetime_seconds());
        let body = Body::new(&self.scope, claims, now, expires_at);
        let json = serde_json::to_vec(&body).map_err(MintError::other)?;
        claims.fit(json.len())?;
        let mut token = String::with_capacity(HEADER.len() + json.len() * 4 / 3 + 48);
        token.push_str(HEADER);
        BASE64URL_NOPAD.encode_append(&json, &mut token);
        let signature =
            jsonwebtoken::crypto::sign(token.as_bytes(), key, Algorithm::HS256).map_err(MintError::other)?;
        token.push('.');
        token.push_str(&signature);
        Ok(SessionToken::new(token, expires_at))
    }
}

/// Creates the key from the bytes of the text; hexadecimal digits are not decoded.
#[allow(clippy::unnecessary_wraps, reason = "other uses of a secret can reject it")]
fn key(secret: &Secret) -> Result<EncodingKey, Unusable> {
    Ok(EncodingKey::from_secret(secret.expose().as_bytes()))
}

#[async_trait]
impl Mint for LocalMint {
    async fn mint(&self, claims: &CheckedClaims) -> Result<SessionToken, MintError> {
        let key = self.key.get().await;
        self.sign(&key, claims, unix_seconds(SystemTime::now()))
    }
}

impl fmt::Debug for LocalMint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalMint").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// The claims as they are signed, in the order of the protocol page.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    organization_id: &'a str,
    project_id: &'a str,
    environment_id: &'a str,
    entity_id: &'a str,
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_meta: Option<&'a UserMeta>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    user_identities: &'a [UserIdentity],
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<&'a [String]>,
    iss: &'static str,
    iat: u64,
    exp: u64,
    #[serde(flatten)]
    extra: &'a BTreeMap<String, Value>,
}

impl<'a> Body<'a> {
    fn new(scope: &'a SessionScope, claims: &'a CheckedClaims, iat: u64, exp: u64) -> Self {
        Self {
            organization_id: &scope.organization_id,
            project_id: &scope.project_id,
            environment_id: &scope.environment_id,
            entity_id: &scope.entity_id,
            user_id: claims.user_id(),
            user_token: claims.user_token(),
            agent_id: claims.agent_id(),
            user_meta: claims.user_meta(),
            user_identities: claims.user_identities(),
            permissions: claims.permissions(),
            iss: "entity",
            iat,
            exp,
            extra: claims.extra(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session_token::SessionClaims;

    fn mint() -> LocalMint {
        let scope = SessionScope::new("org_1", "proj_1", "env_1", "orders");
        LocalMint::new(SecretSource::text("0123456789abcdef"), scope).unwrap()
    }

    fn signed(claims: SessionClaims) -> Result<SessionToken, MintError> {
        let mint = mint();
        let key = EncodingKey::from_secret(b"0123456789abcdef");
        mint.sign(&key, &claims.check().unwrap(), 1_790_000_000)
    }

    fn body(token: &SessionToken) -> String {
        let claims = token.as_str().split('.').nth(1).unwrap();
        String::from_utf8(BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_token_has_exactly_the_given_claims_in_protocol_order() {
        let token = signed(SessionClaims::for_user("usr_7")).unwrap();
        assert_eq!(
            BASE64URL_NOPAD.decode(HEADER.trim_end_matches('.').as_bytes()).unwrap(),
            br#"{"alg":"HS256","typ":"JWT"}"#
        );
        assert!(token.as_str().starts_with(HEADER));
        assert_eq!(
            body(&token),
            r#"{"organizationId":"org_1","projectId":"proj_1","environmentId":"env_1","entityId":"orders","userId":"usr_7","iss":"entity","iat":1790000000,"exp":1790003600}"#
        );
        assert_eq!(token.expires_at(), 1_790_003_600);

        let claims = SessionClaims::for_user("usr_7")
            .user_token("opaque")
            .agent("agt")
            .name("Ada")
            .identity(UserIdentity::new("Email", "a@b").verified(true))
            .permission("read")
            .claim("plan", "pro")
            .claim("n", 1.5);
        assert_eq!(
            body(&signed(claims).unwrap()),
            r#"{"organizationId":"org_1","projectId":"proj_1","environmentId":"env_1","entityId":"orders","userId":"usr_7","userToken":"opaque","agentId":"agt","userMeta":{"name":"Ada"},"userIdentities":[{"channel":"email","handle":"a@b","verified":true}],"permissions":["read"],"iss":"entity","iat":1790000000,"exp":1790003600,"n":1.5,"plan":"pro"}"#
        );
    }

    #[test]
    fn too_large_claims_are_rejected_and_the_largest_is_named() {
        let error = signed(SessionClaims::for_user("usr_7").claim("story", "s3cret".repeat(2_000)));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("`story`") && !error.contains("s3crets3cret"), "{error}");
        let fits = signed(SessionClaims::for_user("usr_7").claim("story", "x".repeat(5_000))).unwrap();
        assert!(fits.as_str().len() < 8_000, "{}", fits.as_str().len());
    }

    #[test]
    fn a_mint_needs_a_secret_and_a_scope() {
        let scope = SessionScope::new("org_1", "proj_1", "env_1", "orders");
        let error = LocalMint::new(SecretSource::text("short"), scope.clone()).unwrap_err().to_string();
        assert!(error.contains("at least 16"), "{error}");
        let blank = SessionScope { entity_id: " ".to_owned(), ..scope };
        let error = LocalMint::new(SecretSource::text("0123456789abcdef"), blank).unwrap_err().to_string();
        assert!(error.contains("`entityId`"), "{error}");
        assert!(!format!("{:?}", mint()).contains("0123456789"));
    }
}
