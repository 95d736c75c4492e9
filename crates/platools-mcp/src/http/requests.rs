//! The ids of the requests of all sessions that have no answer yet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::RequestId;
use tokio_util::sync::CancellationToken;

pub(super) type SessionId = Arc<str>;

/// With the cancellation of those that are calls which `rmcp` may not know yet.
type Cancellations = HashMap<(SessionId, RequestId), Option<CancellationToken>>;

#[derive(Clone, Default)]
pub(super) struct Requests(Arc<Mutex<Cancellations>>);

/// Keeps the id of a request until the last clone is dropped: the response is written, and `rmcp` is done with it.
#[derive(Clone)]
pub(super) struct HeldId(Arc<Registration>);

struct Registration {
    requests: Requests,
    request: (SessionId, RequestId),
}

impl Requests {
    /// Keeps the id for a request; `None` if another one has it.
    pub(super) fn register(&self, session: &SessionId, id: RequestId) -> Option<HeldId> {
        let request = (Arc::clone(session), id);
        match self.locked().entry(request.clone()) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(free) => free.insert(None),
        };
        Some(HeldId(Arc::new(Registration { requests: self.clone(), request })))
    }

    /// Cancels a call at the request of the client.
    pub(super) fn cancel(&self, session: &str, id: RequestId) {
        if let Some(Some(call)) = self.locked().get(&(SessionId::from(session), id)) {
            call.cancel();
        }
    }

    fn locked(&self) -> MutexGuard<'_, Cancellations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldId {
    /// Makes the request one that the client can cancel before `rmcp` knows it.
    pub(super) fn cancel_with(&self, call: CancellationToken) {
        let Registration { requests, request } = &*self.0;
        requests.locked().insert(request.clone(), Some(call));
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.requests.locked().remove(&self.request);
    }
}
