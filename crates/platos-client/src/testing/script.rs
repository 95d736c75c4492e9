//! What a turn does.

use std::time::Duration;

use serde_json::{Value, json};

/// The steps of a turn, in order. The turn goes on when its connection is gone, as those of a platform do; what it says
/// then is heard by nobody, unless it is [durable](Self::durable) and somebody joined the thread. When it is done, and no
/// error came before, the reply is stored.
///
/// ```
/// use std::time::Duration;
/// use platos_client::testing::Script;
/// use serde_json::json;
///
/// let script = Script::new()
///     .event(json!({"type": "status", "status": "thinking"}))
///     .token("one ")
///     .pause(Duration::from_millis(20))
///     .drop_connection()
///     .token("two") // sent to nobody, but stored with the reply
///     .done();
/// # let _ = script;
/// ```
#[derive(Debug, Clone, Default)]
pub struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) durable: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Event(Value),
    /// A Socket.IO event of another name.
    Emit(String, Value),
    /// What begins a turn.
    Meta,
    /// The reply is stored, and that is said.
    Persisted,
    /// Waits until somebody joins the thread.
    Join,
    /// Waits until the thread's messages were asked for so many times.
    Polls(usize),
    /// The session token is not valid any more.
    Expire,
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

    /// The `meta` that platforms begin a turn with.
    pub fn meta(self) -> Self {
        self.step(Step::Meta)
    }

    /// The reply is stored, and `message_persisted` says so.
    pub fn persisted(self) -> Self {
        self.step(Step::Persisted)
    }

    /// Waits until somebody joins the thread, who was not there before.
    pub fn wait_for_join(self) -> Self {
        self.step(Step::Join)
    }

    /// Waits until the thread's messages were asked for so many times since the turn began.
    pub fn wait_for_polls(self, polls: usize) -> Self {
        self.step(Step::Polls(polls))
    }

    /// The session token is not valid any more, and the connection ends because of it.
    pub fn expire_session(self) -> Self {
        self.step(Step::Expire)
    }

    /// Whoever is in the thread's room hears the turn, and over SSE it goes on without its connection.
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// A frame of a socket as it is, such as `42/agent,["x"`, or bytes of a stream, such as `data: {`.
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

    /// The connection breaks, without a word.
    pub fn drop_connection(self) -> Self {
        self.step(Step::Drop)
    }

    /// The namespace is disconnected.
    pub fn disconnect(self) -> Self {
        self.step(Step::Disconnect)
    }

    /// Nothing is sent any more on this connection, no pings either, and nothing read.
    pub fn mute(self) -> Self {
        self.step(Step::Mute)
    }

    /// Asks for an approval, and goes on with one script or the other when it is resolved.
    pub fn approval(self, id: &str, action: &str, approved: Self, rejected: Self) -> Self {
        let approval = json!({"id": id, "approvalId": id, "source": "request_approval", "action": action, "status": "pending"});
        self.step(Step::Approval { approval, approved: approved.steps, rejected: rejected.steps })
    }

    /// The same event again and again: as fast as the reader reads, or so many a second.
    pub fn repeat(self, event: Value, times: u64, per_second: Option<u32>) -> Self {
        self.step(Step::Repeat { event, times, per_second })
    }
}
