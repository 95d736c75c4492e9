//! One connection, from the open socket to its end.
//!
//! One task reads, writes and handles timers without blocking on any of them: it reads all available frames, writes
//! answers while the socket accepts them, and flushes once when nothing is left to write. Calls run in other tasks;
//! those of one read are started together.

/// Writes a log line about a frame, unless there were too many: frames can come without end.
macro_rules! log_frame {
    ($session:expr, $level:ident, $($line:tt)+) => {
        if let Some(left_out) = $session.shared.frames_logged.line() {
            let left_out = (left_out > 0).then_some(left_out);
            tracing::$level!(left_out, $($line)+);
        }
    };
}

mod incoming;
mod outgoing;
mod superseded;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_util::{Sink as _, SinkExt as _, Stream as _, StreamExt as _};
use platools_net::dial::WebSocket;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as SocketError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use self::outgoing::Outgoing;
use super::callback::Callback;
use super::coordinator::Lead;
use super::driver::Status;
use super::ending::{self, Ending};
use super::machine::Event;
use super::outbox::CROWDED_ANSWERS;
use super::shared::becomes;
use super::{FAREWELL, HostEvent, Registration, Shared};
use crate::run::Batch;
use crate::tool::declaration::format_bytes;
use crate::tool::format_duration;
use crate::wire::{CALL_PENDING, Inbound, Scope, Welcome, outbound};

/// The number of frames read at once. Then their calls run, and are answered while the platform sends more.
const READ_BUDGET: usize = 128;
/// The number of frames after which the clocks are read again.
const CLOCK_EVERY: usize = 16;
/// The delay after a change of the tools before they are declared.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// Maximum delay of a declaration while changes continue.
const LONGEST_DEBOUNCE: Duration = Duration::from_secs(2);
/// When the tools are declared again after `welcome`, if the connection before may still be open at the platform. Its
/// close, up to 30 s later, hides the tools until the next declaration (protocol §2). Together with the first declaration
/// these are five of the six that the platform accepts in a minute.
const DECLARE_AGAIN_AFTER: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(12), Duration::from_secs(21), Duration::from_secs(33)];
/// The time after which a connection is stable and earlier failures no longer count.
const LASTING: Duration = Duration::from_secs(30);

/// One connection.
pub(super) struct Session<'a> {
    shared: &'a Arc<Shared>,
    status: &'a mut Status,
    socket: WebSocket,
    scope: Scope,
    welcomed: bool,
    outgoing: Outgoing,
    /// The next message, where the replies to pings leave no room for it.
    refused: Option<Message>,
    /// The last `error` frame before `welcome`, which explains a close without a reason.
    last_error: Option<String>,
    last_inbound: Instant,
    timers: Timers,
    /// When the tools are declared again although they did not change, soonest first.
    repeats: VecDeque<Instant>,
    /// The time of the first undeclared change of the tools.
    changed: Option<Instant>,
    /// When the platform takes declarations again.
    throttled_until: Option<Instant>,
    /// The number of malformed frames.
    malformed: u64,
    /// Whether the platform has applied a declaration on this connection.
    registered: bool,
    /// The number of declarations that were refused one after the other.
    rejections: u32,
    /// Calls that arrived before `welcome`.
    early: Vec<(Instant, String)>,
    reading: Reading,
    /// Calls that were read and not started yet.
    batch: Batch<Shared>,
    /// The time on both clocks, at most a few frames old.
    read_at: Instant,
    read_at_wall: SystemTime,
}

/// How far the last read got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Everything was read.
    Done,
    /// There may be more.
    More,
    /// Paused, since too many answers wait to be written.
    HeldBack,
}

/// The deadlines of the session.
#[derive(Debug, Default)]
struct Timers {
    welcome: Option<Instant>,
    heartbeat: Option<Instant>,
    register: Option<Instant>,
    lasting: Option<Instant>,
    silence: Option<Instant>,
}

/// An outcome of polling the socket that the session loop handles.
enum Noticed {
    Ended(Ending),
    /// The timers changed.
    Welcome,
    /// Everything is written and flushed, and no call is running.
    AllSent,
}

impl<'a> Session<'a> {
    /// Creates a session on a socket that was just opened; `welcome` must arrive before `deadline`.
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        status: &'a mut Status,
        socket: WebSocket,
        deadline: Instant,
    ) -> Self {
        status.on(Event::Opened);
        Self {
            shared,
            status,
            socket,
            scope: Scope::default(),
            welcomed: false,
            outgoing: Outgoing::default().noting_delivered(shared.coordinator.is_some()),
            refused: None,
            last_error: None,
            last_inbound: Instant::now(),
            timers: Timers { welcome: Some(deadline), ..Timers::default() },
            repeats: VecDeque::new(),
            changed: None,
            throttled_until: None,
            malformed: 0,
            registered: false,
            rejections: 0,
            early: Vec::new(),
            reading: Reading::Done,
            batch: shared.dispatcher().batch(Arc::clone(shared)),
            read_at: Instant::now(),
            read_at_wall: SystemTime::now(),
        }
    }

    /// Runs the connection to its end, and returns unproven answers to the outbox.
    pub(super) async fn run(mut self) -> Ending {
        let shared = Arc::clone(self.shared);
        let mut changes = shared.dispatcher().tools().changes();
        let mut lead = shared.lead.subscribe();
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
                    Noticed::AllSent => {
                        self.say_goodbye().await;
                        break if self.outgoing.has_unproven(Instant::now()) {
                            Ending::Lost("the last answers may not have arrived".to_owned())
                        } else {
                            Ending::Drained
                        };
                    }
                    Noticed::Welcome => {}
                },
                () = time => match self.on_time() {
                    // The shutdown deadline has passed; written answers should still arrive.
                    Some(Ending::Drained) => {
                        self.say_goodbye().await;
                        break Ending::Drained;
                    }
                    Some(ending) => break ending,
                    None => {}
                },
                true = changes.changed(), if self.welcomed => {
                    let now = Instant::now();
                    if shared.succession.has_predecessor_left() {
                        // This declaration does what the next repetition was for.
                        self.repeats.pop_front();
                    }
                    let latest = *self.changed.get_or_insert(now) + LONGEST_DEBOUNCE;
                    // Sooner than a repetition or another attempt, but not than the platform allows.
                    let soon = (now + DEBOUNCE).min(latest).max(self.throttled_until.unwrap_or(now));
                    self.timers.register = Some(soon);
                }
                () = becomes(&mut lead, Lead::No), if shared.coordinator.is_some() => {
                    // A process that was suspended writes nothing for another that has the lead by now.
                    if !shared.fence.is_closed() {
                        self.say_goodbye().await;
                    }
                    break Ending::LeadLost;
                }
                () = shared.declare_again.notified(), if shared.coordinator.is_some() && self.welcomed => {
                    if !self.status.is_draining() {
                        self.register(Instant::now());
                    }
                }
                () = shared.shutdown.cancelled(), if !draining => self.status.begin_drain(&shared),
                // Wakes the loop, so that the end of the last call is noticed.
                () = shared.dispatcher().drained(), if draining && shared.dispatcher().in_flight() > 0 => {}
            }
        };
        if ending == Ending::Superseded && self.may_finish_superseded() {
            self.finish_superseded().await;
        }
        shared.delivered(self.outgoing.take_delivered());
        shared.outbox.put_back(self.outgoing.into_unproven());
        if ending == Ending::Drained && !shared.outbox.is_empty() {
            tracing::warn!(answers = shared.outbox.len(), "stopped with answers that may not have arrived");
        }
        ending
    }

    /// Reads, then writes, then flushes, as far as each goes without waiting.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Noticed> {
        if self.shared.poll_fence(context).is_pending() {
            return Poll::Pending;
        }
        let mut welcome = false;
        let ending = self.poll_read(context, &mut welcome);
        self.shared.delivered(self.outgoing.take_delivered());
        // After the calls that were read it goes on, on the same worker. To wake this task at once would also wake another
        // worker, which may take it over.
        let more = self.reading == Reading::More;
        let continued = self.batch.start(more.then(|| context.waker()));
        if more && !continued {
            context.waker().wake_by_ref();
        }
        if let Some(ending) = ending {
            // Sends the reply to a close, and everything written before.
            if ending != Ending::Superseded || !self.may_finish_superseded() {
                let _ = Pin::new(&mut self.socket).poll_flush(context);
            }
            return Poll::Ready(Noticed::Ended(ending));
        }
        // Read before the outbox: a call stores its answer there before it leaves the in-flight count.
        let idle = self.shared.dispatcher().in_flight() == 0;
        let written = self.poll_write(context);
        if self.reading == Reading::HeldBack && !self.is_backed_up() {
            // Reading was paused, so the socket did not register a waker.
            context.waker().wake_by_ref();
        }
        match written {
            Err(error) => Poll::Ready(Noticed::Ended(lost(&error))),
            Ok(_) if welcome => Poll::Ready(Noticed::Welcome),
            Ok(true) if idle && self.status.is_draining() => Poll::Ready(Noticed::AllSent),
            Ok(_) => Poll::Pending,
        }
    }

    /// Returns whether reading should pause because of unsent answers: backpressure on a platform that reads none.
    fn is_backed_up(&self) -> bool {
        self.outgoing.unsent() >= CROWDED_ANSWERS || self.shared.outbox.is_crowded()
    }

    fn poll_read(&mut self, context: &mut Context<'_>, welcome: &mut bool) -> Option<Ending> {
        self.reading = Reading::Done;
        for index in 0..READ_BUDGET {
            if index % CLOCK_EVERY == 0 {
                (self.read_at, self.read_at_wall) = (Instant::now(), SystemTime::now());
            }
            // Before `welcome` nothing can be sent, so pausing would wait forever.
            if self.welcomed && self.is_backed_up() {
                self.reading = Reading::HeldBack;
                return None;
            }
            let message = match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Pending => return None,
                Poll::Ready(None) => return Some(Ending::Lost("the connection ended".to_owned())),
                Poll::Ready(Some(Err(error))) => return Some(lost(&error)),
                Poll::Ready(Some(Ok(message))) => message,
            };
            self.last_inbound = self.read_at;
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
                Message::Pong(payload) => self.outgoing.on_pong(&payload),
                // The library answers pings, at the next flush.
                Message::Ping(_) => {
                    if let Poll::Ready(Err(error)) = Pin::new(&mut self.socket).poll_flush(context) {
                        return Some(lost(&error));
                    }
                }
                Message::Frame(_) => {}
            }
        }
        self.reading = Reading::More;
        None
    }

    /// Writes all pending messages. Returns `true` when everything is flushed.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Result<bool, SocketError> {
        let now = Instant::now();
        let mut is_flushed = false;
        loop {
            if self.welcomed {
                self.outgoing.refill(&self.shared.outbox, context);
            }
            if Pin::new(&mut self.socket).poll_ready(context)?.is_pending() {
                return Ok(false);
            }
            let refused = self.refused.take();
            let Some(message) = refused.or_else(|| self.outgoing.next(&self.shared.outbox, now)) else {
                // All taken answers may have expired while others arrived.
                if self.welcomed && !self.shared.outbox.is_empty() {
                    continue;
                }
                break;
            };
            match Pin::new(&mut self.socket).start_send(message) {
                // The platform pings and reads nothing. There is room when it reads.
                Err(SocketError::WriteBufferFull(message)) if !is_flushed => {
                    self.refused = Some(*message);
                    if Pin::new(&mut self.socket).poll_flush(context)?.is_pending() {
                        return Ok(false);
                    }
                    is_flushed = true;
                }
                sent => {
                    sent?;
                    is_flushed = false;
                }
            }
        }
        let flushed = Pin::new(&mut self.socket).poll_flush(context)?.is_ready();
        Ok(flushed && self.shared.outbox.is_empty())
    }

    fn on_welcome(&mut self, welcome: Welcome) {
        let now = Instant::now();
        self.welcomed = true;
        self.scope = welcome.scope;
        self.shared.set_scope(self.scope.clone());
        self.status.on(Event::Welcomed);
        self.shared.metrics().connected();
        self.shared.events.tell(HostEvent::Connected { scope: self.scope.clone() });
        let Scope { entity_id: entity, environment_id: environment, .. } = &self.scope;
        log_frame!(self, info, entity, environment, connection = welcome.connection_id, "connected");
        for entry in self.shared.dispatcher().tools().entries() {
            entry.forget_reported_health();
        }
        let interval = self.shared.config.heartbeat_interval;
        self.timers = Timers {
            welcome: None,
            heartbeat: Some(now + interval.mul_f64(fastrand::f64().max(0.1))),
            register: None,
            lasting: Some(now + LASTING),
            silence: Some(now + interval * 2),
        };
        self.last_error = None;
        // A host that is shutting down declares no tools.
        if !self.status.is_draining() {
            if self.status.predecessor_may_be_open {
                self.repeats.clear();
                self.repeats.extend(DECLARE_AGAIN_AFTER.map(|after| now + after));
            }
            self.register(now);
        }
        for (arrived, text) in std::mem::take(&mut self.early) {
            if let Ok(Inbound::ToolCall(call)) = Inbound::parse(&text) {
                self.on_call(&call, arrived, self.read_at_wall);
            }
        }
    }

    /// Declares the tools, now or as soon as the platform allows another registration.
    fn register(&mut self, now: Instant) {
        match self.status.reserve_registration(now) {
            Ok(()) => {
                self.repeats.retain(|due| *due > now);
                self.timers.register = self.repeats.front().copied();
                self.changed = None;
                self.shared.set_registration(Registration::Sent);
                let callback_url = self.shared.callback.as_ref().map(Callback::as_str);
                let declaration = self.shared.dispatcher().tools().declaration(callback_url);
                self.outgoing.push_control(declaration.into());
            }
            Err(allowed_at) => self.timers.register = Some(allowed_at),
        }
    }

    /// Handles the timers that are due.
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
                    "nothing arrived for {}, the connection is dead",
                    format_duration(allowed)
                )));
            }
            // The calls answered before such an old ping are no longer pending.
            let allowed_pong = allowed.max(CALL_PENDING);
            let waits = [self.outgoing.pinged(), self.socket.get_ref().blocked_since()];
            if waits.into_iter().flatten().any(|since| since + allowed_pong <= now) {
                return Some(Ending::Lost(format!(
                    "the platform sends but has read nothing for {}, the connection is dead",
                    format_duration(allowed_pong)
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
            let heartbeat = self.heartbeat();
            self.outgoing.push_heartbeat(heartbeat.into());
            self.shared.intake.tidy(now);
        }
        self.status.on_drain_time(self.shared, now)
    }

    /// Returns the heartbeat, with the health of the tools for which it changed.
    fn heartbeat(&self) -> String {
        let entries = self.shared.dispatcher().tools().entries();
        let coordinator = self.shared.coordinator.as_deref();
        let judge = |tool: &str, here| match coordinator {
            Some(coordinator) => coordinator.down(tool, here),
            None => here,
        };
        let changed: Vec<_> = entries
            .iter()
            .filter_map(|entry| {
                let health = entry.changed_health(|here| judge(entry.name(), here));
                Some((entry.name(), health?))
            })
            .collect();
        outbound::heartbeat(changed.iter().map(|(name, health)| (*name, health)))
    }

    /// Closes the connection. A reply proves that the platform has read everything; pongs still count meanwhile.
    async fn say_goodbye(&mut self) {
        let close =
            CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static("host shutting down") };
        let goodbye = async {
            self.socket.send(Message::Close(Some(close))).await.ok()?;
            while let Some(Ok(message)) = self.socket.next().await {
                match message {
                    Message::Close(_) => return Some(()),
                    Message::Pong(payload) => self.outgoing.on_pong(&payload),
                    // A host that shuts down runs no more calls; one that only lost the lead does.
                    Message::Text(text) if !self.status.is_draining() => {
                        self.on_frame(&text);
                        self.batch.start(None);
                    }
                    _ => {}
                }
            }
            None
        };
        if timeout(FAREWELL, goodbye).await == Ok(Some(())) {
            self.outgoing.on_all_read();
        } else {
            tracing::debug!("the platform did not answer the close");
        }
    }
}

impl Timers {
    fn next(&self) -> Option<Instant> {
        [self.welcome, self.heartbeat, self.register, self.lasting, self.silence].into_iter().flatten().min()
    }
}

fn lost(error: &SocketError) -> Ending {
    Ending::Lost(match error {
        SocketError::Capacity(CapacityError::MessageTooLong { size, .. }) => {
            format!("a frame of {} arrived, which is too large", format_bytes(*size))
        }
        SocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            "the connection was cut".to_owned()
        }
        error => error.to_string(),
    })
}

#[cfg(test)]
pub(in crate::host) mod tests;
