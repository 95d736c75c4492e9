//! The requests without an answer: the end of input waits for them, and calls among them can be cancelled.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::model::RequestId;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};

/// How many requests may wait for answers; beyond that, reading pauses.
const MAX_REQUESTS: usize = 8_192;

#[derive(Debug, Default)]
pub(super) struct Requests {
    requests: Mutex<HashMap<RequestId, Option<oneshot::Sender<()>>>>,
    /// Notified when the map empties or a full map frees a slot.
    fewer: Notify,
}

impl Requests {
    fn requests(&self) -> MutexGuard<'_, HashMap<RequestId, Option<oneshot::Sender<()>>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request that `rmcp` answers. Returns `false` if a request with that id is waiting.
    pub(super) fn add(&self, id: &RequestId) -> bool {
        let mut requests = self.requests();
        let is_new = !requests.contains_key(id);
        if is_new {
            requests.insert(id.clone(), None);
        }
        is_new
    }

    /// Adds a call. The returned receiver ends when the call is cancelled; `None` if a request with that id is waiting.
    pub(super) fn add_call(&self, id: &RequestId) -> Option<oneshot::Receiver<()>> {
        let mut requests = self.requests();
        if requests.contains_key(id) {
            return None;
        }
        let (wanted, cancelled) = oneshot::channel();
        requests.insert(id.clone(), Some(wanted));
        Some(cancelled)
    }

    /// Removes a request that was answered or cancelled. Returns whether it was waiting.
    pub(super) fn remove(&self, id: &RequestId) -> bool {
        let mut requests = self.requests();
        let was_waiting = requests.remove(id).is_some();
        self.tell(requests.len());
        was_waiting
    }

    /// Removes the call that `cancelled` belongs to, but not a later one with the same id. Returns whether it was waiting.
    pub(super) fn remove_call(&self, id: &RequestId, cancelled: &mut oneshot::Receiver<()>) -> bool {
        let mut requests = self.requests();
        let was_waiting = cancelled.try_recv() == Err(TryRecvError::Empty) && requests.remove(id).is_some();
        self.tell(requests.len());
        was_waiting
    }

    fn tell(&self, left: usize) {
        if left == 0 || left == MAX_REQUESTS - 1 {
            self.fewer.notify_waiters();
        }
    }

    /// Removes all requests, which cancels the calls among them.
    pub(super) fn clear(&self) {
        self.requests().clear();
        self.fewer.notify_waiters();
    }

    /// Waits until every request has its answer.
    pub(super) async fn empty(&self) {
        self.fewer_than(1).await;
    }

    /// Waits until there is room for one more request.
    pub(super) async fn room(&self) {
        // The common case does not register as a waiter.
        if self.requests().len() >= MAX_REQUESTS {
            self.fewer_than(MAX_REQUESTS).await;
        }
    }

    async fn fewer_than(&self, most: usize) {
        loop {
            let fewer = self.fewer.notified();
            tokio::pin!(fewer);
            fewer.as_mut().enable();
            if self.requests().len() < most {
                return;
            }
            fewer.await;
        }
    }
}
