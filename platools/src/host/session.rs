//! One connection, from its opening to its end.
//!
//! One task reads, writes and keeps time, without ever waiting for one of them alone: frames are read as
//! long as there are any, answers are written as long as the socket takes them, and the socket is flushed
//! once when there is nothing more to write. Calls run in tasks of their own.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_util::{Sink as _, SinkExt as _, Stream as _, StreamExt as _};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as SocketError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::declaration::format_bytes;
use super::dial::Socket;
use super::driver::Status;
use super::ending::{self, Ending};
use super::machine::Event;
use super::outbox::{self, Answer};
use super::{FAREWELL, Shared};
use crate::context::CallScope;
use crate::dispatch::answer_text;
use crate::protocol::{CallFrame, FrameError, Inbound, MAX_FRAME_BYTES, Scope, Welcome, outbound};
use crate::tool::{Arguments, ToolError, ToolResult};

/// How many frames are read before time and shutdown are looked at again.
const READ_BUDGET: usize = 64;
/// How many answers may be unsent before no further calls are read: a platform that takes no answers
/// gets no more work done.
const UNSENT_LIMIT: usize = 16_384;
/// How long a connection has to last before earlier failures count no longer.
const LASTING: Duration = Duration::from_secs(30);
/// How long to wait before registering again when the platform does not say.
const REGISTER_AGAIN: Duration = Duration::from_secs(15);

/// One connection.
pub(super) struct Session<'a> {
    shared: &'a Arc<Shared>,
    status: &'a mut Status,
    socket: Socket,
    scope: Scope,
    welcomed: bool,
    /// Frames that go before all answers.
    control: VecDeque<Utf8Bytes>,
    /// Answers taken out of the outbox and not written yet.
    answers: VecDeque<Answer>,
    /// The last `error` frame, which explains a close without a reason.
    last_error: Option<String>,
    last_inbound: Instant,
    timers: Timers,
    /// Frames that could not be read.
    malformed: u64,
}

/// When something is due, if it is.
#[derive(Debug, Default)]
struct Timers {
    welcome: Option<Instant>,
    heartbeat: Option<Instant>,
    register: Option<Instant>,
    lasting: Option<Instant>,
    silence: Option<Instant>,
}

/// What makes the session look up from its socket.
enum Noticed {
    Ended(Ending),
    /// The timers are other ones now.
    Welcome,
    /// Everything is written and flushed, and no call is running.
    AllSent,
}

impl<'a> Session<'a> {
    /// A session on a socket that was just opened; `welcome` has to come before `deadline`.
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        status: &'a mut Status,
        socket: Socket,
        deadline: Instant,
    ) -> Self {
        status.on(Event::Opened);
        Self {
            shared,
            status,
            socket,
            scope: Scope::default(),
            welcomed: false,
            control: VecDeque::new(),
            answers: VecDeque::new(),
            last_error: None,
            last_inbound: Instant::now(),
            timers: Timers { welcome: Some(deadline), ..Timers::default() },
            malformed: 0,
        }
    }

    /// Runs the connection to its end. Answers that could not be sent are back in the outbox then.
    pub(super) async fn run(mut self) -> Ending {
        let shared = Arc::clone(self.shared);
        let ending = loop {
            let draining = self.status.is_draining();
            let due = self.timers.next().into_iter().chain(self.status.drain_due()).min();
            let time = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                noticed = poll_fn(|context| self.poll(context)) => match noticed {
                    Noticed::Ended(ending) => break ending,
                    Noticed::AllSent => break self.say_goodbye().await,
                    Noticed::Welcome => {}
                },
                () = time => if let Some(ending) = self.on_time() {
                    break ending;
                },
                () = shared.shutdown.cancelled(), if !draining => self.status.begin_drain(&shared),
                // Wakes the loop, so that the end of the last call is noticed.
                () = shared.dispatcher.drained(), if draining && shared.dispatcher.in_flight() > 0 => {}
            }
        };
        shared.outbox.put_back(std::mem::take(&mut self.answers));
        ending
    }

    /// Reads, then writes, then flushes, as far as each goes without waiting.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Noticed> {
        let mut welcome = false;
        if let Some(ending) = self.poll_read(context, &mut welcome) {
            // The reply to a close goes out with what is written already.
            let _ = Pin::new(&mut self.socket).poll_flush(context);
            return Poll::Ready(Noticed::Ended(ending));
        }
        match self.poll_write(context) {
            Err(error) => Poll::Ready(Noticed::Ended(lost(&error))),
            Ok(_) if welcome => Poll::Ready(Noticed::Welcome),
            Ok(true) if self.status.is_draining() && self.shared.dispatcher.in_flight() == 0 => {
                Poll::Ready(Noticed::AllSent)
            }
            Ok(_) => Poll::Pending,
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>, welcome: &mut bool) -> Option<Ending> {
        for _ in 0..READ_BUDGET {
            if self.answers.len() >= UNSENT_LIMIT {
                return None;
            }
            let message = match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Pending => return None,
                Poll::Ready(None) => return Some(Ending::Lost("the connection ended".to_owned())),
                Poll::Ready(Some(Err(error))) => return Some(lost(&error)),
                Poll::Ready(Some(Ok(message))) => message,
            };
            self.last_inbound = Instant::now();
            match message {
                Message::Text(text) => *welcome |= self.on_frame(&text),
                Message::Binary(bytes) => {
                    self.count_malformed(&format_args!("a binary frame of {}", format_bytes(bytes.len())));
                }
                Message::Close(frame) => {
                    let code = frame.as_ref().map(|frame| u16::from(frame.code));
                    let reason = frame.as_ref().map_or("", |frame| frame.reason.as_str());
                    return Some(ending::of_close(code, reason, self.last_error.as_deref()));
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        // There is more; come back after the others had their turn.
        context.waker().wake_by_ref();
        None
    }

    /// Writes what there is to write. `true` when all of it is flushed.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Result<bool, SocketError> {
        loop {
            if self.welcomed
                && self.answers.is_empty()
                && let Poll::Ready(answers) = self.shared.outbox.poll_take(context)
            {
                self.answers = answers;
            }
            if Pin::new(&mut self.socket).poll_ready(context)?.is_pending() {
                return Ok(false);
            }
            let frame = match self.control.pop_front() {
                Some(frame) => frame,
                None => match self.answers.pop_front() {
                    Some(answer) if outbox::expired(&answer, Instant::now()) => continue,
                    Some(answer) => answer.frame.into(),
                    None => break,
                },
            };
            Pin::new(&mut self.socket).start_send(Message::Text(frame))?;
        }
        let flushed = Pin::new(&mut self.socket).poll_flush(context)?.is_ready();
        Ok(flushed && self.shared.outbox.is_empty())
    }

    /// Acts on one frame. `true` when it was the welcome.
    fn on_frame(&mut self, text: &str) -> bool {
        match Inbound::parse(text) {
            Ok(Inbound::ToolCall(call)) => self.on_call(&call),
            Ok(Inbound::HeartbeatAck) => {}
            Ok(Inbound::Welcome(welcome)) => {
                self.on_welcome(welcome);
                return true;
            }
            Ok(Inbound::ToolsRegistered(done)) => tracing::info!(
                tools = done.count,
                new = done.new_tools,
                updated = done.updated,
                pruned = done.pruned,
                "tools registered"
            ),
            Ok(Inbound::RegisterThrottled(throttled)) => {
                let wait = throttled.retry_after.unwrap_or(REGISTER_AGAIN);
                tracing::warn!(?wait, "registered too often, trying again later");
                self.timers.register = Some(Instant::now() + wait);
                return true;
            }
            Ok(Inbound::ToolHealthAlert(alert)) => {
                tracing::warn!(tool = alert.tool, status = ?alert.status, "the platform says a tool is unwell");
            }
            Ok(Inbound::Error(error)) => {
                tracing::warn!("the platform reports an error: {}", error.message);
                self.last_error = Some(error.message);
            }
            Ok(unknown) => tracing::debug!(?unknown, "a frame of an unknown type is ignored"),
            Err(error) => self.on_broken_frame(&error),
        }
        false
    }

    fn on_broken_frame(&mut self, error: &FrameError) {
        self.count_malformed(error);
        if let Some(call_id) = error.call_id() {
            self.answer_error(call_id, &ToolError::user(error));
        }
    }

    /// Counts a frame that cannot be read, and logs the first, second, fourth, … of them.
    fn count_malformed(&mut self, what: &dyn std::fmt::Display) {
        self.malformed += 1;
        if self.malformed.is_power_of_two() {
            tracing::warn!(so_far = self.malformed, "malformed frame: {what}");
        }
    }

    fn on_welcome(&mut self, welcome: Welcome) {
        let now = Instant::now();
        self.welcomed = true;
        self.scope = welcome.scope;
        self.status.on(Event::Welcomed);
        tracing::info!(
            entity = self.scope.entity_id,
            environment = self.scope.environment_id,
            connection = welcome.connection_id,
            "connected"
        );
        for (_, health) in self.shared.dispatcher.health() {
            health.forget_reported();
        }
        let interval = self.shared.config.heartbeat_interval;
        self.timers = Timers {
            welcome: None,
            heartbeat: Some(now + interval.mul_f64(fastrand::f64().max(0.1))),
            register: None,
            lasting: Some(now + LASTING),
            silence: Some(now + interval * 2),
        };
        self.register(now);
    }

    /// Declares the tools, now or as soon as the platform allows another registration.
    fn register(&mut self, now: Instant) {
        match self.status.reserve_registration(now) {
            Ok(()) => {
                self.timers.register = None;
                self.control.push_back(self.shared.declaration.clone());
            }
            Err(allowed_at) => self.timers.register = Some(allowed_at),
        }
    }

    /// Verifies a call, gives it its place and starts it; or answers why not.
    fn on_call(&mut self, call: &CallFrame<'_>) {
        let arrived = Instant::now();
        let call_id = call.call_id();
        if let Err(refusal) = self.shared.verifier.verify(call, &self.scope, SystemTime::now()) {
            tracing::warn!(call_id, reason = refusal.reason(), "a call is refused");
            return self.push(call_id, arrived, outbound::tool_error(call_id, &refusal.to_string()));
        }
        let admitted = match call.tool_name().exact() {
            Some(name) => self.shared.dispatcher.admit(&name),
            None => Err(ToolError::unknown_tool(call.tool_name().display().into_owned())),
        };
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(error) => {
                tracing::warn!(call_id, kind = error.kind().as_str(), "a call is refused");
                return self.answer_error(call_id, &error);
            }
        };
        let params = call.params();
        let arguments = Arguments::from_object_text(params.arguments_text());
        let scope = CallScope::from_wire(
            call_id.to_owned(),
            params.envelope_text(),
            params.context_text(),
            self.shared.dispatcher.states(),
            self.shared.dispatcher.cancellation(),
        );
        let shared = Arc::clone(self.shared);
        let call_id = call_id.to_owned();
        tokio::spawn(async move {
            // The answer is in the outbox before the call gives up its place, so that a host without calls
            // in flight has every answer there.
            let finished = admitted.run(arguments, Arc::new(scope)).await;
            let frame = shared.encode(&call_id, finished.result, arrived.elapsed());
            shared.outbox.push(Answer::new(call_id, frame, arrived));
            drop(finished.presence);
        });
    }

    fn answer_error(&mut self, call_id: &str, error: &ToolError) {
        let text = answer_text(error, call_id, self.shared.config.show_internal_errors);
        self.push(call_id, Instant::now(), outbound::tool_error(call_id, &text));
    }

    fn push(&mut self, call_id: &str, arrived: Instant, frame: String) {
        self.shared.outbox.push(Answer::new(call_id.to_owned(), frame, arrived));
    }

    /// Does what is due.
    fn on_time(&mut self) -> Option<Ending> {
        let now = Instant::now();
        let is_due = |timer: Option<Instant>| timer.is_some_and(|due| due <= now);
        if is_due(self.timers.welcome) {
            return Some(Ending::Lost("no welcome came in time".to_owned()));
        }
        if is_due(self.timers.silence) {
            let allowed = self.shared.config.heartbeat_interval * 2;
            if self.last_inbound + allowed <= now {
                return Some(Ending::Lost(format!(
                    "nothing arrived for {allowed:?}, the connection is dead"
                )));
            }
            self.timers.silence = Some(self.last_inbound + allowed);
        }
        if is_due(self.timers.lasting) {
            self.timers.lasting = None;
            self.status.on(Event::Lasted);
        }
        if is_due(self.timers.register) {
            self.register(now);
        }
        if is_due(self.timers.heartbeat) {
            let jitter = 0.9 + 0.2 * fastrand::f64();
            self.timers.heartbeat = Some(now + self.shared.config.heartbeat_interval.mul_f64(jitter));
            self.control.push_back(self.heartbeat().into());
        }
        self.status.on_drain_time(self.shared, now)
    }

    fn heartbeat(&self) -> String {
        let changed: Vec<_> = self
            .shared
            .dispatcher
            .health()
            .filter_map(|(name, health)| Some((name, health.changed()?)))
            .collect();
        outbound::heartbeat(changed.iter().map(|(name, health)| (*name, health)))
    }

    /// Closes in order, once everything is sent.
    async fn say_goodbye(&mut self) -> Ending {
        let close =
            CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static("host shutting down") };
        let goodbye = async {
            if self.socket.send(Message::Close(Some(close))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        if timeout(FAREWELL, goodbye).await.is_err() {
            tracing::debug!("the platform did not answer the close");
        }
        Ending::Drained
    }
}

impl Timers {
    fn next(&self) -> Option<Instant> {
        [self.welcome, self.heartbeat, self.register, self.lasting, self.silence].into_iter().flatten().min()
    }
}

impl Shared {
    /// The frame that answers a call. A result that no frame can hold becomes an error that says so.
    fn encode(&self, call_id: &str, result: ToolResult, latency: Duration) -> String {
        let error = match result {
            Ok(output) => {
                let frame = outbound::tool_result(call_id, &output.into_json(), latency);
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

fn too_large(what: &str, bytes: usize) -> String {
    format!("{what} too large: {}, limit {} MiB", format_bytes(bytes), MAX_FRAME_BYTES >> 20)
}

fn lost(error: &SocketError) -> Ending {
    Ending::Lost(match error {
        SocketError::Capacity(CapacityError::MessageTooLong { size, .. }) => {
            format!("a frame of {} arrived, which is too large", format_bytes(*size))
        }
        error => error.to_string(),
    })
}
