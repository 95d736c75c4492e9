//! Entities, with the state of each environment.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::entity::ConnectedEntity;
use crate::event::Counters;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::openapi::environment;
use crate::http::time::rfc3339;
use crate::key::ENVIRONMENTS;
use crate::state;

#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the API")]
pub(in crate::http) struct Entities {
    #[schema(inline)]
    default: Default,
    #[schema(inline)]
    entities: Vec<Entity>,
    /// How often things happened since the platform started.
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    counters: Counters,
}

#[derive(Serialize, ToSchema)]
struct Default {
    entity: String,
    environment: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Entity {
    entity: String,
    environments: Vec<Seat>,
}

/// An entity in an environment.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Seat {
    entity: String,
    #[schema(schema_with = environment)]
    environment: String,
    /// For `PLATOS_URL`.
    url: String,
    connected: bool,
    #[schema(required)]
    connection: Option<Connection>,
    ignores_heartbeats: bool,
    /// How many more registrations are refused on purpose.
    refused_registrations: u32,
    /// How many tools are declared.
    tools: usize,
    /// Whether agents see the tools.
    visible: bool,
    /// Where the tools are called while no host is connected.
    #[schema(required)]
    callback_url: Option<String>,
    registrations: u64,
    heartbeats: u64,
    #[schema(required, format = DateTime)]
    last_heartbeat: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Connection {
    id: String,
    #[schema(format = DateTime)]
    since: String,
    frozen: bool,
}

/// All entities, with the state of each environment
#[utoipa::path(
    get,
    path = "/api/v1/entities",
    operation_id = "listEntities",
    responses((status = 200, description = "The entities", body = Entities))
)]
pub(in crate::http) async fn list(State(app): State<App>) -> Result<Json<Entities>, ApiError> {
    let slugs: Vec<String> =
        app.shared.read(|state| state.entities().map(|(slug, _)| slug.to_owned()).collect());
    let mut entities = Vec::new();
    for entity in slugs {
        let seats = ENVIRONMENTS.iter().map(|environment| Ok(Seat::of(&app.entity(&entity, environment)?)));
        let environments = seats.collect::<Result<_, ApiError>>()?;
        entities.push(Entity { entity, environments });
    }
    let default = Default { entity: app.shared.default_entity.clone(), environment: "dev" };
    Ok(Json(Entities { default, entities, counters: app.shared.read(|state| state.counters) }))
}

/// One entity in one environment
#[utoipa::path(
    get,
    path = "/api/v1/entities/{entity}/{environment}",
    operation_id = "getEntity",
    responses((status = 200, description = "Its state", body = Seat))
)]
pub(in crate::http) async fn one(
    State(app): State<App>,
    Path((entity, environment)): Path<(String, String)>,
) -> Result<Json<Seat>, ApiError> {
    Ok(Json(Seat::of(&app.entity(&entity, &environment)?)))
}

impl Seat {
    fn of(entity: &ConnectedEntity) -> Self {
        let key = entity.key();
        entity.look(|seat| {
            let state::Seat { connection, registration, health, ignores_heartbeats, .. } = seat;
            Self {
                entity: key.entity.clone(),
                environment: key.environment.clone(),
                url: entity.url(),
                connected: connection.is_some(),
                connection: connection.as_ref().map(|connection| Connection {
                    id: connection.id().to_owned(),
                    since: rfc3339(connection.since()),
                    frozen: connection.is_frozen(),
                }),
                ignores_heartbeats: *ignores_heartbeats,
                refused_registrations: registration.refusals_left(),
                tools: registration.tools().len(),
                visible: registration.is_visible(),
                callback_url: registration.callback_url().map(str::to_owned),
                registrations: registration.applied(),
                heartbeats: health.count(),
                last_heartbeat: health.beats().last().copied().map(rfc3339),
            }
        })
    }
}
