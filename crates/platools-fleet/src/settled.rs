//! The ids of the calls that were answered lately. Pure.
//!
//! There may be a million of them. So only their hashes are kept, in a few sets that are dropped as a whole.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;

use crate::map::{HashSet, State};
use crate::time::{Time, ms};

/// How long an id is known, at least.
const REMEMBERED: Time = ms(30_000);
/// The time that one set covers.
const SPAN: Time = ms(15_000);

#[derive(Debug, Default)]
pub(crate) struct Settled {
    hasher: State,
    /// The sets with the times at which they began, oldest first.
    sets: VecDeque<(Time, HashSet<u64>)>,
}

impl Settled {
    pub(crate) fn insert(&mut self, now: Time, call_id: &str) {
        let hash = self.hasher.hash_one(call_id);
        match self.sets.back_mut() {
            Some((since, set)) if now < *since + SPAN => {
                set.insert(hash);
            }
            last => {
                // To grow is slow.
                let size = last.map_or(0, |(_, set)| set.len());
                let mut set = HashSet::with_capacity_and_hasher(size, State::default());
                set.insert(hash);
                self.sets.push_back((now, set));
            }
        }
    }

    pub(crate) fn remove(&mut self, call_id: &str) {
        let hash = self.hasher.hash_one(call_id);
        for (_, set) in &mut self.sets {
            set.remove(&hash);
        }
    }

    pub(crate) fn contains(&self, call_id: &str) -> bool {
        let hash = self.hasher.hash_one(call_id);
        self.sets.iter().any(|(_, set)| set.contains(&hash))
    }

    /// Forgets what is too old.
    pub(crate) fn forget(&mut self, now: Time) {
        while self.sets.front().is_some_and(|(since, _)| now >= *since + SPAN + REMEMBERED) {
            self.sets.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_for_half_a_minute_and_not_for_ever() {
        let mut settled = Settled::default();
        for second in 0..100 {
            let now = ms(second * 1_000);
            settled.insert(now, &format!("call-{second}"));
            settled.forget(now);
            for before in 0..=second {
                let known = settled.contains(&format!("call-{before}"));
                let age = second - before;
                assert!(if age < 30 { known } else { !known || age < 45 }, "{before} at {second}");
            }
        }
        assert!(settled.sets.len() <= 4);
        settled.remove("call-99");
        assert!(!settled.contains("call-99") && settled.contains("call-98"));
    }
}
