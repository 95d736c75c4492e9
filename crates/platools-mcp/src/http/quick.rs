//! Answers calls that end at once with plain JSON, which the protocol permits. A call that takes longer or reports
//! progress continues as a stream of `rmcp`, which a client can resume.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use ::http::{HeaderMap, HeaderValue};
use axum::body::Bytes;
use memchr::memmem;
use rmcp::model::{ClientJsonRpcMessage, ClientNotification, JsonRpcMessage, ProtocolVersion, RequestId};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::presence::Presence;
use super::{IDLE, SESSIONS};
use crate::answer;
use crate::calls::{self, Adopted, Running};
use crate::plain::PlainCall;
use crate::session::Shared;
use platools::caller::{LogLevel, Progress};

/// How long a call may take to be answered with JSON.
const AT_ONCE: Duration = Duration::from_millis(25);
/// After this time a session's next call goes through `rmcp`, so that `rmcp` keeps the session open.
const KNOWN_FOR: Duration = IDLE.checked_div(6).expect("six is not zero");
/// Headers that only `rmcp` understands.
const UNUSUAL: [HeaderName; 2] = [HeaderName::from_static("mcp-method"), HeaderName::from_static("mcp-name")];

type SessionId = Arc<str>;

/// The requests without an answer. Those that are calls which `rmcp` may not know yet can be cancelled by id.
type Requests = Arc<Mutex<HashMap<(SessionId, RequestId), Option<CancellationToken>>>>;

pub(super) struct Quick {
    shared: Arc<Shared>,
    sessions: Arc<LocalSessionManager>,
    requests: Requests,
    /// When `rmcp` last saw a call of each session.
    streamed: Mutex<HashMap<SessionId, Instant>>,
}

/// The outcome of a message.
pub(super) enum Outcome {
    /// The message is for `rmcp`; a request keeps its id until it is answered.
    Passed(Option<Known>),
    /// A request whose id another one has that is not answered yet.
    Duplicate(RequestId),
    /// The body of the answer, as JSON.
    Answered(Bytes),
    /// The call is still running.
    Begun(Adopted, Known),
}

/// Keeps the id of a request until the last clone is dropped: the response is written, and `rmcp` is done with it.
#[derive(Clone)]
pub(super) struct Known {
    _registration: Arc<Registration>,
}

struct Registration {
    requests: Requests,
    request: (SessionId, RequestId),
}

impl Drop for Registration {
    fn drop(&mut self) {
        locked(&self.requests).remove(&self.request);
    }
}

/// The part of a message that identifies a request.
#[derive(Deserialize)]
struct Head {
    id: RequestId,
    method: String,
}

impl Quick {
    pub(super) fn new(shared: Arc<Shared>, sessions: Arc<LocalSessionManager>) -> Self {
        Self { shared, sessions, requests: Arc::default(), streamed: Mutex::default() }
    }

    /// Runs the call in `body` if it is an ordinary one.
    pub(super) async fn take(&self, headers: &HeaderMap, body: &[u8], presence: Presence) -> Outcome {
        let session = headers.get("mcp-session-id").and_then(|id| id.to_str().ok());
        let Some(session) = session else { return Outcome::Passed(None) };
        if memmem::find(body, b"notifications/cancelled").is_some() {
            self.cancel(session, body);
        }
        let session = {
            let sessions = self.sessions.sessions.read().await;
            let Some((session, _)) = sessions.get_key_value(session) else { return Outcome::Passed(None) };
            Arc::clone(session)
        };
        let call = PlainCall::read(body, &self.shared);
        let Some(id) = call.as_ref().map(|call| call.id.clone()).or_else(|| id_of_request(body)) else {
            return Outcome::Passed(None);
        };
        let Some(known) = self.register(&session, &id) else { return Outcome::Duplicate(id) };
        let call = call.filter(|call| is_usual(headers) && call.meta.progress_token.is_none());
        match call {
            Some(call) if self.is_known(&session).await => {
                self.run(session, call, known, headers, presence).await
            }
            _ => Outcome::Passed(Some(known)),
        }
    }

    /// Keeps the id for a request; `None` if another one has it.
    fn register(&self, session: &SessionId, id: &RequestId) -> Option<Known> {
        let request = (Arc::clone(session), id.clone());
        match locked(&self.requests).entry(request.clone()) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(free) => free.insert(None),
        };
        let registration = Registration { requests: Arc::clone(&self.requests), request };
        Some(Known { _registration: Arc::new(registration) })
    }

    async fn run(
        &self,
        session: SessionId,
        call: PlainCall,
        known: Known,
        headers: &HeaderMap,
        presence: Presence,
    ) -> Outcome {
        let PlainCall { id, name, arguments, meta, structure } = call;
        let context = calls::context(&self.shared.server.caller, meta.traceparent.as_deref(), Some(headers));
        // The level of the session is not known here.
        let heard = Some(Progress::channel(false, Some(LogLevel::Debug)));
        let mut running = Running::start(&self.shared, name, arguments, context, Some(presence), heard);
        locked(&self.requests).insert((session, id.clone()), Some(running.cancellation()));
        match running.ends_within(AT_ONCE).await {
            Some(answer) => Outcome::Answered(answer::message(&id, answer, structure).into()),
            None => Outcome::Begun(Adopted::new(running), known),
        }
    }

    /// Cancels a call at the request of the client. `rmcp` receives the request as well.
    fn cancel(&self, session: &str, body: &[u8]) {
        if let Ok(JsonRpcMessage::Notification(notification)) =
            serde_json::from_slice::<ClientJsonRpcMessage>(body)
            && let ClientNotification::CancelledNotification(cancelled) = notification.notification
            && let Some(id) = cancelled.params.request_id
            && let Some(Some(call)) = locked(&self.requests).get(&(SessionId::from(session), id))
        {
            call.cancel();
        }
    }

    /// Returns whether `rmcp` has seen a call of the session lately. If not, it has to see this one.
    async fn is_known(&self, session: &SessionId) -> bool {
        let now = Instant::now();
        {
            let mut streamed = locked(&self.streamed);
            match streamed.get_mut(session) {
                Some(last) if now.duration_since(*last) < KNOWN_FOR => return true,
                Some(last) => *last = now,
                None => drop(streamed.insert(Arc::clone(session), now)),
            }
            if streamed.len() <= 2 * SESSIONS {
                return false;
            }
        }
        // Most of these sessions have ended.
        let sessions = self.sessions.sessions.read().await;
        locked(&self.streamed).retain(|session, _| sessions.contains_key(session));
        false
    }
}

/// Returns the id of the request in `message`. A subscription has none to keep: it lasts as long as its stream, and a
/// client that lost the stream subscribes again.
fn id_of_request(message: &[u8]) -> Option<RequestId> {
    let Head { id, method } = serde_json::from_slice(message).ok()?;
    (method != "subscriptions/listen").then_some(id)
}

/// Returns whether the headers are those of an ordinary request of a session.
fn is_usual(headers: &HeaderMap) -> bool {
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
        && !UNUSUAL.iter().any(|name| headers.contains_key(name))
}

/// Returns whether the body is declared as JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split_once(';').map_or(value, |(essence, _)| essence);
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
