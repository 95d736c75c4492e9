//! Calls that wait for their answer (protocol §3).
//!
//! An answer belongs to a call by the call's id and by entity and environment, whatever connection it
//! comes on.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::key::EntityKey;

/// Number of settled calls that are remembered, to tell late answers from unknown ones.
const REMEMBERED: usize = 10_000;

type CallKey = (EntityKey, String);

/// An answer as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The result's JSON text, or the error's text.
    pub(crate) content: Result<String, String>,
    /// The latency that the host measured.
    pub(crate) host_latency: Option<Duration>,
    /// The whole frame.
    pub(crate) frame: String,
}

/// The fate of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    Delivered,
    Late,
    Repeated,
    Unknown,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Past {
    Answered,
    Abandoned,
}

/// Tells those who wait for the same call apart.
pub(crate) type Waiter = u64;

#[derive(Debug, Default)]
pub(crate) struct PendingCalls {
    /// Waiters by call. A call id that was sent twice has two, and one answer for both.
    waiting: HashMap<CallKey, Vec<(Waiter, oneshot::Sender<Answer>)>>,
    last: Waiter,
    past: HashMap<CallKey, Past>,
    past_order: VecDeque<CallKey>,
}

impl PendingCalls {
    /// Waits for the answer to a call from now on.
    pub(crate) fn expect(&mut self, key: &EntityKey, call_id: &str) -> (Waiter, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        self.last += 1;
        self.waiting.entry((key.clone(), call_id.to_owned())).or_default().push((self.last, sender));
        (self.last, receiver)
    }

    /// No longer waits. Whether it was still waiting.
    pub(crate) fn abandon(&mut self, key: &EntityKey, call_id: &str, waiter: Waiter) -> bool {
        let call = (key.clone(), call_id.to_owned());
        let Some(waiting) = self.waiting.get_mut(&call) else { return false };
        let before = waiting.len();
        waiting.retain(|(other, _)| *other != waiter);
        let was_there = waiting.len() < before;
        if waiting.is_empty() {
            self.waiting.remove(&call);
            self.remember(call, Past::Abandoned);
        }
        was_there
    }

    /// Hands an answer to its waiters.
    pub(crate) fn settle(&mut self, key: &EntityKey, call_id: &str, answer: &Answer) -> Settled {
        let call = (key.clone(), call_id.to_owned());
        if let Some(waiting) = self.waiting.remove(&call) {
            let delivered =
                waiting.into_iter().filter_map(|(_, sender)| sender.send(answer.clone()).ok()).count() > 0;
            self.remember(call, Past::Answered);
            return if delivered { Settled::Delivered } else { Settled::Late };
        }
        match self.past.get(&call) {
            Some(Past::Answered) => Settled::Repeated,
            Some(Past::Abandoned) => Settled::Late,
            None => Settled::Unknown,
        }
    }

    /// Number of calls that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    fn remember(&mut self, call: CallKey, past: Past) {
        if self.past.insert(call.clone(), past).is_none() {
            self.past_order.push_back(call);
        }
        if self.past_order.len() > REMEMBERED
            && let Some(oldest) = self.past_order.pop_front()
        {
            self.past.remove(&oldest);
        }
    }
}
