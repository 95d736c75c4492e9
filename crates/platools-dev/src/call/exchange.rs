//! Sending a signed call, and waiting for its answer (protocol §3).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::CallReport;
use super::report::Content;
use crate::history::HistoryEntry;
use crate::pending::{Answer, Waiter};
use crate::state::{LastCall, Shared};
use crate::{DevError, EntityKey, Event};

/// A call that is over, for its caller and for the history.
pub(crate) struct Exchanged {
    pub(crate) report: CallReport,
    /// What the history keeps of it, if there is a history.
    pub(crate) entry: Option<Arc<HistoryEntry>>,
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
    let (waiter, receiver) = shared.update(|state| {
        let seat = state.seat_mut(key).ok_or_else(|| DevError::UnknownEntity(key.clone()))?;
        let connection = seat.connection.as_ref().ok_or_else(|| DevError::NotConnected(key.clone()))?;
        connection.send_text(frame.clone());
        seat.last_call = Some(call);
        state.counters.calls += 1;
        // The lock is held, so no answer comes before it is expected.
        Ok(state.pending.expect(key, &call_id))
    })?;
    shared.emit(Event::Called { key: key.clone(), call_id: call_id.clone(), tool: tool.clone() });
    let mut pending = Pending { shared, key, call_id: &call_id, waiter, receiver };
    let answer = match timeout(pending_time, &mut pending.receiver).await {
        Ok(answer) => answer.ok(),
        Err(_) => pending.give_up(),
    };
    let latency = start.elapsed();
    drop(pending);
    let (content, host_latency, reply) = match answer {
        Some(Answer { content, host_latency, frame }) => (Content::of(content), host_latency, Some(frame)),
        None => (Content::TimedOut, None, None),
    };
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
        sent: frame.as_str().into(),
        reply: reply.as_deref().map(Arc::from),
    });
    let outcome = content.into_outcome();
    let report = CallReport { call_id, tool, outcome, latency, host_latency, sent: frame, reply };
    Ok(Exchanged { report, entry })
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
