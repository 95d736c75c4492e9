//! What goes out on one connection, and what is known to have arrived.
//!
//! TCP takes bytes that never arrive when a connection breaks. So an answer is kept after it was written,
//! until something proves that the platform has read it: the pong to a ping, or the acknowledgement of a
//! heartbeat, that was sent behind it. What is not proven when the connection ends is sent again on the
//! next one; the platform ignores an answer to a call that is settled (protocol §3).

use std::collections::VecDeque;
use std::task::Context;
use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use crate::host::outbox::{Answer, Outbox};
use crate::observe;

/// How many bytes of written answers are kept for a platform that never proves anything.
const MAX_UNPROVEN_BYTES: usize = 16 * 1024 * 1024;
/// How long it takes at least from one ping to the next. The last answers of a flood may go without one; the ping
/// behind the next frame, a heartbeat at the latest, is for them too.
const PING_PAUSE: Duration = Duration::from_millis(10);
/// So many bytes of written answers are worth a ping at once.
const MUCH_UNPROVEN_BYTES: usize = 1024 * 1024;
/// For how many answers there is room between two reads.
const KEPT_ROOM: usize = 256;
/// How many heartbeats wait for their acknowledgement. Once there are so many, which one an acknowledgement
/// belongs to is no longer known, and only pings prove anything.
const MAX_HEARTBEATS: usize = 64;

/// What goes out on one connection.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Frames that go before all answers.
    control: VecDeque<Utf8Bytes>,
    /// Answers taken out of the outbox and not written yet.
    answers: VecDeque<Answer>,
    /// Answers that are written and not known to have arrived, oldest first.
    unproven: VecDeque<Answer>,
    unproven_bytes: usize,
    /// How many of the unproven ones went out before the ping that is not answered yet.
    ping: Option<usize>,
    /// The same for the heartbeats that are not acknowledged yet, oldest first, and when they went out.
    heartbeats: VecDeque<(usize, Instant)>,
    /// When the ping went out that is not answered yet.
    pinged: Option<Instant>,
    /// When the last one went out.
    last_ping: Option<Instant>,
    /// Tells a ping's pong from that of an earlier one.
    pings: u64,
}

impl Outgoing {
    /// Puts a frame before all answers.
    pub(super) fn push_control(&mut self, frame: Utf8Bytes) {
        self.control.push_back(frame);
    }

    /// Puts a heartbeat before all answers that are not written yet.
    pub(super) fn push_heartbeat(&mut self, frame: Utf8Bytes) {
        if self.heartbeats.len() < MAX_HEARTBEATS {
            self.heartbeats.push_back((self.unproven.len(), Instant::now()));
        }
        self.control.push_back(frame);
    }

    /// How many answers are taken and not written.
    pub(super) fn unsent(&self) -> usize {
        self.answers.len()
    }

    /// Takes what waits in the outbox, if nothing is left of what was taken before.
    pub(super) fn refill(&mut self, outbox: &Outbox, context: &Context<'_>) {
        if self.answers.is_empty() {
            // A flood leaves no room behind that nobody needs.
            self.answers.shrink_to(KEPT_ROOM);
            outbox.poll_take(context, &mut self.answers);
        }
    }

    /// The next message to write: control frames, then answers, then a ping behind them.
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
                observe::answer_redelivered();
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

    fn keep(&mut self, answer: Answer, now: Instant) {
        self.unproven_bytes += answer.frame.len();
        self.unproven.push_back(answer.sent());
        while self
            .unproven
            .front()
            .is_some_and(|oldest| self.unproven_bytes > MAX_UNPROVEN_BYTES || oldest.is_expired(now))
        {
            self.prove(1);
        }
    }

    /// The platform has read everything before this pong's ping.
    pub(super) fn on_pong(&mut self, payload: &[u8]) {
        if payload == self.pings.to_be_bytes()
            && let Some(covered) = self.ping.take()
        {
            self.pinged = None;
            self.prove(covered);
        }
    }

    /// The platform has read everything before the oldest heartbeat that it had not acknowledged.
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

    /// Since when a ping is not answered, if there is one.
    pub(super) fn pinged(&self) -> Option<Instant> {
        self.pinged
    }

    /// Lets the oldest `count` go.
    fn prove(&mut self, count: usize) {
        for answer in self.unproven.drain(..count.min(self.unproven.len())) {
            self.unproven_bytes -= answer.frame.len();
        }
        let heartbeats = self.heartbeats.iter_mut().map(|(covered, _)| covered);
        for covered in self.ping.iter_mut().chain(heartbeats) {
            *covered = covered.saturating_sub(count);
        }
    }

    /// Whether answers were written that may not have arrived, and that somebody still waits for.
    pub(super) fn has_unproven(&self, now: Instant) -> bool {
        self.unproven.iter().any(|answer| !answer.is_expired(now))
    }

    /// What has to be sent on another connection, oldest first.
    pub(super) fn into_unproven(self) -> VecDeque<Answer> {
        let now = Instant::now();
        let Self { mut unproven, mut answers, .. } = self;
        // Written already: too late for another attempt is no loss worth a word.
        unproven.retain(|answer| !answer.is_expired(now));
        unproven.append(&mut answers);
        unproven
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(call_ids: &[&str]) -> Outgoing {
        let answers = call_ids.iter().map(|call_id| answer(call_id));
        Outgoing { answers: answers.collect(), ..Outgoing::default() }
    }

    fn answer(call_id: &str) -> Answer {
        Answer::new(call_id.into(), call_id.to_owned().into(), Instant::now())
    }

    /// Writes everything, and returns it: texts as they are, pings as their number.
    fn write(outgoing: &mut Outgoing) -> Vec<String> {
        std::iter::from_fn(|| outgoing.next(&Outbox::default(), Instant::now()))
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
        outgoing.answers.push_back(Answer::new(
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

    #[tokio::test]
    async fn order_is_kept_over_connections() {
        let mut outgoing = outgoing(&["a", "b", "c"]);
        outgoing.push_control(Utf8Bytes::from_static("register"));
        let first = outgoing.next(&Outbox::default(), Instant::now());
        assert!(matches!(first, Some(Message::Text(text)) if text == "register"));
        write(&mut outgoing);
        assert_eq!(left(outgoing), ["a", "b", "c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_bounded_for_a_platform_that_proves_nothing() {
        let mut outgoing = outgoing(&[]);
        for _ in 0..5_000 {
            outgoing.answers.push_back(Answer::new("a".into(), "x".repeat(10_000).into(), Instant::now()));
            write(&mut outgoing);
        }
        assert!(outgoing.unproven_bytes <= MAX_UNPROVEN_BYTES);
        tokio::time::advance(crate::wire::CALL_PENDING).await;
        outgoing.answers.push_back(answer("last"));
        write(&mut outgoing);
        assert_eq!(left(outgoing), ["last"]);
    }
}
