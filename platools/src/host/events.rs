//! What happens to a host, for whoever wants to know. Nobody who listens slowly delays the host.

use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::HostState;
use crate::wire::Scope;

/// How many events wait for a slow listener; beyond it the oldest are missed.
const CAPACITY: usize = 256;

/// One thing that happened to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostEvent {
    /// The connection is in another state.
    State(HostState),
    /// The platform said `welcome`.
    Connected {
        /// What the connection belongs to, as far as the platform says.
        scope: Scope,
    },
    /// A connection ended, or could not be made.
    Disconnected {
        /// Why, in words.
        reason: String,
    },
    /// The platform applied a declaration of tools.
    Registered {
        /// How many tools it has now, if it says.
        tools: Option<u64>,
    },
    /// The platform did not apply a declaration; it is sent again after the delay.
    RegistrationThrottled {
        /// The delay.
        retry_after: Duration,
    },
    /// A call was answered without running a handler.
    CallRefused {
        /// The call.
        call_id: String,
        /// The tool that was asked for, as far as it could be read.
        tool: Option<String>,
        /// Why, in one word: `signature_mismatch`, `overloaded`, …
        reason: &'static str,
    },
    /// An answer could not be delivered while the platform waited for it.
    AnswerLost {
        /// The call.
        call_id: String,
    },
    /// A frame arrived that cannot be read.
    MalformedFrame,
}

/// The events of a host, from the moment this was made.
#[derive(Debug)]
pub struct HostEvents {
    receiver: broadcast::Receiver<HostEvent>,
    missed: u64,
}

impl HostEvents {
    /// The next event; `None` when the host is gone.
    pub async fn next(&mut self) -> Option<HostEvent> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many events were missed for listening too slowly.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// Where events are told.
#[derive(Debug, Clone)]
pub(super) struct Events(broadcast::Sender<HostEvent>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(CAPACITY).0)
    }
}

impl Events {
    /// Tells everyone who listens, if anyone does.
    pub(super) fn tell(&self, event: HostEvent) {
        // The only error is that nobody listens.
        let _ = self.0.send(event);
    }

    pub(super) fn listen(&self) -> HostEvents {
        HostEvents { receiver: self.0.subscribe(), missed: 0 }
    }
}
