//! What comes in on one connection: each frame, and the calls among them.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::Session;
use crate::host::HostEvent;
use crate::host::outbox::Answer;
use crate::intake::{Arrival, Incoming, Received, shorten};
use crate::observe;
use crate::tool::ToolError;
use crate::wire::{CallFrame, FrameError, Inbound, MAX_FRAME_BYTES, outbound};

/// How long to wait before registering again when the platform does not say.
const REGISTER_AGAIN: Duration = Duration::from_secs(15);
/// The longest that the platform may put off a registration: its own window is a minute.
const LONGEST_THROTTLE: Duration = Duration::from_secs(300);
/// How many calls may come before `welcome`.
const MAX_EARLY: usize = 256;
/// How much of a text from the platform a log line shows, in characters.
const LOGGED: usize = 200;

impl Session<'_> {
    /// Acts on one frame. `true` when the timers are other ones now.
    pub(super) fn on_frame(&mut self, text: &str) -> bool {
        match Inbound::parse(text) {
            // What it may call is known only with the welcome.
            Ok(Inbound::ToolCall(call)) if !self.welcomed => self.keep_early(&call, text),
            Ok(Inbound::ToolCall(call)) => self.on_call(&call, self.read_at, self.read_at_wall),
            Ok(Inbound::HeartbeatAck) => self.outgoing.on_heartbeat_ack(),
            Ok(Inbound::Welcome(welcome)) => {
                self.on_welcome(welcome);
                return true;
            }
            Ok(Inbound::ToolsRegistered(done)) => {
                let (tools, new) = (done.count, done.new_tools);
                tracing::info!(tools, new, updated = done.updated, pruned = done.pruned, "tools registered");
                self.shared.events.tell(HostEvent::Registered { tools });
            }
            Ok(Inbound::RegisterThrottled(throttled)) => {
                let wait = throttled.retry_after.unwrap_or(REGISTER_AGAIN).min(LONGEST_THROTTLE);
                tracing::warn!(?wait, "registered too often, trying again later");
                self.shared.events.tell(HostEvent::RegistrationThrottled { retry_after: wait });
                self.timers.register = Some(Instant::now() + wait);
                return true;
            }
            Ok(Inbound::ToolHealthAlert(alert)) => {
                tracing::warn!(tool = alert.tool, status = ?alert.status, "the platform says a tool is unwell");
            }
            Ok(Inbound::Error(error)) => {
                let message: String = error.message.chars().take(LOGGED).collect();
                tracing::warn!(message = ?message, "the platform reports an error");
                if !self.welcomed {
                    self.last_error = Some(message);
                }
            }
            Ok(unknown) => tracing::debug!(?unknown, "a frame of an unknown type is ignored"),
            Err(error) => self.on_broken_frame(&error),
        }
        false
    }

    /// Keeps a call that comes before `welcome` until then.
    fn keep_early(&mut self, call: &CallFrame<'_>, text: &str) {
        let bytes: usize = self.early.iter().map(|(_, text)| text.len()).sum();
        if self.early.len() < MAX_EARLY && bytes < MAX_FRAME_BYTES {
            self.early.push((self.read_at, text.to_owned()));
        } else {
            let error = ToolError::overloaded("too many calls came before the welcome").to_string();
            self.refuse(call.call_id(), None, "overloaded", &error);
        }
    }

    fn on_broken_frame(&mut self, error: &FrameError) {
        self.count_malformed(error);
        if let Some(call_id) = error.call_id() {
            self.refuse(call_id, None, "malformed", &error.to_string());
        }
    }

    /// Counts a frame that cannot be read, and logs the first, second, fourth, … of them.
    pub(super) fn count_malformed(&mut self, what: &dyn std::fmt::Display) {
        self.malformed += 1;
        observe::frame_malformed();
        self.shared.events.tell(HostEvent::MalformedFrame);
        if self.malformed.is_power_of_two() {
            tracing::warn!(so_far = self.malformed, "malformed frame: {what}");
        }
    }

    /// Receives a call and starts it, or answers why it does not run.
    pub(super) fn on_call(&mut self, call: &CallFrame<'_>, at: Instant, wall: SystemTime) {
        let arrival = Arrival { at, wall, scope: &self.scope };
        match self.shared.intake.receive(&Incoming::Frame(call), arrival) {
            Received::Run(call) => {
                if let Some(call) = self.shared.place(call) {
                    self.batch.push(call);
                }
            }
            Received::Refused(refused) => {
                let tool = call.tool_name().display();
                self.refuse(call.call_id(), Some(&tool), refused.reason(), &refused.to_string());
            }
            Received::Running => {
                let call_id = shorten(call.call_id());
                tracing::warn!(call_id, "a call came again while it is running; it is answered once");
            }
            Received::Answered(frame) => {
                let call_id = shorten(call.call_id());
                tracing::warn!(call_id, "a call came again after it was answered; it gets the same answer");
                self.shared.outbox.push(Answer::new(call.call_id().into(), frame.into(), at));
            }
        }
    }

    /// Answers a call that does not run.
    fn refuse(&mut self, call_id: &str, tool: Option<&str>, reason: &'static str, error: &str) {
        self.shared.note_refusal(call_id, tool, reason);
        if !self.shared.intake.may_refuse(call_id) {
            let call_id = shorten(call_id);
            tracing::warn!(call_id, "the refusal is not sent, since a call of this id is running");
            return;
        }
        let frame = outbound::tool_error(call_id, error).into();
        self.shared.outbox.push(Answer::new(call_id.into(), frame, Instant::now()));
    }
}
