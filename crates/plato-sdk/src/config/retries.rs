//! How often is tried again, and when (plato-api §8.7).

use std::time::Duration;

use platools_net::Backoff;

/// How often a request that may be repeated is sent again, and after which pauses.
///
/// The pause before the n-th repetition is random between half of `base · 2ⁿ` and the whole of it, never more than
/// `max_delay`. A server's `Retry-After` makes it longer; one above `max_retry_after` ends the trying, and the
/// error says how long the server asked for.
///
/// ```
/// use plato_sdk::Retries;
/// use std::time::Duration;
///
/// let patient = Retries { attempts: 8, ..Retries::default() };
/// assert_eq!(Retries::default().base, Duration::from_millis(500));
/// # let _ = patient;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// How often a request is sent at most, the first time included; 4 unless said otherwise, 1 switches off.
    pub attempts: u32,
    /// The first pause, from which the others grow.
    pub base: Duration,
    /// The longest pause of one's own choosing.
    pub max_delay: Duration,
    /// The longest `Retry-After` that is waited for.
    pub max_retry_after: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(500),
            max_delay: Duration::from_secs(8),
            max_retry_after: Duration::from_secs(60),
        }
    }
}

impl Retries {
    /// No second attempt.
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// The pause before attempt number `done + 1`, or `None` when it was the last one.
    pub(crate) fn pause(&self, done: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if done >= self.attempts || retry_after.is_some_and(|wait| wait > self.max_retry_after) {
            return None;
        }
        let backoff = Backoff::new(self.base, self.max_delay).jitter(0.5..=1.0);
        let pause = backoff.wait(done.saturating_sub(1));
        Some(pause.max(retry_after.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_end() {
        let retries = Retries { attempts: 8, ..Retries::default() };
        for (done, ceiling) in [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (7, 8.0)] {
            let pause = retries.pause(done, None).unwrap().as_secs_f64();
            assert!((ceiling / 2.0..=ceiling).contains(&pause), "{done}: {pause}");
        }
        assert_eq!(retries.pause(8, None), None);
        assert_eq!(Retries::never().pause(1, None), None);
    }

    #[test]
    fn the_server_says_how_long_unless_it_asks_too_much() {
        let retries = Retries::default();
        assert_eq!(retries.pause(1, Some(Duration::from_secs(30))), Some(Duration::from_secs(30)));
        assert!(retries.pause(1, Some(Duration::ZERO)).unwrap() >= Duration::from_millis(250));
        assert_eq!(retries.pause(1, Some(Duration::from_secs(61))), None);
    }
}
