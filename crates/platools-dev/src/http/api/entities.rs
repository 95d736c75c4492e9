//! Entities, and whether a host is connected in each of their environments.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::entity::ConnectedEntity;
use crate::http::App;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::time::rfc3339;
use crate::key::EntityKey;
use crate::state::Seat;
use crate::state::State as PlatformState;

/// `GET /api/v1/entities`
pub(in crate::http) async fn list(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let slugs: Vec<String> =
        app.shared.read(|state| state.entities().map(|(slug, _)| slug.to_owned()).collect());
    let mut entities = Vec::new();
    for slug in slugs {
        let mut environments = Vec::new();
        for environment in crate::key::ENVIRONMENTS {
            let entity = app.entity(&slug, environment)?;
            environments.push(app.shared.read(|state| seat_of(state, &entity)));
        }
        entities.push(json!({"entity": slug, "environments": environments}));
    }
    let default = EntityKey::new(&app.shared.default_entity, "dev");
    let counters = app.shared.read(|state| state.counters);
    Ok(Json(json!({
        "default": {"entity": default.entity, "environment": default.environment},
        "entities": entities,
        "counters": counters,
    })))
}

/// `GET /api/v1/entities/{entity}/{environment}`
pub(in crate::http) async fn one(
    State(app): State<App>,
    Path((entity, environment)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let entity = app.entity(&entity, &environment)?;
    Ok(Json(app.shared.read(|state| seat_of(state, &entity))))
}

fn seat_of(state: &PlatformState, entity: &ConnectedEntity) -> Value {
    let key = entity.key();
    let Some(seat) = state.seat(key) else { return Value::Null };
    let Seat { connection, registration, health, ignores_heartbeats, .. } = seat;
    json!({
        "entity": key.entity,
        "environment": key.environment,
        "url": entity.url(),
        "connected": connection.is_some(),
        "connection": connection.as_ref().map(|connection| json!({
            "id": connection.id(),
            "since": rfc3339(connection.since()),
            "frozen": connection.is_frozen(),
        })),
        "ignores_heartbeats": ignores_heartbeats,
        "refused_registrations": registration.refusals_left(),
        "tools": registration.tools().len(),
        "visible": registration.is_visible(),
        "callback_url": registration.callback_url(),
        "registrations": registration.applied(),
        "heartbeats": health.count(),
        "last_heartbeat": health.beats().last().copied().map(rfc3339),
    })
}
