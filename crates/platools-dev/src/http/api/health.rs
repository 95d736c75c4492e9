//! The platform's sign of life, and the health of a host's tools.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use platools::wire::HealthStatus;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::health::Sample;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::openapi::one_of;
use crate::http::time::rfc3339;

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Health {
    #[schema(schema_with = ok)]
    status: &'static str,
    name: &'static str,
    version: &'static str,
}

/// The platform's sign of life
#[utoipa::path(
    get,
    path = "/api/v1/health",
    operation_id = "health",
    responses((status = 200, description = "It is up", body = inline(Health)))
)]
pub(in crate::http) async fn platform() -> Json<Health> {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    Json(Health { status: "ok", name, version })
}

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct HostHealth {
    heartbeats: u64,
    /// When the last heartbeats came, oldest first.
    #[schema(format = DateTime)]
    beats: Vec<String>,
    #[schema(inline)]
    tools: BTreeMap<String, ToolFigures>,
}

#[derive(Serialize, ToSchema)]
struct ToolFigures {
    latest: ToolHealth,
    samples: Vec<HealthSample>,
}

#[derive(Serialize, ToSchema)]
struct ToolHealth {
    #[schema(schema_with = statuses)]
    status: HealthStatus,
    avg_latency_ms: u64,
    error_count_1h: u64,
    #[schema(required)]
    last_error: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct HealthSample {
    #[schema(format = DateTime)]
    at: String,
    #[schema(schema_with = statuses)]
    status: HealthStatus,
    avg_latency_ms: u64,
    error_count_1h: u64,
}

fn ok() -> Object {
    one_of(&["ok"])
}

fn statuses() -> Object {
    one_of(&["healthy", "degraded", "down"])
}

impl HealthSample {
    fn new(sample: &Sample) -> Self {
        let Sample { at, status, avg_latency_ms, error_count_1h } = *sample;
        Self { at: rfc3339(at), status, avg_latency_ms, error_count_1h }
    }
}

/// The figures of the heartbeats
#[utoipa::path(
    get,
    path = "/api/v1/entities/{entity}/{environment}/health",
    operation_id = "hostHealth",
    responses((status = 200, description = "Heartbeats, and figures by tool", body = HostHealth))
)]
pub(in crate::http) async fn host(
    State(app): State<App>,
    Path((entity, environment)): Path<(String, String)>,
) -> Result<Json<HostHealth>, ApiError> {
    let entity = app.entity(&entity, &environment)?;
    Ok(Json(entity.look(|seat| {
        let health = &seat.health;
        let tools = health.latest().iter().map(|(name, latest)| {
            let latest = latest.clone();
            let latest = ToolHealth {
                status: latest.status,
                avg_latency_ms: latest.avg_latency_ms,
                error_count_1h: latest.error_count_1h,
                last_error: latest.last_error,
            };
            (
                name.clone(),
                ToolFigures { latest, samples: health.samples(name).map(HealthSample::new).collect() },
            )
        });
        HostHealth {
            heartbeats: health.count(),
            beats: health.beats().copied().map(rfc3339).collect(),
            tools: tools.collect(),
        }
    })))
}
