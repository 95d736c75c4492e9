//! Estimates the duration of the first poll of a tool's handlers.
//!
//! A host polls calls of quick tools one after the other in one task, which saves a task and a wake-up for each. The
//! estimate rises at once and falls slowly: after one slow call, calls of the tool get their own tasks until a few
//! dozen of them were quick again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The estimate up to which calls may share a task.
const QUICK: Duration = Duration::from_micros(50);
/// The value before the first call.
const UNKNOWN: u32 = u32::MAX;

/// The estimate for one tool.
#[derive(Debug)]
pub(super) struct Pace(AtomicU32);

impl Default for Pace {
    fn default() -> Self {
        Self(AtomicU32::new(UNKNOWN))
    }
}

impl Pace {
    /// Updates the estimate with one more first poll. A concurrent update may be lost, which an estimate tolerates.
    pub(super) fn record(&self, took: Duration) {
        let took = u32::try_from(took.as_nanos()).unwrap_or(UNKNOWN - 1).min(UNKNOWN - 1);
        let before = self.0.load(Ordering::Relaxed);
        let now = if before == UNKNOWN { took } else { took.max(before - before / 8) };
        if now != before {
            self.0.store(now, Ordering::Relaxed);
        }
    }

    /// Returns the estimate if the tool is known to be quick.
    pub(super) fn quick(&self) -> Option<Duration> {
        let nanos = self.0.load(Ordering::Relaxed);
        Some(Duration::from_nanos(nanos.into())).filter(|estimate| nanos != UNKNOWN && *estimate <= QUICK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_quick_when_it_was_seen_to_be_and_not_after_a_slow_call() {
        let pace = Pace::default();
        assert_eq!(pace.quick(), None, "nothing is known");
        pace.record(Duration::from_micros(3));
        assert_eq!(pace.quick(), Some(Duration::from_micros(3)));
        pace.record(Duration::from_secs(3_600));
        assert_eq!(pace.quick(), None);
        let until_quick = (0..1_000).take_while(|_| {
            pace.record(Duration::from_micros(3));
            pace.quick().is_none()
        });
        let calls = until_quick.count();
        assert!((50..500).contains(&calls), "an hour is forgotten after {calls} calls");
    }
}
