//! Session tokens: minted at the path and in the shape of the platform's own mint, and checked.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use platools::session_token::{
    MAX_LIFETIME, MIN_LIFETIME, MintError, SESSION_TOKEN_HEADER, SessionTokenClaims, TokenVerifier,
    UserIdentity, UserMeta, decode_unverified,
};
use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
use platools_net::header::ambiguous;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Caller;
use crate::entity::ConnectedEntity;
use crate::http::App;
use crate::http::error::ApiError;
use crate::http::extract::{Body, Path};
use crate::key::resolve_environment;

/// What a token shall say. The scope may be left out, since there is one organization and one project.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Request {
    organization_id: Option<String>,
    project_id: Option<String>,
    environment_id: Option<String>,
    user_id: String,
    user_token: Option<String>,
    ttl_seconds: Option<u64>,
    agent_id: Option<String>,
    #[serde(default)]
    user_meta: UserMeta,
    #[serde(default)]
    user_identities: Vec<UserIdentity>,
    #[serde(default)]
    claims: BTreeMap<String, Value>,
}

/// `POST /api/v1/entities/{entity}/session-tokens`
pub(in crate::http) async fn mint(
    State(app): State<App>,
    Path(entity): Path<String>,
    Body(request): Body<Request>,
) -> Result<Json<Value>, ApiError> {
    let environment = request.environment_id.as_deref();
    let environment = resolve_environment(environment).or(environment).unwrap_or_default();
    let entity = app.entity(&entity, environment)?;
    let scope = entity.scope();
    for (name, wanted, found) in [
        ("organizationId", &request.organization_id, &scope.organization_id),
        ("projectId", &request.project_id, &scope.project_id),
    ] {
        if wanted.is_some() && wanted != found {
            let found = found.as_deref().unwrap_or_default();
            let message = format!("`{name}` is another one's: this platform has `{found}` alone");
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "scope_mismatch", message));
        }
    }
    let token =
        SessionTokens::new(entity).mint(request.into_claims()).await.map_err(|error| match error {
            MintError::Claims(error) => ApiError::bad_request("invalid_claims", error.to_string()),
            other => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", other.to_string()),
        })?;
    Ok(Json(json!({"token": token.as_str(), "expiresAt": token.expires_at()})))
}

impl Request {
    fn into_claims(self) -> SessionClaims {
        let mut claims = SessionClaims::for_user(self.user_id);
        if let Some(seconds) = self.ttl_seconds {
            // The platform's own mint clamps too.
            claims = claims.lifetime(Duration::from_secs(seconds).clamp(MIN_LIFETIME, MAX_LIFETIME));
        }
        if let Some(token) = self.user_token {
            claims = claims.user_token(token);
        }
        if let Some(agent) = self.agent_id {
            claims = claims.agent(agent);
        }
        if let Some(name) = self.user_meta.name {
            claims = claims.name(name);
        }
        if let Some(email) = self.user_meta.email {
            claims = claims.email(email);
        }
        let claims = self.user_identities.into_iter().fold(claims, SessionClaims::identity);
        self.claims.into_iter().fold(claims, |claims, (name, value)| claims.claim(name, value))
    }
}

/// `GET /api/v1/session`
pub(in crate::http) async fn check(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let token = presented(&headers)?.ok_or_else(|| {
        refused("session_token_missing", format!("send the session token as `{SESSION_TOKEN_HEADER}: …`"))
    })?;
    let claims = verify(&app, token)?;
    Ok(Json(json!({
        "organizationId": claims.scope.organization_id,
        "projectId": claims.scope.project_id,
        "environmentId": claims.scope.environment_id,
        "entityId": claims.scope.entity_id,
        "userId": claims.user_id,
        "hasUserToken": claims.user_token.is_some(),
        "agentId": claims.agent_id,
        "userMeta": claims.user_meta,
        "userIdentities": claims.user_identities,
        "permissions": claims.permissions,
        "issuer": claims.issuer,
        "issuedAt": claims.issued_at,
        "expiresAt": claims.expires_at,
        "claims": claims.extra,
    })))
}

/// Returns the user that calls at `entity` by a session token, if one was sent.
pub(super) fn caller(
    app: &App,
    entity: &ConnectedEntity,
    headers: &HeaderMap,
) -> Result<Option<Caller>, ApiError> {
    let Some(token) = presented(headers)? else { return Ok(None) };
    let claims = verify(app, token)?;
    let key = entity.key();
    let is_here = claims.scope.entity_id == key.entity
        && resolve_environment(Some(&claims.scope.environment_id)) == Some(key.environment.as_str());
    if is_here {
        Ok(Some(Caller { user: claims.user_id, user_token: claims.user_token, agent: claims.agent_id }))
    } else {
        Err(refused(
            "scope_mismatch",
            format!("the session token is for another entity or environment than {key}"),
        ))
    }
}

fn presented(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    if let Some(problem) = ambiguous(headers) {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "ambiguous_header", problem));
    }
    let Some(value) = headers.get(SESSION_TOKEN_HEADER) else { return Ok(None) };
    value
        .to_str()
        .map(Some)
        .map_err(|_| refused("malformed", "the session token has characters that no token has"))
}

/// The claims of a token of any entity here, by that entity's secret as it is now.
fn verify(app: &App, token: &str) -> Result<SessionTokenClaims, ApiError> {
    let refuse = |error: platools::session_token::TokenError| refused(error.reason(), error.to_string());
    // Which secret it has to fit is what it says about itself; nothing else of this is trusted.
    let unverified = decode_unverified(token).map_err(refuse)?;
    let named = |claim| unverified.text(claim).unwrap_or_default();
    let environment = resolve_environment(Some(named("environmentId"))).unwrap_or_default();
    let Ok(entity) = app.entity(named("entityId"), environment) else {
        return Err(refused(
            "scope_mismatch",
            "the session token is for an entity or environment that is not here",
        ));
    };
    let scope = SessionScope::try_from(entity.scope())
        .map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()))?;
    TokenVerifier::new(&entity.secret()).scope(scope).verify(token).map_err(refuse)
}

fn refused(code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, code, message)
}
