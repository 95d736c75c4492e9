//! The ids of the calls that came lately, as hashes: nine to twenty bytes each.
//!
//! An id is remembered for [`CALL_PENDING`] from its arrival, which is later than the platform began to wait, and up to
//! twice as long, since ids are forgotten together with all that came in the same half minute. More and smaller tables
//! would forget sooner, and cost each call a miss of the cache for every table. None is forgotten earlier: without room,
//! no further call runs.

use std::collections::{HashSet, VecDeque};

use foldhash::fast::RandomState;
use tokio::time::Instant;

use crate::wire::CALL_PENDING;

/// Maximum number of ids: as many as fill two tables of 2^22 places, 72 MiB, or 120 000 calls a second for as long as one
/// likes.
pub(in crate::intake) const MAX_IDS: usize = 2 * (1 << 22) / 8 * 7;

/// How long ids are added to one table.
const GENERATION: std::time::Duration = CALL_PENDING;

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

    /// Returns whether one more id has room, once those are forgotten that can be.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        if self.len >= self.capacity {
            self.forget(now);
        }
        self.len < self.capacity
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

    /// Removes the hash of an id whose call did not run.
    pub(super) fn remove(&mut self, hash: u64) {
        if self.oldest_first.iter_mut().any(|generation| generation.ids.remove(&hash)) {
            self.len -= 1;
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
