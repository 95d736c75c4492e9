//! Unsent answers, which outlive the connection of their call: the platform accepts an answer on any connection of the
//! same entity and environment while the call is pending (protocol §3).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use bytes::BytesMut;
use futures_util::task::AtomicWaker;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::HostEvent;
use super::events::Events;
use crate::intake::shorten;
use crate::observe;
use crate::wire::{CALL_PENDING, MAX_FRAME_BYTES};

/// Maximum size of the waiting answers, in bytes; beyond it, the oldest are dropped.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The size, in bytes, from which no further calls should be started.
const CROWDED_BYTES: usize = MAX_BYTES / 2;
/// The number of lost answers that are logged individually.
const LOGGED_LOSSES: u64 = 1_000;
/// The number of answers from which no further calls should be started.
const CROWDED_ANSWERS: usize = 16_384;

/// Maximum size of a frame that shares its memory with others, in bytes.
const SMALL_FRAME: usize = 1_024;
/// The size of shared memory, in bytes.
const SHARED_FRAMES: usize = 16 * 1_024;

/// Makes frames out of texts. Small ones share one allocation, since they are usually sent, proven and freed together.
#[derive(Default)]
pub(super) struct Frames(BytesMut);

impl Frames {
    pub(super) fn make(&mut self, text: String) -> Utf8Bytes {
        if text.len() > SMALL_FRAME {
            return text.into();
        }
        if self.0.capacity() < text.len() {
            self.0 = BytesMut::with_capacity(SHARED_FRAMES);
        }
        self.0.extend_from_slice(text.as_bytes());
        Utf8Bytes::try_from(self.0.split().freeze()).unwrap_or_else(|_never| text.into())
    }
}

/// An answer, as a frame.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) call_id: Arc<str>,
    pub(super) frame: Utf8Bytes,
    /// The time at which the platform stops waiting.
    expires: Instant,
    /// Whether it was already written to a connection.
    sent: bool,
}

impl Answer {
    /// Creates the answer to a call that arrived at `arrived`.
    pub(super) fn new(call_id: Arc<str>, frame: Utf8Bytes, arrived: Instant) -> Self {
        Self { call_id, frame, expires: arrived + CALL_PENDING, sent: false }
    }

    /// Creates an answer that expires at `expires`.
    pub(super) fn expiring(call_id: Arc<str>, frame: Utf8Bytes, expires: Instant) -> Self {
        Self { call_id, frame, expires, sent: false }
    }

    /// Returns the time at which the platform stops waiting.
    pub(super) fn expires(&self) -> Instant {
        self.expires
    }

    /// Returns the call's id and the frame.
    pub(super) fn texts(&self) -> (&str, &str) {
        (&self.call_id, &self.frame)
    }

    /// Returns whether the answer was already written to a connection.
    pub(super) fn was_sent(&self) -> bool {
        self.sent
    }

    /// Returns the size in memory, in bytes.
    fn size(&self) -> usize {
        self.call_id.len() + self.frame.len()
    }

    /// Marks the answer as written.
    pub(super) fn sent(self) -> Self {
        Self { sent: true, ..self }
    }

    /// Returns whether the platform has stopped waiting for the answer.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.expires <= now
    }
}

/// A bounded queue of unsent answers.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    sender: AtomicWaker,
    events: Events,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    answers: VecDeque<Answer>,
    bytes: usize,
}

impl Outbox {
    /// Creates an outbox that reports lost answers to `events`.
    pub(super) fn new(events: Events) -> Self {
        Self { events, ..Self::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an answer and wakes the connection.
    pub(super) fn push(&self, answer: Answer) {
        self.push_all([answer], Instant::now());
    }

    /// Appends answers and wakes the connection once.
    pub(super) fn push_all(&self, answers: impl IntoIterator<Item = Answer>, now: Instant) {
        let dropped = {
            let mut waiting = self.waiting();
            // Possible only for a huge call id. The platform would close the connection.
            let mut dropped = Vec::new();
            for answer in answers {
                if answer.frame.len() > MAX_FRAME_BYTES {
                    dropped.push(answer);
                    continue;
                }
                waiting.bytes += answer.size();
                waiting.answers.push_back(answer);
            }
            dropped.append(&mut waiting.shrink(now));
            dropped
        };
        self.sender.wake();
        self.lose(dropped);
    }

    /// Swaps all waiting answers, oldest first, with the empty `taken`, whose memory is reused.
    pub(super) fn poll_take(&self, context: &Context<'_>, taken: &mut VecDeque<Answer>) {
        debug_assert!(taken.is_empty());
        // Registered before the queue is read, so that no push is missed.
        self.sender.register(context.waker());
        let mut waiting = self.waiting();
        waiting.bytes = 0;
        std::mem::swap(&mut waiting.answers, taken);
    }

    /// Takes all waiting answers, oldest first.
    pub(super) fn take_all(&self) -> VecDeque<Answer> {
        let mut waiting = self.waiting();
        waiting.bytes = 0;
        std::mem::take(&mut waiting.answers)
    }

    /// Puts back answers that may not have arrived, before the newer ones.
    pub(super) fn put_back(&self, answers: VecDeque<Answer>) {
        let dropped = {
            let mut waiting = self.waiting();
            for answer in answers.into_iter().rev() {
                waiting.bytes += answer.size();
                waiting.answers.push_front(answer);
            }
            waiting.shrink(Instant::now())
        };
        self.lose(dropped);
    }

    /// Drops answers, and reports those that were never sent as lost.
    pub(super) fn lose(&self, answers: impl IntoIterator<Item = Answer>) {
        for answer in answers {
            // An answer that was written may have arrived.
            if answer.was_sent() {
                continue;
            }
            // In a flood, only every 2^n-th loss is logged.
            let so_far = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
            if so_far <= LOGGED_LOSSES || so_far.is_power_of_two() {
                let call_id = shorten(&answer.call_id);
                tracing::warn!(call_id, so_far, "answer lost: it expired, or too many answers were waiting");
            }
            observe::answer_lost();
            self.events.tell(HostEvent::AnswerLost { call_id: answer.call_id.to_string() });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting().answers.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting().answers.len()
    }

    /// Returns whether no further calls should be started until answers are sent.
    pub(super) fn is_crowded(&self) -> bool {
        let waiting = self.waiting();
        waiting.bytes >= CROWDED_BYTES || waiting.answers.len() >= CROWDED_ANSWERS
    }

    /// Returns the time at which the last waiting answer expires.
    pub(super) fn last_expiry(&self) -> Option<Instant> {
        self.waiting().answers.iter().map(|answer| answer.expires).max()
    }
}

impl Waiting {
    /// Removes expired and excess answers, oldest first.
    fn shrink(&mut self, now: Instant) -> Vec<Answer> {
        let mut dropped = Vec::new();
        while self.bytes > MAX_BYTES || self.answers.front().is_some_and(|oldest| oldest.is_expired(now)) {
            let Some(answer) = self.answers.pop_front() else { break };
            self.bytes -= answer.size();
            dropped.push(answer);
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn answer(call_id: &str, bytes: usize) -> Answer {
        Answer::new(call_id.into(), "x".repeat(bytes).into(), Instant::now())
    }

    fn take(outbox: &Outbox) -> Vec<String> {
        let mut taken = VecDeque::new();
        outbox.poll_take(&Context::from_waker(Waker::noop()), &mut taken);
        taken.into_iter().map(|answer| answer.call_id.to_string()).collect()
    }

    #[test]
    fn what_may_not_have_arrived_goes_before_what_came_since() {
        let outbox = Outbox::default();
        outbox.push(answer("a", 1));
        outbox.push(answer("b", 1));
        let mut taken = VecDeque::new();
        outbox.poll_take(&Context::from_waker(Waker::noop()), &mut taken);
        assert_eq!(taken.len(), 2);
        outbox.push(answer("c", 1));
        outbox.put_back(taken);
        assert_eq!(take(&outbox), ["a", "b", "c"]);
        assert!(outbox.is_empty() && take(&outbox).is_empty());
    }

    #[tokio::test]
    async fn it_is_bounded_in_bytes_and_tells_what_it_drops() {
        let events = Events::default();
        let mut told = events.listen();
        let outbox = Outbox::new(events);
        for index in 0..20 {
            outbox.push(answer(&index.to_string(), 7 << 20));
        }
        assert!(outbox.is_crowded());
        for index in 0..11 {
            let call_id = index.to_string();
            assert_eq!(told.next().await, Some(HostEvent::AnswerLost { call_id }));
        }
        assert_eq!(take(&outbox), ["11", "12", "13", "14", "15", "16", "17", "18", "19"]);
        assert!(!outbox.is_crowded());
    }
}
