//! How many lines of a server go into the log: its words are of use, a flood of them fills a disk.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many lines there may be at once.
const BURST: u32 = 200;

/// How long it takes until there may be another one.
const REFILL_TIME: Duration = Duration::from_millis(100);

/// The log lines that a server may still write. A restart of the server does not renew them.
#[derive(Debug)]
pub(crate) struct Ration(Mutex<State>);

#[derive(Debug)]
struct State {
    left: u32,
    since: Instant,
    dropped: u64,
}

impl Ration {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State { left: BURST, since: Instant::now(), dropped: 0 }))
    }

    /// Returns whether one more line may be logged, and how many were left out before it.
    pub(crate) fn take(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl State {
    fn take(&mut self) -> Option<u64> {
        let earned = self.since.elapsed().as_millis() / REFILL_TIME.as_millis();
        if let Ok(earned @ 1..) = u32::try_from(earned) {
            self.left = self.left.saturating_add(earned).min(BURST);
            self.since = Instant::now();
        }
        if self.left == 0 {
            self.dropped += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_thinned_out_and_counted() {
        let ration = Ration::new();
        let logged = (0..1_000).filter(|_| ration.take().is_some()).count();
        assert_eq!(logged, 200);
        tokio::time::advance(REFILL_TIME).await;
        assert_eq!(ration.take(), Some(800));
        assert_eq!(ration.take(), None);
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(
            (0..1_000).filter(|_| ration.take().is_some()).count(),
            200,
            "a silence saves no more than that"
        );
    }
}
