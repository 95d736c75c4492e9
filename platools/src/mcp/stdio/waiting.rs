//! The requests that have no answer yet, so that the end of input can wait for them.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::model::RequestId;
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(super) struct Waiting {
    requests: Mutex<HashSet<RequestId>>,
    emptied: Notify,
}

impl Waiting {
    fn requests(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request came.
    pub(super) fn add(&self, id: RequestId) {
        self.requests().insert(id);
    }

    /// It was answered, or nobody wants its answer.
    pub(super) fn remove(&self, id: &RequestId) {
        let mut requests = self.requests();
        if requests.remove(id) && requests.is_empty() {
            self.emptied.notify_waiters();
        }
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
