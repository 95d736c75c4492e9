//! From the task to the reader: bounded in events and in bytes, whichever is reached first.

use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::config::StreamLimits;
use crate::error::Error;
use crate::event::AgentEvent;

/// The task's end.
pub(super) struct Outlet {
    sender: mpsc::Sender<Item>,
    bytes: Arc<Semaphore>,
    budget: usize,
}

/// The reader's end.
pub(super) struct Inlet(mpsc::Receiver<Item>);

struct Item {
    result: Result<AgentEvent, Error>,
    /// Given back when the item is read.
    _bytes: OwnedSemaphorePermit,
}

/// A place for one item.
pub(super) struct Room<'a> {
    place: mpsc::Permit<'a, Item>,
    bytes: OwnedSemaphorePermit,
}

impl Outlet {
    pub(super) fn new(limits: &StreamLimits) -> (Self, Inlet) {
        let (sender, receiver) = mpsc::channel(limits.waiting_events);
        let budget = limits.waiting_bytes;
        (Self { sender, bytes: Arc::new(Semaphore::new(budget)), budget }, Inlet(receiver))
    }

    /// An event larger than all there is takes all there is.
    fn share(&self, bytes: usize) -> u32 {
        bytes.clamp(1, self.budget) as u32
    }

    /// A place, if there is one at once.
    pub(super) fn try_room(&self, bytes: usize) -> Option<Room<'_>> {
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(self.share(bytes)).ok()?;
        Some(Room { place: self.sender.try_reserve().ok()?, bytes })
    }

    /// A place, as soon as there is one; `None` when nobody reads any more.
    pub(super) async fn room(&self, bytes: usize) -> Option<Room<'_>> {
        let acquired = Arc::clone(&self.bytes).acquire_many_owned(self.share(bytes));
        let bytes = tokio::select! {
            bytes = acquired => bytes.ok()?,
            () = self.sender.closed() => return None,
        };
        Some(Room { place: self.sender.reserve().await.ok()?, bytes })
    }
}

impl Room<'_> {
    pub(super) fn fill(self, result: Result<AgentEvent, Error>) {
        self.place.send(Item { result, _bytes: self.bytes });
    }
}

impl Inlet {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<AgentEvent, Error>>> {
        self.0.poll_recv(context).map(|item| item.map(|item| item.result))
    }
}
