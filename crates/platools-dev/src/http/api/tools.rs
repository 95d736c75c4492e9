//! The tools that hosts declared: a page of them, or one.

use axum::Json;
use axum::extract::State;
use platools::wire::platform::DeclaredTool;
use platools::wire::{MAX_FRAME_BYTES, MAX_RESULT_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{AnyOfBuilder, Array, Ref, Schema};
use utoipa::{IntoParams, ToSchema};

use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::time::milliseconds;

/// Number of tools on a page, unless the request states another.
const PAGE: usize = 100;

/// The most tools that a page may have.
const LARGEST_PAGE: usize = 1000;

/// The longest description that the platform takes from operators, in characters (protocol §3).
const MAX_DESCRIPTION: usize = 8_192;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Wanted {
    /// Words that must all stand in the name or the description.
    #[serde(default)]
    search: String,
    /// How many matches to skip.
    #[serde(default)]
    offset: usize,
    /// How many tools to return at most.
    #[param(minimum = 1, maximum = 1000, default = 100, nullable = false)]
    limit: Option<usize>,
    /// Whether each tool comes with its schemas.
    #[serde(default)]
    #[param(default = false)]
    schemas: bool,
}

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ToolPage {
    total: usize,
    matching: usize,
    offset: usize,
    #[schema(schema_with = entries)]
    tools: Vec<Entry>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry {
    Whole(Tool),
    Summary(ToolSummary),
}

fn entries() -> Array {
    let entry = ["Tool", "ToolSummary"].into_iter().map(Ref::from_schema_name);
    Array::new(Schema::from(entry.fold(AnyOfBuilder::new(), AnyOfBuilder::item).build()))
}

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ToolSummary {
    name: String,
    description: String,
    #[schema(required)]
    auth: Option<String>,
    roles: Vec<String>,
    #[schema(value_type = Object)]
    annotations: Map<String, Value>,
}

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Tool {
    #[serde(flatten)]
    summary: ToolSummary,
    input_schema: Value,
    #[schema(required)]
    output_schema: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline, nullable = false)]
    limits: Option<Limits>,
}

/// The limits of the platform; only for a tool that is asked for alone.
#[derive(Serialize, ToSchema)]
struct Limits {
    /// How long an answer is waited for.
    answer_ms: f64,
    /// The largest frame.
    arguments_bytes: usize,
    /// The largest result over the WebSocket, in UTF-16 units.
    result_units: usize,
    description_characters: usize,
}

/// Tools, searched and page by page
#[utoipa::path(
    get,
    path = "/api/v1/entities/{entity}/{environment}/tools",
    operation_id = "listTools",
    params(Wanted),
    responses((status = 200, description = "A page of tools, best match first, then by name", body = ToolPage))
)]
pub(in crate::http) async fn list(
    State(app): State<App>,
    Path((entity, environment)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<ToolPage>, ApiError> {
    let limit = wanted.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let message = format!("`limit` is {limit}: choose 1 to {LARGEST_PAGE}");
        return Err(ApiError::bad_request("invalid_query", message));
    }
    let entity = app.entity(&entity, &environment)?;
    let words: Vec<String> = wanted.search.split_whitespace().map(str::to_lowercase).collect();
    Ok(Json(entity.look(|seat| {
        let tools = seat.registration.tools();
        let mut found: Vec<(Rank, &DeclaredTool)> =
            tools.values().filter_map(|tool| Some((rank(tool, &words)?, tool))).collect();
        // Stable, so the names stay in order among equals.
        found.sort_by_key(|(rank, _)| *rank);
        let page = found.iter().skip(wanted.offset).take(limit).map(|(_, tool)| {
            if wanted.schemas {
                Entry::Whole(Tool::new(tool))
            } else {
                Entry::Summary(ToolSummary::new(tool))
            }
        });
        ToolPage { total: tools.len(), matching: found.len(), offset: wanted.offset, tools: page.collect() }
    })))
}

/// One tool, with its schemas
#[utoipa::path(
    get,
    path = "/api/v1/entities/{entity}/{environment}/tools/{tool}",
    operation_id = "getTool",
    responses((status = 200, description = "The tool as its host declared it", body = Tool))
)]
pub(in crate::http) async fn one(
    State(app): State<App>,
    Path((entity, environment, name)): Path<(String, String, String)>,
) -> Result<Json<Tool>, ApiError> {
    let entity = app.entity(&entity, &environment)?;
    let Some(tool) = entity.tool(&name) else {
        let message =
            format!("{} has no tool `{name}`: its host has not declared it, or withdrew it", entity.key());
        return Err(ApiError::not_found("unknown_tool", message));
    };
    let limits = Limits {
        answer_ms: milliseconds(app.shared.options.pending_time),
        arguments_bytes: MAX_FRAME_BYTES,
        result_units: MAX_RESULT_BYTES,
        description_characters: MAX_DESCRIPTION,
    };
    Ok(Json(Tool { limits: Some(limits), ..Tool::new(&tool) }))
}

impl Tool {
    fn new(tool: &DeclaredTool) -> Self {
        Self {
            summary: ToolSummary::new(tool),
            input_schema: tool.input_schema.clone(),
            output_schema: tool.output_schema.clone().unwrap_or_default(),
            limits: None,
        }
    }
}

impl ToolSummary {
    fn new(tool: &DeclaredTool) -> Self {
        let DeclaredTool { name, description, auth, roles, annotations, .. } = tool.clone();
        Self { name, description, auth, roles, annotations }
    }
}

/// The rank of a tool in a search.
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
