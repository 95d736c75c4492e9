//! The tools that hosts declared: a page of them, or one.

use axum::Json;
use axum::extract::State;
use platools::wire::platform::DeclaredTool;
use platools::wire::{MAX_FRAME_BYTES, MAX_RESULT_BYTES};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::App;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::time::milliseconds;

/// How many tools a page has, unless it is asked for another number.
const PAGE: usize = 100;

/// The most tools that a page may have.
const LARGEST_PAGE: usize = 1000;

/// The longest description that the platform takes from operators, in characters (protocol §3).
const MAX_DESCRIPTION: usize = 8_192;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Wanted {
    #[serde(default)]
    search: String,
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
    #[serde(default)]
    schemas: bool,
}

/// `GET /api/v1/entities/{entity}/{environment}/tools`
pub(in crate::http) async fn list(
    State(app): State<App>,
    Path((entity, environment)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, ApiError> {
    let limit = wanted.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let message = format!("`limit` is {limit}: choose 1 to {LARGEST_PAGE}");
        return Err(ApiError::bad_request("invalid_query", message));
    }
    let key = app.entity(&entity, &environment)?.key().clone();
    let words: Vec<String> = wanted.search.split_whitespace().map(str::to_lowercase).collect();
    Ok(Json(app.shared.read(|state| {
        let Some(seat) = state.seat(&key) else { return Value::Null };
        let tools = seat.registration.tools();
        let mut found: Vec<(Rank, &DeclaredTool)> =
            tools.values().filter_map(|tool| Some((rank(tool, &words)?, tool))).collect();
        // Stable, so the names stay in order among equals.
        found.sort_by_key(|(rank, _)| *rank);
        let show = if wanted.schemas { whole } else { summary };
        let page: Vec<Value> =
            found.iter().skip(wanted.offset).take(limit).map(|(_, tool)| show(tool)).collect();
        json!({"total": tools.len(), "matching": found.len(), "offset": wanted.offset, "tools": page})
    })))
}

/// `GET /api/v1/entities/{entity}/{environment}/tools/{tool}`
pub(in crate::http) async fn one(
    State(app): State<App>,
    Path((entity, environment, name)): Path<(String, String, String)>,
) -> Result<Json<Value>, ApiError> {
    let entity = app.entity(&entity, &environment)?;
    let Some(tool) = entity.tool(&name) else {
        let message =
            format!("{} has no tool `{name}`: its host has not declared it, or withdrew it", entity.key());
        return Err(ApiError::not_found("unknown_tool", message));
    };
    let mut shown = whole(&tool);
    shown["limits"] = json!({
        "answer_ms": milliseconds(app.shared.options.pending_time),
        "arguments_bytes": MAX_FRAME_BYTES,
        "result_units": MAX_RESULT_BYTES,
        "description_characters": MAX_DESCRIPTION,
    });
    Ok(Json(shown))
}

fn whole(tool: &DeclaredTool) -> Value {
    let mut whole = summary(tool);
    whole["input_schema"] = tool.input_schema.clone();
    whole["output_schema"] = tool.output_schema.clone().unwrap_or_default();
    whole
}

fn summary(tool: &DeclaredTool) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "auth": tool.auth,
        "roles": tool.roles,
        "annotations": tool.annotations,
    })
}

/// How well a tool fits a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    NameStarts,
    NameContains,
    DescriptionContains,
}

/// `None` when a word is nowhere in the tool.
fn rank(tool: &DeclaredTool, words: &[String]) -> Option<Rank> {
    let Some(first) = words.first() else { return Some(Rank::NameStarts) };
    let title = tool.annotations.get("title").and_then(Value::as_str).unwrap_or_default();
    let name = format!("{} {title}", tool.name).to_lowercase();
    if words.iter().all(|word| name.contains(word)) {
        return Some(if name.starts_with(first) { Rank::NameStarts } else { Rank::NameContains });
    }
    let description = tool.description.to_lowercase();
    let is_found = words.iter().all(|word| name.contains(word) || description.contains(word));
    is_found.then_some(Rank::DescriptionContains)
}
