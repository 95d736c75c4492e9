//! From the task to the reader: bounded in events and in bytes, whichever is reached first.

use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::refusal::STREAM;
use crate::config::StreamLimits;
use crate::error::{Error, NetworkError, NetworkErrorKind};
use crate::event::AgentEvent;

/// The task's end.
pub(super) struct Outlet {
    sender: mpsc::Sender<Item>,
    bytes: Arc<Semaphore>,
    budget: usize,
}

/// The reader's end.
pub(super) struct Inlet {
    receiver: mpsc::Receiver<Item>,
    /// The last word came: `done`, or an error.
    over: bool,
}

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
        (Self { sender, bytes: Arc::new(Semaphore::new(budget)), budget }, Inlet { receiver, over: false })
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
        self.receiver.poll_recv(context).map(|item| match item {
            Some(item) => {
                self.over = matches!(item.result, Ok(AgentEvent::Done(_)) | Err(_));
                Some(item.result)
            }
            None if std::mem::replace(&mut self.over, true) => None,
            // Nobody shall take this for the end of the turn.
            None => {
                let message = "the task of this stream is gone without a word: the runtime that it was begun on was \
                               shut down; the turn may go on, take it up with `resume`";
                Some(Err(NetworkError::new(STREAM, NetworkErrorKind::Lost, message).into()))
            }
        })
    }
}
