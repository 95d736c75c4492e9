//! The replay guard: remembers nonces, so that no signed call runs twice (protocol §6).
//!
//! Bounded by time and by number. A nonce is evicted when its timestamp leaves the window of accepted timestamps, or
//! when the capacity is exceeded. Eviction removes all nonces of the oldest timestamp together, and calls with that
//! timestamp or an older one are rejected from then on, so an evicted nonce cannot be replayed.
//!
//! Many calls share a timestamp, because the platform's clock has millisecond resolution. Nonces of the *newest*
//! timestamp are therefore never evicted for capacity, which would reject fresh calls of the same millisecond. The
//! guard exceeds its capacity only while one millisecond brings more calls than that, and shrinks with the first call
//! of a later one.
//!
//! Nonces are added only after the signature was verified, so only the platform can fill the guard. Each is stored as
//! a 64-bit hash under a random key of the guard, so that collisions cannot be searched for. Among 100 000 nonces, one
//! new nonce in 10^14 collides, and its call is refused. The key outlives the process together with the hashes.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::timestamp::Microseconds;

/// Maximum number of evicted nonces that one call removes: more than it adds, so that the backlog shrinks; few, so
/// that no call is delayed after a burst.
const MAX_EVICTED_PER_CALL: usize = 8;

/// Minimum capacity to keep when shrinking.
const MIN_CAPACITY: usize = 1024;

/// What the guard knows of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NonceCheck {
    /// The first call with this nonce.
    New,
    /// The nonce was seen before.
    Replayed,
    /// The call is so old that its nonce may have been evicted.
    Forgotten,
}

/// Remembers the nonces of verified calls.
pub(super) struct ReplayGuard {
    capacity: usize,
    hasher: SipHasher13,
    seen: HashSet<Fingerprint, BuildHasherDefault<FingerprintHasher>>,
    /// The nonces of each timestamp. Calls often share a timestamp, since it has millisecond resolution.
    by_age: BTreeMap<Microseconds, Vec<Fingerprint>>,
    /// Nonces of this timestamp or older may have been evicted.
    forgotten: Option<Microseconds>,
}

impl ReplayGuard {
    pub(super) fn new(capacity: usize) -> Self {
        // The random keys of the standard library, which it does not hand out themselves.
        let random = RandomState::new();
        Self::restore(
            capacity,
            Nonces { key: (random.hash_one(0_u8), random.hash_one(1_u8)), ..Nonces::default() },
        )
    }

    /// Creates a guard that remembers these nonces.
    pub(super) fn restore(capacity: usize, nonces: Nonces) -> Self {
        let Nonces { key, forgotten, by_age } = nonces;
        let by_age: BTreeMap<Microseconds, Vec<Fingerprint>> = by_age
            .into_iter()
            .map(|(timestamp, nonces)| (timestamp, nonces.into_iter().map(Fingerprint).collect()))
            .collect();
        let seen = by_age.values().flatten().copied().collect();
        let hasher = SipHasher13::new_with_keys(key.0, key.1);
        Self { capacity: capacity.max(1), hasher, seen, by_age, forgotten }
    }

    /// Returns what [`restore`](Self::restore) needs.
    pub(super) fn nonces(&self) -> Nonces {
        let by_age = self.by_age.iter();
        let by_age =
            by_age.map(|(timestamp, nonces)| (*timestamp, nonces.iter().map(|nonce| nonce.0).collect()));
        Nonces { key: self.hasher.keys(), forgotten: self.forgotten, by_age: by_age.collect() }
    }

    /// Returns whether the nonce is remembered.
    pub(super) fn has_seen(&self, nonce: &str) -> bool {
        self.seen.contains(&Fingerprint(self.hasher.hash(nonce.as_bytes())))
    }

    /// Returns whether its newest nonce is twice as old as a call may be, so that it refuses nothing.
    pub(super) fn is_over(&self, now: Microseconds, max_skew: Microseconds) -> bool {
        let newest = self.by_age.last_key_value().map(|(timestamp, _)| *timestamp).max(self.forgotten);
        newest.is_none_or(|newest| newest < now.saturating_sub(max_skew.saturating_mul(2)))
    }

    /// The key that tells guards apart.
    pub(super) fn key(&self) -> (u64, u64) {
        self.hasher.keys()
    }

    /// Returns whether the nonce of a call with this timestamp may have been evicted.
    pub(super) fn is_forgotten(&self, timestamp: Microseconds) -> bool {
        self.forgotten.is_some_and(|forgotten| timestamp <= forgotten)
    }

    /// Remembers a call's nonce, unless the call must be rejected. Timestamps before `window_start` are evicted.
    pub(super) fn remember(
        &mut self,
        nonce: &str,
        timestamp: Microseconds,
        window_start: Microseconds,
    ) -> NonceCheck {
        if self.is_forgotten(timestamp) {
            return NonceCheck::Forgotten;
        }
        let fingerprint = Fingerprint(self.hasher.hash(nonce.as_bytes()));
        if !self.seen.insert(fingerprint) {
            return NonceCheck::Replayed;
        }
        match self.by_age.last_entry() {
            Some(mut newest) if *newest.key() == timestamp => newest.get_mut().push(fingerprint),
            _ => self.by_age.entry(timestamp).or_default().push(fingerprint),
        }
        self.evict_oldest(window_start);
        NonceCheck::New
    }

    /// Evicts nonces outside the window or beyond the capacity, oldest first, a few per call.
    ///
    /// Evicting one nonce of a timestamp rejects all calls of that timestamp from then on; its other nonces are removed
    /// by later calls.
    fn evict_oldest(&mut self, window_start: Microseconds) {
        let mut left = MAX_EVICTED_PER_CALL;
        while left > 0 {
            let is_over_capacity = self.seen.len() > self.capacity && self.by_age.len() > 1;
            let Some(mut tick) = self.by_age.first_entry() else { break };
            let oldest = *tick.key();
            let is_forgotten = self.forgotten.is_some_and(|forgotten| oldest <= forgotten);
            if !(oldest < window_start || is_forgotten || is_over_capacity) {
                break;
            }
            // Also for nonces outside the window: setting the clock back must not admit them again.
            self.forgotten = self.forgotten.max(Some(oldest));
            let nonces = tick.get_mut();
            for fingerprint in nonces.drain(nonces.len().saturating_sub(left)..) {
                self.seen.remove(&fingerprint);
                left -= 1;
            }
            if nonces.is_empty() {
                tick.remove();
            }
        }
        let room = self.seen.len().saturating_mul(2).max(MIN_CAPACITY);
        if self.seen.capacity() > room.saturating_mul(4) {
            self.seen.shrink_to(room);
        }
    }
}

impl fmt::Debug for ReplayGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayGuard")
            .field("capacity", &self.capacity)
            .field("remembered", &self.seen.len())
            .finish_non_exhaustive()
    }
}

/// The nonces of a guard as they are stored. Knowing them does not help to forge a call.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Nonces {
    key: (u64, u64),
    forgotten: Option<Microseconds>,
    by_age: Vec<(Microseconds, Vec<u64>)>,
}

impl Nonces {
    /// The key that tells guards apart.
    pub(super) fn key(&self) -> (u64, u64) {
        self.key
    }

    /// Returns whether there is nothing to refuse.
    pub(super) fn is_empty(&self) -> bool {
        self.forgotten.is_none() && self.by_age.is_empty()
    }
}

/// The keyed hash of a nonce.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Fingerprint(u64);

/// Passes the fingerprint through: it is already a keyed hash.
#[derive(Default)]
struct FingerprintHasher(u64);

impl Hasher for FingerprintHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::NonceCheck::{Forgotten, New, Replayed};
    use super::*;

    const ALWAYS: Microseconds = Microseconds::MIN;

    fn nonce(number: u64) -> String {
        format!("{number:032x}")
    }

    #[test]
    fn a_nonce_is_new_once_whatever_its_timestamp() {
        let mut guard = ReplayGuard::new(10);
        assert_eq!(guard.remember("a", 1, ALWAYS), New);
        assert_eq!(guard.remember("a", 1, ALWAYS), Replayed);
        assert_eq!(guard.remember("a", 2, ALWAYS), Replayed);
        assert_eq!(guard.remember("b", 1, ALWAYS), New);
    }

    #[test]
    fn at_capacity_the_oldest_are_evicted_and_the_window_narrows() {
        let mut guard = ReplayGuard::new(3);
        for (number, timestamp) in [10, 20, 30].into_iter().enumerate() {
            assert_eq!(guard.remember(&nonce(number as u64), timestamp, ALWAYS), New);
        }
        assert!(!guard.is_forgotten(10));
        assert_eq!(guard.remember("d", 40, ALWAYS), New);
        assert!(guard.is_forgotten(10) && !guard.is_forgotten(11));
        assert_eq!(guard.remember(&nonce(0), 10, ALWAYS), Forgotten);
        assert_eq!(guard.remember("fresh but as old", 10, ALWAYS), Forgotten);
        assert_eq!(guard.remember(&nonce(1), 20, ALWAYS), Replayed);
        assert_eq!(guard.remember("late, and in the window", 15, ALWAYS), New);
        assert_eq!(guard.remember("late, and in the window", 15, ALWAYS), Forgotten);
    }

    #[test]
    fn one_timestamp_may_exceed_the_capacity() {
        let mut guard = ReplayGuard::new(100);
        for number in 0..10_000 {
            assert_eq!(guard.remember(&nonce(number), 5, ALWAYS), New);
        }
        for number in 0..10_000 {
            assert_eq!(guard.remember(&nonce(number), 5, ALWAYS), Replayed);
        }
        for number in 10_000..20_000 {
            assert_eq!(guard.remember(&nonce(number), number.cast_signed(), ALWAYS), New);
        }
        assert!(guard.seen.len() <= 101, "{guard:?}");
        assert!(guard.seen.capacity() < 10_000);
        assert_eq!(guard.remember(&nonce(0), 5, ALWAYS), Forgotten);
    }

    #[test]
    fn evicted_nonces_stay_rejected_when_the_clock_is_set_back() {
        let mut guard = ReplayGuard::new(1000);
        for number in 0..20 {
            assert_eq!(guard.remember(&nonce(number), 100, 0), New);
        }
        for number in 20..25 {
            assert_eq!(guard.remember(&nonce(number), 500, 200), New);
        }
        assert_eq!(guard.seen.len(), 5, "only nonces inside the window are kept");
        assert_eq!(guard.remember(&nonce(0), 100, 0), Forgotten);
        assert_eq!(guard.remember("other", 101, 0), New);
    }

    proptest! {
        /// In any order of arrival: no call runs twice, and a call is rejected as forgotten only if it is not newer than an
        /// evicted timestamp.
        #[test]
        fn nothing_is_admitted_twice(
            capacity in 1_usize..20,
            calls in prop::collection::vec((0_u64..60, 0_i64..12), 0..400),
        ) {
            let mut guard = ReplayGuard::new(capacity);
            let mut admitted = HashSet::new();
            let mut newest = Microseconds::MIN;
            for (number, timestamp) in calls {
                let forgotten = guard.is_forgotten(timestamp);
                // A signed call is its nonce together with its timestamp.
                let nonce = format!("{number}-{timestamp}");
                match guard.remember(&nonce, timestamp, ALWAYS) {
                    New => prop_assert!(admitted.insert((number, timestamp)) && !forgotten),
                    Replayed => prop_assert!(admitted.contains(&(number, timestamp))),
                    Forgotten => prop_assert!(forgotten),
                }
                newest = newest.max(timestamp);
                prop_assert!(!guard.is_forgotten(newest));
                prop_assert_eq!(guard.by_age.values().map(Vec::len).sum::<usize>(), guard.seen.len());
            }
        }
    }
}
