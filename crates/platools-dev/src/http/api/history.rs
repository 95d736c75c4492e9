//! The calls that were made: listed, looked at, and made again.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use platools::wire::Inbound;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::call::SignedCall;
use crate::call::report::CallStage;
use crate::history::{History, HistoryEntry, HistoryQuery, Tally};
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::{Body, Path, Query};
use crate::http::view::{Call, CallSummary, shown};

/// Number of calls on a page, unless the request states another.
const PAGE: usize = 50;

/// The most calls that a page may have.
const LARGEST_PAGE: usize = 500;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Wanted {
    /// Only this entity's.
    #[param(nullable = false)]
    entity: Option<String>,
    /// Only this environment's.
    #[param(nullable = false)]
    environment: Option<String>,
    /// Only this tool's.
    #[param(nullable = false)]
    tool: Option<String>,
    /// Only calls with a smaller id.
    #[param(nullable = false)]
    before: Option<u64>,
    /// How many calls to return at most.
    #[param(minimum = 1, maximum = 500, default = 50, nullable = false)]
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(in crate::http) struct HistoryPage {
    calls: Vec<CallSummary>,
    /// How many such calls are kept, on this page or not.
    kept: usize,
    /// How many of them have no answer yet.
    running: usize,
    /// How many calls were made since the platform started, kept or not; `null` with `tool`.
    #[schema(required)]
    made: Option<u64>,
}

/// The body of a request to make a call again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Replay {
    #[schema(inline)]
    mode: Mode,
    /// As in a call's `options`.
    #[schema(nullable = false)]
    wait_ms: Option<u64>,
}

/// `again` asks the same with a new call id and signature; `exact` sends the same bytes, which a host has to refuse: as
/// `nonce_replay`, or as what it looks at before, such as `signature_mismatch` when the secret was rotated since.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Again,
    Exact,
}

/// The last calls with those that run, newest first
#[utoipa::path(
    get,
    path = "/api/v1/history",
    operation_id = "listHistory",
    params(Wanted),
    responses((status = 200, description = "A page of calls", body = inline(HistoryPage)))
)]
pub(in crate::http) async fn list(
    State(app): State<App>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<HistoryPage>, ApiError> {
    let Wanted { entity, environment, tool, before, limit } = wanted;
    let limit = limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let message = format!("`limit` is {limit}: choose 1 to {LARGEST_PAGE}");
        return Err(ApiError::bad_request("invalid_query", message));
    }
    let query = HistoryQuery { entity, environment, tool, before, limit };
    let store = store(&app)?;
    let calls: Vec<_> = store.page(&query).iter().map(|entry| CallSummary::new(entry)).collect();
    let whole = HistoryQuery { before: None, ..query };
    let Tally { kept, running } = store.tally(&whole);
    let made = whole.tool.is_none().then(|| {
        let (entity, environment) = (whole.entity.as_deref(), whole.environment.as_deref());
        app.shared.read(|state| state.calls_made(entity, environment))
    });
    Ok(Json(HistoryPage { calls, kept, running, made }))
}

/// Forget all calls
#[utoipa::path(
    delete,
    path = "/api/v1/history",
    operation_id = "clearHistory",
    responses((status = 204, description = "Forgotten"))
)]
pub(in crate::http) async fn clear(State(app): State<App>) -> Result<StatusCode, ApiError> {
    store(&app)?.clear();
    app.shared.keeper.history_cleared();
    Ok(StatusCode::NO_CONTENT)
}

/// One call
#[utoipa::path(
    get,
    path = "/api/v1/history/{id}",
    operation_id = "getCall",
    responses((status = 200, description = "The call", body = Call))
)]
pub(in crate::http) async fn one(
    State(app): State<App>,
    Path(id): Path<u64>,
) -> Result<Json<Call>, ApiError> {
    let entry = entry(&app, id)?;
    let secret = app.entity(&entry.key.entity, &entry.key.environment)?.secret();
    Ok(Json(Call::new(&entry, &secret)))
}

/// A frame of a call, whole and exactly as it was on the wire
#[utoipa::path(
    get,
    path = "/api/v1/history/{id}/frames/{side}",
    operation_id = "getFrame",
    responses((status = 200, description = "The frame", body = String, content_type = "text/plain"))
)]
pub(in crate::http) async fn frame(
    State(app): State<App>,
    Path((id, side)): Path<(u64, String)>,
) -> Result<Response, ApiError> {
    let entry = entry(&app, id)?;
    let frame = match side.as_str() {
        "sent" => Some(&entry.sent),
        "reply" => entry.reply.as_ref(),
        _ => return Err(ApiError::not_found("no_such_path", "a call has the frames `sent` and `reply`")),
    };
    let frame = frame.ok_or_else(|| ApiError::not_found("no_reply", "this call was not answered"))?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], frame.to_string()).into_response())
}

/// Mark a running call as abandoned; it goes on, and the history keeps its answer
#[utoipa::path(
    post,
    path = "/api/v1/history/{id}/abandon",
    operation_id = "abandonCall",
    responses((status = 204, description = "It is abandoned, or was over already"))
)]
pub(in crate::http) async fn abandon(
    State(app): State<App>,
    Path(id): Path<u64>,
) -> Result<StatusCode, ApiError> {
    let entry = entry(&app, id)?;
    // A call that is over was waited for to its end.
    if entry.stage == CallStage::Running && !entry.abandoned {
        app.shared.abandon(&entry.key, &entry.call_id, Some(id));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Make a call again
#[utoipa::path(
    post,
    path = "/api/v1/history/{id}/replay",
    operation_id = "replayCall",
    request_body = inline(Replay),
    responses(
        (status = 200, description = "The new call", body = Call),
        (status = 202, description = "The new call, which still runs after `wait_ms`", body = Call),
        (status = 409)
    )
)]
pub(in crate::http) async fn replay(
    State(app): State<App>,
    Path(id): Path<u64>,
    Body(replay): Body<Replay>,
) -> Result<Response, ApiError> {
    let entry = entry(&app, id)?;
    let entity = app.entity(&entry.key.entity, &entry.key.environment)?;
    let sent = match replay.mode {
        Mode::Exact => {
            let HistoryEntry { call_id, tool, sent, tamper, .. } = &*entry;
            let call = SignedCall {
                call_id: call_id.clone(),
                tool: tool.clone(),
                frame: sent.to_string(),
                tamper: *tamper,
                repeated: true,
            };
            entity.faults().repeat(call)?
        }
        Mode::Again => {
            let Ok(Inbound::ToolCall(call)) = Inbound::parse(&entry.sent) else {
                return Err(ApiError::bad_request(
                    "not_a_call",
                    "the frame of this call cannot be read again",
                ));
            };
            let context = call.params().context_text().and_then(|text| serde_json::from_str(text).ok());
            let before = call.envelope().to_envelope();
            let mut again = entity
                .calling(&entry.tool)
                .arguments_text(call.params().arguments_text())
                .envelope(|envelope| {
                    envelope.user_id = before.user_id;
                    envelope.user_token = before.user_token;
                    envelope.agent_id = before.agent_id;
                    envelope.thread_id = before.thread_id;
                    envelope.entity_token = before.entity_token;
                });
            if let Some(context) = context {
                again = again.context(context);
            }
            again.start()?
        }
    };
    let answered = sent.answer_detached(replay.wait_ms.map(Duration::from_millis)).await;
    shown(answered, &entity.secret())
}

fn store(app: &App) -> Result<&History, ApiError> {
    app.shared.history.as_deref().ok_or_else(|| {
        ApiError::not_found("no_history", "this platform keeps no history: start it with `http(true)`")
    })
}

fn entry(app: &App, id: u64) -> Result<Arc<HistoryEntry>, ApiError> {
    store(app)?.get(id).ok_or_else(|| {
        let message = format!("call {id} is not in the history: it was cleared, or made room for newer ones");
        ApiError::not_found("not_in_history", message)
    })
}
