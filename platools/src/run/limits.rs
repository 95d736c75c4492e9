//! Limits of the host for all calls together, and of each tool.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::rate::{self, Quota, Rate, RatePerUser};
use crate::tool::format_duration;
use crate::tool::{RateLimit, ToolError, ToolSpec};

/// Limits for all calls of one host together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum number of calls that run at the same time. Default: 1 024.
    pub max_running: usize,
    /// Maximum number of waiting calls; further ones are answered `overloaded`. Default: 4 096.
    pub max_waiting: usize,
    /// Maximum total size of the arguments of running and waiting calls, in bytes; further calls are answered
    /// `overloaded`. Default: 256 MiB.
    pub max_argument_bytes: usize,
    /// Maximum number of threads for blocking handlers. A handler that timed out keeps its thread until it returns.
    /// Default: 256.
    pub max_blocking: usize,
    /// Total size of the unsent answers, in bytes, from which no further call starts: a platform that reads slowly slows
    /// the calls down. An asynchronous handler that waits goes on a little later then, by at most 5 s in all.
    /// Default: 64 MiB.
    pub max_unsent_bytes: usize,
    /// Maximum total size of the answers in memory, in bytes; beyond it, the answer of a call that ends is replaced by an
    /// error. Only many calls that end while the platform reads nothing get there. Default: 192 MiB.
    pub max_kept_bytes: usize,
    /// Maximum duration of a call from its arrival, waiting included. A tool's own timeout may end it earlier. Default:
    /// 28 s, since the platform waits 30 s.
    pub call_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_running: 1_024,
            max_waiting: 4_096,
            max_argument_bytes: 256 << 20,
            max_blocking: 256,
            max_unsent_bytes: 64 << 20,
            max_kept_bytes: 192 << 20,
            call_timeout: Duration::from_secs(28),
        }
    }
}

impl Limits {
    /// Returns the defaults for a process that may use `memory` bytes, such as the limit of its container: arguments and
    /// answers get at most a quarter of it each. What handlers allocate, and the process itself, need the rest.
    ///
    /// ```
    /// use platools::run::Limits;
    ///
    /// assert_eq!(Limits::for_memory(512 << 20).max_argument_bytes, 128 << 20);
    /// assert_eq!(Limits::for_memory(64 << 30), Limits::default());
    /// ```
    #[must_use]
    pub fn for_memory(memory: usize) -> Self {
        let usual = Self::default();
        let quarter = memory / 4;
        Self {
            max_argument_bytes: usual.max_argument_bytes.min(quarter),
            max_unsent_bytes: usual.max_unsent_bytes.min(quarter / 3),
            max_kept_bytes: usual.max_kept_bytes.min(quarter),
            ..usual
        }
    }
}

/// The limits of one tool.
#[derive(Debug)]
pub(super) struct ToolLimits {
    rate: Option<(RateLimit, Counter)>,
    pub(super) concurrency: Option<Arc<Semaphore>>,
}

/// The state of a rate limit.
#[derive(Debug)]
enum Counter {
    Together(Rate),
    PerUser(RatePerUser),
}

impl ToolLimits {
    pub(super) fn new(spec: &ToolSpec) -> Self {
        let rate = spec.rate_limit.map(|limit| {
            let quota = Quota::new(limit);
            let counter = if limit.is_per_user() {
                Counter::PerUser(RatePerUser::new(quota))
            } else {
                Counter::Together(Rate::new(quota))
            };
            (limit, counter)
        });
        let places = |calls: usize| Arc::new(Semaphore::new(calls.min(Semaphore::MAX_PERMITS)));
        Self { rate, concurrency: spec.concurrency.map(places) }
    }

    /// Returns whether there is a rate limit.
    pub(super) fn has_rate(&self) -> bool {
        self.rate.is_some()
    }

    /// Admits one call of `user`, or returns a `rate limited` error.
    pub(super) fn check_rate(&self, user: Option<&str>) -> Result<(), ToolError> {
        let Some((limit, counter)) = &self.rate else { return Ok(()) };
        let checked = match counter {
            Counter::Together(rate) => rate.check(rate::now()),
            Counter::PerUser(rate) => rate.check(user.unwrap_or_default(), rate::now()),
        };
        checked.map_err(|wait| {
            let wait = rounded_up(wait);
            let shown = format_duration(wait);
            ToolError::rate_limited(format!("at most {limit}, retry in {shown}")).with_retry_after(wait)
        })
    }
}

/// Rounds up to whole milliseconds, or to whole seconds from 1 s, so that a retry after that time is not too early.
fn rounded_up(wait: Duration) -> Duration {
    let milliseconds = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    if milliseconds < 1_000 {
        Duration::from_millis(milliseconds)
    } else {
        Duration::from_secs(milliseconds.div_ceil(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_is_the_number_in_the_rate() {
        let limits = ToolLimits::new(&ToolSpec::new("a").rate_limit("3/h".parse().unwrap()));
        for _ in 0..3 {
            limits.check_rate(None).unwrap();
        }
        let refusal = limits.check_rate(Some("a")).unwrap_err().to_string();
        assert!(refusal.starts_with("rate limited: at most 3/h, retry in "), "{refusal}");
    }

    #[test]
    fn users_are_counted_apart_and_a_burst_may_be_smaller() {
        let limits =
            ToolLimits::new(&ToolSpec::new("a").rate_limit("60/h, burst 2, per user".parse().unwrap()));
        for user in [Some("a"), Some("b"), None] {
            assert!(limits.check_rate(user).is_ok() && limits.check_rate(user).is_ok());
            let refusal = limits.check_rate(user).unwrap_err().to_string();
            assert!(
                refusal.starts_with("rate limited: at most 60/h, burst 2, per user, retry in "),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_retry_at_the_time_that_is_told_is_not_too_early() {
        for (nanoseconds, milliseconds) in [
            (1, 1),
            (10_700_000, 11),
            (999_000_000, 999),
            (999_000_001, 1_000),
            (1_000_000_001, 2_000),
            (60_000_000_000, 60_000),
        ] {
            let wait = rounded_up(Duration::from_nanos(nanoseconds));
            assert_eq!(wait, Duration::from_millis(milliseconds), "{nanoseconds}");
        }
    }

    #[test]
    fn without_a_limit_there_is_none() {
        let limits = ToolLimits::new(&ToolSpec::new("a"));
        assert!((0..10_000).all(|_| limits.check_rate(None).is_ok()));
    }
}
