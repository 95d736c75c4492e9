//! What members tell each other. They are read by members of other versions too: fields may be added, none changes its
//! meaning.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::FleetError;

/// One start of one process. Nobody has the same twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct MemberId(u64, u64);

impl MemberId {
    /// An id that nobody can guess or has had: nonces begin with it.
    pub(crate) fn random() -> Result<Self, FleetError> {
        let random = || getrandom::u64().map_err(|_| FleetError::NoRandomness);
        Ok(Self(random()?, random()?))
    }

    #[cfg(test)]
    pub(crate) const fn of(number: u64) -> Self {
        Self(number, number)
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.1.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(bytes);
        Self((number >> 64) as u64, number as u64)
    }

    /// A number below `limit` that is always the same for this member.
    pub(crate) fn spread(self, limit: u64) -> u64 {
        self.0 % limit
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 32)
    }
}

/// The id of a call, as the platform gave it.
pub(crate) type CallId = Arc<str>;

/// A tool as a member declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Declared {
    pub(crate) name: Arc<str>,
    /// The hash of the declaration.
    pub(crate) hash: u64,
    /// The declaration, as JSON.
    pub(crate) spec: Arc<str>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) is_blocking: bool,
    /// Whether a call may run twice.
    pub(crate) runs_again: bool,
}

/// How a member is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The number of this report, from 1.
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) build: String,
    pub(crate) max_running: usize,
    pub(crate) max_blocking: usize,
    /// Calls that run here and were not handed over by the gateway.
    pub(crate) own: usize,
    /// Whether the member is about to stop, and takes no calls.
    pub(crate) draining: bool,
    /// Tools that do not work here, and why.
    pub(crate) down: Vec<(String, String)>,
    pub(crate) figures: Figures,
}

/// The calls of a member in the last seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) running: usize,
    pub(crate) calls_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// A call that runs at a member, for a gateway that did not hand it over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Running<C> {
    pub(crate) call_id: CallId,
    pub(crate) tool: Arc<str>,
    /// The time until its deadline, in milliseconds.
    pub(crate) left_ms: u64,
    /// The call, if it may run again.
    pub(crate) call: Option<C>,
}

/// A message from one member to another. `C` is a call, `A` an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Message<C, A> {
    /// To the gateway: how the member is.
    Report(Report),
    /// To the gateway: all tools of the member, and to a new one the calls that run at it.
    Introduction { tools: Vec<Declared>, running: Vec<Running<C>> },
    /// To a member that reports and has not introduced itself, as far as the gateway knows: do so.
    Introduce,
    /// To a member: run this call. `report` is the number of the newest report that the gateway has of the member.
    /// `attempt` counts how often it was sent, from 1.
    Call { call_id: CallId, tool: Arc<str>, left_ms: u64, report: u64, attempt: u32, call: C },
    /// To the gateway: these calls run here. What it hears nothing of, it sends again.
    Taken { call_ids: Vec<CallId> },
    /// To a member: the call is of no use any more.
    Cancel { call_id: CallId },
    /// To the gateway: the handler has not begun; what to answer if nobody else takes the call.
    Refused { call_id: CallId, attempt: u32, answer: Option<A> },
    /// To the gateway: the call has ended.
    Answer { call_id: CallId, left_ms: u64, answer: A },
    /// To a member: these answers have arrived here.
    Received { call_ids: Vec<CallId> },
    /// To a member: the platform has these answers.
    Delivered { call_ids: Vec<CallId> },
    /// To the gateway: these calls were answered through another one.
    Done { call_ids: Vec<CallId> },
    /// To one member: these calls run at the gateway itself, in case it is lost.
    Mirror { calls: Vec<Running<C>> },
    /// To a member: take the lease at this revision. `members` are those that the gateway knows.
    Offer { revision: u64, term: u64, members: Vec<MemberId> },
    /// To the gateway: the member has ended, in order.
    Left,
    /// To the new gateway: the connection of the one before has ended.
    Ended,
}
