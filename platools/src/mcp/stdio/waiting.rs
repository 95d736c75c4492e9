//! The requests that have no answer yet, so that the end of input can wait for them, and calls can be taken back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::model::RequestId;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};

#[derive(Debug, Default)]
pub(super) struct Waiting {
    requests: Mutex<HashMap<RequestId, Option<oneshot::Sender<()>>>>,
    emptied: Notify,
}

impl Waiting {
    fn requests(&self) -> MutexGuard<'_, HashMap<RequestId, Option<oneshot::Sender<()>>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request came whose end somebody else sees to. Returns whether no other one of that id is waiting.
    pub(super) fn add(&self, id: &RequestId) -> bool {
        let mut requests = self.requests();
        let is_new = !requests.contains_key(id);
        if is_new {
            requests.insert(id.clone(), None);
        }
        is_new
    }

    /// A call came. What is returned ends when nobody wants its answer any more; `None` when a request of that id is
    /// waiting already.
    pub(super) fn add_call(&self, id: &RequestId) -> Option<oneshot::Receiver<()>> {
        let mut requests = self.requests();
        if requests.contains_key(id) {
            return None;
        }
        let (wanted, taken_back) = oneshot::channel();
        requests.insert(id.clone(), Some(wanted));
        Some(taken_back)
    }

    /// It was answered, or nobody wants its answer. Returns whether it was still waiting.
    pub(super) fn remove(&self, id: &RequestId) -> bool {
        let mut requests = self.requests();
        let was_waiting = requests.remove(id).is_some();
        if was_waiting && requests.is_empty() {
            self.emptied.notify_waiters();
        }
        was_waiting
    }

    /// The same for the call that `taken_back` was made for, and not for a later one of its id.
    pub(super) fn remove_call(&self, id: &RequestId, taken_back: &mut oneshot::Receiver<()>) -> bool {
        let mut requests = self.requests();
        let was_waiting = taken_back.try_recv() == Err(TryRecvError::Empty) && requests.remove(id).is_some();
        if was_waiting && requests.is_empty() {
            self.emptied.notify_waiters();
        }
        was_waiting
    }

    /// Nobody wants any answer any more.
    pub(super) fn clear(&self) {
        self.requests().clear();
        self.emptied.notify_waiters();
    }

    /// Waits until every request has its answer.
    pub(super) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.requests().is_empty() {
                return;
            }
            emptied.await;
        }
    }
}
