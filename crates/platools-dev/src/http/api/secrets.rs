//! The secret of an entity, for the lines that a host is started with, and the token of this API.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::error::ApiError;
use crate::http::extract::Path;

/// `GET /api/v1/entities/{entity}/secret`
pub(in crate::http) async fn show(
    State(app): State<App>,
    Path(entity): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let entity = app.entity(&entity, "dev")?;
    Ok(Json(json!({"entity": entity.key().entity, "secret": entity.secret().expose()})))
}

/// `POST /api/v1/entities/{entity}/secret`
pub(in crate::http) async fn rotate(
    State(app): State<App>,
    Path(entity): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let entity = app.entity(&entity, "dev")?;
    let secret = entity.faults().rotate_secret()?;
    Ok(Json(json!({"entity": entity.key().entity, "secret": secret.expose()})))
}

/// `GET /api/v1/token`
pub(in crate::http) async fn token(State(app): State<App>) -> Json<Value> {
    Json(json!({"token": app.token.expose()}))
}
