//! Parts of verification, exposed for benchmarks.

use std::time::Duration;

use super::SigningKey;
use super::replay::{NonceCheck, ReplayGuard};
use super::timestamp::{Microseconds, microseconds};
use crate::wire::{CallFrame, RawEnvelope};

/// The replay guard.
#[derive(Debug)]
pub struct Nonces {
    guard: ReplayGuard,
    max_skew: Microseconds,
}

impl Nonces {
    /// Creates a replay guard of `capacity` nonces, for calls that were signed at most `max_skew` ago.
    pub fn new(capacity: usize, max_skew: Duration) -> Self {
        Self { guard: ReplayGuard::new(capacity), max_skew: microseconds(max_skew) }
    }

    /// Returns whether a call signed at `now`, in microseconds since 1970, is the first with this nonce.
    pub fn remember(&mut self, nonce: &str, now: i64) -> bool {
        self.guard.remember(nonce, now, now.saturating_sub(self.max_skew)) == NonceCheck::New
    }
}

/// Returns whether the signature in a call's `envelope` matches this key; does not check age and nonce.
pub fn is_genuine(key: &SigningKey, call: &CallFrame<'_>, envelope: &RawEnvelope<'_>) -> bool {
    let [signature, timestamp] = [&envelope.signature, &envelope.timestamp].map(|text| text.as_deref());
    let (signature, timestamp) = (signature.unwrap_or_default(), timestamp.unwrap_or_default());
    key.verifies_call(signature, timestamp, envelope.nonce.as_deref(), call)
}
