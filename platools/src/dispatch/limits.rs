//! What the host allows: numbers for all calls together, and each tool's own.

use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::Semaphore;

use crate::tool::error::format_duration;
use crate::tool::{RateLimit, ToolError, ToolSpec};

/// Limits for all calls of one host together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many calls run at the same time; 1 024 unless said otherwise.
    pub max_running: usize,
    /// How many calls wait for a place; one more is answered `overloaded`. 4 096 unless said otherwise.
    pub max_waiting: usize,
    /// How many bytes the arguments of running and waiting calls may take together; 256 MiB unless said
    /// otherwise. A call beyond it is answered `overloaded`.
    pub max_argument_bytes: usize,
    /// How many blocking handlers have a thread at the same time; 256 unless said otherwise. A handler
    /// that ran out of time keeps its thread until it returns.
    pub max_blocking: usize,
    /// How long a call may take from its arrival, waiting included; 28 s unless said otherwise, since
    /// the platform waits 30 s. A tool's own timeout ends it earlier.
    pub call_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_running: 1_024,
            max_waiting: 4_096,
            max_argument_bytes: 256 << 20,
            max_blocking: 256,
            call_timeout: Duration::from_secs(28),
        }
    }
}

/// How many users a limit remembers before those that have been quiet are forgotten.
const MANY_USERS: usize = 10_000;

/// The limits of one tool.
#[derive(Debug)]
pub(super) struct ToolLimits {
    rate: Option<(RateLimit, Rate)>,
    pub(super) concurrency: Option<Arc<Semaphore>>,
}

/// What counts calls.
#[derive(Debug)]
enum Rate {
    Together(DefaultDirectRateLimiter),
    PerUser(RateLimiter<String, HashMapStateStore<String>, DefaultClock>),
}

impl ToolLimits {
    pub(super) fn new(spec: &ToolSpec) -> Self {
        let rate = spec.rate_limit.map(|limit| {
            let rate = if limit.is_per_user() {
                Rate::PerUser(RateLimiter::hashmap(quota(limit)))
            } else {
                Rate::Together(RateLimiter::direct(quota(limit)))
            };
            (limit, rate)
        });
        let places = |calls: usize| Arc::new(Semaphore::new(calls.min(Semaphore::MAX_PERMITS)));
        Self { rate, concurrency: spec.concurrency.map(places) }
    }

    /// Counts one call of `user` against the rate limit.
    pub(super) fn check_rate(&self, user: Option<&str>) -> Result<(), ToolError> {
        let Some((limit, rate)) = &self.rate else { return Ok(()) };
        let checked = match rate {
            Rate::Together(limiter) => limiter.check(),
            Rate::PerUser(limiter) => {
                if limiter.len() >= MANY_USERS {
                    limiter.retain_recent();
                }
                limiter.check_key(&user.unwrap_or_default().to_owned())
            }
        };
        checked.map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now()).as_millis().max(1) as u64;
            // Rounded up, so that a retry at that time is not too early.
            let wait = if wait < 1_000 { wait } else { wait.div_ceil(1_000) * 1_000 };
            let wait = Duration::from_millis(wait);
            let shown = format_duration(wait);
            ToolError::rate_limited(format!("at most {limit}, retry in {shown}")).with_retry_after(wait)
        })
    }
}

/// The burst may come at once, and is refilled evenly over the period.
pub(crate) fn quota(limit: RateLimit) -> Quota {
    let between = limit.period() / limit.count().get();
    Quota::with_period(between.max(Duration::from_nanos(1)))
        .unwrap_or_else(|| Quota::per_second(limit.count()))
        .allow_burst(limit.calls_at_once())
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
    fn without_a_limit_there_is_none() {
        let limits = ToolLimits::new(&ToolSpec::new("a"));
        assert!((0..10_000).all(|_| limits.check_rate(None).is_ok()));
    }
}
