//! Where two connections of a turn meet: what was passed on already is not passed on again.
//!
//! Events have no numbers. Some have an id of their own, and one that came before with the same content is a
//! repetition wherever it comes. For the others there is one moment at which repetitions are to be expected: after
//! `resume_stream`, when a platform may begin with events that it had sent. What comes then is held as long as it is a
//! stretch of what was passed on; if that stretch reaches the end of it, and is long enough not to be a coincidence,
//! it is a repetition.
//!
//! Pure: events in, events out. It must not know time or sockets.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher as _};

use crate::event::AgentEvent;

/// How many of the last events are remembered.
const REMEMBERED: usize = 16_384;

/// How many events make a repetition, in the middle of a turn and at its beginning.
const ENOUGH: usize = 3;
const ENOUGH_AT_FIRST: usize = 2;

/// How much of a repetition is held before it is let go.
const HELD_BYTES: usize = 4 << 20;

/// An event that came, and what it is known again by.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) event: AgentEvent,
    /// The size on the wire.
    pub(super) bytes: usize,
    /// Of the text as it came.
    hash: u64,
    /// Where the event has an id.
    identity: Option<u64>,
}

impl Incoming {
    /// `offset` is the event's place in a session that the platform remembers.
    pub(super) fn new(event: AgentEvent, text: &str, offset: Option<&str>) -> Self {
        let hash = hash_of(&text);
        let identity = match offset {
            Some(offset) => Some(hash_of(&("offset", offset))),
            None => identity(&event, hash),
        };
        Self { event, bytes: text.len(), hash, identity }
    }
}

fn hash_of(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

fn identity(event: &AgentEvent, hash: u64) -> Option<u64> {
    match event {
        // The platform tells everybody in the scope, in other words than it tells the turn.
        AgentEvent::ApprovalNeeded(event) => Some(hash_of(&("approval", &event.approval_id))),
        AgentEvent::MessagePersisted(_) => Some(hash),
        AgentEvent::ToolCall(event) => event.call_id.is_some().then_some(hash),
        AgentEvent::ToolResult(event) => event.call_id.is_some().then_some(hash),
        AgentEvent::ArtifactStart(event) => event.artifact_id.is_some().then_some(hash),
        AgentEvent::ArtifactCommitted(event) => event.artifact_id.is_some().then_some(hash),
        _ => None,
    }
}

/// What is known of the turn so far.
#[derive(Debug, Default)]
pub(super) struct Seam {
    /// What was passed on, the last one at the end.
    history: VecDeque<u64>,
    /// Whether there was more than is remembered.
    forgotten: bool,
    known: HashSet<u64>,
    known_in_order: VecDeque<u64>,
    replay: Option<Replay>,
}

/// What may be a repetition.
#[derive(Debug, Default)]
struct Replay {
    /// Where in the history it may have begun, as long as the history goes on after it.
    starts: Vec<usize>,
    held: Vec<Incoming>,
    /// How many of the held ones reach the end of the history.
    overlap: usize,
    /// How many of the held ones are how the turn began.
    from_first: usize,
    /// One of the held ones is known by its id.
    certain: bool,
    /// The size of the held ones that can still be passed on.
    bytes: usize,
    /// How many of the held ones, from the first, were let go: a repetition of that size is no coincidence.
    let_go: usize,
}

impl Replay {
    /// Whether that many of the held events are too many for a coincidence.
    fn is_enough(&self, events: usize) -> bool {
        let held = &self.held[..events];
        let alike = held.windows(2).all(|pair| pair[0].hash == pair[1].hash);
        let enough = if events <= self.from_first { ENOUGH_AT_FIRST } else { ENOUGH };
        self.certain || (events >= enough && !alike)
    }

    /// Lets go of what is held when it gets large.
    fn keep_small(&mut self) {
        if self.bytes > HELD_BYTES && self.is_enough(self.held.len()) {
            self.bytes = 0;
            for incoming in self.held.iter_mut().skip(self.let_go) {
                incoming.event = AgentEvent::Connected;
            }
            self.let_go = self.held.len();
        }
    }
}

impl Seam {
    /// The stream goes on after a break. What comes now may be a repetition.
    pub(super) fn resumed(&mut self) {
        let starts: Vec<_> = (0..self.history.len()).collect();
        self.replay = (!starts.is_empty()).then(|| Replay { starts, ..Replay::default() });
    }

    /// Whether events are held that may never be followed by another.
    pub(super) fn is_undecided(&self) -> bool {
        self.replay
            .as_ref()
            .is_some_and(|replay| !replay.held.is_empty() && !replay.is_enough(replay.held.len()))
    }

    /// Takes an event, and gives back those that are to be passed on, in order.
    pub(super) fn take(&mut self, incoming: Incoming) -> Vec<Incoming> {
        let known = incoming.identity.is_some_and(|identity| self.known.contains(&identity));
        let Some(mut replay) = self.replay.take() else {
            return if known { Vec::new() } else { self.pass(vec![incoming]) };
        };
        let length = replay.held.len();
        let (mut ends, mut goes_on) = (false, Vec::new());
        for start in &replay.starts {
            let at = start + length;
            if self.history.get(at) == Some(&incoming.hash) {
                if at + 1 == self.history.len() { ends = true } else { goes_on.push(*start) }
            }
        }
        if !ends && goes_on.is_empty() {
            // A known event in other words leaves open what the others are.
            if known {
                self.replay = Some(replay);
                return Vec::new();
            }
            let mut rest = self.settle(replay);
            rest.extend(self.pass(vec![incoming]));
            return rest;
        }
        replay.certain |= known;
        replay.bytes += incoming.bytes;
        replay.held.push(incoming);
        replay.keep_small();
        // The starts are in order.
        if replay.starts.first() == Some(&0)
            && self.history.get(length) == replay.held.last().map(|last| &last.hash)
        {
            replay.from_first = if self.forgotten { 0 } else { replay.held.len() };
        }
        if ends {
            replay.overlap = replay.held.len();
        }
        replay.starts = goes_on;
        if replay.starts.is_empty() {
            return self.settle(replay);
        }
        self.replay = Some(replay);
        Vec::new()
    }

    /// Nothing more came for a while: what is held is passed on, unless it is a repetition.
    pub(super) fn flush(&mut self) -> Vec<Incoming> {
        self.replay.take().map(|replay| self.settle(replay)).unwrap_or_default()
    }

    /// The connection broke. A repetition that was under way begins again with the next one.
    pub(super) fn broke(&mut self) -> Vec<Incoming> {
        let Some(replay) = self.replay.take() else { return Vec::new() };
        if !replay.held.is_empty() && replay.is_enough(replay.held.len()) {
            Vec::new()
        } else {
            self.settle(replay)
        }
    }

    /// Decides about the held events.
    fn settle(&mut self, mut replay: Replay) -> Vec<Incoming> {
        let overlap = replay.overlap;
        let is_replay = overlap > 0 && replay.is_enough(overlap);
        let repeated = if is_replay { overlap } else { 0 }.max(replay.let_go);
        let new = replay.held.split_off(repeated);
        let is_new = |known: &HashSet<u64>, event: &Incoming| {
            event.identity.is_none_or(|identity| !known.contains(&identity))
        };
        let new = new.into_iter().filter(|event| is_new(&self.known, event)).collect();
        self.pass(new)
    }

    fn pass(&mut self, events: Vec<Incoming>) -> Vec<Incoming> {
        for event in &events {
            if self.history.len() == REMEMBERED {
                self.history.pop_front();
                self.forgotten = true;
            }
            self.history.push_back(event.hash);
            let Some(identity) = event.identity.filter(|identity| self.known.insert(*identity)) else {
                continue;
            };
            if self.known_in_order.len() == REMEMBERED {
                self.known_in_order.pop_front().map(|oldest| self.known.remove(&oldest));
            }
            self.known_in_order.push_back(identity);
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn incoming(data: &Value) -> Incoming {
        Incoming::new(AgentEvent::from_json(data.clone()), &data.to_string(), None)
    }

    fn word(text: &str) -> Value {
        json!({"type": "token", "text": text})
    }

    fn shown(events: &[Incoming]) -> String {
        let show = |event: &Incoming| match &event.event {
            AgentEvent::Token(token) => token.text.clone(),
            other => other.kind().to_owned(),
        };
        events.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    /// What is passed on of some words, `/` being a break.
    fn passed(script: &str) -> String {
        let mut seam = Seam::default();
        let mut passed = Vec::new();
        for text in script.split(' ') {
            match text {
                "/" => {
                    passed.extend(seam.broke());
                    seam.resumed();
                }
                "done" => passed.extend(seam.take(incoming(&json!({"type": "done"})))),
                "~" => passed.extend(seam.flush()),
                _ => passed.extend(seam.take(incoming(&word(text)))),
            }
        }
        shown(&passed)
    }

    #[test]
    fn what_a_platform_sends_again_is_passed_on_once() {
        for (script, expected) in [
            // It goes on where it was.
            ("a b c / d e done", "a b c d e done"),
            // It begins anew.
            ("a b c / a b c d done", "a b c d done"),
            // It repeats the last ones.
            ("a b c d e / c d e f done", "a b c d e f done"),
            // It begins anew, breaks in the middle of it, and begins anew.
            ("a b c d / a b c / a b c d e done", "a b c d e done"),
            // Twice broken, each time with something new.
            ("a b c / a b c d / b c d e done", "a b c d e done"),
            // Everything there was is enough, if it is more than one.
            ("a b / a b c done", "a b c done"),
        ] {
            assert_eq!(passed(script), expected, "{script}");
        }
    }

    #[test]
    fn what_may_be_a_coincidence_is_passed_on() {
        for script in [
            // One or two words that were said before.
            "a b c / c d done",
            "a b c / b c d done",
            "x a b c / b c done",
            // All alike says nothing, however long it is.
            "q - - - - / - - - done",
            "- - / - - - done",
            // A stretch from the middle that does not reach the end.
            "a b c d e / a b c x done",
            "a / a b done",
            "a b c / ~ c ~ d done",
        ] {
            let all: Vec<_> = script.split(' ').filter(|word| !matches!(*word, "/" | "~")).collect();
            assert_eq!(passed(script), all.join(" "), "{script}");
        }
    }

    #[test]
    fn an_event_with_an_id_is_passed_on_once_wherever_it_comes() {
        let call = json!({"type": "tool_call", "name": "t", "params": {}, "callId": "c1"});
        let other = json!({"type": "tool_call", "name": "t", "params": {}, "callId": "c2"});
        let mut seam = Seam::default();
        let mut passed = Vec::new();
        for event in [&word("a"), &call, &call, &other, &word("a"), &call] {
            passed.extend(seam.take(incoming(event)));
        }
        seam.resumed();
        for event in [&call, &word("b")] {
            passed.extend(seam.take(incoming(event)));
        }
        assert_eq!(shown(&passed), "a tool_call tool_call a b");

        let ask = |words: &str| json!({"type": "approval_needed", "approvalId": "apr_1", "action": words});
        let mut seam = Seam::default();
        assert_eq!(seam.take(incoming(&ask("delete"))).len(), 1);
        assert_eq!(seam.take(incoming(&ask("delete it"))).len(), 0);
        seam.resumed();
        assert_eq!(seam.take(incoming(&ask("delete that"))).len(), 0);
        // An id makes a stretch of two certain.
        let mut seam = Seam::default();
        let turn = [word("x"), call.clone(), word("a")];
        for event in &turn {
            seam.take(incoming(event));
        }
        seam.resumed();
        let again: Vec<_> =
            [call, word("a"), word("b")].iter().flat_map(|event| seam.take(incoming(event))).collect();
        assert_eq!(shown(&again), "b");
    }

    #[test]
    fn places_in_a_session_tell_events_apart_that_look_alike() {
        let data = word("ha").to_string();
        let event = |offset| Incoming::new(AgentEvent::from_json(word("ha")), &data, Some(offset));
        let mut seam = Seam::default();
        let passed: usize =
            ["1", "2", "2", "3", "1"].into_iter().map(|offset| seam.take(event(offset)).len()).sum();
        assert_eq!(passed, 3);
    }

    #[test]
    fn a_large_repetition_is_not_held_in_memory() {
        let large = |number: usize| word(&format!("{number} {}", "x".repeat(HELD_BYTES / 2)));
        let mut seam = Seam::default();
        for number in 0..6 {
            assert_eq!(seam.take(incoming(&large(number))).len(), 1);
        }
        seam.resumed();
        for number in 0..5 {
            assert!(seam.take(incoming(&large(number))).is_empty());
            let replay = seam.replay.as_ref().unwrap();
            let held: usize = replay.held.iter().map(|held| held.event.to_json().to_string().len()).sum();
            assert!(held <= 2 * HELD_BYTES, "{held} bytes after {number}");
        }
        // It goes on otherwise than before, and what was let go was a repetition all the same.
        assert_eq!(shown(&seam.take(incoming(&word("new")))), "new");
        assert_eq!(shown(&seam.take(incoming(&word("newer")))), "newer");
    }

    #[test]
    fn only_what_may_be_new_is_waited_for() {
        let mut seam = Seam::default();
        for text in ["a", "b", "c", "d", "e"] {
            seam.take(incoming(&word(text)));
        }
        seam.resumed();
        assert!(!seam.is_undecided());
        seam.take(incoming(&word("b")));
        assert!(seam.is_undecided());
        seam.take(incoming(&word("c")));
        seam.take(incoming(&word("d")));
        assert!(!seam.is_undecided(), "three in a row are a repetition under way");
    }

    proptest! {
        /// Words of numbers do not repeat themselves, so a platform may resume from anywhere.
        #[test]
        fn nothing_is_lost_repeated_or_reordered(
            length in 5_usize..60,
            breaks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..5),
        ) {
            let words: Vec<_> = (0..length).map(|number| word(&number.to_string())).collect();
            let mut seam = Seam::default();
            let (mut passed, mut sent) = (Vec::new(), 0);
            for (until, back) in breaks {
                let until = sent + until.index(length - sent + 1);
                // A break after one or two repetitions leaves open what they were.
                let until = if until > sent { until.max(length.min(sent + ENOUGH)) } else { until };
                for event in &words[sent..until] {
                    passed.extend(seam.take(incoming(event)));
                }
                passed.extend(seam.broke());
                seam.resumed();
                // From where it was, from the beginning, or from at least three events before.
                let from = back.index(until + 1);
                sent = if until - from >= ENOUGH { from } else if until >= ENOUGH_AT_FIRST { 0 } else { until };
            }
            for event in &words[sent..] {
                passed.extend(seam.take(incoming(event)));
            }
            passed.extend(seam.flush());
            let expected: Vec<_> = (0..length).map(|number| number.to_string()).collect();
            prop_assert_eq!(shown(&passed), expected.join(" "));
        }

        /// A platform that sends only what is new loses nothing, unless it says three things again.
        #[test]
        fn a_platform_that_repeats_nothing_loses_nothing(
            words in prop::collection::vec(0_u8..3, 1..40),
            at in any::<prop::sample::Index>(),
        ) {
            let mut seam = Seam::default();
            let at = at.index(words.len());
            let mut passed = 0;
            for (index, number) in words.iter().enumerate() {
                if index == at {
                    passed += seam.broke().len();
                    seam.resumed();
                }
                passed += seam.take(incoming(&word(&number.to_string()))).len();
            }
            passed += seam.flush().len();
            let lost = words.len() - passed;
            prop_assert!(lost == 0 || words[at..at + lost] == words[at - lost..at], "{lost} lost");
        }
    }
}
