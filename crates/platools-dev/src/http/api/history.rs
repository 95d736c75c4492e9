//! The calls that were made: listed, looked at, and made again.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use platools::wire::Inbound;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::call::SignedCall;
use crate::call::report::CallStage;
use crate::history::History;
use crate::history::HistoryEntry;
use crate::history::HistoryQuery;
use crate::history::Tally;
use crate::http::App;
use crate::http::error::ApiError;
use crate::http::extract::{Body, Path, Query};
use crate::http::view::{CallSummary, CallView, shown};

/// How many calls a page has, unless it is asked for another number.
const PAGE: usize = 50;

/// The most calls that a page may have.
const LARGEST_PAGE: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Wanted {
    entity: Option<String>,
    environment: Option<String>,
    tool: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

/// How a call is made again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Replay {
    mode: Mode,
    wait_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// The same question, signed anew.
    Again,
    /// The same frame, byte for byte, which a host has to refuse.
    Exact,
}

/// `GET /api/v1/history`
pub(in crate::http) async fn list(
    State(app): State<App>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, ApiError> {
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
    Ok(Json(json!({"calls": calls, "kept": kept, "running": running, "made": made})))
}

/// `DELETE /api/v1/history`
pub(in crate::http) async fn clear(State(app): State<App>) -> Result<StatusCode, ApiError> {
    store(&app)?.clear();
    app.shared.keeper.history_cleared();
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/history/{id}`
pub(in crate::http) async fn one(
    State(app): State<App>,
    Path(id): Path<u64>,
) -> Result<Json<CallView>, ApiError> {
    let entry = entry(&app, id)?;
    let secret = app.entity(&entry.key.entity, &entry.key.environment)?.secret();
    Ok(Json(CallView::new(&entry, &secret)))
}

/// `GET /api/v1/history/{id}/frames/{side}`
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

/// `POST /api/v1/history/{id}/abandon`
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

/// `POST /api/v1/history/{id}/replay`
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
