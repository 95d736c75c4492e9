//! The calls over HTTP. One that ends at once is answered with JSON, which the protocol permits. Any other goes on as a
//! stream of `rmcp`, which a client can resume.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderValue};
use axum::body::Bytes;
use memchr::memmem;
use rmcp::RoleServer;
use rmcp::model::{
    CallToolResult, ClientJsonRpcMessage, ClientNotification, ErrorData, JsonRpcMessage, ProtocolVersion,
    RequestId,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use serde::Deserialize;

use super::presence::Presence;
use super::requests::{HeldId, Requests, SessionId};
use super::running::{Running, StartedCall};
use crate::answer;
use crate::call::ToolCall;
use crate::server::ServerState;
use crate::session::RunCalls;
use platools::caller::{CallContext, LogLevel, Progress};

/// The maximum number of sessions.
pub(super) const MAX_SESSIONS: usize = 1_024;
/// How long a session lasts without a message.
pub(super) const SESSION_IDLE: Duration = Duration::from_secs(3_600);
/// How long a call may take to be answered with JSON.
const JSON_TIME: Duration = Duration::from_millis(25);
/// After this time a session's next call goes through `rmcp`, so that `rmcp` keeps the session open.
const SESSION_REFRESH: Duration = SESSION_IDLE.checked_div(6).expect("six is not zero");
/// Headers that only `rmcp` understands.
const RMCP_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("mcp-method"), HeaderName::from_static("mcp-name")];
/// The header for an access token issued by the entity.
const ENTITY_TOKEN: &str = "X-Platos-Entity-Token";
/// The header for the user's token.
const USER_TOKEN: &str = "X-Platos-User-Token";

/// Runs the calls of all sessions.
pub(super) struct Calls {
    state: Arc<ServerState>,
    sessions: Arc<LocalSessionManager>,
    requests: Requests,
    /// When `rmcp` last saw a call of each session.
    streamed: Mutex<HashMap<SessionId, Instant>>,
}

/// The outcome of a message.
pub(super) enum Outcome {
    /// The message is for `rmcp`; a request keeps its id until it is answered.
    Passed(Option<HeldId>),
    /// A request whose id another one has that is not answered yet.
    Duplicate(RequestId),
    /// The body of the answer, as JSON.
    Answered(Bytes),
    /// The call is still running.
    Started(StartedCall, HeldId),
}

/// The part of a message that identifies a request.
#[derive(Deserialize)]
struct Head {
    id: RequestId,
    method: String,
}

impl Calls {
    pub(super) fn new(state: Arc<ServerState>, sessions: Arc<LocalSessionManager>) -> Self {
        Self { state, sessions, requests: Requests::default(), streamed: Mutex::default() }
    }

    /// Starts the call in `body` if the answer may be JSON.
    pub(super) async fn take(&self, headers: &HeaderMap, body: &[u8], presence: Presence) -> Outcome {
        let session = headers.get("mcp-session-id").and_then(|id| id.to_str().ok());
        let Some(session) = session else { return Outcome::Passed(None) };
        if let Some(id) = cancelled(body) {
            // `rmcp` receives the request as well.
            self.requests.cancel(session, id);
        }
        let session = {
            let sessions = self.sessions.sessions.read().await;
            let Some((session, _)) = sessions.get_key_value(session) else { return Outcome::Passed(None) };
            Arc::clone(session)
        };
        let call = ToolCall::read(body);
        let Some(id) = call.as_ref().map(|call| call.id.clone()).or_else(|| id_of_request(body)) else {
            return Outcome::Passed(None);
        };
        let Some(held) = self.requests.register(&session, id.clone()) else { return Outcome::Duplicate(id) };
        match call.filter(|call| may_be_json(headers, call)) {
            Some(call) if self.is_known(&session).await => self.run(call, held, headers, presence).await,
            _ => Outcome::Passed(Some(held)),
        }
    }

    async fn run(&self, call: ToolCall, held: HeldId, headers: &HeaderMap, presence: Presence) -> Outcome {
        // `rmcp` answers calls of unknown tools.
        let Some(structure) = self.state.catalog().structure(&call.name) else {
            return Outcome::Passed(Some(held));
        };
        let id = call.id.clone();
        // The level of the session is not known here.
        let reports = Some(Progress::channel(false, Some(LogLevel::Debug)));
        let context = context(&self.state.server.caller, &call, Some(headers));
        let mut running = Running::start(&self.state.server.door, call, context, Some(presence), reports);
        held.cancel_with(running.cancellation());
        match running.ends_within(JSON_TIME).await {
            Some(answer) => Outcome::Answered(answer::message(&id, answer, structure, false).into()),
            None => Outcome::Started(StartedCall::new(running), held),
        }
    }

    /// Returns whether `rmcp` has seen a call of the session lately. If not, it has to see this one.
    async fn is_known(&self, session: &SessionId) -> bool {
        let now = Instant::now();
        {
            let mut streamed = self.streamed.lock().unwrap_or_else(PoisonError::into_inner);
            match streamed.get_mut(session) {
                Some(last) if now.duration_since(*last) < SESSION_REFRESH => return true,
                Some(last) => *last = now,
                None => drop(streamed.insert(Arc::clone(session), now)),
            }
            if streamed.len() <= 2 * MAX_SESSIONS {
                return false;
            }
        }
        // Most of these sessions have ended.
        let sessions = self.sessions.sessions.read().await;
        let mut streamed = self.streamed.lock().unwrap_or_else(PoisonError::into_inner);
        streamed.retain(|session, _| sessions.contains_key(session));
        false
    }
}

/// Runs the calls of one session that `rmcp` receives, and goes on with those that were started before.
pub(super) struct Streamed(pub(super) Arc<ServerState>);

impl RunCalls for Streamed {
    async fn run(
        &self,
        call: ToolCall,
        level: Option<LogLevel>,
        request: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let Self(state) = self;
        let structure = state.structure(&call.name).await?;
        let (token, tool) = (call.meta.get_progress_token(), call.name.clone());
        let parts = request.extensions.get::<Parts>();
        let started = parts.and_then(|parts| parts.extensions.get::<StartedCall>()?.take());
        let running = started.unwrap_or_else(|| {
            let context = context(&state.server.caller, &call, parts.map(|parts| &parts.headers));
            let presence = parts.and_then(|parts| parts.extensions.get::<Presence>().cloned());
            let reports =
                (token.is_some() || level.is_some()).then(|| Progress::channel(token.is_some(), level));
            Running::start(&state.server.door, call, context, presence, reports)
        });
        let answer = running.end(&request, token, level, &tool).await?;
        Ok(answer::of(answer, structure))
    }
}

/// Builds the context of a call: the server's caller, overridden by the headers of the request.
fn context(caller: &CallContext, call: &ToolCall, headers: Option<&HeaderMap>) -> CallContext {
    // The endpoint has refused headers that come twice or are not UTF-8.
    let header = |name| {
        headers.and_then(|headers: &HeaderMap| std::str::from_utf8(headers.get(name)?.as_bytes()).ok())
    };
    let mut context = call.context(caller);
    if let Some(token) = header(ENTITY_TOKEN) {
        context = context.entity_token(token);
    }
    if let Some(token) = header(USER_TOKEN) {
        context = context.user_token(token);
    }
    if call.meta.get_traceparent().is_none()
        && let Some(trace) = header("traceparent")
    {
        context = context.traceparent(trace);
    }
    context.build()
}

/// Returns the id of the request that the message cancels.
fn cancelled(message: &[u8]) -> Option<RequestId> {
    memmem::find(message, b"notifications/cancelled")?;
    match serde_json::from_slice::<ClientJsonRpcMessage>(message).ok()? {
        JsonRpcMessage::Notification(notification) => match notification.notification {
            ClientNotification::CancelledNotification(cancelled) => cancelled.params.request_id,
            _ => None,
        },
        _ => None,
    }
}

/// Returns the id of the request in `message`. A subscription has none to keep: it lasts as long as its stream, and a
/// client that lost the stream subscribes again.
fn id_of_request(message: &[u8]) -> Option<RequestId> {
    let Head { id, method } = serde_json::from_slice(message).ok()?;
    (method != "subscriptions/listen").then_some(id)
}

/// Returns whether the call may be answered with JSON: an ordinary request of a session, whose progress nobody follows.
fn may_be_json(headers: &HeaderMap, call: &ToolCall) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let version = headers.get("mcp-protocol-version").map(HeaderValue::as_bytes);
    let accepts = |kind| accept.split(',').any(|accepted| accepted.trim() == kind);
    // `rmcp` parses headers with weights and the like.
    accepts("application/json")
        && accepts("text/event-stream")
        && is_json(headers)
        && version.is_none_or(|version| {
            ProtocolVersion::KNOWN_VERSIONS
                .iter()
                .any(|known| known.has_initialize() && known.as_str().as_bytes() == version)
        })
        && !RMCP_HEADERS.iter().any(|name| headers.contains_key(name))
        && call.meta.protocol_version().is_none()
        && call.meta.get_progress_token().is_none()
}

/// Returns whether the body is declared as JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split_once(';').map_or(value, |(essence, _)| essence);
    essence.trim().eq_ignore_ascii_case("application/json")
}
