//! How often something may happen: the generic cell rate algorithm.
//!
//! A limit is two spans: the time in which one call is refilled, and how far calls may run ahead of that. All that is
//! kept is one moment, at which the whole allowance is there again. Must not know tools or errors; the time comes from
//! the caller.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::tool::RateLimit;

/// A moment, in nanoseconds since the first one that this process asked for.
pub(crate) type Nanoseconds = u64;

/// The moment it is. It never goes back.
pub(crate) fn now() -> Nanoseconds {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    nanoseconds(FIRST.get_or_init(Instant::now).elapsed())
}

/// Enough for 584 years; what is longer is as long.
fn nanoseconds(duration: Duration) -> Nanoseconds {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The burst may come at once, and is refilled evenly over the period.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    /// The time in which one call is refilled.
    refill: Nanoseconds,
    /// How far ahead of the clock a call may begin: the time in which the rest of the burst is refilled.
    ahead: Nanoseconds,
}

impl Quota {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let refill = nanoseconds(limit.period() / limit.count().get()).max(1);
        Self { refill, ahead: refill.saturating_mul(u64::from(limit.calls_at_once().get() - 1)) }
    }

    /// Counts one call at `now`, when the allowance is whole again at `whole`. The moment when it is so after this call.
    ///
    /// # Errors
    /// How long to wait until a call is allowed, when this one is not.
    fn count(self, whole: Nanoseconds, now: Nanoseconds) -> Result<Nanoseconds, Duration> {
        let begins = whole.max(now);
        match (begins - now).checked_sub(self.ahead) {
            None | Some(0) => Ok(begins.saturating_add(self.refill)),
            Some(early) => Err(Duration::from_nanos(early)),
        }
    }
}

/// One limit for all calls. No call waits for another one.
#[derive(Debug)]
pub(crate) struct Rate {
    quota: Quota,
    /// When the allowance is whole again.
    whole: AtomicU64,
}

impl Rate {
    pub(crate) fn new(quota: Quota) -> Self {
        Self { quota, whole: AtomicU64::new(0) }
    }

    /// Counts one call.
    ///
    /// # Errors
    /// How long to wait until a call is allowed, when this one is not; it does not count then.
    pub(crate) fn check(&self, now: Nanoseconds) -> Result<(), Duration> {
        // Only this number is shared, so no order with other memory is needed.
        let mut whole = self.whole.load(Ordering::Relaxed);
        loop {
            let next = self.quota.count(whole, now)?;
            match self.whole.compare_exchange_weak(whole, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => whole = other,
            }
        }
    }
}

/// How many users are remembered before those that have been quiet are looked for.
const MANY_USERS: usize = 10_000;

/// A limit for each user. One whose allowance is whole again is as good as new, and is forgotten when there are many.
#[derive(Debug)]
pub(crate) struct RatePerUser {
    quota: Quota,
    users: Mutex<Users>,
}

#[derive(Debug)]
struct Users {
    /// When the allowance of each is whole again.
    whole: HashMap<Box<str>, Nanoseconds>,
    /// The number of users at which they are looked through. It is twice what the last look left, so that the looking
    /// costs each new user the same, however many there are.
    many: usize,
}

impl RatePerUser {
    pub(crate) fn new(quota: Quota) -> Self {
        Self { quota, users: Mutex::new(Users { whole: HashMap::new(), many: MANY_USERS }) }
    }

    /// Counts one call of `user`.
    ///
    /// # Errors
    /// How long this user has to wait until a call is allowed, when this one is not; it does not count then.
    pub(crate) fn check(&self, user: &str, now: Nanoseconds) -> Result<(), Duration> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(whole) = users.whole.get_mut(user) {
            *whole = self.quota.count(*whole, now)?;
            return Ok(());
        }
        if users.whole.len() >= users.many {
            users.whole.retain(|_, whole| *whole > now);
            let many = MANY_USERS.max(2 * users.whole.len());
            users.whole.shrink_to(many);
            users.many = many;
        }
        let whole = self.quota.count(0, now)?;
        users.whole.insert(user.into(), whole);
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
    fn the_burst_comes_at_once_and_the_next_call_is_told_its_moment() {
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
    fn a_call_that_looked_at_the_clock_before_another_and_is_counted_after_it_does_no_harm() {
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
    fn users_without_end_do_not_fill_the_memory_and_who_is_limited_stays_so() {
        let users = RatePerUser::new(quota("1/h"));
        users.check("limited", 0).unwrap();
        let mut most = 0;
        for stranger in 0..20 * MANY_USERS as u64 {
            // Ten a second: at any time some 36 000 of them are limited.
            let now = stranger * SECOND / 10;
            users.check(&stranger.to_string(), now).unwrap();
            if now < 3_600 * SECOND && stranger % 100 == 0 {
                assert!(users.check("limited", now).is_err(), "{now}");
            }
            most = most.max(users.users.lock().unwrap().whole.len());
        }
        assert!(most <= 80_000, "{most}");

        // A day later none of them is.
        for stranger in 0..8 * MANY_USERS {
            users.check(&format!("later {stranger}"), 100_000 * SECOND).unwrap();
        }
        assert!(users.users.lock().unwrap().whole.keys().all(|user| user.starts_with("later")));
    }
}
