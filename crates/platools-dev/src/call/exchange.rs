//! Sending a signed call, and waiting for its answer (protocol §3, §6).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use platools::wire::outbound;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::dispatch::{self, Post};
use super::report::{CallReport, Content, Transport};
use crate::callback::CallbackFailure;
use crate::history::HistoryEntry;
use crate::pending::{Answer, Waiter};
use crate::state::{LastCall, Shared};
use crate::{DevError, EntityKey, Event};

/// Why the URL that the server stores in the place of a callback is not called.
const NO_CALLBACK: &str = "no host is connected, and the tools were declared without a callback_url";

/// A call that is over, for its caller and for the history.
pub(crate) struct Exchanged {
    pub(crate) report: CallReport,
    /// What the history keeps of it, if there is a history.
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

/// Sends a call and waits for the answer.
pub(crate) async fn exchange(
    shared: &Shared,
    key: &EntityKey,
    call: LastCall,
    pending_time: Duration,
) -> Result<Exchanged, DevError> {
    let LastCall { call_id, tool, frame, tamper, repeated } = call.clone();
    let at = SystemTime::now();
    let start = Instant::now();
    let route = shared.update(|state| {
        let seat = state.seat_mut(key).ok_or_else(|| DevError::UnknownEntity(key.clone()))?;
        let route = match &seat.connection {
            Some(connection) => {
                connection.send_text(frame.clone());
                None
            }
            // Nobody has declared a tool that could be called.
            None if seat.registration.applied() == 0 => return Err(DevError::NotConnected(key.clone())),
            None => Some(Route::Callback(stored_callback(key, seat.registration.callback_url()))),
        };
        seat.last_call = Some(call);
        state.counters.calls += 1;
        Ok(route.unwrap_or_else(|| {
            // The lock is held, so no answer comes before it is expected.
            let (waiter, answer) = state.pending.expect(key, &call_id);
            Route::Socket { waiter, answer }
        }))
    })?;
    let over_http = matches!(route, Route::Callback(_));
    shared.emit(Event::Called { key: key.clone(), call_id: call_id.clone(), tool: tool.clone(), over_http });
    let returned = match route {
        Route::Socket { waiter, answer } => {
            let pending = Pending { shared, key, call_id: &call_id, waiter, receiver: answer };
            pending.wait(pending_time).await
        }
        Route::Callback(url) => post(shared, key, &call_id, url, &frame, pending_time).await,
    };
    let latency = start.elapsed();
    let Returned { content, host_latency, transport, reply } = returned;
    let entry = shared.record(|id| HistoryEntry {
        id,
        at,
        key: key.clone(),
        call_id: call_id.clone(),
        tool: tool.clone(),
        tamper,
        repeated,
        ok: matches!(content, Content::Result(_)),
        latency,
        host_latency,
        transport: transport.clone(),
        sent: frame.as_str().into(),
        reply: reply.as_deref().map(Arc::from),
    });
    let outcome = content.into_outcome(&transport);
    let report = CallReport { call_id, tool, outcome, latency, host_latency, transport, sent: frame, reply };
    Ok(Exchanged { report, entry })
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
    call_id: &str,
    url: String,
    frame: &str,
    pending_time: Duration,
) -> Returned {
    let started = Instant::now();
    let response = match Post::of(frame) {
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
    let (key, call_id) = (key.clone(), call_id.to_owned());
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

/// A call that waits; nobody waits for it any more when this is dropped.
struct Pending<'a> {
    shared: &'a Shared,
    key: &'a EntityKey,
    call_id: &'a str,
    waiter: Waiter,
    receiver: oneshot::Receiver<Answer>,
}

impl Pending<'_> {
    async fn wait(mut self, time: Duration) -> Returned {
        let answer = match timeout(time, &mut self.receiver).await {
            Ok(answer) => answer.ok(),
            Err(_) => self.give_up(),
        };
        let transport = Transport::WebSocket;
        match answer {
            Some(Answer { content, host_latency, frame }) => {
                Returned { content: Content::of(content), host_latency, transport, reply: Some(frame) }
            }
            None => Returned { content: Content::TimedOut, host_latency: None, transport, reply: None },
        }
    }

    /// Stops waiting, unless the answer has just come.
    fn give_up(&mut self) -> Option<Answer> {
        let waited = self.shared.update(|state| {
            let waited = state.pending.abandon(self.key, self.call_id, self.waiter);
            state.counters.timed_out += u64::from(waited);
            waited
        });
        if !waited {
            return self.receiver.try_recv().ok();
        }
        let (key, call_id) = (self.key.clone(), self.call_id.to_owned());
        self.shared.emit(Event::TimedOut { key, call_id });
        None
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.shared.update(|state| state.pending.abandon(self.key, self.call_id, self.waiter));
    }
}
