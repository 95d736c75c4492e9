//! Parts of verification by themselves, for benchmarks.

use std::time::Duration;

use super::SigningKey;
use super::replay::{Admission, ReplayGuard};
use super::timestamp::{Microseconds, microseconds};
use crate::wire::{CallFrame, RawEnvelope};

/// The memory of nonces.
#[derive(Debug)]
pub struct Nonces {
    guard: ReplayGuard,
    max_skew: Microseconds,
}

impl Nonces {
    /// A memory of so many nonces, for calls that were signed at most so long ago.
    pub fn new(capacity: usize, max_skew: Duration) -> Self {
        Self { guard: ReplayGuard::new(capacity), max_skew: microseconds(max_skew) }
    }

    /// Whether a call that was signed `now`, in microseconds since 1970, is the first with this nonce.
    pub fn admit(&mut self, nonce: &str, now: i64) -> bool {
        self.guard.admit(nonce, now, now.saturating_sub(self.max_skew)) == Admission::New
    }
}

/// Whether the signature in a call's `envelope` is this key's; its age and its nonce are not looked at.
pub fn is_genuine(key: &SigningKey, call: &CallFrame<'_>, envelope: &RawEnvelope<'_>) -> bool {
    let [signature, timestamp] = [&envelope.signature, &envelope.timestamp].map(|text| text.as_deref());
    let (signature, timestamp) = (signature.unwrap_or_default(), timestamp.unwrap_or_default());
    key.verifies_call(signature, timestamp, envelope.nonce.as_deref(), call)
}
