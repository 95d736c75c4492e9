//! Answers on their way out. They outlive the connection their call came over: the platform takes an
//! answer on any connection of the same entity and environment while the call is pending (protocol §3).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::HostEvent;
use super::events::Events;
use crate::intake::shorten;
use crate::observe;
use crate::wire::{CALL_PENDING, MAX_FRAME_BYTES};

/// How many bytes of answers wait for a connection; beyond it the oldest are given up.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// From here on nothing should be started that adds to it.
const CROWDED_BYTES: usize = MAX_BYTES / 2;
/// How many lost answers are logged one by one.
const FEW: u64 = 1_000;
const CROWDED_ANSWERS: usize = 16_384;

/// One answer, written.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) call_id: Arc<str>,
    pub(super) frame: Utf8Bytes,
    /// When the platform has given up on the call.
    expires: Instant,
    /// Whether it was written to a connection before.
    sent: bool,
}

impl Answer {
    /// The answer to a call that arrived at `arrived`.
    pub(super) fn new(call_id: Arc<str>, frame: Utf8Bytes, arrived: Instant) -> Self {
        Self { call_id, frame, expires: arrived + CALL_PENDING, sent: false }
    }

    /// An answer that is worth nothing from `expires` on.
    pub(super) fn expiring(call_id: Arc<str>, frame: Utf8Bytes, expires: Instant) -> Self {
        Self { call_id, frame, expires, sent: false }
    }

    /// When the platform has given up on the call.
    pub(super) fn expires(&self) -> Instant {
        self.expires
    }

    /// The call's id and the frame.
    pub(super) fn texts(&self) -> (&str, &str) {
        (&self.call_id, &self.frame)
    }

    /// Whether it was written to a connection before.
    pub(super) fn was_sent(&self) -> bool {
        self.sent
    }

    /// What it takes in memory, in bytes.
    fn size(&self) -> usize {
        self.call_id.len() + self.frame.len()
    }

    /// The same answer, once it is written.
    pub(super) fn sent(self) -> Self {
        Self { sent: true, ..self }
    }

    /// Whether the platform has given up on the call.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.expires <= now
    }
}

/// Answers that wait to be sent.
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
    /// An outbox that tells `events` of answers that are lost.
    pub(super) fn new(events: Events) -> Self {
        Self { events, ..Self::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an answer behind the others and wakes the connection.
    pub(super) fn push(&self, answer: Answer) {
        self.push_all([answer], Instant::now());
    }

    /// Puts answers behind the others and wakes the connection, once.
    pub(super) fn push_all(&self, answers: impl IntoIterator<Item = Answer>, now: Instant) {
        let dropped = {
            let mut waiting = self.waiting();
            // Only a call's own id can be that long; the frame would cost the connection.
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

    /// Takes all that wait, oldest first, in exchange for `taken`, which is empty and has room for the next ones.
    pub(super) fn poll_take(&self, context: &Context<'_>, taken: &mut VecDeque<Answer>) {
        debug_assert!(taken.is_empty());
        // Registered before looking, so that a push in between is not missed.
        self.sender.register(context.waker());
        let mut waiting = self.waiting();
        waiting.bytes = 0;
        std::mem::swap(&mut waiting.answers, taken);
    }

    /// Takes all that wait, oldest first.
    pub(super) fn take_all(&self) -> VecDeque<Answer> {
        let mut waiting = self.waiting();
        waiting.bytes = 0;
        std::mem::take(&mut waiting.answers)
    }

    /// Puts back what was taken and may not have arrived, before what came since.
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

    /// Gives answers up, and says so.
    pub(super) fn lose(&self, answers: impl IntoIterator<Item = Answer>) {
        for answer in answers {
            // One that was written before may well have arrived.
            if answer.was_sent() {
                continue;
            }
            // Each is logged, unless there is a flood of them.
            let so_far = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
            if so_far <= FEW || so_far.is_power_of_two() {
                let call_id = shorten(&answer.call_id);
                tracing::warn!(call_id, so_far, "an answer is lost: it came too late, or too many wait");
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

    /// Whether so many answers wait that nothing should be started that adds to them.
    pub(super) fn is_crowded(&self) -> bool {
        let waiting = self.waiting();
        waiting.bytes >= CROWDED_BYTES || waiting.answers.len() >= CROWDED_ANSWERS
    }

    /// When the last answer that waits is worth nothing any more.
    pub(super) fn last_expiry(&self) -> Option<Instant> {
        self.waiting().answers.iter().map(|answer| answer.expires).max()
    }
}

impl Waiting {
    /// Takes out what is too much or too late, oldest first.
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
