//! How long to wait before the next attempt.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Random waits below a bound that doubles with every attempt.
///
/// ```
/// use std::time::Duration;
/// use platools_net::Backoff;
///
/// let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// assert_eq!(backoff.bound(3), Duration::from_secs(8));
/// assert!(backoff.wait(3) <= Duration::from_secs(8));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    least: f64,
    most: f64,
}

impl Backoff {
    /// Waits with full jitter: anything from zero to a bound that starts at `first` and doubles up to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, least: 0.0, most: 1.0 }
    }

    /// Narrows the jitter to these fractions of the bound, such as `0.5..=1.0`. Negative fractions count as 0.
    pub const fn jitter(self, fractions: RangeInclusive<f64>) -> Self {
        Self { least: fractions.start().max(0.0), most: fractions.end().max(0.0), ..self }
    }

    /// Returns the bound of the wait after `attempt` failures before this one; the first is attempt 0.
    pub fn bound(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.checked_pow(attempt).and_then(|factor| self.first.checked_mul(factor));
        doubled.unwrap_or(self.longest).min(self.longest)
    }

    /// Returns a random wait; the first attempt is 0.
    pub fn wait(&self, attempt: u32) -> Duration {
        self.scaled(attempt, fastrand::f64())
    }

    /// Returns a wait from a source of randomness, for tests that need the same waits again.
    pub fn wait_with(&self, attempt: u32, random: &mut fastrand::Rng) -> Duration {
        self.scaled(attempt, random.f64())
    }

    fn scaled(&self, attempt: u32, chance: f64) -> Duration {
        let factor = self.least + chance * (self.most - self.least);
        Duration::try_from_secs_f64(self.bound(attempt).as_secs_f64() * factor).unwrap_or(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_within_their_bounds_and_use_them() {
        let full = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut random = fastrand::Rng::with_seed(7);
        for (backoff, least, most) in
            [(full, 0.0, 1.0), (full.jitter(0.5..=1.0), 0.5, 1.0), (full.jitter(0.8..=1.2), 0.8, 1.2)]
        {
            for (attempt, bound) in [(0, 1.0), (1, 2.0), (5, 32.0), (6, 60.0), (40, 60.0), (u32::MAX, 60.0)] {
                assert_eq!(backoff.bound(attempt), Duration::from_secs_f64(bound));
                let waits: Vec<_> = (0..2_000)
                    .map(|_| backoff.wait_with(attempt, &mut random).as_secs_f64() / bound)
                    .collect();
                let (low, high) = waits
                    .iter()
                    .fold((f64::MAX, 0.0_f64), |(low, high), wait| (low.min(*wait), high.max(*wait)));
                assert!(low >= least && low < least + 0.03, "{attempt}: {low}");
                assert!(high <= most && high > most - 0.03, "{attempt}: {high}");
            }
        }
        assert!(full.wait(0) <= Duration::from_secs(1));
    }

    #[test]
    fn extreme_settings_do_not_panic() {
        let exact = Backoff::new(Duration::from_millis(250), Duration::from_secs(10)).jitter(1.0..=1.0);
        assert_eq!([0, 1, 2, 9].map(|attempt| exact.wait(attempt).as_millis()), [250, 500, 1_000, 10_000]);
        for backoff in [
            Backoff::new(Duration::ZERO, Duration::ZERO),
            Backoff::new(Duration::MAX, Duration::MAX).jitter(0.0..=2.0),
            Backoff::new(Duration::from_secs(9), Duration::from_secs(1)),
        ] {
            for attempt in [0, 1, 31, 32, u32::MAX] {
                backoff.wait(attempt);
            }
        }
    }
}
