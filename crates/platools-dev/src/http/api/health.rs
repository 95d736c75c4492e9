//! The platform's sign of life, and what hosts tell about their tools.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::http::App;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::time::rfc3339;

/// `GET /api/v1/health`
pub(in crate::http) async fn platform() -> Json<Value> {
    Json(json!({"status": "ok", "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")}))
}

/// `GET /api/v1/entities/{entity}/{environment}/health`
pub(in crate::http) async fn host(
    State(app): State<App>,
    Path((entity, environment)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let key = app.entity(&entity, &environment)?.key().clone();
    Ok(Json(app.shared.read(|state| {
        let Some(seat) = state.seat(&key) else { return Value::Null };
        let health = &seat.health;
        let tools: Map<String, Value> = health
            .latest()
            .iter()
            .map(|(name, latest)| {
                let samples: Vec<Value> = health
                    .samples(name)
                    .map(|sample| {
                        json!({
                            "at": rfc3339(sample.at),
                            "status": sample.status,
                            "avg_latency_ms": sample.avg_latency_ms,
                            "error_count_1h": sample.error_count_1h,
                        })
                    })
                    .collect();
                (name.clone(), json!({"latest": latest, "samples": samples}))
            })
            .collect();
        let beats: Vec<String> = health.beats().copied().map(rfc3339).collect();
        json!({"heartbeats": health.count(), "beats": beats, "tools": tools})
    })))
}
