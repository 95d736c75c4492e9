//! What a turn does.

use std::time::Duration;

use serde_json::{Value, json};

/// What the double sends first after `resume_stream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Replay {
    /// Only what was missed.
    #[default]
    Missed,
    /// All of the turn so far.
    Everything,
    /// The last so many events, before what was missed.
    Last(usize),
}

/// The steps of a turn, in order.
///
/// ```
/// use std::time::Duration;
/// use platos_client::testing::{Replay, Script};
/// use serde_json::json;
///
/// let script = Script::new()
///     .event(json!({"type": "status", "status": "thinking"}))
///     .token("one ")
///     .pause(Duration::from_millis(20))
///     .missed(json!({"type": "token", "text": "two "})) // sent into a connection that is gone
///     .drop_connection()
///     .token("three")
///     .done()
///     .replaying(Replay::Everything);
/// # let _ = script;
/// ```
#[derive(Debug, Clone, Default)]
pub struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) replay: Replay,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Event(Value),
    /// A Socket.IO event of another name.
    Emit(String, Value),
    Missed(Value),
    Frame(String),
    Binary(Vec<u8>),
    Pause(Duration),
    Drop,
    Disconnect,
    Mute,
    Approval {
        approval: Value,
        approved: Vec<Step>,
        rejected: Vec<Step>,
    },
    Repeat {
        event: Value,
        times: u64,
        per_second: Option<u32>,
    },
}

impl Script {
    /// Nothing: the turn is silent, and never done.
    pub fn new() -> Self {
        Self::default()
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// An `agent_event`.
    pub fn event(self, event: Value) -> Self {
        self.step(Step::Event(event))
    }

    /// A `token`.
    pub fn token(self, text: &str) -> Self {
        self.event(json!({"type": "token", "text": text}))
    }

    /// One `token` a word.
    pub fn tokens(self, text: &str) -> Self {
        text.split_inclusive(' ').fold(self, Self::token)
    }

    /// The end of the turn.
    pub fn done(self) -> Self {
        self.event(json!({"type": "done", "usage": {"inputTokens": 12, "outputTokens": 34}}))
    }

    /// An event of Socket.IO that is no `agent_event`.
    pub fn emit(self, name: &str, data: Value) -> Self {
        self.step(Step::Emit(name.to_owned(), data))
    }

    /// An event that goes into a connection that is gone, and is there to be resumed.
    pub fn missed(self, event: Value) -> Self {
        self.step(Step::Missed(event))
    }

    /// A frame as it is, such as `42/agent,["x"`.
    pub fn frame(self, text: &str) -> Self {
        self.step(Step::Frame(text.to_owned()))
    }

    /// A binary frame.
    pub fn binary(self, bytes: &[u8]) -> Self {
        self.step(Step::Binary(bytes.to_owned()))
    }

    /// Waits.
    pub fn pause(self, time: Duration) -> Self {
        self.step(Step::Pause(time))
    }

    /// The connection breaks, without a word. The script goes on after `resume_stream`.
    pub fn drop_connection(self) -> Self {
        self.step(Step::Drop)
    }

    /// The namespace is disconnected. The script goes on after `resume_stream`.
    pub fn disconnect(self) -> Self {
        self.step(Step::Disconnect)
    }

    /// Nothing is sent any more on this connection, no pings either, and nothing read. The script goes on after
    /// `resume_stream`.
    pub fn mute(self) -> Self {
        self.step(Step::Mute)
    }

    /// Asks for an approval, and goes on with one script or the other when it is resolved.
    pub fn approval(self, id: &str, action: &str, approved: Self, rejected: Self) -> Self {
        let approval = json!({"id": id, "question": action, "status": "pending"});
        self.step(Step::Approval { approval, approved: approved.steps, rejected: rejected.steps })
    }

    /// The same event again and again: as fast as the reader reads, or so many a second.
    pub fn repeat(self, event: Value, times: u64, per_second: Option<u32>) -> Self {
        self.step(Step::Repeat { event, times, per_second })
    }

    /// What comes first after `resume_stream`.
    pub fn replaying(mut self, replay: Replay) -> Self {
        self.replay = replay;
        self
    }
}
