//! The requests that have no answer yet, so that the end of input can wait for them, and calls can be taken back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::model::RequestId;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, oneshot};

/// How many requests wait for answers; beyond that, nothing is read.
const MOST: usize = 8_192;

#[derive(Debug, Default)]
pub(super) struct Waiting {
    requests: Mutex<HashMap<RequestId, Option<oneshot::Sender<()>>>>,
    /// Of none that is left, and of the first place in a full house.
    fewer: Notify,
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
        self.tell(requests.len());
        was_waiting
    }

    /// The same for the call that `taken_back` was made for, and not for a later one of its id.
    pub(super) fn remove_call(&self, id: &RequestId, taken_back: &mut oneshot::Receiver<()>) -> bool {
        let mut requests = self.requests();
        let was_waiting = taken_back.try_recv() == Err(TryRecvError::Empty) && requests.remove(id).is_some();
        self.tell(requests.len());
        was_waiting
    }

    fn tell(&self, left: usize) {
        if left == 0 || left == MOST - 1 {
            self.fewer.notify_waiters();
        }
    }

    /// Nobody wants any answer any more.
    pub(super) fn clear(&self) {
        self.requests().clear();
        self.fewer.notify_waiters();
    }

    /// Waits until every request has its answer.
    pub(super) async fn empty(&self) {
        self.fewer_than(1).await;
    }

    /// Waits until there is a place for one more request.
    pub(super) async fn room(&self) {
        // What is nearly always so costs no place in a list.
        if self.requests().len() >= MOST {
            self.fewer_than(MOST).await;
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
