//! A call as the API shows it.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use platools::verify::Secret;
use platools::wire::{Inbound, MAX_RESULT_BYTES};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::ApiError;
use super::time::{milliseconds, rfc3339};
use crate::call::report::CallStage;
use crate::call::report::Content;
use crate::call::report::SignatureParts;
use crate::call::report::Transport;
use crate::call::report::replaced_result;
use crate::call::tamper::Tamper;
use crate::calling::exchange::Exchanged;
use crate::history::HistoryEntry;
use crate::text::beginning;

/// How much of a text is shown, in bytes. Whole frames are at `/history/{id}/frames/…`.
const SHOWN_BYTES: usize = MAX_RESULT_BYTES;

/// How many characters of an error are shown in a list.
const SHOWN_ERROR: usize = 200;

/// The response to a call: what came of it, or how it stands if it was not waited for.
pub(super) fn shown(
    answered: Result<Exchanged, Arc<HistoryEntry>>,
    secret: &Secret,
) -> Result<Response, ApiError> {
    let (status, entry) = match answered {
        Ok(exchanged) => (StatusCode::OK, kept(exchanged)?),
        Err(running) => (StatusCode::ACCEPTED, running),
    };
    Ok((status, Json(CallView::new(&entry, secret))).into_response())
}

/// What the history keeps of a call.
pub(super) fn kept(exchanged: Exchanged) -> Result<Arc<HistoryEntry>, ApiError> {
    exchanged.entry.ok_or_else(|| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "no_history", "this platform keeps no history")
    })
}

/// A call in a list.
#[derive(Serialize)]
pub(super) struct CallSummary {
    id: u64,
    at: String,
    entity: String,
    environment: String,
    tool: String,
    call_id: String,
    outcome: &'static str,
    error: Option<String>,
    /// Whether whoever made it left before its answer.
    abandoned: bool,
    latency_ms: f64,
    /// The time to an answer that came too late.
    late_ms: Option<f64>,
    handler_ms: Option<u64>,
    tamper: Option<&'static str>,
    /// Whether the same frame had been sent before.
    repeated: bool,
    /// How the call went to the host: `websocket` or `http`.
    transport: &'static str,
    /// The status of the host's response, if it went over HTTP and there was one.
    http_status: Option<u16>,
}

impl CallSummary {
    pub(super) fn new(entry: &HistoryEntry) -> Self {
        let outcome = match entry.stage {
            CallStage::Running if entry.abandoned => "abandoned",
            CallStage::Running => "running",
            CallStage::Answered if entry.ok => "result",
            CallStage::Answered => "error",
            CallStage::TimedOut => "timed_out",
        };
        let latency = match entry.stage {
            CallStage::Running => entry.at.elapsed().unwrap_or_default(),
            _ => entry.latency,
        };
        // Results may be large, and are not looked at for a list.
        let error = match (outcome == "error").then(|| entry.content()) {
            Some(Content::Error(error)) => Some(error.chars().take(SHOWN_ERROR).collect()),
            _ => None,
        };
        Self {
            id: entry.id,
            at: rfc3339(entry.at),
            entity: entry.key.entity.clone(),
            environment: entry.key.environment.clone(),
            tool: entry.tool.clone(),
            call_id: entry.call_id.clone(),
            outcome,
            error,
            abandoned: entry.abandoned,
            latency_ms: milliseconds(latency),
            late_ms: entry.late.map(milliseconds),
            handler_ms: entry.host_latency.map(|latency| latency.as_millis() as u64),
            tamper: entry.tamper.map(Tamper::as_str),
            repeated: entry.repeated,
            transport: entry.transport.as_str(),
            http_status: match entry.transport {
                Transport::Http { status, .. } => status,
                Transport::WebSocket => None,
            },
        }
    }
}

/// A call with all that is known about it.
#[derive(Serialize)]
pub(super) struct CallView {
    #[serde(flatten)]
    summary: CallSummary,
    /// As the agent gets it, or would have got it in time; exactly as the host wrote it unless it was replaced for its
    /// size.
    result: Option<Shown>,
    /// The whole error.
    message: Option<String>,
    /// The time that went neither into the handler nor into waiting for its turn at the host.
    wire_ms: Option<f64>,
    request: Option<RequestView>,
    sent: Cut,
    reply: Option<Cut>,
    signature: Option<SignatureView>,
    /// Where the call was posted, if it went over HTTP.
    http_url: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shown {
    Raw(Box<RawValue>),
    Value(Value),
}

/// A text that may be long.
#[derive(Serialize)]
struct Cut {
    text: String,
    bytes: usize,
    truncated: bool,
}

/// Who called, and with what.
#[derive(Serialize)]
struct RequestView {
    /// JSON text, exactly as it was sent.
    arguments: Cut,
    context: Option<Value>,
    user: Option<String>,
    agent: Option<String>,
    thread: Option<String>,
    user_token: Option<String>,
    entity_token: Option<String>,
}

/// The signature, piece by piece.
#[derive(Serialize)]
struct SignatureView {
    timestamp: Option<String>,
    nonce: Option<String>,
    tool_name: String,
    arguments: Cut,
    signed_text: Cut,
    signature: Option<String>,
    /// Whether it is the one that the entity's present secret makes.
    valid: bool,
}

impl Cut {
    fn new(text: &str) -> Self {
        let shown = beginning(text, SHOWN_BYTES);
        Self { text: shown.to_owned(), bytes: text.len(), truncated: shown.len() < text.len() }
    }
}

impl CallView {
    pub(super) fn new(entry: &HistoryEntry, secret: &Secret) -> Self {
        let (mut result, mut message) = (None, None);
        match entry.content() {
            Content::Result(text) => {
                result = Some(match replaced_result(&text, &entry.transport) {
                    Some(replaced) => Shown::Value(replaced),
                    None => RawValue::from_string(text)
                        .map_or_else(|error| Shown::Value(Value::String(error.to_string())), Shown::Raw),
                });
            }
            Content::Error(error) => message = Some(error),
            Content::TimedOut => {}
        }
        let took = entry.late.unwrap_or(entry.latency);
        let wire = entry.host_latency.map(|handler| milliseconds(took.saturating_sub(handler)));
        Self {
            summary: CallSummary::new(entry),
            result,
            message,
            wire_ms: wire,
            request: RequestView::of(&entry.sent),
            sent: Cut::new(&entry.sent),
            reply: entry.reply.as_deref().map(Cut::new),
            signature: entry.signature().map(|parts| SignatureView::new(parts, secret)),
            http_url: match &entry.transport {
                Transport::Http { url, .. } => Some(url.clone()),
                Transport::WebSocket => None,
            },
        }
    }
}

impl RequestView {
    fn of(frame: &str) -> Option<Self> {
        let Ok(Inbound::ToolCall(call)) = Inbound::parse(frame) else { return None };
        let envelope = call.envelope().to_envelope();
        Some(Self {
            arguments: Cut::new(&call.params().arguments_text()),
            context: call.params().context_text().and_then(|text| serde_json::from_str(text).ok()),
            user: envelope.user_id,
            agent: envelope.agent_id,
            thread: envelope.thread_id,
            user_token: envelope.user_token,
            entity_token: envelope.entity_token,
        })
    }
}

impl SignatureView {
    fn new(parts: SignatureParts, secret: &Secret) -> Self {
        Self {
            valid: parts.is_made_with(secret),
            signed_text: Cut::new(&parts.signed_text()),
            arguments: Cut::new(&parts.arguments),
            timestamp: parts.timestamp,
            nonce: parts.nonce,
            tool_name: parts.tool_name,
            signature: parts.signature,
        }
    }
}
