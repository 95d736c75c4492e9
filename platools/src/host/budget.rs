//! The budget for answers: counts the bytes of answers in memory, so that a burst of large answers is slowed down and bounded.
//!
//! Two bounds, both of [`Limits`]. While the *unsent* answers exceed the first, no further call starts, and those that
//! wait in a handler are held back for up to 5 s; then they still finish. Beyond the second, which also counts answers that were sent and not proven to have arrived, an
//! answer is replaced by a short error, and that error always has room.

use std::sync::Arc;

use crate::run::Limits;
use crate::sync::Notify;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// The bytes of all answers of one host.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes of answers that are not sent yet.
    unsent: AtomicUsize,
    /// Bytes of all answers in memory.
    kept: AtomicUsize,
    max_unsent: AtomicUsize,
    max_kept: AtomicUsize,
    has_room: Notify,
}

/// The share of one answer, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
    sent: bool,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            unsent: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
            max_unsent: AtomicUsize::new(limits.max_unsent_bytes),
            max_kept: AtomicUsize::new(limits.max_kept_bytes),
            has_room: Notify::new(),
        })
    }

    /// Changes the bounds.
    pub(super) fn set_limits(&self, limits: &Limits) {
        self.max_unsent.store(limits.max_unsent_bytes, Ordering::Relaxed);
        self.max_kept.store(limits.max_kept_bytes, Ordering::Relaxed);
        self.has_room.notify_waiters();
    }

    fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }

    fn max_unsent(&self) -> usize {
        self.max_unsent.load(Ordering::Relaxed)
    }

    /// Whether further calls should not start.
    pub(super) fn is_full(&self) -> bool {
        self.unsent() >= self.max_unsent()
    }

    /// Whether no further calls should be read, and those that wait should not go on.
    pub(super) fn is_crowded(&self) -> bool {
        self.unsent() >= self.max_unsent() / 2
    }

    /// Waits until further calls may start.
    pub(super) async fn has_room(&self) {
        while self.is_full() {
            let mut notified = std::pin::pin!(self.has_room.notified());
            // Registered before the look, so that no change is missed.
            notified.as_mut().enable();
            if self.is_full() {
                notified.await;
            }
        }
    }

    /// Takes a share for an answer. Fails, with the bytes in memory, if there is no room.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Result<Share, usize> {
        let most = self.max_kept.load(Ordering::Relaxed);
        let fits = |kept: usize| kept.checked_add(bytes).filter(|kept| *kept <= most);
        self.kept.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)?;
        self.unsent.fetch_add(bytes, Ordering::Relaxed);
        Ok(Share { budget: Arc::clone(self), bytes, sent: false })
    }

    /// Takes a share for an answer, whether there is room or not.
    pub(super) fn insist(self: &Arc<Self>, bytes: usize) -> Share {
        self.kept.fetch_add(bytes, Ordering::Relaxed);
        self.unsent.fetch_add(bytes, Ordering::Relaxed);
        Share { budget: Arc::clone(self), bytes, sent: false }
    }

    /// Waiting calls go on only when there is room for many: all of them wake, and most would wait again otherwise.
    fn count_as_sent(&self, bytes: usize) {
        let before = self.unsent.fetch_sub(bytes, Ordering::Relaxed);
        let enough = self.max_unsent().div_ceil(2);
        if before >= enough && before - bytes < enough {
            self.has_room.notify_waiters();
        }
    }
}

impl Share {
    /// Counts the answer as sent, or as unsent again.
    pub(super) fn set_sent(&mut self, sent: bool) {
        if std::mem::replace(&mut self.sent, sent) == sent {
            return;
        }
        if sent {
            self.budget.count_as_sent(self.bytes);
        } else {
            self.budget.unsent.fetch_add(self.bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.kept.fetch_sub(self.bytes, Ordering::Relaxed);
        if !self.sent {
            self.budget.count_as_sent(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Arc<Budget> {
        let limits = Limits { max_unsent_bytes: 10, max_kept_bytes: 20, ..Limits::default() };
        Budget::new(&limits)
    }

    fn kept(budget: &Budget) -> usize {
        budget.kept.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn calls_that_wait_go_on_when_half_of_the_room_is_free() {
        let budget = budget();
        let (mut large, small) = (budget.take(7).unwrap(), budget.take(4).unwrap());
        let mut waiting = std::pin::pin!(budget.has_room());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(small);
        assert!(futures_util::poll!(&mut waiting).is_pending(), "room for a few");
        large.set_sent(true);
        waiting.await;
    }

    #[test]
    fn of_answers_that_come_together_as_many_as_fit_have_room() {
        for _ in 0..100 {
            let budget = budget();
            let taken: Vec<_> = std::thread::scope(|threads| {
                let takers: Vec<_> = (0..8).map(|_| threads.spawn(|| budget.take(5))).collect();
                takers.into_iter().map(|taker| taker.join().unwrap()).collect()
            });
            assert_eq!(taken.iter().filter(|share| share.is_ok()).count(), 4);
        }
    }

    #[tokio::test]
    async fn calls_start_again_when_enough_was_sent_or_dropped() {
        let budget = budget();
        let (mut one, two) = (budget.take(9).unwrap(), budget.take(4).unwrap());
        assert!(budget.is_full());
        {
            let mut waiting = std::pin::pin!(budget.has_room());
            assert!(futures_util::poll!(&mut waiting).is_pending());
            one.set_sent(true);
            waiting.await;
        }
        assert_eq!((budget.unsent(), kept(&budget)), (4, 13));
        one.set_sent(false);
        assert!(budget.is_full(), "it has to be sent again");
        drop(two);
        budget.has_room().await;
        drop(one);
        assert_eq!(kept(&budget), 0);
    }

    #[test]
    fn what_was_sent_counts_until_it_is_proven_and_errors_always_have_room() {
        let budget = budget();
        let mut sent = budget.take(15).unwrap();
        sent.set_sent(true);
        assert!(!budget.is_full());
        assert_eq!(budget.take(6).unwrap_err(), 15);
        let _error = budget.insist(6);
        assert_eq!(kept(&budget), 21);
        drop(sent);
        assert!(budget.take(14).is_ok());
    }
}
