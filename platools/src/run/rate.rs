//! Rate limiting by the generic cell rate algorithm (GCRA).
//!
//! A limit consists of the emission interval and the burst tolerance. The only state is the theoretical arrival time
//! (TAT). This module must not know tools or errors; the current time is a parameter.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::tool::RateLimit;

/// A time, in nanoseconds since this process first read the clock.
pub(crate) type Nanoseconds = u64;

/// Returns the current time. It is monotonic.
pub(crate) fn now() -> Nanoseconds {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    nanoseconds(FIRST.get_or_init(Instant::now).elapsed())
}

/// Converts a duration; saturates after 584 years.
fn nanoseconds(duration: Duration) -> Nanoseconds {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A rate: a burst is admitted at once, and is refilled evenly over the period.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    /// The emission interval: the time in which one call is refilled.
    interval: Nanoseconds,
    /// The burst tolerance: how far the TAT may be ahead of the clock when a call is admitted.
    tolerance: Nanoseconds,
}

impl Quota {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let interval = nanoseconds(limit.period() / limit.count().get()).max(1);
        let tolerance = interval.saturating_mul(u64::from(limit.calls_at_once().get() - 1));
        Self { interval, tolerance }
    }

    /// Admits one call at `now`; returns the new theoretical arrival time.
    ///
    /// # Errors
    /// The time until the next call is admitted, if this one is not.
    fn admit(self, tat: Nanoseconds, now: Nanoseconds) -> Result<Nanoseconds, Duration> {
        let tat = tat.max(now);
        match (tat - now).checked_sub(self.tolerance) {
            None | Some(0) => Ok(tat.saturating_add(self.interval)),
            Some(early) => Err(Duration::from_nanos(early)),
        }
    }
}

/// One limit for all calls. Lock-free.
#[derive(Debug)]
pub(crate) struct Rate {
    quota: Quota,
    /// The theoretical arrival time.
    tat: AtomicU64,
}

impl Rate {
    pub(crate) fn new(quota: Quota) -> Self {
        Self { quota, tat: AtomicU64::new(0) }
    }

    /// Admits one call.
    ///
    /// # Errors
    /// The time until the next call is admitted, if this one is not. A rejected call does not count.
    pub(crate) fn check(&self, now: Nanoseconds) -> Result<(), Duration> {
        // No other memory depends on this number, so `Relaxed` is enough.
        let mut tat = self.tat.load(Ordering::Relaxed);
        loop {
            let next = self.quota.admit(tat, now)?;
            match self.tat.compare_exchange_weak(tat, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => tat = other,
            }
        }
    }
}

/// The number of users below which none are evicted.
const MANY_USERS: usize = 10_000;

/// A separate limit for each user. Users with a full allowance are evicted when there are many.
#[derive(Debug)]
pub(crate) struct RatePerUser {
    quota: Quota,
    users: Mutex<Users>,
}

#[derive(Debug)]
struct Users {
    /// The theoretical arrival time of each user.
    tats: HashMap<Box<str>, Nanoseconds>,
    /// The number of users that triggers an eviction: twice as many as the last one left, so that its cost per new
    /// user is constant.
    evict_at: usize,
}

impl RatePerUser {
    pub(crate) fn new(quota: Quota) -> Self {
        Self { quota, users: Mutex::new(Users { tats: HashMap::new(), evict_at: MANY_USERS }) }
    }

    /// Admits one call of `user`.
    ///
    /// # Errors
    /// The time until the next call of this user is admitted, if this one is not. A rejected call does not count.
    pub(crate) fn check(&self, user: &str, now: Nanoseconds) -> Result<(), Duration> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tat) = users.tats.get_mut(user) {
            *tat = self.quota.admit(*tat, now)?;
            return Ok(());
        }
        if users.tats.len() >= users.evict_at {
            users.tats.retain(|_, tat| *tat > now);
            let evict_at = MANY_USERS.max(2 * users.tats.len());
            users.tats.shrink_to(evict_at);
            users.evict_at = evict_at;
        }
        let tat = self.quota.admit(0, now)?;
        users.tats.insert(user.into(), tat);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanoseconds = 1_000_000_000;

    fn quota(limit: &str) -> Quota {
        Quota::new(limit.parse().unwrap())
    }

    #[test]
    fn the_burst_is_admitted_at_once_and_the_next_call_learns_when_to_retry() {
        let rate = Rate::new(quota("3/min"));
        for _ in 0..3 {
            rate.check(7 * SECOND).unwrap();
        }
        assert_eq!(rate.check(7 * SECOND), Err(Duration::from_secs(20)));
        assert_eq!(rate.check(7 * SECOND + 1_000_000), Err(Duration::from_millis(19_999)));
        assert_eq!(rate.check(27 * SECOND - 1), Err(Duration::from_nanos(1)));
        rate.check(27 * SECOND).unwrap();
        assert_eq!(rate.check(27 * SECOND), Err(Duration::from_secs(20)));
    }

    #[test]
    fn the_allowance_is_refilled_evenly_and_never_beyond_the_burst() {
        let rate = Rate::new(quota("4/min, burst 2"));
        let taken_at = |moment: u64| (0..10).filter(|_| rate.check(moment * SECOND).is_ok()).count();
        assert_eq!([0, 14, 15, 29, 30, 59, 60].map(taken_at), [2, 0, 1, 0, 1, 1, 1]);
        assert_eq!(taken_at(1_000_000), 2);
    }

    #[test]
    fn a_larger_burst_than_the_count_is_refilled_at_the_rate() {
        let rate = Rate::new(quota("1/s, burst 5"));
        assert_eq!((0..10).filter(|_| rate.check(0).is_ok()).count(), 5);
        assert_eq!(rate.check(0), Err(Duration::from_secs(1)));
        assert_eq!((0..10).filter(|_| rate.check(3 * SECOND).is_ok()).count(), 3);
    }

    #[test]
    fn a_clock_that_stands_still_refills_nothing() {
        let rate = Rate::new(quota("1000/s"));
        assert_eq!((0..100_000).filter(|_| rate.check(SECOND).is_ok()).count(), 1_000);
        let users = RatePerUser::new(quota("10/s"));
        assert_eq!((0..1_000).filter(|_| users.check("a", 0).is_ok()).count(), 10);
    }

    #[test]
    fn calls_may_be_admitted_out_of_clock_order() {
        let rate = Rate::new(quota("2/min"));
        rate.check(60 * SECOND).unwrap();
        assert_eq!(rate.check(59 * SECOND), Err(Duration::from_secs(1)));
        rate.check(60 * SECOND).unwrap();
        assert_eq!(rate.check(60 * SECOND), Err(Duration::from_secs(30)));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let century = Duration::from_secs(100 * 365 * 86_400);
        let rate = Rate::new(Quota::new(RateLimit::per(1, century).burst(u32::MAX)));
        assert!((0..1_000).all(|_| rate.check(u64::MAX - 1).is_ok()));
        let rate = Rate::new(Quota::new(RateLimit::per(u32::MAX, Duration::from_millis(1))));
        assert!((0..1_000).all(|_| rate.check(0).is_ok()));
        let rate = Rate::new(Quota::new(RateLimit::per(1, Duration::MAX)));
        rate.check(0).unwrap();
        assert_eq!(rate.check(0), Err(Duration::from_nanos(u64::MAX)));
    }

    #[test]
    fn threads_share_one_allowance() {
        let rate = Rate::new(quota("1000/h"));
        let taken = std::thread::scope(|scope| {
            let take = || (0..1_000).filter(|_| rate.check(0).is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(taken, 1_000);
    }

    #[test]
    fn users_are_counted_apart() {
        let users = RatePerUser::new(quota("2/min"));
        for user in ["a", "b", ""] {
            users.check(user, 0).unwrap();
            users.check(user, 0).unwrap();
            assert_eq!(users.check(user, 10 * SECOND), Err(Duration::from_secs(20)), "{user:?}");
        }
    }

    #[test]
    fn idle_users_are_evicted_and_limited_users_stay_limited() {
        let users = RatePerUser::new(quota("1/h"));
        users.check("limited", 0).unwrap();
        let mut most = 0;
        for stranger in 0..20 * MANY_USERS as u64 {
            // Ten new users a second: about 36 000 of them are limited at any time.
            let now = stranger * SECOND / 10;
            users.check(&stranger.to_string(), now).unwrap();
            if now < 3_600 * SECOND && stranger % 100 == 0 {
                assert!(users.check("limited", now).is_err(), "{now}");
            }
            most = most.max(users.users.lock().unwrap().tats.len());
        }
        assert!(most <= 80_000, "{most}");

        // A day later all of them are evicted.
        for stranger in 0..8 * MANY_USERS {
            users.check(&format!("later {stranger}"), 100_000 * SECOND).unwrap();
        }
        assert!(users.users.lock().unwrap().tats.keys().all(|user| user.starts_with("later")));
    }
}
