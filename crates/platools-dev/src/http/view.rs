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
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::error::ApiError;
use super::openapi::one_of;
use super::time::{milliseconds, rfc3339};
use crate::call::report::{CallStage, Content, SignatureParts, Transport, replaced_result};
use crate::call::tamper::Tamper;
use crate::calling::exchange::Exchanged;
use crate::history::HistoryEntry;
use crate::text::beginning;

/// The largest part of a text that is shown, in bytes. Whole frames are at `/history/{id}/frames/…`.
const SHOWN_BYTES: usize = MAX_RESULT_BYTES;

/// Number of characters of an error that are shown in a list.
const SHOWN_ERROR: usize = 200;

/// The response to a call: its outcome, or its present state if it was not waited for.
pub(super) fn shown(
    answered: Result<Exchanged, Arc<HistoryEntry>>,
    secret: &Secret,
) -> Result<Response, ApiError> {
    let (status, entry) = match answered {
        Ok(exchanged) => (StatusCode::OK, kept(exchanged)?),
        Err(running) => (StatusCode::ACCEPTED, running),
    };
    Ok((status, Json(Call::new(&entry, secret))).into_response())
}

/// Returns the history's entry of a call.
pub(super) fn kept(exchanged: Exchanged) -> Result<Arc<HistoryEntry>, ApiError> {
    exchanged.entry.ok_or_else(|| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "no_history", "this platform keeps no history")
    })
}

/// A call in a list.
#[derive(Serialize, ToSchema)]
pub(super) struct CallSummary {
    /// Its number in the history.
    id: u64,
    #[schema(format = DateTime)]
    at: String,
    entity: String,
    environment: String,
    tool: String,
    call_id: String,
    #[schema(schema_with = outcomes)]
    outcome: &'static str,
    /// The beginning of the error.
    #[schema(required)]
    error: Option<String>,
    /// Whether the caller left before the answer.
    abandoned: bool,
    /// From sending to the answer, or to giving up; of a running call, so far.
    latency_ms: f64,
    /// From sending to an answer that came too late.
    #[schema(required)]
    late_ms: Option<f64>,
    /// The host's own measurement.
    #[schema(required)]
    handler_ms: Option<u64>,
    /// The change that was made after signing.
    #[schema(required)]
    tamper: Option<&'static str>,
    /// Whether the same frame had been sent before.
    repeated: bool,
    #[schema(schema_with = transports)]
    transport: &'static str,
    /// The status of the response to a call over HTTP.
    #[schema(required)]
    http_status: Option<u16>,
}

fn outcomes() -> Object {
    let description = "`abandoned`: it runs, and its caller left. A late answer does not change `timed_out`.";
    let mut schema = one_of(&["running", "abandoned", "result", "error", "timed_out"]);
    schema.description = Some(description.to_owned());
    schema
}

fn transports() -> Object {
    let mut schema = one_of(&["websocket", "http"]);
    schema.description = Some("How the call went to the host.".to_owned());
    schema
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

/// A call with its frames and its signature.
#[derive(Serialize, ToSchema)]
pub(super) struct Call {
    #[serde(flatten)]
    summary: CallSummary,
    /// As the agent gets it: over 256·1024 UTF-16 units it is `{truncated, preview, original_bytes}`, unless it came over
    /// HTTP.
    #[schema(value_type = Value, required)]
    result: Option<Shown>,
    /// The whole error.
    #[schema(required)]
    message: Option<String>,
    /// The latency without the handler's.
    #[schema(required)]
    wire_ms: Option<f64>,
    #[schema(required)]
    request: Option<Request>,
    sent: Text,
    #[schema(required)]
    reply: Option<Text>,
    #[schema(required)]
    signature: Option<Signature>,
    /// Where a call over HTTP was posted.
    #[schema(required)]
    http_url: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shown {
    Raw(Box<RawValue>),
    Value(Value),
}

/// A text that may be long.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the API")]
struct Text {
    /// At most the first 256 KiB.
    text: String,
    /// The length of the whole text.
    bytes: usize,
    truncated: bool,
}

/// The caller and the arguments.
#[derive(Serialize, ToSchema)]
struct Request {
    /// JSON text, exactly as it was sent.
    arguments: Text,
    #[schema(value_type = Value, required)]
    context: Option<Value>,
    #[schema(required)]
    user: Option<String>,
    #[schema(required)]
    agent: Option<String>,
    #[schema(required)]
    thread: Option<String>,
    #[schema(required)]
    user_token: Option<String>,
    #[schema(required)]
    entity_token: Option<String>,
}

/// The signature, piece by piece.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the API")]
struct Signature {
    #[schema(required)]
    timestamp: Option<String>,
    #[schema(required)]
    nonce: Option<String>,
    /// As JSON, with quotes.
    tool_name: String,
    /// With `_context`, exactly as signed.
    arguments: Text,
    /// `{timestamp}.{nonce}.{body}`
    signed_text: Text,
    /// HMAC-SHA256 in hexadecimal.
    #[schema(required)]
    signature: Option<String>,
    /// Whether the entity's present secret makes this signature.
    valid: bool,
}

impl Text {
    fn new(text: &str) -> Self {
        let shown = beginning(text, SHOWN_BYTES);
        Self { text: shown.to_owned(), bytes: text.len(), truncated: shown.len() < text.len() }
    }
}

impl Call {
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
            request: Request::of(&entry.sent),
            sent: Text::new(&entry.sent),
            reply: entry.reply.as_deref().map(Text::new),
            signature: entry.signature().map(|parts| Signature::new(parts, secret)),
            http_url: match &entry.transport {
                Transport::Http { url, .. } => Some(url.clone()),
                Transport::WebSocket => None,
            },
        }
    }
}

impl Request {
    fn of(frame: &str) -> Option<Self> {
        let Ok(Inbound::ToolCall(call)) = Inbound::parse(frame) else { return None };
        let envelope = call.envelope().to_envelope();
        Some(Self {
            arguments: Text::new(&call.params().arguments_text()),
            context: call.params().context_text().and_then(|text| serde_json::from_str(text).ok()),
            user: envelope.user_id,
            agent: envelope.agent_id,
            thread: envelope.thread_id,
            user_token: envelope.user_token,
            entity_token: envelope.entity_token,
        })
    }
}

impl Signature {
    fn new(parts: SignatureParts, secret: &Secret) -> Self {
        Self {
            valid: parts.is_made_with(secret),
            signed_text: Text::new(&parts.signed_text()),
            arguments: Text::new(&parts.arguments),
            timestamp: parts.timestamp,
            nonce: parts.nonce,
            tool_name: parts.tool_name,
            signature: parts.signature,
        }
    }
}
