//! The ids of the calls that finished lately, as hashes: nine to twenty bytes each.
//!
//! An id is remembered for [`CALL_PENDING`], and up to a third longer, since ids are forgotten together with all that
//! were added in the same ten seconds. None is forgotten earlier: without room, no further call runs.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::Instant;

use crate::wire::CALL_PENDING;

/// Maximum number of ids: as many as fill four tables of 2^20 places, 36 MiB, or 90 000 calls a second.
pub(in crate::intake) const MAX_IDS: usize = 4 * (1 << 20) / 8 * 7;

/// How long ids are added to one table.
const GENERATION: Duration = Duration::from_secs(CALL_PENDING.as_secs() / 3);

/// A set of ids.
#[derive(Debug)]
pub(super) struct Ids {
    oldest_first: VecDeque<Generation>,
    len: usize,
    capacity: usize,
}

/// The ids of [`GENERATION`].
#[derive(Debug)]
struct Generation {
    began: Instant,
    ids: HashSet<u64, RandomState>,
}

impl Default for Ids {
    fn default() -> Self {
        Self::with_capacity(MAX_IDS)
    }
}

impl Ids {
    /// Creates an empty set of up to `capacity` ids.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { oldest_first: VecDeque::new(), len: 0, capacity }
    }

    /// Returns whether `running` ids, and one more, have room beside those that are remembered.
    pub(super) fn has_room(&self, running: usize) -> bool {
        self.len + running < self.capacity
    }

    /// Returns whether the id with this hash is remembered.
    pub(super) fn contains(&self, hash: u64) -> bool {
        self.oldest_first.iter().any(|generation| generation.ids.contains(&hash))
    }

    /// Adds the hash of an id.
    pub(super) fn insert(&mut self, hash: u64, now: Instant) {
        let latest = self.oldest_first.back().filter(|latest| now < latest.began + GENERATION);
        if latest.is_none() {
            // The rate of calls rarely changes, and a table that grows moves all of its ids.
            let ids = self.oldest_first.back().map_or(0, |latest| latest.ids.len());
            let ids = HashSet::with_capacity_and_hasher(ids, RandomState::default());
            self.oldest_first.push_back(Generation { began: now, ids });
        }
        if let Some(latest) = self.oldest_first.back_mut()
            && latest.ids.insert(hash)
        {
            self.len += 1;
        }
    }

    /// Forgets ids that the platform asks for no more.
    pub(super) fn forget(&mut self, now: Instant) {
        while let Some(oldest) = self.oldest_first.front()
            && now >= oldest.began + GENERATION + CALL_PENDING
        {
            self.len -= oldest.ids.len();
            self.oldest_first.pop_front();
        }
    }
}
