//! Reading one connection: pings, events, silence, and a reader who takes their time.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::driver::{Driver, End, room, turn_failed};
use super::link::Session;
use super::refusal::{Failure, STREAM, is_refusal};
use super::seam::Incoming;
use crate::error::{Error, NetworkError, NetworkErrorKind};
use crate::event::AgentEvent;
use crate::socket::{self, EnginePacket, EventArguments, Packet};

/// How long events are held that may be a repetition.
const UNDECIDED: Duration = Duration::from_millis(300);

/// How long an error outside of the turn is held: a refused session ends right after it.
const SUSPICION: Duration = Duration::from_millis(500);

/// What a frame means for the connection.
enum Step {
    GoOn,
    Over(End),
}

/// What one connection knows about itself.
struct Watch {
    /// When the last frame came.
    frame: Instant,
    /// Since when events are held.
    held: Option<Instant>,
    /// An error outside of the turn, on a connection that had brought nothing yet.
    suspicion: Option<(Instant, Incoming)>,
    /// What was sent on this connection.
    message: Option<Value>,
}

impl Driver {
    /// Reads until the turn is over or the connection is. `message` is what was sent on this connection.
    pub(super) async fn pump(&mut self, message: Option<Value>) -> Result<End, Failure> {
        let mut watch = Watch { frame: Instant::now(), held: None, suspicion: None, message };
        let mut timer = std::pin::pin!(sleep_until(Instant::now()));
        if let Some(frame) = self.link.as_mut().and_then(|link| link.early.take())
            && let Step::Over(end) = self.frame(&frame, &mut watch).await?
        {
            return Ok(end);
        }
        loop {
            let next = self.deadline(&watch);
            // Moving a timer costs more than letting it go off early now and then.
            if next < timer.deadline() {
                timer.as_mut().reset(next);
            }
            let Some(link) = &mut self.link else { return Err(Failure::lost("the connection is gone")) };
            let step = tokio::select! {
                frame = link.receive() => {
                    watch.frame = Instant::now();
                    let frame = match frame {
                        Ok(frame) => frame,
                        Err(failure) => return Err(self.suspected(&mut watch).unwrap_or(failure)),
                    };
                    self.frame(&frame, &mut watch).await?
                }
                () = timer.as_mut() => {
                    let step = self.silence(&mut watch).await?;
                    timer.as_mut().reset(self.deadline(&watch));
                    step
                }
            };
            if let Step::Over(end) = step {
                return Ok(end);
            }
        }
    }

    /// When something has to be looked at, should nothing come.
    fn deadline(&self, watch: &Watch) -> Instant {
        let patience = self.link.as_ref().map(|link| link.handshake.patience()).unwrap_or_default();
        let idle = self.idle_limit().map(|limit| self.heard + limit);
        let held = watch.held.map(|held| held + UNDECIDED);
        let suspicion = watch.suspicion.as_ref().map(|(since, _)| *since + SUSPICION);
        [idle, held, suspicion].into_iter().flatten().fold(watch.frame + patience, Instant::min)
    }

    fn idle_limit(&self) -> Option<Duration> {
        self.client.shared.config.limits.idle.filter(|_| !self.waiting_for_approval)
    }

    /// Nothing came for as long as something should have.
    async fn silence(&mut self, watch: &mut Watch) -> Result<Step, Failure> {
        let now = Instant::now();
        if watch.held.is_some_and(|held| now >= held + UNDECIDED) {
            watch.held = None;
            let events = self.seam.flush();
            return self.pass(events, watch).await;
        }
        if let Some((_, incoming)) = watch.suspicion.take_if(|(since, _)| now >= *since + SUSPICION) {
            return self.pass(vec![incoming], watch).await;
        }
        if let Some(limit) = self.idle_limit().filter(|limit| now >= self.heard + *limit) {
            return Err(Failure::fatal(self.idle(limit)));
        }
        let patience = self.link.as_ref().map(|link| link.handshake.patience()).unwrap_or_default();
        if now >= watch.frame + patience {
            let waited = patience.as_secs_f64();
            return Err(Failure::lost(format!("the platform gave no sign of life for {waited} s")));
        }
        Ok(Step::GoOn)
    }

    fn idle(&mut self, limit: Duration) -> Error {
        if let Some(failed) = self.failed.take() {
            return turn_failed(failed);
        }
        let message = format!(
            "no event of the turn for {} s, though the connection lives: the turn may still go on, look at the \
             thread's messages, or raise `StreamLimits::idle_timeout`",
            limit.as_secs_f64()
        );
        NetworkError::new(STREAM, NetworkErrorKind::Idle, message).into()
    }

    async fn frame(&mut self, text: &str, watch: &mut Watch) -> Result<Step, Failure> {
        let Some(link) = &mut self.link else { return Ok(Step::GoOn) };
        let unreadable = |error: socket::FrameError| Failure::protocol(error.to_string());
        let packet = match EnginePacket::decode(text).map_err(unreadable)? {
            EnginePacket::Ping(probe) => {
                link.pong(probe).await;
                return Ok(Step::GoOn);
            }
            EnginePacket::Close => {
                let failure = Failure::lost("the platform closed the session");
                return Err(self.suspected(watch).unwrap_or(failure));
            }
            EnginePacket::Message(text) => Packet::decode(text).map_err(unreadable)?,
            _ => return Ok(Step::GoOn),
        };
        match packet {
            Packet::Event { namespace, id, arguments } if namespace == link.namespace => {
                if let Some(id) = id {
                    link.acknowledge(id).await;
                }
                self.event(&arguments, watch).await
            }
            // It comes late where what was missed came first.
            Packet::Connect { namespace, session } if namespace == link.namespace => {
                if session != self.session.id {
                    self.session = Session { id: session, offset: None };
                    self.seam.resumed();
                }
                self.resume().await?;
                Ok(Step::GoOn)
            }
            Packet::Disconnect { namespace } if namespace == link.namespace => {
                let failure = Failure::lost("the platform ended the session");
                Err(self.suspected(watch).unwrap_or(failure))
            }
            Packet::ConnectError { namespace, message, data } if namespace == link.namespace => {
                Err(link.refused(namespace, &message, &data))
            }
            _ => Ok(Step::GoOn),
        }
    }

    async fn event(&mut self, arguments: &EventArguments<'_>, watch: &mut Watch) -> Result<Step, Failure> {
        if self.session.id.is_some() && arguments.offset.is_some() {
            self.session.offset.clone_from(&arguments.offset);
        }
        let text = arguments.data.map_or("null", |data| data.get());
        let event = match (&*arguments.name, serde_json::from_str(text)) {
            ("agent_event", Ok(data)) => AgentEvent::from_json(data),
            // JSON that no value can hold, such as 1e999, or lists in lists in lists.
            ("agent_event", Err(_)) => AgentEvent::Other { kind: String::new(), data: text.into() },
            // Some refusals come beside the turn: of a session, or of a rate limit.
            ("error" | "exception", Ok(data)) => AgentEvent::from_json(typed("error", data)),
            ("done", Ok(data)) => AgentEvent::from_json(typed("done", data)),
            (name, _) => {
                tracing::debug!(name, "an event that is not about the turn");
                return Ok(Step::GoOn);
            }
        };
        let beside = &*arguments.name != "agent_event";
        let offset = self.session.id.as_ref().and(arguments.offset.as_deref());
        let incoming = Incoming::new(event, text, offset);
        let refusal = matches!(&incoming.event, AgentEvent::Error(error) if is_refusal(error));
        if beside && !self.moved_on && refusal {
            let earlier = watch.suspicion.replace((Instant::now(), incoming));
            let earlier = earlier.map(|(_, incoming)| incoming);
            return self.pass(earlier.into_iter().collect(), watch).await;
        }
        let mut events: Vec<_> = watch.suspicion.take().map(|(_, incoming)| incoming).into_iter().collect();
        events.extend(self.seam.take(incoming));
        watch.held = self.seam.is_undecided().then(Instant::now);
        self.pass(events, watch).await
    }

    /// Hands events to the reader.
    async fn pass(&mut self, events: Vec<Incoming>, watch: &mut Watch) -> Result<Step, Failure> {
        for incoming in events {
            let done = matches!(incoming.event, AgentEvent::Done(_));
            self.waiting_for_approval = matches!(incoming.event, AgentEvent::ApprovalNeeded(_));
            self.failed = match &incoming.event {
                AgentEvent::Error(event) => Some(event.clone()),
                _ => None,
            };
            let Some(link) = &mut self.link else { return Ok(Step::GoOn) };
            let Some(room) = room(&self.outlet, link, incoming.bytes).await else {
                return Ok(Step::Over(End::Unread));
            };
            room.fill(Ok(incoming.event));
            self.moved_on = true;
            self.heard = Instant::now();
            watch.frame = self.heard;
            if done {
                return Ok(Step::Over(End::Done));
            }
        }
        Ok(Step::GoOn)
    }

    /// The session was refused, if it ended right after an error that was its first word. The message was refused
    /// with it.
    fn suspected(&mut self, watch: &mut Watch) -> Option<Failure> {
        let (_, incoming) = watch.suspicion.take()?;
        let AgentEvent::Error(event) = incoming.event else { return None };
        self.take_back(watch.message.take());
        Some(self.link.as_ref()?.session_refused(&event))
    }
}

/// An object of a given type, whatever came.
fn typed(kind: &str, data: Value) -> Value {
    match data {
        Value::Object(mut fields) => {
            fields.insert("type".to_owned(), kind.into());
            Value::Object(fields)
        }
        Value::Null => json!({"type": kind}),
        other => json!({"type": kind, "message": other}),
    }
}
