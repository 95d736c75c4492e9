//! What comes in on one connection: each frame, and the calls among them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::Session;
use crate::caller::CallScope;
use crate::host::calls::Known;
use crate::host::declaration::format_bytes;
use crate::host::outbox::Answer;
use crate::host::{HostEvent, Shared};
use crate::observe;
use crate::run::{Admitted, Batched, Entry, Finished, Presence, Rest, answer_text};
use crate::tool::{Arguments, ToolError, ToolResult};
use crate::wire::{CallFrame, FrameError, Inbound, MAX_FRAME_BYTES, MAX_RESULT_BYTES, outbound};

/// How long to wait before registering again when the platform does not say.
const REGISTER_AGAIN: Duration = Duration::from_secs(15);
/// The longest that the platform may put off a registration: its own window is a minute.
const LONGEST_THROTTLE: Duration = Duration::from_secs(300);
/// How many calls may come before `welcome`.
const MAX_EARLY: usize = 256;
/// From here on it takes microseconds to write an answer.
const LONG_BYTES: usize = 16 * 1024;
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

    /// Verifies a call, gives it its place and starts it; or answers why not.
    pub(super) fn on_call(&mut self, call: &CallFrame<'_>, arrived: Instant, now: SystemTime) {
        let call_id = call.call_id();
        let envelope = match self.shared.verifier.verify(call, &self.scope, now) {
            Ok(envelope) => envelope,
            Err(refusal) => {
                let tool = call.tool_name().display();
                return self.refuse(call_id, Some(&tool), refusal.reason(), &refusal.to_string());
            }
        };
        let call_id = match self.shared.calls.begin(call_id) {
            Known::New(call_id) => call_id,
            Known::Running => {
                tracing::warn!(
                    call_id = shorten(call_id),
                    "a call came again while it is running; it is answered once"
                );
                return;
            }
            Known::Answered(frame) => {
                tracing::warn!(
                    call_id = shorten(call_id),
                    "a call came again after it was answered; it gets the same answer"
                );
                self.shared.outbox.push(Answer::new(call_id.into(), frame, arrived));
                return;
            }
        };
        let admitted = match call.tool_name().exact() {
            Some(name) => {
                let bytes = call.params().text().len();
                self.shared.dispatcher().admit(&name, envelope.user_id.as_deref(), bytes, arrived)
            }
            None => Err(ToolError::unknown_tool(call.tool_name().display().into_owned())),
        };
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(error) => {
                self.shared.calls.abandon(&call_id);
                let tool = call.tool_name().display();
                return self.refuse(&call_id, Some(&tool), error.kind().as_str(), &error.to_string());
            }
        };
        let params = call.params();
        let arguments = Arguments::from_object_text(params.arguments_text());
        let scope = Arc::new(CallScope::from_wire(
            Arc::clone(&call_id),
            params.envelope_text(),
            params.context_text(),
            self.shared.dispatcher().surroundings(),
        ));
        let quick = admitted.quick();
        self.batch.push(Begun { call_id, admitted, arguments, scope, arrived }, quick);
    }

    /// Answers a call that does not run. While a call of the same id does run, that is left to itself: the
    /// platform would take the refusal for its answer.
    fn refuse(&mut self, call_id: &str, tool: Option<&str>, reason: &'static str, error: &str) {
        self.shared.note_refusal(call_id, tool, reason);
        if self.shared.calls.is_running(call_id) {
            tracing::warn!(
                call_id = shorten(call_id),
                "the refusal is not sent, since a call of this id is running"
            );
            return;
        }
        let frame = outbound::tool_error(call_id, error).into();
        self.shared.outbox.push(Answer::new(call_id.into(), frame, Instant::now()));
    }
}

/// A call that has its place.
pub(in crate::host) struct Begun {
    call_id: Arc<str>,
    admitted: Admitted,
    arguments: Arguments,
    scope: Arc<CallScope>,
    arrived: Instant,
}

/// A call that has its answer. It keeps its place until this is dropped.
pub(in crate::host) struct Done {
    /// Until it is on its way.
    answer: Option<Answer>,
    _presence: Option<Presence>,
}

impl Done {
    fn is_long(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.frame.len() > LONG_BYTES)
    }

    /// What a handler panics with is caught further in; what is left are values that panic when they are dropped
    /// with it.
    fn of_panic(call_id: &Arc<str>, arrived: Instant) -> Self {
        let error = ToolError::internal("a value panicked when it was dropped");
        let frame = outbound::tool_error(call_id, &answer_text(&error, call_id, false));
        let answer = Answer::new(Arc::clone(call_id), frame.into(), arrived);
        Self { answer: Some(answer), _presence: None }
    }
}

impl Batched for Shared {
    type Call = Begun;
    type Answer = Done;

    fn begin(
        self: &Arc<Self>,
        call: Begun,
        now: &mut Instant,
        context: &mut Context<'_>,
    ) -> Result<Done, Rest<Self>> {
        let Begun { call_id, admitted, arguments, scope, arrived } = call;
        let step = || match admitted.step(arguments, scope, now, context) {
            Ok(finished) => Ok(self.done(&call_id, finished, arrived)),
            Err(rest) => Err(rest),
        };
        match catch_unwind(AssertUnwindSafe(step)) {
            Ok(Ok(done)) => {
                if done.is_long() {
                    // To write it took a while, which is not the next call's.
                    *now = Instant::now();
                }
                Ok(done)
            }
            Ok(Err(rest)) => {
                let shared = Arc::clone(self);
                let rest = async move {
                    let run = async { shared.done(&call_id, rest.await, arrived) };
                    AssertUnwindSafe(run)
                        .catch_unwind()
                        .await
                        .unwrap_or_else(|_| Done::of_panic(&call_id, arrived))
                };
                Err(rest.boxed())
            }
            Err(_panic) => {
                *now = Instant::now();
                Ok(Done::of_panic(&call_id, arrived))
            }
        }
    }

    /// The answers are in the outbox before the calls give up their places, so that a host without calls in flight
    /// has every answer there. And they are there before the calls count as answered: while a call counts as
    /// running, nothing else is answered under its id.
    fn answered(&self, done: &mut [Done]) {
        let now = Instant::now();
        let texts = done.iter().filter_map(|done| done.answer.as_ref()).map(Answer::texts);
        let finishing = self.calls.finish_all(texts, now);
        self.outbox.push_all(done.iter_mut().filter_map(|done| done.answer.take()), now);
        drop(finishing);
    }
}

impl Shared {
    fn done(&self, call_id: &Arc<str>, finished: Finished, arrived: Instant) -> Done {
        let Finished { result, entry, presence, ended } = finished;
        let frame = self.encode(call_id, &entry, result, ended.duration_since(arrived));
        let answer = Answer::new(Arc::clone(call_id), frame.into(), arrived);
        Done { answer: Some(answer), _presence: Some(presence) }
    }

    /// Tells everybody who wants to know that a call does not run.
    pub(in crate::host) fn note_refusal(&self, call_id: &str, tool: Option<&str>, reason: &'static str) {
        tracing::warn!(call_id = shorten(call_id), tool = tool.map(shorten), reason, "a call is refused");
        observe::call_refused(reason);
        let tool = tool.map(str::to_owned);
        self.events.tell(HostEvent::CallRefused { call_id: call_id.to_owned(), tool, reason });
    }

    /// The frame that answers a call. A result that no frame can hold becomes an error that says so.
    pub(in crate::host) fn encode(
        &self,
        call_id: &str,
        tool: &Entry,
        result: ToolResult,
        latency: Duration,
    ) -> String {
        let error = match result {
            Ok(output) => {
                let result = output.into_json();
                if result.len() > MAX_RESULT_BYTES && tool.is_first_large_result() {
                    tracing::warn!(
                        tool = tool.name(),
                        bytes = result.len(),
                        "a result is larger than the 256 KiB that the platform passes on whole; it will cut it short"
                    );
                }
                let frame = outbound::tool_result(call_id, &result, latency);
                if frame.len() <= MAX_FRAME_BYTES {
                    return frame;
                }
                too_large("result", frame.len())
            }
            Err(error) => answer_text(&error, call_id, self.config.show_internal_errors),
        };
        let frame = outbound::tool_error(call_id, &error);
        if frame.len() <= MAX_FRAME_BYTES {
            return frame;
        }
        outbound::tool_error(call_id, &too_large("error message", frame.len()))
    }
}

/// As much of an id as a log line needs.
pub(in crate::host) fn shorten(id: &str) -> &str {
    id.char_indices().nth(LOGGED).map_or(id, |(end, _)| &id[..end])
}

fn too_large(what: &str, bytes: usize) -> String {
    format!("{what} too large: {}, limit {} MiB", format_bytes(bytes), MAX_FRAME_BYTES >> 20)
}
