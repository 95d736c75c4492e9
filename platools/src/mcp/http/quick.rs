//! Calls that end at once are answered with plain JSON, as the protocol lets a server do. What takes longer, or reports
//! on its way, goes on as a stream of `rmcp`'s, to which a client can come back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use ::http::{HeaderMap, HeaderValue};
use axum::body::Bytes;
use memchr::memmem;
use rmcp::model::{ClientJsonRpcMessage, ClientNotification, JsonRpcMessage, ProtocolVersion, RequestId};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio_util::sync::CancellationToken;

use super::presence::Presence;
use super::{IDLE, SESSIONS};
use crate::caller::{LogLevel, Progress};
use crate::mcp::answer;
use crate::mcp::calls::{self, Adopted, Running};
use crate::mcp::plain::PlainCall;
use crate::mcp::session::Shared;

/// How long a call may take to end at once.
const AT_ONCE: Duration = Duration::from_millis(25);
/// After how long a session's next call is a stream, so that `rmcp` knows that the session is in use.
const KNOWN_FOR: Duration = IDLE.checked_div(6).expect("six is not zero");
/// Headers that say more than is understood here.
const UNUSUAL: [HeaderName; 2] = [HeaderName::from_static("mcp-method"), HeaderName::from_static("mcp-name")];

type SessionId = Arc<str>;

pub(super) struct Quick {
    shared: Arc<Shared>,
    sessions: Arc<LocalSessionManager>,
    /// Calls that `rmcp` may not know yet, so that they can be taken back.
    calls: Arc<Mutex<HashMap<(SessionId, RequestId), CancellationToken>>>,
    /// When `rmcp` last saw a session's call.
    streamed: Mutex<HashMap<SessionId, Instant>>,
}

/// What became of a message.
pub(super) enum Outcome {
    /// It is nothing for this place.
    Passed,
    /// The body of the answer, which is JSON.
    Answered(Bytes),
    /// A call that is still running.
    Begun(Adopted, Known),
}

/// A call that can be taken back by its id.
pub(super) struct Known {
    calls: Arc<Mutex<HashMap<(SessionId, RequestId), CancellationToken>>>,
    call: (SessionId, RequestId),
}

impl Drop for Known {
    fn drop(&mut self) {
        locked(&self.calls).remove(&self.call);
    }
}

impl Quick {
    pub(super) fn new(shared: Arc<Shared>, sessions: Arc<LocalSessionManager>) -> Self {
        Self { shared, sessions, calls: Arc::default(), streamed: Mutex::default() }
    }

    /// Runs the call in `body`, if it is an ordinary one.
    pub(super) async fn take(&self, headers: &HeaderMap, body: &[u8], presence: Presence) -> Outcome {
        let session = headers.get("mcp-session-id").and_then(|id| id.to_str().ok());
        let Some(session) = session.filter(|_| is_usual(headers)) else { return Outcome::Passed };
        if memmem::find(body, b"notifications/cancelled").is_some() {
            self.take_back(session, body);
            return Outcome::Passed;
        }
        let Some(call) = PlainCall::read(body, &self.shared) else { return Outcome::Passed };
        if call.meta.progress_token.is_some() {
            return Outcome::Passed;
        }
        let sessions = self.sessions.sessions.read().await;
        let Some((session, _)) = sessions.get_key_value(session) else { return Outcome::Passed };
        let session = Arc::clone(session);
        drop(sessions);
        if !self.is_known(&session).await {
            return Outcome::Passed;
        }
        self.run(session, call, headers, presence).await
    }

    async fn run(
        &self,
        session: SessionId,
        call: PlainCall,
        headers: &HeaderMap,
        presence: Presence,
    ) -> Outcome {
        let PlainCall { id, name, arguments, meta, structure } = call;
        let context = calls::context(&self.shared.server.caller, meta.traceparent.as_deref(), Some(headers));
        // What the session wants to hear is known later.
        let heard = Some(Progress::channel(false, Some(LogLevel::Debug)));
        let mut running = Running::start(&self.shared, name, arguments, context, Some(presence), heard);
        let call = (session, id.clone());
        locked(&self.calls).insert(call.clone(), running.taken_back());
        let known = Known { calls: Arc::clone(&self.calls), call };
        match running.ends_within(AT_ONCE).await {
            Some(answer) => Outcome::Answered(answer::message(&id, answer, structure).into()),
            None => Outcome::Begun(Adopted::new(running), known),
        }
    }

    /// The client cancels a request. `rmcp` is told, too.
    fn take_back(&self, session: &str, body: &[u8]) {
        if let Ok(JsonRpcMessage::Notification(notification)) =
            serde_json::from_slice::<ClientJsonRpcMessage>(body)
            && let ClientNotification::CancelledNotification(cancelled) = notification.notification
            && let Some(id) = cancelled.params.request_id
            && let Some(call) = locked(&self.calls).get(&(SessionId::from(session), id))
        {
            call.cancel();
        }
    }

    /// Whether `rmcp` has seen a call of the session lately. If not, it is to see this one.
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
        // Most of these are gone.
        let sessions = self.sessions.sessions.read().await;
        locked(&self.streamed).retain(|session, _| sessions.contains_key(session));
        false
    }
}

/// Whether the headers are those of a session's ordinary request.
fn is_usual(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let version = headers.get("mcp-protocol-version").map(HeaderValue::as_bytes);
    let accepts = |kind| accept.split(',').any(|accepted| accepted.trim() == kind);
    // With weights and the like, the header is read by the library.
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

/// Whether the body says that it is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split_once(';').map_or(value, |(essence, _)| essence);
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
