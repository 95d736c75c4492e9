//! Events of a host, for observers. A slow receiver misses events and never delays the host.

use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::HostState;
use crate::wire::Scope;

/// The number of events buffered for a slow receiver; beyond it, the oldest are dropped.
const CAPACITY: usize = 256;

/// An event of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostEvent {
    /// The state of the connection changed.
    State(HostState),
    /// The platform said `welcome`.
    Connected {
        /// The scope of the connection, as stated by the platform.
        scope: Scope,
    },
    /// A connection ended or failed.
    Disconnected {
        /// The reason, as text.
        reason: String,
    },
    /// The platform refuses the secret, which was valid before, and its source has no other one.
    SecretRefused,
    /// The platform applied a declaration of tools.
    Registered {
        /// The number of registered tools, if the platform states it.
        tools: Option<u64>,
    },
    /// The platform did not apply a declaration; it is sent again after the delay.
    RegistrationThrottled {
        /// The delay.
        retry_after: Duration,
    },
    /// The platform refused a declaration of tools, so that the ones declared before still apply.
    RegistrationRejected {
        /// The platform's reason, such as `duplicate_tool_name:lookup_order`.
        reason: String,
        /// The delay after which it is declared again; `None` if the same declaration would be refused again.
        retry_after: Option<Duration>,
    },
    /// A call was answered without running a handler.
    CallRefused {
        /// The call.
        call_id: String,
        /// The name of the tool, if it could be read.
        tool: Option<String>,
        /// The reason, as one word: `signature_mismatch`, `overloaded`, …
        reason: &'static str,
    },
    /// An answer could not be delivered while the platform waited for it.
    AnswerLost {
        /// The call.
        call_id: String,
    },
    /// A result had no room among those that wait to be sent; the call was answered with an error instead.
    AnswerReplaced {
        /// The call.
        call_id: String,
        /// The size of the result, in bytes.
        bytes: usize,
    },
    /// A malformed frame arrived.
    MalformedFrame,
}

/// A subscription to the events of a host, from its creation on.
#[derive(Debug)]
pub struct HostEvents {
    receiver: broadcast::Receiver<HostEvent>,
    missed: u64,
}

impl HostEvents {
    /// Waits for the next event; returns `None` when the host is dropped.
    pub async fn next(&mut self) -> Option<HostEvent> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Returns the number of events missed because the receiver was too slow.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// The sender of events.
#[derive(Debug, Clone)]
pub(super) struct Events(broadcast::Sender<HostEvent>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(CAPACITY).0)
    }
}

impl Events {
    /// Sends an event to all subscriptions.
    pub(super) fn tell(&self, event: HostEvent) {
        // Fails only without subscriptions.
        let _ = self.0.send(event);
    }

    pub(super) fn listen(&self) -> HostEvents {
        HostEvents { receiver: self.0.subscribe(), missed: 0 }
    }
}
