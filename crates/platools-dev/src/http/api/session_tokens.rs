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
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Caller;
use crate::entity::ConnectedEntity;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::{Body, Path};
use crate::key::resolve_environment;

/// The claims of a token to mint. The scope may be left out, since there is one organization and one project.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct TokenRequest {
    #[schema(nullable = false)]
    organization_id: Option<String>,
    #[schema(nullable = false)]
    project_id: Option<String>,
    /// Id or slug. Default: `dev`.
    #[schema(nullable = false)]
    environment_id: Option<String>,
    user_id: String,
    #[schema(nullable = false)]
    user_token: Option<String>,
    #[schema(nullable = false)]
    ttl_seconds: Option<u64>,
    #[schema(nullable = false)]
    agent_id: Option<String>,
    #[serde(default)]
    #[schema(value_type = Meta, inline)]
    user_meta: UserMeta,
    #[serde(default)]
    #[schema(value_type = Vec<Identity>, inline)]
    user_identities: Vec<UserIdentity>,
    #[serde(default)]
    #[schema(value_type = Object)]
    claims: BTreeMap<String, Value>,
}

/// The user's name and e-mail address.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document alone has it")]
struct Meta {
    #[schema(nullable = false)]
    name: Option<String>,
    #[schema(nullable = false)]
    email: Option<String>,
}

/// A name of the user on a channel.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document alone has it")]
struct Identity {
    channel: String,
    handle: String,
    #[schema(nullable = false)]
    verified: Option<bool>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct MintedToken {
    token: String,
    /// In seconds since 1970.
    expires_at: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Session {
    organization_id: String,
    project_id: String,
    environment_id: String,
    entity_id: String,
    user_id: String,
    has_user_token: bool,
    agent_id: Option<String>,
    #[schema(value_type = Option<Meta>, inline)]
    user_meta: Option<UserMeta>,
    #[schema(value_type = Vec<Identity>, inline)]
    user_identities: Vec<UserIdentity>,
    permissions: Option<Vec<String>>,
    issuer: Option<String>,
    issued_at: u64,
    expires_at: u64,
    #[schema(value_type = Object)]
    claims: Map<String, Value>,
}

/// Mint a session token
///
/// The path and the shape of the platform's own mint, signed with the entity's secret. The lifetime is clamped to 60 s ...
/// 7 days.
#[utoipa::path(
    post,
    path = "/api/v1/entities/{entity}/session-tokens",
    operation_id = "mintSessionToken",
    request_body = TokenRequest,
    responses((status = 200, description = "The token", body = inline(MintedToken)))
)]
pub(in crate::http) async fn mint(
    State(app): State<App>,
    Path(entity): Path<String>,
    Body(request): Body<TokenRequest>,
) -> Result<Json<MintedToken>, ApiError> {
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
    Ok(Json(MintedToken { token: token.as_str().to_owned(), expires_at: token.expires_at() }))
}

impl TokenRequest {
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

/// The claims of a session token, once it is checked
#[utoipa::path(
    get,
    path = "/api/v1/session",
    operation_id = "checkSession",
    params((
        "X-Platos-Session-Token" = String, Header,
        description = "A session token of this entity and environment."
    )),
    responses((status = 200, description = "The claims", body = inline(Session)), (status = 401))
)]
pub(in crate::http) async fn check(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Json<Session>, ApiError> {
    let token = presented(&headers)?.ok_or_else(|| {
        refused("session_token_missing", format!("send the session token as `{SESSION_TOKEN_HEADER}: …`"))
    })?;
    let claims = verify(&app, token)?;
    Ok(Json(Session {
        organization_id: claims.scope.organization_id,
        project_id: claims.scope.project_id,
        environment_id: claims.scope.environment_id,
        entity_id: claims.scope.entity_id,
        user_id: claims.user_id,
        has_user_token: claims.user_token.is_some(),
        agent_id: claims.agent_id,
        user_meta: claims.user_meta,
        user_identities: claims.user_identities,
        permissions: claims.permissions,
        issuer: claims.issuer,
        issued_at: claims.issued_at,
        expires_at: claims.expires_at,
        claims: claims.extra,
    }))
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
