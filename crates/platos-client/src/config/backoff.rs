//! How long to wait before the next attempt.

use std::time::Duration;

use crate::error::ConfigError;

/// Longer than anybody waits; beyond it, the clock's arithmetic would have to be watched.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Waits that double up to a bound, each a little off so that clients do not come back all at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
    /// By how much of itself a wait is off, up or down.
    pub(crate) jitter: f64,
}

impl Backoff {
    /// The wait before a retry; `retry` counts from 0.
    pub(crate) fn wait(&self, retry: u32) -> Duration {
        let jitter = 1.0 - self.jitter..=1.0 + self.jitter;
        platools_net::Backoff::new(self.first, self.longest).jitter(jitter).wait(retry)
    }

    pub(crate) fn check(&self, setting: &'static str) -> Result<(), ConfigError> {
        let expected =
            "a jitter from 0 to 1, and a longest wait that is not below the first, and of 24 hours at most";
        if (0.0..=1.0).contains(&self.jitter) && self.first <= self.longest && self.longest <= LONGEST {
            return Ok(());
        }
        Err(ConfigError::Setting { setting, expected })
    }
}

/// What is tried again, and how often: requests that got no answer, an answer of 5xx, or 429.
///
/// A request that creates something is repeated only under an `Idempotency-Key`, or when nothing of it can
/// have been sent.
///
/// ```
/// use std::time::Duration;
/// use platos_client::RetryPolicy;
///
/// let patient = RetryPolicy::default().max_retries(6).longest_wait(Duration::from_secs(30));
/// let never = RetryPolicy::never();
/// # let _ = (patient, never);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    pub(crate) max_retries: u32,
    pub(crate) backoff: Backoff,
    pub(crate) longest_retry_after: Duration,
}

impl Default for RetryPolicy {
    /// At most 3 retries, 250 ms doubling to 10 s, 20 % off. What the platform asks for in `Retry-After` wins,
    /// up to 60 s.
    fn default() -> Self {
        Self {
            max_retries: 3,
            backoff: Backoff {
                first: Duration::from_millis(250),
                longest: Duration::from_secs(10),
                jitter: 0.2,
            },
            longest_retry_after: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// Nothing is tried again, but for the one time after a fresh session token.
    pub fn never() -> Self {
        Self { max_retries: 0, ..Self::default() }
    }

    /// How often a request is tried again at most.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// The wait before the first retry.
    pub fn first_wait(mut self, wait: Duration) -> Self {
        self.backoff.first = wait;
        self
    }

    /// The wait that doubling stops at.
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.backoff.longest = wait;
        self
    }

    /// By how much of itself a wait is off, up or down: from 0 to 1.
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.backoff.jitter = fraction;
        self
    }

    /// The longest `Retry-After` that is waited for. Where the platform asks for more, the call fails at once,
    /// and [`Error::retry_after`](crate::Error::retry_after) says what it asked for.
    pub fn longest_retry_after(mut self, wait: Duration) -> Self {
        self.longest_retry_after = wait;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_their_bound_and_differ_by_the_jitter() {
        let backoff = RetryPolicy::default().backoff;
        for (retry, bound) in
            [(0, 250.0), (1, 500.0), (5, 8_000.0), (6, 10_000.0), (40, 10_000.0), (u32::MAX, 10_000.0)]
        {
            let waits: Vec<_> = (0..2_000).map(|_| backoff.wait(retry).as_secs_f64() * 1_000.0).collect();
            let (least, most) = waits.iter().fold((f64::MAX, 0.0_f64), |(a, b), w| (a.min(*w), b.max(*w)));
            assert!(least >= bound * 0.8 && least < bound * 0.83, "{retry}: {least}");
            assert!(most <= bound * 1.2 && most > bound * 1.17, "{retry}: {most}");
        }
        let exact = Backoff { jitter: 0.0, ..backoff };
        assert_eq!(exact.wait(2), Duration::from_secs(1));
    }

    #[test]
    fn a_policy_that_makes_no_sense_is_refused() {
        let policy = RetryPolicy::default();
        for bad in [
            policy.jitter(1.1),
            policy.jitter(f64::NAN),
            policy.longest_wait(Duration::ZERO),
            policy.longest_wait(Duration::MAX),
        ] {
            bad.backoff.check("retry").unwrap_err();
        }
        policy.backoff.check("retry").unwrap();
    }
}
