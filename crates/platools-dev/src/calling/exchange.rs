//! Sending a signed call, and waiting for its answer (protocol §3, §6).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use platools::wire::outbound;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::call::SignedCall;
use crate::call::dispatch::{self, Post};
use crate::call::report::{CallReport, CallStage, Content, Transport};
use crate::callback::CallbackFailure;
use crate::error::DevError;
use crate::event::Event;
use crate::history::{Answered, HistoryEntry};
use crate::key::EntityKey;
use crate::pending::{Answer, Waiter};
use crate::shared::Shared;

/// Why the URL that the server stores in the place of a callback is not called.
const NO_CALLBACK: &str = "no host is connected, and the tools were declared without a callback_url";

/// A call that is over, for its caller and for the history.
pub(crate) struct Exchanged {
    pub(crate) report: CallReport,
    /// Its entry, if there is a history.
    pub(crate) entry: Option<Arc<HistoryEntry>>,
}

/// Where a call goes.
enum Route {
    /// It was sent on the WebSocket.
    Socket { waiter: Waiter, answer: oneshot::Receiver<Answer> },
    /// It is to be posted here.
    Callback(String),
}

/// The answer to a call, with the way it came.
struct Returned {
    content: Content,
    host_latency: Option<Duration>,
    transport: Transport,
    reply: Option<String>,
}

/// A call that was sent. The history has it from then on.
///
/// When this or the future of its answer is dropped, the call counts as abandoned.
#[must_use = "dropping it abandons the call"]
pub(crate) struct Sent {
    shared: Arc<Shared>,
    key: EntityKey,
    call: SignedCall,
    start: Instant,
    pending_time: Duration,
    /// Its entry, if there is a history.
    entry: Option<Arc<HistoryEntry>>,
    /// `None` once it is over.
    route: Option<Route>,
}

impl Sent {
    /// Sends a call.
    pub(crate) fn send(
        shared: &Arc<Shared>,
        key: &EntityKey,
        call: SignedCall,
        pending_time: Duration,
    ) -> Result<Self, DevError> {
        let (at, start) = (SystemTime::now(), Instant::now());
        let (route, entry) = shared.update(|state| {
            let seat = state.seat_mut(key).ok_or_else(|| DevError::UnknownEntity(key.clone()))?;
            let callback = match &seat.connection {
                Some(_) => None,
                // Nobody has declared a tool that could be called.
                None if seat.registration.applied() == 0 => return Err(DevError::NotConnected(key.clone())),
                None => Some(stored_callback(key, seat.registration.callback_url())),
            };
            let transport = match &callback {
                Some(url) => Transport::Http { url: url.clone(), status: None },
                None => Transport::WebSocket,
            };
            // Before it is sent, so that its entry exists for everything that follows.
            let entry = shared.record(|id| HistoryEntry::running(id, at, key, &call, transport));
            if let Some(connection) = &seat.connection {
                connection.send_text(call.frame.clone());
            }
            seat.calls += 1;
            seat.last_call = Some(call.clone());
            state.counters.calls += 1;
            let route = callback.map_or_else(
                || {
                    // The lock is held, so no answer comes before it is expected.
                    let (waiter, answer) = state.pending.expect(key, &call.call_id);
                    Route::Socket { waiter, answer }
                },
                Route::Callback,
            );
            Ok((route, entry))
        })?;
        let over_http = matches!(route, Route::Callback(_));
        let (call_id, tool) = (call.call_id.clone(), call.tool.clone());
        shared.emit(Event::Called { key: key.clone(), call_id, tool, over_http });
        let (shared, key, route) = (Arc::clone(shared), key.clone(), Some(route));
        Ok(Self { shared, key, call, start, pending_time, entry, route })
    }

    /// Waits for the answer.
    pub(crate) async fn answer(mut self) -> Exchanged {
        let returned = match &mut self.route {
            Some(Route::Socket { waiter, answer }) => {
                let waiter = *waiter;
                let answer = match timeout(self.pending_time, answer).await {
                    Ok(answer) => answer.ok(),
                    Err(_) => self.give_up(waiter),
                };
                Returned::over_socket(answer)
            }
            Some(Route::Callback(url)) => {
                let url = url.clone();
                post(&self.shared, &self.key, &self.call, url, self.pending_time).await
            }
            None => Returned::over_socket(None),
        };
        self.route = None;
        self.over(returned)
    }

    /// [`answer`](Self::answer) in a task of its own, which goes on when its caller leaves, as an agent's call does
    /// whatever becomes of the page that shows it. It ends with the time that the answer is waited for.
    ///
    /// A caller with a `wait` gets what the history has of the running call after that time.
    pub(crate) async fn answer_detached(
        self,
        wait: Option<Duration>,
    ) -> Result<Exchanged, Arc<HistoryEntry>> {
        let begun = self.entry.clone();
        let caller = Caller {
            shared: Arc::clone(&self.shared),
            key: self.key.clone(),
            call_id: self.call.call_id.clone(),
            id: begun.as_ref().map(|entry| entry.id),
            is_there: true,
        };
        let mut task = tokio::spawn(self.answer());
        let joined = match (wait, begun) {
            (Some(wait), Some(begun)) => {
                let Ok(joined) = timeout(wait, &mut task).await else {
                    caller.has_all();
                    return Err(begun);
                };
                joined
            }
            _ => task.await,
        };
        caller.has_all();
        Ok(joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    }

    /// Stops waiting, unless the answer has just come.
    fn give_up(&mut self, waiter: Waiter) -> Option<Answer> {
        let gave_up = self.shared.update(|state| {
            let gave_up = state.pending.abandon(&self.key, &self.call.call_id, waiter);
            state.counters.timed_out += u64::from(gave_up);
            gave_up
        });
        if !gave_up {
            let Some(Route::Socket { answer, .. }) = &mut self.route else { return None };
            return answer.try_recv().ok();
        }
        let (key, call_id) = (self.key.clone(), self.call.call_id.clone());
        self.shared.emit(Event::TimedOut { key, call_id });
        None
    }

    /// Records the outcome.
    fn over(self, returned: Returned) -> Exchanged {
        let latency = self.start.elapsed();
        let Returned { content, host_latency, transport, reply } = returned;
        let ok = matches!(content, Content::Result(_));
        let end = |entry: &mut HistoryEntry| {
            entry.transport = transport.clone();
            if let Some(reply) = reply.as_deref() {
                entry.answer(Answered { ok, host_latency, reply }, latency);
            } else {
                (entry.stage, entry.latency) = (CallStage::TimedOut, latency);
            }
        };
        let entry = self.entry.clone().map(|mut entry| {
            self.shared.change(entry.id, end).unwrap_or_else(|| {
                // It was evicted from the history meanwhile.
                end(Arc::make_mut(&mut entry));
                entry
            })
        });
        if let Some(entry) = &entry {
            let (key, call_id) = (entry.key.clone(), entry.call_id.clone());
            self.shared.emit(Event::Recorded { key, call_id, id: entry.id });
        }
        let outcome = content.into_outcome(&transport);
        let SignedCall { call_id, tool, frame, .. } = self.call.clone();
        let report =
            CallReport { call_id, tool, outcome, latency, host_latency, transport, sent: frame, reply };
        Exchanged { report, entry }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let Some(route) = self.route.take() else { return };
        let call_id = &self.call.call_id;
        if let Route::Socket { waiter, .. } = route {
            self.shared.update(|state| state.pending.abandon(&self.key, call_id, waiter));
        }
        self.shared.abandon(&self.key, call_id, self.entry.as_ref().map(|entry| entry.id));
    }
}

/// The caller of a call that goes on when they leave.
struct Caller {
    shared: Arc<Shared>,
    key: EntityKey,
    call_id: String,
    id: Option<u64>,
    is_there: bool,
}

impl Caller {
    /// It got what it waited for.
    fn has_all(mut self) {
        self.is_there = false;
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if self.is_there {
            self.shared.abandon(&self.key, &self.call_id, self.id);
        }
    }
}

impl Returned {
    fn over_socket(answer: Option<Answer>) -> Self {
        let transport = Transport::WebSocket;
        match answer {
            Some(Answer { content, host_latency, frame }) => {
                Self { content: Content::of(content), host_latency, transport, reply: Some(frame) }
            }
            None => Self { content: Content::TimedOut, host_latency: None, transport, reply: None },
        }
    }
}

/// The callback URL as the server stores it with each tool.
fn stored_callback(key: &EntityKey, declared: Option<&str>) -> String {
    let EntityKey { entity, environment } = key;
    declared
        .map_or_else(|| format!("ws://platos/tools/sync?entity={entity}&env={environment}"), str::to_owned)
}

/// Posts a call to the callback URL of a declaration.
async fn post(
    shared: &Shared,
    key: &EntityKey,
    call: &SignedCall,
    url: String,
    pending_time: Duration,
) -> Returned {
    let started = Instant::now();
    let response = match Post::of(&call.frame) {
        _ if url.starts_with("ws:") => Err(CallbackFailure::Blocked(NO_CALLBACK.to_owned())),
        Ok(Post { headers, body }) => shared.callbacks.post(&url, &headers, &body, pending_time).await,
        Err(header) => {
            Err(CallbackFailure::Failed(format!("the header {header} cannot hold the call's value")))
        }
    };
    let latency = started.elapsed();
    let status = response.as_ref().ok().map(|response| response.status().as_u16());
    let content = match response {
        Ok(response) => dispatch::outcome(&response),
        Err(CallbackFailure::TimedOut) => Content::TimedOut,
        Err(failure) => Content::Error(failure.to_string()),
    };
    let (key, call_id) = (key.clone(), call.call_id.clone());
    let reply = match &content {
        Content::Result(result) => Some(outbound::tool_result(&call_id, result, latency)),
        Content::Error(error) => Some(outbound::tool_error(&call_id, error)),
        Content::TimedOut => None,
    };
    shared.update(|state| match &content {
        Content::Result(_) => state.counters.results += 1,
        Content::Error(_) => state.counters.errors += 1,
        Content::TimedOut => state.counters.timed_out += 1,
    });
    shared.emit(match &content {
        Content::TimedOut => Event::TimedOut { key, call_id },
        content => Event::Answered { key, call_id, ok: matches!(content, Content::Result(_)) },
    });
    Returned { content, host_latency: None, transport: Transport::Http { url, status }, reply }
}
