//! The routes of session tokens in a build without the feature `session-tokens`: they say that it is missing.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::Caller;
use crate::entity::ConnectedEntity;
use crate::http::app::App;
use crate::http::error::ApiError;

/// Mint a session token
#[utoipa::path(
    post,
    path = "/api/v1/entities/{entity}/session-tokens",
    operation_id = "mintSessionToken",
    responses((status = 501, description = "This platform was built without session tokens"))
)]
pub(in crate::http) async fn mint() -> Result<Json<Value>, ApiError> {
    Err(off())
}

/// The claims of a session token, once it is checked
#[utoipa::path(
    get,
    path = "/api/v1/session",
    operation_id = "checkSession",
    responses((status = 501, description = "This platform was built without session tokens"))
)]
pub(in crate::http) async fn check() -> Result<Json<Value>, ApiError> {
    Err(off())
}

/// Refuses a call that comes with a session token, which cannot be verified here.
pub(super) fn caller(_: &App, _: &ConnectedEntity, headers: &HeaderMap) -> Result<Option<Caller>, ApiError> {
    if headers.contains_key("x-platos-session-token") { Err(off()) } else { Ok(None) }
}

fn off() -> ApiError {
    ApiError::new(
        StatusCode::NOT_IMPLEMENTED,
        "session_tokens_off",
        "this development platform was built without session tokens: start `platools dev`, or build `platools-dev` \
         with its feature `session-tokens`",
    )
}
