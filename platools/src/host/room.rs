//! Room for answers: counts the bytes of answers in memory, so that a burst of large answers is slowed down and bounded.
//!
//! Two bounds, both of [`Limits`]. While the *unsent* answers exceed the first, no further call starts; calls that run
//! meanwhile still finish. Beyond the second, which also counts answers that were sent and not proven to have arrived, an
//! answer is replaced by a short error, and that error always has room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::run::Limits;

/// The bytes of all answers of one host.
#[derive(Debug)]
pub(super) struct Budget {
    unsent: AtomicUsize,
    unproven: AtomicUsize,
    max_unsent: usize,
    max_kept: usize,
    has_room: Notify,
}

/// The room of one answer, given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    budget: Arc<Budget>,
    bytes: usize,
    sent: bool,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            unsent: AtomicUsize::new(0),
            unproven: AtomicUsize::new(0),
            max_unsent: limits.max_unsent_bytes,
            max_kept: limits.max_kept_bytes,
            has_room: Notify::new(),
        })
    }

    /// The bytes of answers that are not sent yet.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }

    /// The bytes of unsent answers from which no further call starts.
    pub(super) fn max_unsent(&self) -> usize {
        self.max_unsent
    }

    /// The bytes of all answers in memory.
    fn kept(&self) -> usize {
        self.unsent().saturating_add(self.unproven.load(Ordering::Relaxed))
    }

    /// Whether further calls should not start.
    pub(super) fn is_full(&self) -> bool {
        self.unsent() >= self.max_unsent
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

    /// Takes room for an answer. Fails, with the bytes in memory, if there is none.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Result<Room, usize> {
        let room = self.insist(bytes);
        let kept = self.kept();
        if kept > self.max_kept { Err(kept - bytes) } else { Ok(room) }
    }

    /// Takes room for an answer, whether there is any or not.
    pub(super) fn insist(self: &Arc<Self>, bytes: usize) -> Room {
        self.unsent.fetch_add(bytes, Ordering::Relaxed);
        Room { budget: Arc::clone(self), bytes, sent: false }
    }

    fn give_back_unsent(&self, bytes: usize) {
        let before = self.unsent.fetch_sub(bytes, Ordering::Relaxed);
        if before >= self.max_unsent && before - bytes < self.max_unsent {
            self.has_room.notify_waiters();
        }
    }
}

impl Room {
    /// Counts the answer as sent, or as unsent again.
    pub(super) fn set_sent(&mut self, sent: bool) {
        if std::mem::replace(&mut self.sent, sent) == sent {
            return;
        }
        if sent {
            self.budget.unproven.fetch_add(self.bytes, Ordering::Relaxed);
            self.budget.give_back_unsent(self.bytes);
        } else {
            self.budget.unsent.fetch_add(self.bytes, Ordering::Relaxed);
            self.budget.unproven.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.sent {
            self.budget.unproven.fetch_sub(self.bytes, Ordering::Relaxed);
        } else {
            self.budget.give_back_unsent(self.bytes);
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
        assert_eq!((budget.unsent(), budget.kept()), (4, 13));
        one.set_sent(false);
        assert!(budget.is_full(), "it has to be sent again");
        drop(two);
        budget.has_room().await;
        drop(one);
        assert_eq!(budget.kept(), 0);
    }

    #[test]
    fn what_was_sent_counts_until_it_is_proven_and_errors_always_have_room() {
        let budget = budget();
        let mut sent = budget.take(15).unwrap();
        sent.set_sent(true);
        assert!(!budget.is_full());
        assert_eq!(budget.take(6).unwrap_err(), 15);
        let _error = budget.insist(6);
        assert_eq!(budget.kept(), 21);
        drop(sent);
        assert!(budget.take(14).is_ok());
    }
}
