//! One connection of a host: authentication, frames both ways, and its end (protocol §2–§4).

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use platools::wire::platform::{self, HostDeclaration, HostFrame};
use platools::wire::{FrameError, close};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::authenticate::{Credentials, Refusal};
use crate::event::{Ending, Event};
use crate::handle::{Command, ConnectionHandle, Mode};
use crate::history::Answered;
use crate::key::EntityKey;
use crate::pending::{Answer, Settled};
use crate::registration::declaration::kept_by_server;
use crate::registration::{NotApplied, Rules};
use crate::shared::Shared;

/// Time for the other side to read its refusal.
const REFUSAL_TIME: Duration = Duration::from_secs(2);

/// Number of waiting messages that are written before a flush.
const MESSAGES_PER_FLUSH: usize = 256;

/// Serves a connection until its end.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    shared: Arc<Shared>,
    socket: WebSocketStream<S>,
    credentials: Credentials,
) {
    if !shared.options.authentication_delay.is_zero() {
        sleep(shared.options.authentication_delay).await;
    }
    let (handle, mailbox) = ConnectionHandle::new();
    match Seated::take(&shared, &credentials, &handle) {
        Ok(mut seated) => {
            let connection = Connection { shared: &shared, key: &seated.key, handle: &handle };
            seated.ending = connection.run(socket, mailbox).await;
        }
        Err(refusal) => refuse(&shared, socket, refusal).await,
    }
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    mut socket: WebSocketStream<S>,
    refusal: Refusal,
) {
    shared.update(|state| state.counters.refused += 1);
    shared.emit(Event::Refused { reason: refusal.reason });
    tracing::info!(reason = refusal.reason, "a connection was refused");
    let farewell = async {
        socket.send(Message::text(platform::error(refusal.error))).await?;
        socket.close(Some(close_frame(close::REFUSED, refusal.reason))).await?;
        while let Some(message) = socket.next().await {
            message?;
        }
        Ok::<_, Error>(())
    };
    // Whether the other side listened to its refusal is its own affair.
    let _ = timeout(REFUSAL_TIME, farewell).await;
}

/// The place of an authenticated connection; it is given back when the connection's task ends or is
/// dropped.
struct Seated {
    shared: Arc<Shared>,
    key: EntityKey,
    handle: ConnectionHandle,
    ending: Ending,
}

impl Seated {
    /// Takes the place that the credentials open, and sends away who sat there.
    fn take(
        shared: &Arc<Shared>,
        credentials: &Credentials,
        handle: &ConnectionHandle,
    ) -> Result<Self, Refusal> {
        let (key, previous, was_hidden) = shared.update(|state| {
            let key = credentials.check(state)?;
            // Before anybody can send a call, so that `welcome` comes first.
            handle.send_text(platform::welcome(handle.id(), &key.scope()));
            let seated = state.seat_mut(&key).map(|seat| {
                let was_visible = seat.registration.is_visible();
                seat.registration.set_dispatchable(true);
                (seat.connection.replace(handle.clone()), was_visible != seat.registration.is_visible())
            });
            let (previous, was_hidden) = seated.unwrap_or_default();
            state.counters.connected += 1;
            state.counters.superseded += u64::from(previous.is_some());
            Ok((key, previous, was_hidden))
        })?;
        if let Some(previous) = previous {
            previous.give_way();
        }
        tracing::info!(%key, connection = handle.id(), "a host is connected");
        shared.emit(Event::Connected { key: key.clone(), connection_id: handle.id().to_owned() });
        if was_hidden {
            shared.emit(Event::Visibility { key: key.clone(), visible: true });
        }
        Ok(Self { shared: Arc::clone(shared), key, handle: handle.clone(), ending: Ending::Cut })
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.shared.update_watched(&self.key, |state| {
            if let Some(seat) = state.seat_mut(&self.key) {
                if seat.connection.as_ref().is_some_and(|current| current.id() == self.handle.id()) {
                    seat.connection = None;
                }
                // As the server does it, even if a newer connection is open (protocol §2).
                seat.registration.set_dispatchable(false);
            }
            state.counters.oversized_frames += u64::from(self.ending == Ending::FrameTooLarge);
        });
        tracing::info!(key = %self.key, connection = self.handle.id(), ending = ?self.ending, "a connection ended");
        self.shared.emit(Event::Disconnected {
            key: self.key.clone(),
            connection_id: self.handle.id().to_owned(),
            ending: self.ending.clone(),
        });
    }
}

/// An authenticated connection at work.
struct Connection<'a> {
    shared: &'a Shared,
    key: &'a EntityKey,
    handle: &'a ConnectionHandle,
}

impl Connection<'_> {
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: WebSocketStream<S>,
        mailbox: mpsc::UnboundedReceiver<Command>,
    ) -> Ending {
        let mut mode = self.handle.modes();
        let mut exchange = pin!(self.exchange(socket, mailbox));
        loop {
            let now = *mode.borrow_and_update();
            match now {
                Mode::Cut => return Ending::Cut,
                Mode::Frozen => {
                    let _ = mode.changed().await;
                }
                Mode::HalfOpen => {
                    if timeout(self.shared.options.close_wait, mode.changed()).await.is_err() {
                        return Ending::Cut;
                    }
                }
                Mode::Running => tokio::select! {
                    biased;
                    _ = mode.changed() => {}
                    ending = &mut exchange => return ending,
                },
            }
        }
    }

    /// Reads and writes side by side, so that neither waits for the other.
    async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: WebSocketStream<S>,
        mailbox: mpsc::UnboundedReceiver<Command>,
    ) -> Ending {
        let (sink, stream) = socket.split();
        let mut reading = pin!(self.read(stream));
        let close_wait = self.shared.options.close_wait;
        let writing = write(sink, mailbox, close_wait);
        tokio::select! {
            ending = &mut reading => ending,
            closed = writing => match closed {
                Ok((code, reason)) => {
                    // Answers that are on their way still count.
                    let _ = timeout(close_wait, reading).await;
                    Ending::ClosedByPlatform { code, reason }
                }
                Err(error) => Ending::Broken { problem: error.to_string() },
            },
        }
    }

    async fn read<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: SplitStream<WebSocketStream<S>>,
    ) -> Ending {
        let mut closed = None;
        while let Some(message) = stream.next().await {
            match message {
                Ok(Message::Text(text)) => self.receive(&text),
                Ok(Message::Binary(bytes)) => {
                    self.count_malformed(format!("a binary frame of {} bytes", bytes.len()));
                }
                // Its answer is written while the next message is waited for.
                Ok(Message::Close(frame)) => closed = Some(frame),
                Ok(_) => {}
                Err(
                    Error::ConnectionClosed
                    | Error::AlreadyClosed
                    | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
                ) => break,
                Err(Error::Capacity(_)) => return Ending::FrameTooLarge,
                Err(error) if closed.is_none() => return Ending::Broken { problem: error.to_string() },
                Err(_) => break,
            }
        }
        match closed {
            Some(Some(frame)) => Ending::ClosedByHost {
                code: Some(frame.code.into()),
                reason: frame.reason.as_str().to_owned(),
            },
            Some(None) => Ending::ClosedByHost { code: None, reason: String::new() },
            None => Ending::Broken { problem: "the connection ended without a close".to_owned() },
        }
    }

    fn receive(&self, text: &str) {
        match HostFrame::parse(text) {
            Ok(HostFrame::ToolRegister(declaration)) => self.register(self.kept(text).unwrap_or(declaration)),
            Ok(HostFrame::ToolResult(result)) => {
                let content = Ok(result.result.to_owned());
                let answer = Answer { content, host_latency: result.latency, frame: text.to_owned() };
                self.settle(&result.call_id, &answer);
            }
            Ok(HostFrame::ToolError(error)) => {
                let answer = Answer { content: Err(error.error), host_latency: None, frame: text.to_owned() };
                self.settle(&error.call_id, &answer);
            }
            Ok(HostFrame::Heartbeat(health)) => {
                let tools = health.len();
                let acknowledge = self.shared.update(|state| {
                    state.counters.heartbeats += 1;
                    state.seat_mut(self.key).is_some_and(|seat| {
                        seat.health.beat(SystemTime::now(), health);
                        !seat.ignores_heartbeats
                    })
                });
                if acknowledge {
                    self.handle.send_text(platform::heartbeat_ack());
                }
                self.shared.emit(Event::Heartbeat { key: self.key.clone(), tools });
            }
            Ok(_) => self.shared.update(|state| state.counters.unknown_frames += 1),
            Err(error) => {
                if let FrameError::MemberMissing { frame: "tool_register", .. } = error {
                    if let Some(declaration) = self.kept(text) {
                        return self.register(declaration);
                    }
                    self.handle.send_text(platform::error(&format!("tool_register failed: {error}")));
                }
                self.count_malformed(error.to_string());
            }
        }
    }

    /// Returns the declaration as the real server stores it. `None` if `strict_declarations` is off, or for a text that is
    /// not JSON.
    fn kept(&self, text: &str) -> Option<HostDeclaration> {
        let is_strict = self.shared.options.strict_declarations;
        is_strict.then(|| kept_by_server(text, &self.key.entity)).flatten()
    }

    fn register(&self, declaration: HostDeclaration) {
        let options = &self.shared.options;
        let per_minute = options.registrations_per_minute;
        let rules = Rules { per_minute, counts_as_server: options.strict_declarations };
        let outcome = self.shared.update_watched(self.key, |state| {
            let seat = state.seat_mut(self.key)?;
            let outcome = seat.registration.declare(declaration, rules, Instant::now());
            if outcome.is_ok() {
                let tools = seat.registration.tools();
                seat.health.retain(|name| tools.contains_key(name));
            }
            match outcome {
                Ok(_) => state.counters.registrations += 1,
                Err(NotApplied::Throttled(_)) => state.counters.throttled += 1,
                Err(NotApplied::Refused(_)) => state.counters.rejected += 1,
            }
            Some(outcome)
        });
        match outcome {
            Some(Ok(counts)) => {
                self.handle.send_text(platform::tools_registered(&self.key.scope(), counts));
                self.shared.emit(Event::Registered { key: self.key.clone(), counts });
            }
            Some(Err(NotApplied::Throttled(retry_after))) => {
                let error = format!("Too many registrations: at most {per_minute} a minute");
                self.handle.send_text(platform::register_throttled(&error, retry_after));
                self.shared.emit(Event::Throttled { key: self.key.clone(), retry_after });
            }
            Some(Err(NotApplied::Refused(text))) => {
                self.handle.send_text(platform::error(&format!("tool_register failed: {text}")));
                self.shared.emit(Event::RegistrationRefused { key: self.key.clone(), text });
            }
            None => {}
        }
    }

    fn settle(&self, call_id: &str, answer: &Answer) {
        let ok = answer.content.is_ok();
        let frame = answer.frame.clone();
        let settled = self.shared.update(|state| {
            let settled = state.pending.settle(self.key, call_id, answer);
            let counters = &mut state.counters;
            match settled {
                Settled::Delivered if ok => counters.results += 1,
                Settled::Delivered => counters.errors += 1,
                Settled::Late => counters.late_answers += 1,
                Settled::Repeated => counters.repeated_answers += 1,
                Settled::Unknown => counters.unknown_answers += 1,
            }
            settled
        });
        if settled == Settled::Late {
            let Answer { host_latency, frame, .. } = answer;
            let answered = Answered { ok, host_latency: *host_latency, reply: frame };
            self.shared.answered_late(self.key, call_id, answered);
        }
        let (key, call_id) = (self.key.clone(), call_id.to_owned());
        self.shared.emit(match settled {
            Settled::Delivered => Event::Answered { key, call_id, ok },
            _ => Event::UnexpectedAnswer { key, call_id, frame },
        });
    }

    fn count_malformed(&self, problem: String) {
        self.shared.update(|state| state.counters.malformed_frames += 1);
        tracing::warn!(key = %self.key, problem, "a frame cannot be read");
        self.shared.emit(Event::MalformedFrame { key: self.key.clone(), problem });
    }
}

/// Writes what it is told to, until it is told to close; returns how. A close that the other side does not read is given
/// up after `close_wait`.
async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut mailbox: mpsc::UnboundedReceiver<Command>,
    close_wait: Duration,
) -> Result<(u16, String), Error> {
    let mut waiting = Vec::new();
    loop {
        mailbox.recv_many(&mut waiting, MESSAGES_PER_FLUSH).await;
        for command in waiting.drain(..) {
            match command {
                Command::Text(text) => sink.feed(Message::text(text)).await?,
                Command::Binary(bytes) => sink.feed(Message::binary(bytes)).await?,
                Command::Close { code, reason } => {
                    let close = sink.send(Message::Close(Some(close_frame(code, &reason))));
                    timeout(close_wait, close).await.unwrap_or(Ok(()))?;
                    return Ok((code, reason));
                }
            }
        }
        sink.flush().await?;
    }
}

fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame { code: code.into(), reason: reason.into() }
}
