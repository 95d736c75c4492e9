//! The secret of an entity, to start a host with, and the token of this API.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::Path;

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Secret {
    entity: String,
    secret: String,
}

/// The service secret, to start a host with
#[utoipa::path(
    get,
    path = "/api/v1/entities/{entity}/secret",
    operation_id = "showSecret",
    responses((status = 200, description = "The secret", body = Secret))
)]
pub(in crate::http) async fn show(
    State(app): State<App>,
    Path(entity): Path<String>,
) -> Result<Json<Secret>, ApiError> {
    let secret = app.entity(&entity, "dev")?.secret().expose().to_owned();
    Ok(Json(Secret { entity, secret }))
}

/// Give the entity a new random secret
///
/// Closes the entity's connections in all environments with 4001.
#[utoipa::path(
    post,
    path = "/api/v1/entities/{entity}/secret",
    operation_id = "rotateSecret",
    responses((status = 200, description = "The new secret", body = Secret))
)]
pub(in crate::http) async fn rotate(
    State(app): State<App>,
    Path(entity): Path<String>,
) -> Result<Json<Secret>, ApiError> {
    let secret = app.entity(&entity, "dev")?.faults().rotate_secret()?.expose().to_owned();
    Ok(Json(Secret { entity, secret }))
}

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Token {
    token: String,
}

/// The API token, for programs
#[utoipa::path(
    get,
    path = "/api/v1/token",
    operation_id = "showToken",
    responses((status = 200, description = "The token", body = inline(Token)))
)]
pub(in crate::http) async fn token(State(app): State<App>) -> Json<Token> {
    Json(Token { token: app.token.expose().to_owned() })
}
