//! Calls that wait for their answer (tool-sync §3).
//!
//! An answer belongs to a call by the call's id and by entity and environment, whatever connection it
//! comes on.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::EntityKey;

/// How many settled calls are remembered, to tell late answers from unknown ones.
const REMEMBERED: usize = 10_000;

type CallKey = (EntityKey, String);

/// An answer as it arrived.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The result's JSON text, or the error's text.
    pub(crate) content: Result<String, String>,
    /// What the host measured.
    pub(crate) host_latency: Option<Duration>,
    /// The whole frame.
    pub(crate) frame: String,
}

/// What became of an answer.
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

#[derive(Debug, Default)]
pub(crate) struct PendingCalls {
    waiting: HashMap<CallKey, oneshot::Sender<Answer>>,
    past: HashMap<CallKey, Past>,
    past_order: VecDeque<CallKey>,
}

impl PendingCalls {
    /// Waits for the answer to a call from now on.
    pub(crate) fn expect(&mut self, key: &EntityKey, call_id: &str) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.insert((key.clone(), call_id.to_owned()), sender);
        receiver
    }

    /// No longer waits. Whether it was still waiting.
    pub(crate) fn abandon(&mut self, key: &EntityKey, call_id: &str) -> bool {
        let call = (key.clone(), call_id.to_owned());
        let waited = self.waiting.remove(&call).is_some();
        if waited {
            self.remember(call, Past::Abandoned);
        }
        waited
    }

    /// Hands an answer to whoever waits for it.
    pub(crate) fn settle(&mut self, key: &EntityKey, call_id: &str, answer: Answer) -> Settled {
        let call = (key.clone(), call_id.to_owned());
        if let Some(sender) = self.waiting.remove(&call) {
            let delivered = sender.send(answer).is_ok();
            self.remember(call, Past::Answered);
            return if delivered { Settled::Delivered } else { Settled::Late };
        }
        match self.past.get(&call) {
            Some(Past::Answered) => Settled::Repeated,
            Some(Past::Abandoned) => Settled::Late,
            None => Settled::Unknown,
        }
    }

    /// How many calls wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
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
