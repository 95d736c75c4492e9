//! What was passed on already is not passed on again, where an event has an id of its own.
//!
//! An approval is told to the turn and to everybody in the user's room; a server that remembers sessions repeats what
//! may have been missed. Pure: it must not know time or sockets.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher as _};

use crate::event::AgentEvent;

/// How many of the last events with an id are remembered.
const REMEMBERED: usize = 4_096;

/// The events that were passed on and have an id.
#[derive(Debug, Default)]
pub(super) struct Known {
    identities: HashSet<u64>,
    in_order: VecDeque<u64>,
}

impl Known {
    /// Whether an event is to be passed on, which came as `text`. `offset` is its place in a session that the platform
    /// remembers.
    pub(super) fn is_new(&mut self, event: &AgentEvent, text: &str, offset: Option<&str>) -> bool {
        let identity = match offset {
            Some(offset) => Some(hash_of(&("offset", offset))),
            None => identity(event, text),
        };
        let Some(identity) = identity else { return true };
        if !self.identities.insert(identity) {
            return false;
        }
        if self.in_order.len() == REMEMBERED {
            self.in_order.pop_front().map(|oldest| self.identities.remove(&oldest));
        }
        self.in_order.push_back(identity);
        true
    }
}

fn hash_of(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

fn identity(event: &AgentEvent, text: &str) -> Option<u64> {
    let has_id = match event {
        // The platform tells everybody in the room, in other words than it tells the turn.
        AgentEvent::ApprovalNeeded(event) => return Some(hash_of(&("approval", &event.approval_id))),
        AgentEvent::ApprovalResolved(event) => return Some(hash_of(&("resolved", &event.approval_id))),
        AgentEvent::MessagePersisted(_) => true,
        AgentEvent::ToolCall(event) => event.call_id.is_some(),
        AgentEvent::ToolResult(event) => event.call_id.is_some(),
        AgentEvent::ArtifactStart(event) => event.artifact_id.is_some(),
        AgentEvent::ArtifactCommitted(event) => event.artifact_id.is_some(),
        _ => false,
    };
    has_id.then(|| hash_of(&text))
}

/// The text that was passed on, without the text: enough to tell whether another one goes on from it.
#[derive(Debug, Default)]
pub(super) struct Said {
    bytes: usize,
    hasher: DefaultHasher,
}

impl Said {
    pub(super) fn push(&mut self, text: &str) {
        self.bytes += text.len();
        self.hasher.write(text.as_bytes());
    }

    /// What comes in `text` after what was said, where it goes on from it.
    pub(super) fn rest<'a>(&self, text: &'a str) -> Option<&'a str> {
        let (begin, rest) = text.split_at_checked(self.bytes)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(begin.as_bytes());
        (hasher.finish() == self.hasher.finish()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn is_new(known: &mut Known, data: &Value, offset: Option<&str>) -> bool {
        known.is_new(&AgentEvent::from_json(data.clone()), &data.to_string(), offset)
    }

    #[test]
    fn an_event_with_an_id_is_new_once_and_a_word_always() {
        let word = json!({"type": "token", "text": "ha"});
        let call = json!({"type": "tool_call", "name": "t", "params": {}, "callId": "c1"});
        let other = json!({"type": "tool_call", "name": "t", "params": {}, "callId": "c2"});
        let ask = |words: &str| json!({"type": "approval_needed", "approvalId": "apr_1", "action": words});
        let mut known = Known::default();
        let events = [&word, &word, &call, &call, &other, &ask("delete"), &ask("delete it")];
        let new = events.map(|event| is_new(&mut known, event, None));
        assert_eq!(new, [true, true, true, false, true, true, false]);
        let new = ["1", "2", "2", "3", "1"].map(|offset| is_new(&mut known, &word, Some(offset)));
        assert_eq!(new, [true, true, false, true, false]);
    }

    #[test]
    fn it_is_told_whether_a_text_goes_on_from_what_was_said_in_pieces() {
        let mut said = Said::default();
        assert_eq!(said.rest("all of it"), Some("all of it"));
        for piece in ["na", "ïve ", "", "\u{1f680} and"] {
            said.push(piece);
        }
        assert_eq!(said.rest("naïve \u{1f680} and more"), Some(" more"));
        assert_eq!(said.rest("naïve \u{1f680} and"), Some(""));
        for other in ["naïve", "naive \u{1f680} and more", "xaïve \u{1f680} and more", ""] {
            assert_eq!(said.rest(other), None, "{other}");
        }
    }
}
