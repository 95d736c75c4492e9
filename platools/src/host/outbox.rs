//! Unsent answers, which outlive the connection of their call: the platform accepts an answer on any connection of the
//! same entity and environment while the call is pending (protocol §3).

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::task::Context;

use bytes::BytesMut;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::HostEvent;
use super::budget::{Budget, Share};
use super::events::Events;
use crate::intake::shorten;
use crate::observe::HostMetrics;
use crate::run::Limits;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{AtomicWaker, Mutex, MutexGuard};
use crate::tool::ToolError;
use crate::tool::declaration::format_bytes;
use crate::wire::{CALL_PENDING, MAX_FRAME_BYTES, outbound};

/// The number of lost or replaced answers that are logged individually.
const LOGGED_LOSSES: u64 = 1_000;
/// The number of answers from which no further calls should be read.
pub(super) const CROWDED_ANSWERS: usize = 16_384;
/// The size of answers that have room even beyond the bound, in bytes: an error that takes the place of one is not
/// smaller.
const ALWAYS_FITS: usize = 1_024;

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

/// An answer as the frame that carries it, until the platform has it.
#[derive(Debug)]
pub(super) struct AnswerFrame {
    pub(super) call_id: Arc<str>,
    pub(super) frame: Utf8Bytes,
    /// The time at which the platform stops waiting.
    expires: Instant,
    /// Whether it was already written to a connection.
    sent: bool,
    share: Option<Share>,
}

impl AnswerFrame {
    /// Creates the answer to a call that arrived at `arrived`.
    pub(super) fn new(call_id: Arc<str>, frame: Utf8Bytes, arrived: Instant) -> Self {
        Self::expiring(call_id, frame, arrived + CALL_PENDING)
    }

    /// Creates an answer that expires at `expires`.
    pub(super) fn expiring(call_id: Arc<str>, frame: Utf8Bytes, expires: Instant) -> Self {
        Self { call_id, frame, expires, sent: false, share: None }
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

    /// Gives the share of the budget back, of an answer that leaves this host unsent.
    pub(super) fn without_share(self) -> Self {
        Self { share: None, ..self }
    }

    /// Returns the size in memory, in bytes.
    fn size(&self) -> usize {
        self.call_id.len() + self.frame.len()
    }

    /// Marks the answer as written.
    pub(super) fn sent(mut self) -> Self {
        self.sent = true;
        self.count_as_sent(true);
        self
    }

    fn count_as_sent(&mut self, sent: bool) {
        if let Some(share) = &mut self.share {
            share.set_sent(sent);
        }
    }

    /// Returns whether the platform has stopped waiting for the answer.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.expires <= now
    }
}

/// A bounded queue of unsent answers.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: Mutex<VecDeque<AnswerFrame>>,
    sender: AtomicWaker,
    events: Events,
    budget: Arc<Budget>,
    lost: AtomicU64,
    replaced: AtomicU64,
    metrics: HostMetrics,
}

impl Outbox {
    /// Creates an outbox that reports lost and replaced answers to `events`.
    pub(super) fn new(events: Events, limits: &Limits) -> Self {
        Self {
            waiting: Mutex::default(),
            sender: AtomicWaker::new(),
            events,
            budget: Budget::new(limits),
            lost: AtomicU64::new(0),
            replaced: AtomicU64::new(0),
            metrics: HostMetrics::default(),
        }
    }

    /// Counts in the metrics of a host.
    pub(super) fn counted_in(self, metrics: HostMetrics) -> Self {
        Self { metrics, ..self }
    }

    pub(super) fn metrics(&self) -> &HostMetrics {
        &self.metrics
    }

    /// Changes the bounds of the memory of answers.
    pub(super) fn set_limits(&self, limits: &Limits) {
        self.budget.set_limits(limits);
        self.sender.wake();
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<AnswerFrame>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a share of the budget for an answer that has none. Without room, the answer is replaced by an error that
    /// says so.
    pub(super) fn fit(&self, answer: AnswerFrame) -> AnswerFrame {
        if answer.share.is_some() {
            return answer;
        }
        let bytes = answer.size();
        match self.budget.take(bytes) {
            Ok(share) => AnswerFrame { share: Some(share), ..answer },
            Err(_) if bytes <= ALWAYS_FITS => {
                AnswerFrame { share: Some(self.budget.insist(bytes)), ..answer }
            }
            Err(kept) => self.replace(answer, kept),
        }
    }

    fn replace(&self, answer: AnswerFrame, kept: usize) -> AnswerFrame {
        let bytes = answer.frame.len();
        if let Some(so_far) = count(&self.replaced) {
            let call_id = shorten(&answer.call_id);
            tracing::warn!(
                call_id,
                bytes,
                kept,
                so_far,
                "answer replaced by an error: too much waits to be sent"
            );
        }
        self.metrics.answer_replaced();
        self.events.tell(HostEvent::AnswerReplaced { call_id: answer.call_id.to_string(), bytes });
        let (bytes, kept) = (format_bytes(bytes), format_bytes(kept));
        let error = ToolError::overloaded(format!(
            "the tool ran, but its result of {bytes} was dropped, since {kept} of results wait to be sent; ask for \
             less, or later"
        ));
        let frame: Utf8Bytes = outbound::tool_error(&answer.call_id, &error.to_string()).into();
        let answer = AnswerFrame { frame, ..answer };
        AnswerFrame { share: Some(self.budget.insist(answer.size())), ..answer }
    }

    /// Whether no further calls should start.
    pub(super) fn is_full(&self) -> bool {
        self.budget.is_full()
    }

    /// Waits until further calls may start.
    pub(super) async fn has_room(&self) {
        self.budget.has_room().await;
    }

    /// Appends an answer and wakes the connection.
    pub(super) fn push(&self, answer: AnswerFrame) {
        self.push_all([self.fit(answer)], Instant::now());
    }

    /// Appends answers that [fit](Self::fit), and wakes the connection once.
    pub(super) fn push_all(&self, answers: impl IntoIterator<Item = AnswerFrame>, now: Instant) {
        let dropped = {
            let mut waiting = self.waiting();
            // Possible only for a huge call id. The platform would close the connection.
            let (mut dropped, fitting): (Vec<_>, Vec<_>) =
                answers.into_iter().partition(|answer| answer.frame.len() > MAX_FRAME_BYTES);
            waiting.extend(fitting);
            dropped.append(&mut expired(&mut waiting, now));
            dropped
        };
        self.sender.wake();
        self.lose(dropped);
    }

    /// Swaps all waiting answers, oldest first, with the empty `taken`, whose memory is reused.
    pub(super) fn poll_take(&self, context: &Context<'_>, taken: &mut VecDeque<AnswerFrame>) {
        debug_assert!(taken.is_empty());
        // Registered before the queue is read, so that no push is missed.
        self.sender.register(context.waker());
        std::mem::swap(&mut *self.waiting(), taken);
    }

    /// Takes all waiting answers, oldest first.
    pub(super) fn take_all(&self) -> VecDeque<AnswerFrame> {
        std::mem::take(&mut *self.waiting())
    }

    /// Puts back answers that may not have arrived, before the newer ones.
    pub(super) fn put_back(&self, answers: VecDeque<AnswerFrame>) {
        let dropped = {
            let mut waiting = self.waiting();
            for mut answer in answers.into_iter().rev() {
                answer.count_as_sent(false);
                waiting.push_front(answer);
            }
            expired(&mut waiting, Instant::now())
        };
        self.lose(dropped);
    }

    /// Drops answers, and reports those that were never sent as lost.
    pub(super) fn lose(&self, answers: impl IntoIterator<Item = AnswerFrame>) {
        for answer in answers {
            // An answer that was written may have arrived.
            if answer.was_sent() {
                continue;
            }
            if let Some(so_far) = count(&self.lost) {
                let call_id = shorten(&answer.call_id);
                tracing::warn!(
                    call_id,
                    so_far,
                    "answer lost: it could not be sent while the platform waited for it"
                );
            }
            self.metrics.answer_lost();
            self.events.tell(HostEvent::AnswerLost { call_id: answer.call_id.to_string() });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting().len()
    }

    /// Returns whether no further calls should be read until answers are sent.
    pub(super) fn is_crowded(&self) -> bool {
        self.budget.is_crowded() || self.waiting().len() >= CROWDED_ANSWERS
    }

    /// Returns the time at which the last waiting answer expires.
    pub(super) fn last_expiry(&self) -> Option<Instant> {
        self.waiting().iter().map(|answer| answer.expires).max()
    }
}

/// Counts one more, and returns the count if it is to be logged: in a flood, only every 2^n-th is.
fn count(counter: &AtomicU64) -> Option<u64> {
    let so_far = counter.fetch_add(1, Ordering::Relaxed) + 1;
    (so_far <= LOGGED_LOSSES || so_far.is_power_of_two()).then_some(so_far)
}

/// Takes out the answers that have expired, oldest first.
fn expired(waiting: &mut VecDeque<AnswerFrame>, now: Instant) -> Vec<AnswerFrame> {
    let mut expired = Vec::new();
    while waiting.front().is_some_and(|oldest| oldest.is_expired(now)) {
        expired.extend(waiting.pop_front());
    }
    expired
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn answer(call_id: &str, bytes: usize) -> AnswerFrame {
        AnswerFrame::new(call_id.into(), "x".repeat(bytes).into(), Instant::now())
    }

    fn take(outbox: &Outbox) -> Vec<String> {
        let mut taken = VecDeque::new();
        outbox.poll_take(&Context::from_waker(Waker::noop()), &mut taken);
        taken.into_iter().map(|answer| answer.call_id.to_string()).collect()
    }

    #[test]
    fn what_may_not_have_arrived_goes_before_what_came_since() {
        let outbox = Outbox::new(Events::default(), &Limits::default());
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
    async fn beyond_the_bound_answers_become_errors_that_are_told_and_none_is_dropped() {
        let events = Events::default();
        let mut told = events.listen();
        let outbox = Outbox::new(events, &Limits::default());
        for index in 0..30 {
            outbox.push(answer(&index.to_string(), 7 << 20));
        }
        assert!(outbox.is_crowded() && outbox.is_full());
        for index in 27..30 {
            let call_id = index.to_string();
            assert_eq!(told.next().await, Some(HostEvent::AnswerReplaced { call_id, bytes: 7 << 20 }));
        }
        let mut taken = VecDeque::new();
        outbox.poll_take(&Context::from_waker(Waker::noop()), &mut taken);
        assert_eq!(taken.len(), 30);
        let error = &taken[27].frame;
        assert!(
            error.contains(r#""tool_error","call_id":"27""#) && error.contains("7.0 MiB was dropped"),
            "{error}"
        );
        assert!(outbox.is_full(), "they are taken, and not sent");
        drop(taken);
        assert!(!outbox.is_crowded());
    }
}
