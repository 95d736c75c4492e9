//! How long the handlers of a tool hold their thread before they first wait, as far as is known.
//!
//! A host polls calls of quick tools one after the other in one task, which saves a task and a wake-up for each;
//! so it must know which tools are quick. The estimate goes up at once and down slowly: one slow call is followed
//! by calls in tasks of their own until a few dozen of them were quick again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Up to here calls may share a task.
const QUICK: Duration = Duration::from_micros(50);
/// Nothing is known yet.
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
    /// Takes in one more first poll. Of two at the same time one may be lost, which is no harm to an estimate.
    pub(super) fn record(&self, took: Duration) {
        let took = u32::try_from(took.as_nanos()).unwrap_or(UNKNOWN - 1).min(UNKNOWN - 1);
        let before = self.0.load(Ordering::Relaxed);
        let now = if before == UNKNOWN { took } else { took.max(before - before / 8) };
        if now != before {
            self.0.store(now, Ordering::Relaxed);
        }
    }

    /// How long a first poll takes at most, when that is short.
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
