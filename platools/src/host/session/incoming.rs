//! Handles the inbound frames of one connection.

use std::time::{Duration, SystemTime};

use platools_net::Backoff;
use tokio::time::Instant;

use super::Session;
use crate::host::coordinator::Reply;
use crate::host::outbox::AnswerFrame;
use crate::host::{HostEvent, Registration};
use crate::intake::{Arrival, Incoming, Received, shorten};
use crate::tool::{ToolError, format_duration};
use crate::wire::{CallFrame, FrameError, Inbound, MAX_FRAME_BYTES, outbound};

/// The delay before a throttled registration is retried, if the platform states none.
const REGISTER_AGAIN: Duration = Duration::from_secs(15);
/// Maximum delay that the platform may request; its own window is one minute.
const LONGEST_THROTTLE: Duration = Duration::from_secs(300);
/// How the error begins that says that a declaration was refused.
const REJECTED: &str = "tool_register failed:";
/// The delays before a refused declaration is repeated.
const DECLARE_AGAIN: Backoff = Backoff::new(Duration::from_secs(30), Duration::from_secs(900));
/// Maximum number of calls buffered before `welcome`.
const MAX_EARLY: usize = 256;

impl Session<'_> {
    /// Handles one frame. Returns `true` if it changed the timers.
    pub(super) fn on_frame(&mut self, text: &str) -> bool {
        match Inbound::parse(text) {
            // The scope of calls is known only after `welcome`.
            Ok(Inbound::ToolCall(call)) if !self.welcomed => self.keep_early(&call, text),
            Ok(Inbound::ToolCall(call)) => self.on_call(&call, self.read_at, self.read_at_wall),
            Ok(Inbound::HeartbeatAck) => self.outgoing.on_heartbeat_ack(),
            Ok(Inbound::Welcome(welcome)) => {
                self.on_welcome(welcome);
                return true;
            }
            Ok(Inbound::ToolsRegistered(done)) => {
                self.shared.set_registration(Registration::Applied { tools: done.count });
                self.rejections = 0;
                let (tools, new) = (done.count, done.new_tools);
                let (updated, pruned) = (done.updated, done.pruned);
                let entity = self.shared.url.entity();
                // Repetitions on one connection change nothing, as a rule.
                let changed = [new, updated, pruned].into_iter().flatten().any(|count| count > 0);
                if std::mem::replace(&mut self.registered, true) && !changed {
                    tracing::debug!(entity, tools, "tools registered again, unchanged");
                } else {
                    log_frame!(self, info, entity, tools, new, updated, pruned, "tools registered");
                }
                self.shared.events.tell(HostEvent::Registered { tools });
            }
            Ok(Inbound::RegisterThrottled(throttled)) => {
                let wait = throttled.retry_after.unwrap_or(REGISTER_AGAIN).min(LONGEST_THROTTLE);
                let (entity, shown) = (self.shared.url.entity(), format_duration(wait));
                log_frame!(
                    self,
                    warn,
                    entity,
                    "registration throttled by the platform, next attempt in {shown}"
                );
                self.shared.events.tell(HostEvent::RegistrationThrottled { retry_after: wait });
                let until = Instant::now() + wait;
                (self.timers.register, self.throttled_until) = (Some(until), Some(until));
                return true;
            }
            Ok(Inbound::ToolHealthAlert(alert)) => {
                let (tool, status) = (alert.tool.as_deref().map(shorten), alert.status);
                log_frame!(self, warn, tool, ?status, "the platform reports a tool as unhealthy");
            }
            Ok(Inbound::Error(error)) if self.welcomed && error.message.starts_with(REJECTED) => {
                self.on_rejection(error.message[REJECTED.len()..].trim());
                return true;
            }
            // The close that follows says the same, or this is taken for its reason.
            Ok(Inbound::Error(error)) if !self.welcomed => {
                tracing::debug!("error from the platform: {:?}", shorten(&error.message));
                self.last_error = Some(shorten(&error.message).to_owned());
            }
            Ok(Inbound::Error(error)) => {
                log_frame!(self, warn, "error from the platform: {:?}", shorten(&error.message));
            }
            Ok(unknown) => tracing::debug!(?unknown, "frame of an unknown type ignored"),
            Err(error) => self.on_broken_frame(&error),
        }
        false
    }

    /// Handles a declaration that was not applied (protocol §3). It is repeated if that may help.
    fn on_rejection(&mut self, reason: &str) {
        let reason = shorten(reason).to_owned();
        // The same declaration would be refused again.
        let is_permanent =
            reason.starts_with("duplicate_tool_name") || reason.starts_with("tool_name_required");
        let wait = DECLARE_AGAIN.bound(self.rejections);
        let retry_after = (!is_permanent).then_some(wait);
        self.rejections += 1;
        let entity = self.shared.url.entity();
        match retry_after {
            None => {
                log_frame!(
                    self,
                    error,
                    entity,
                    reason,
                    "the platform refused the declaration of the tools: change them"
                );
            }
            Some(wait) => {
                let wait = format_duration(wait);
                log_frame!(
                    self,
                    error,
                    entity,
                    reason,
                    "the platform refused the declaration of the tools, next attempt in {wait}"
                );
            }
        }
        self.repeats.clear();
        // What has changed meanwhile is declared in its own time.
        if self.changed.is_none() {
            self.timers.register = retry_after.map(|wait| Instant::now() + wait);
        }
        self.shared.metrics().registration_rejected();
        self.shared.set_registration(Registration::Rejected { reason: reason.clone() });
        self.shared.events.tell(HostEvent::RegistrationRejected { reason, retry_after });
    }

    /// Buffers a call that arrives before `welcome`.
    fn keep_early(&mut self, call: &CallFrame<'_>, text: &str) {
        let bytes: usize = self.early.iter().map(|(_, text)| text.len()).sum();
        if self.early.len() < MAX_EARLY && bytes < MAX_FRAME_BYTES {
            self.early.push((self.read_at, text.to_owned()));
        } else {
            let error = ToolError::overloaded("too many calls arrived before the welcome").to_string();
            self.refuse(call.call_id(), None, "overloaded", &error);
        }
    }

    fn on_broken_frame(&mut self, error: &FrameError) {
        self.count_malformed(error);
        if let Some(call_id) = error.call_id() {
            self.refuse(call_id, None, "malformed", &error.to_string());
        }
    }

    /// Counts a malformed frame; logs the first, second, fourth, … of them.
    pub(super) fn count_malformed(&mut self, what: &dyn std::fmt::Display) {
        self.malformed += 1;
        self.shared.metrics().frame_malformed();
        self.shared.events.tell(HostEvent::MalformedFrame);
        if self.malformed.is_power_of_two() {
            tracing::warn!(so_far = self.malformed, "malformed frame: {what}");
        }
    }

    /// Receives a call and starts it, or answers it with the reason for its rejection.
    pub(super) fn on_call(&mut self, call: &CallFrame<'_>, at: Instant, wall: SystemTime) {
        let arrival = Arrival { at, wall, scope: &self.scope };
        match self.shared.intake.receive(&Incoming::Frame(call), arrival) {
            Received::Run(call) => {
                if let Some(call) = self.shared.place(call, Reply::Socket) {
                    self.batch.push(call);
                }
            }
            Received::Refused(refused) => {
                let tool = call.tool_name().display();
                self.refuse(call.call_id(), Some(&tool), refused.reason(), &refused.to_string());
            }
            Received::Running => {
                let call_id = shorten(call.call_id());
                log_frame!(self, warn, call_id, "a running call came again, it is answered once");
            }
            Received::Answered(frame) => {
                let call_id = shorten(call.call_id());
                log_frame!(
                    self,
                    warn,
                    call_id,
                    "duplicate of an answered call, sending the same answer again"
                );
                self.shared.outbox.push(AnswerFrame::new(call.call_id().into(), frame.into(), at));
            }
        }
    }

    /// Answers a rejected call.
    fn refuse(&mut self, call_id: &str, tool: Option<&str>, reason: &'static str, error: &str) {
        self.shared.note_refusal(call_id, tool, reason);
        if !self.shared.intake.may_refuse(call_id) {
            let call_id = shorten(call_id);
            log_frame!(self, warn, call_id, "refusal not sent: another call with this id is running");
            return;
        }
        let frame = outbound::tool_error(call_id, error).into();
        self.shared.outbox.push(AnswerFrame::new(call_id.into(), frame, Instant::now()));
    }
}
