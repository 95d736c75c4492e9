//! Outbound frames of one connection, and the delivery of answers.
//!
//! Bytes written to a TCP socket are lost if the connection breaks. So a written answer is kept until the platform is
//! proven to have read it: by the pong to a later ping, or by the acknowledgement of a later heartbeat. Unproven
//! answers are sent again on the next connection; the platform ignores duplicates of an answer (protocol §3).

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use crate::host::outbox::{AnswerFrame, Outbox};

/// Maximum size of the unproven answers, in bytes. A platform that reads proves far less than this at a time.
const MAX_UNPROVEN_BYTES: usize = 64 * 1024 * 1024;
/// Minimum time between pings. Answers written within it are covered by the ping after the next frame, which is a
/// heartbeat at the latest.
const PING_PAUSE: Duration = Duration::from_millis(10);
/// The size of unproven answers, in bytes, that triggers a ping at once.
const MUCH_UNPROVEN_BYTES: usize = 1024 * 1024;
/// The capacity, in answers, that is kept after a flood.
const KEPT_ROOM: usize = 256;
/// Maximum number of tracked unacknowledged heartbeats. At this number, an acknowledgement can no longer be matched to
/// its heartbeat, and only pongs prove delivery.
const MAX_HEARTBEATS: usize = 64;

/// The outbound queue of one connection.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Frames that are sent before all answers.
    control: VecDeque<Utf8Bytes>,
    /// Answers taken from the outbox and not written yet.
    answers: VecDeque<AnswerFrame>,
    /// Answers that are written but not proven to have arrived, oldest first.
    unproven: VecDeque<AnswerFrame>,
    unproven_bytes: usize,
    /// The number of unproven answers covered by the pending ping.
    ping: Option<usize>,
    /// The number of unproven answers covered by each unacknowledged heartbeat, oldest first, and when it was sent.
    heartbeats: VecDeque<(usize, Instant)>,
    /// When the pending ping was sent.
    pinged: Option<Instant>,
    /// When the last ping was sent.
    last_ping: Option<Instant>,
    /// The number of pings so far; the payload that identifies each.
    pings: u64,
    /// The calls whose answers arrived since this was taken last, if somebody wants to know.
    delivered: Option<Vec<Arc<str>>>,
}

impl Outgoing {
    /// Notes the calls whose answers have arrived, for [`take_delivered`](Self::take_delivered).
    pub(super) fn noting_delivered(self, notes: bool) -> Self {
        Self { delivered: notes.then(Vec::new), ..self }
    }

    /// Takes the calls whose answers have arrived since the last time.
    pub(super) fn take_delivered(&mut self) -> Vec<Arc<str>> {
        self.delivered.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Queues a frame before all answers.
    pub(super) fn push_control(&mut self, frame: Utf8Bytes) {
        self.control.push_back(frame);
    }

    /// Queues a heartbeat before all answers that are not written yet.
    pub(super) fn push_heartbeat(&mut self, frame: Utf8Bytes) {
        if self.heartbeats.len() < MAX_HEARTBEATS {
            self.heartbeats.push_back((self.unproven.len(), Instant::now()));
        }
        self.control.push_back(frame);
    }

    /// Drops all frames but answers. A declaration of the tools would replace that of another process.
    pub(super) fn keep_only_answers(&mut self) {
        self.control.clear();
    }

    /// Returns the number of answers taken and not written.
    pub(super) fn unsent(&self) -> usize {
        self.answers.len()
    }

    /// Takes the waiting answers from the outbox, if all taken before are written.
    pub(super) fn refill(&mut self, outbox: &Outbox, context: &Context<'_>) {
        if self.answers.is_empty() {
            // Frees the memory that a flood has left.
            self.answers.shrink_to(KEPT_ROOM);
            outbox.poll_take(context, &mut self.answers);
        }
    }

    /// Returns the next message to write: control frames, then answers, then a ping that covers them.
    pub(super) fn next(&mut self, outbox: &Outbox, now: Instant) -> Option<Message> {
        if let Some(frame) = self.control.pop_front() {
            return Some(Message::Text(frame));
        }
        while let Some(answer) = self.answers.pop_front() {
            if answer.is_expired(now) {
                outbox.lose([answer]);
                continue;
            }
            if answer.was_sent() {
                outbox.metrics().answer_redelivered();
            }
            let frame = answer.frame.clone();
            self.keep(answer, now);
            return Some(Message::Text(frame));
        }
        let is_time = self.last_ping.is_none_or(|last| last + PING_PAUSE <= now)
            || self.unproven_bytes >= MUCH_UNPROVEN_BYTES;
        if self.ping.is_none() && !self.unproven.is_empty() && is_time {
            self.ping = Some(self.unproven.len());
            (self.pinged, self.last_ping) = (Some(now), Some(now));
            self.pings += 1;
            return Some(Message::Ping(Bytes::copy_from_slice(&self.pings.to_be_bytes())));
        }
        None
    }

    fn keep(&mut self, answer: AnswerFrame, now: Instant) {
        self.unproven_bytes += answer.frame.len();
        self.unproven.push_back(answer.sent());
        while self
            .unproven
            .front()
            .is_some_and(|oldest| self.unproven_bytes > MAX_UNPROVEN_BYTES || oldest.is_expired(now))
        {
            self.forget(1, false);
        }
    }

    /// Handles a pong: everything before its ping has arrived.
    pub(super) fn on_pong(&mut self, payload: &[u8]) {
        if payload == self.pings.to_be_bytes()
            && let Some(covered) = self.ping.take()
        {
            self.pinged = None;
            self.prove(covered);
        }
    }

    /// Handles an acknowledgement: everything before the oldest unacknowledged heartbeat has arrived.
    pub(super) fn on_heartbeat_ack(&mut self) {
        if self.heartbeats.len() == MAX_HEARTBEATS {
            return;
        }
        if let Some((covered, sent)) = self.heartbeats.pop_front() {
            if self.pinged.is_some_and(|pinged| pinged <= sent) {
                self.pinged = None;
            }
            self.prove(covered);
        }
    }

    /// Returns the time at which the pending ping was sent.
    pub(super) fn pinged(&self) -> Option<Instant> {
        self.pinged
    }

    /// Handles the end of a connection on which the platform has read everything.
    pub(super) fn on_all_read(&mut self) {
        self.prove(self.unproven.len());
    }

    /// Drops the oldest `count` unproven answers, which have arrived.
    fn prove(&mut self, count: usize) {
        self.forget(count, true);
    }

    /// Drops the oldest `count` unproven answers.
    fn forget(&mut self, count: usize, has_arrived: bool) {
        let mut delivered = self.delivered.as_mut().filter(|_| has_arrived);
        for answer in self.unproven.drain(..count.min(self.unproven.len())) {
            self.unproven_bytes -= answer.frame.len();
            if let Some(delivered) = &mut delivered {
                delivered.push(answer.call_id);
            }
        }
        let heartbeats = self.heartbeats.iter_mut().map(|(covered, _)| covered);
        for covered in self.ping.iter_mut().chain(heartbeats) {
            *covered = covered.saturating_sub(count);
        }
    }

    /// Returns whether unproven answers are left that have not expired.
    pub(super) fn has_unproven(&self, now: Instant) -> bool {
        self.unproven.iter().any(|answer| !answer.is_expired(now))
    }

    /// Returns the answers to send on another connection, oldest first.
    pub(super) fn into_unproven(self) -> VecDeque<AnswerFrame> {
        let now = Instant::now();
        let Self { mut unproven, mut answers, .. } = self;
        // Expired answers were written and may have arrived, so they are not reported as lost.
        unproven.retain(|answer| !answer.is_expired(now));
        unproven.append(&mut answers);
        unproven
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::events::Events;
    use crate::run::Limits;

    fn outgoing(call_ids: &[&str]) -> Outgoing {
        let answers = call_ids.iter().map(|call_id| answer(call_id));
        Outgoing { answers: answers.collect(), ..Outgoing::default() }
    }

    fn answer(call_id: &str) -> AnswerFrame {
        AnswerFrame::new(call_id.into(), call_id.to_owned().into(), Instant::now())
    }

    fn outbox() -> Outbox {
        Outbox::new(Events::default(), &Limits::default())
    }

    /// Writes everything, and returns it: texts as they are, pings as their number.
    fn write(outgoing: &mut Outgoing) -> Vec<String> {
        std::iter::from_fn(|| outgoing.next(&outbox(), Instant::now()))
            .map(|message| match message {
                Message::Text(text) => text.to_string(),
                Message::Ping(payload) => format!("ping {}", payload[7]),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn left(outgoing: Outgoing) -> Vec<String> {
        outgoing.into_unproven().into_iter().map(|answer| answer.call_id.to_string()).collect()
    }

    fn pong(number: u8) -> [u8; 8] {
        u64::from(number).to_be_bytes()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_written_is_kept_until_a_pong_proves_it() {
        let mut outgoing = outgoing(&["a", "b"]);
        assert_eq!(write(&mut outgoing), ["a", "b", "ping 1"]);
        outgoing.answers.push_back(answer("c"));
        assert_eq!(write(&mut outgoing), ["c"], "one ping at a time");
        outgoing.on_pong(&pong(9));
        outgoing.on_pong(&pong(1));
        assert!(write(&mut outgoing).is_empty(), "the last ping was just now");
        tokio::time::advance(PING_PAUSE).await;
        assert_eq!(write(&mut outgoing), ["ping 2"], "for what came since");
        outgoing.answers.push_back(AnswerFrame::new(
            "d".into(),
            "d".repeat(MUCH_UNPROVEN_BYTES).into(),
            Instant::now(),
        ));
        assert_eq!(write(&mut outgoing).len(), 1);
        outgoing.on_pong(&pong(2));
        assert_eq!(write(&mut outgoing), ["ping 3"], "much waits to be proven");
        assert_eq!(left(outgoing), ["d"]);
    }

    #[tokio::test]
    async fn a_heartbeat_proves_what_went_before_it() {
        let mut outgoing = outgoing(&["a"]);
        assert_eq!(write(&mut outgoing), ["a", "ping 1"]);
        outgoing.push_heartbeat(Utf8Bytes::from_static("heartbeat"));
        outgoing.answers.push_back(answer("b"));
        assert_eq!(write(&mut outgoing), ["heartbeat", "b"]);
        outgoing.on_heartbeat_ack();
        outgoing.on_pong(&pong(1));
        assert!(outgoing.has_unproven(Instant::now()));
        assert!(!outgoing.has_unproven(Instant::now() + crate::wire::CALL_PENDING), "nobody waits for it");
        assert_eq!(left(outgoing), ["b"], "the late pong covers nothing more");
    }

    #[tokio::test]
    async fn a_late_acknowledgement_proves_nothing_that_went_after_its_heartbeat() {
        let mut outgoing = outgoing(&["a"]);
        write(&mut outgoing);
        outgoing.push_heartbeat(Utf8Bytes::from_static("heartbeat"));
        outgoing.answers.push_back(answer("b"));
        write(&mut outgoing);
        outgoing.push_heartbeat(Utf8Bytes::from_static("heartbeat"));
        outgoing.answers.push_back(answer("c"));
        write(&mut outgoing);
        outgoing.on_heartbeat_ack();
        assert_eq!(outgoing.unproven.len(), 2, "b and c went after the first heartbeat");
        outgoing.on_heartbeat_ack();
        assert_eq!(left(outgoing), ["c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_arrived_is_noted_and_what_nobody_waits_for_is_not() {
        let mut outgoing = outgoing(&["late"]).noting_delivered(true);
        write(&mut outgoing);
        tokio::time::advance(crate::wire::CALL_PENDING).await;
        outgoing.answers.extend([answer("a"), answer("b")]);
        assert_eq!(write(&mut outgoing), ["a", "b"]);
        assert!(outgoing.take_delivered().is_empty());
        outgoing.on_all_read();
        assert_eq!(outgoing.take_delivered(), ["a".into(), "b".into()]);
        assert!(outgoing.take_delivered().is_empty());
    }

    #[tokio::test]
    async fn order_is_kept_over_connections() {
        let mut outgoing = outgoing(&["a", "b", "c"]);
        outgoing.push_control(Utf8Bytes::from_static("register"));
        let first = outgoing.next(&outbox(), Instant::now());
        assert!(matches!(first, Some(Message::Text(text)) if text == "register"));
        write(&mut outgoing);
        assert_eq!(left(outgoing), ["a", "b", "c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_bounded_for_a_platform_that_proves_nothing() {
        let mut outgoing = outgoing(&[]);
        for _ in 0..5_000 {
            outgoing.answers.push_back(AnswerFrame::new(
                "a".into(),
                "x".repeat(50_000).into(),
                Instant::now(),
            ));
            write(&mut outgoing);
        }
        assert!(outgoing.unproven_bytes <= MAX_UNPROVEN_BYTES);
        tokio::time::advance(crate::wire::CALL_PENDING).await;
        outgoing.answers.push_back(answer("last"));
        write(&mut outgoing);
        assert_eq!(left(outgoing), ["last"]);
    }
}
