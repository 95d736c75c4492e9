//! One event of the turn, whatever way it came: checked, and handed to the reader.

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::driver::{Driver, End, room};
use super::refusal::Failure;
use crate::error::{ProtocolError, codes};
use crate::event::AgentEvent;
use crate::socket::FrameError;

/// What an event means for the connection.
pub(super) enum Step {
    GoOn,
    Over(End),
}

/// What an SSE stream says only to be heard.
const HEARTBEAT: &str = "heartbeat";

/// How platforms say that they listen no longer to a durable turn. It goes on without them.
const DRAINED: &str = "durable session timed out";

impl Driver {
    /// Passes an event on, which came as `text`. `offset` is its place in a session that the platform remembers.
    pub(super) async fn take(&mut self, text: &str, offset: Option<&str>) -> Result<Step, Failure> {
        let event = match serde_json::from_str::<Value>(text) {
            Ok(data) => {
                let is_meta = data["type"] == "meta";
                let thread = data["thread_id"].as_str().filter(|_| is_meta).or(data["threadId"].as_str());
                let other = thread.filter(|thread| *thread != self.thread_id).map(ToOwned::to_owned);
                match other {
                    Some(other) if is_meta && self.own => return Err(self.other_thread(other)),
                    // Everybody in the user's room hears of it.
                    Some(_) => return Ok(Step::GoOn),
                    None => AgentEvent::from_json(data),
                }
            }
            // JSON that no value can hold, such as 1e999, or lists in lists in lists.
            Err(_) if serde_json::from_str::<&RawValue>(text).is_ok() => {
                AgentEvent::Other { kind: String::new(), data: text.into() }
            }
            Err(error) => return Err(FrameError::from(error).into()),
        };
        self.pass(event, text, offset).await
    }

    /// Passes on an event of this thread.
    pub(super) async fn pass(
        &mut self,
        event: AgentEvent,
        text: &str,
        offset: Option<&str>,
    ) -> Result<Step, Failure> {
        match &event {
            AgentEvent::Other { kind, .. } if kind == HEARTBEAT => return Ok(Step::GoOn),
            AgentEvent::Error(error) if error.code.as_deref() == Some(codes::ALREADY_PROCESSED) => {
                // It was sent before, under the same key: the reply to that one is the reply.
                return Err(Failure::Arrived);
            }
            AgentEvent::Done(done) if self.gap && self.failed.is_none() && done.stopped != Some(true) => {
                // Between two connections something may have been lost.
                self.usage = done.usage.clone().or(self.usage.take());
                return Err(Failure::Unheard("the connection broke during the turn, which is done"));
            }
            AgentEvent::Error(error) if self.durable && error.text().contains(DRAINED) => {
                return Err(Failure::Unheard("the platform tells no more of the turn, which goes on"));
            }
            AgentEvent::Meta(meta) if meta.durable == Some(true) => self.is_durable(),
            AgentEvent::Token(token) => self.said.push(&token.text),
            _ => {}
        }
        if !self.known.is_new(&event, text, offset) {
            return Ok(Step::GoOn);
        }
        if let AgentEvent::MessagePersisted(message) = &event {
            self.client.remember_message(&self.thread_id, &message.message_id);
            self.persisted = true;
        }
        let done = matches!(event, AgentEvent::Done(_));
        self.waiting_for_approval = matches!(event, AgentEvent::ApprovalNeeded(_));
        self.failed = match &event {
            AgentEvent::Error(error) => Some(error.clone()),
            _ => None,
        };
        if !self.hand_over(event, text.len()).await {
            return Ok(Step::Over(End::Unread));
        }
        self.moved_on = true;
        self.heard = Instant::now();
        Ok(if done { Step::Over(End::Done) } else { Step::GoOn })
    }

    /// Passes on what became of the thread itself, which everybody in the user's room hears of. It is no sign of the turn.
    pub(super) async fn about_thread(&mut self, text: &str, offset: Option<&str>) -> Step {
        let data: Value = serde_json::from_str(text).unwrap_or_default();
        if data["threadId"].as_str() != Some(&*self.thread_id) {
            return Step::GoOn;
        }
        let event = match AgentEvent::from_json(data) {
            event @ (AgentEvent::ThreadRenamed(_)
            | AgentEvent::ThreadArchived(_)
            | AgentEvent::ThreadUnarchived(_)) => event,
            // Whatever it is called, it is no event of the turn.
            event => AgentEvent::Other { kind: event.kind().to_owned(), data: event.to_json() },
        };
        if self.known.is_new(&event, text, offset) && !self.hand_over(event, text.len()).await {
            return Step::Over(End::Unread);
        }
        Step::GoOn
    }

    /// Hands an event to the reader. `false` when nobody reads any more.
    async fn hand_over(&mut self, event: AgentEvent, bytes: usize) -> bool {
        let place = match &mut self.link {
            Some(link) => room(&self.outlet, link, bytes).await,
            None => self.outlet.room(bytes).await,
        };
        place.map(|place| place.fill(Ok(event))).is_some()
    }

    /// Old platforms begin a new thread where they do not know the one they are given.
    fn other_thread(&mut self, other: String) -> Failure {
        let problem = format!(
            "the platform runs this turn in another thread, {other}, which it made up: it does not know {}, or it is \
             not yours",
            self.thread_id
        );
        self.thread_id = other;
        self.misled = true;
        Failure::fatal(ProtocolError::new(super::refusal::STREAM, problem))
    }
}
