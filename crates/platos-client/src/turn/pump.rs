//! Reading one socket: pings, events, silence, and a reader who takes their time.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::driver::{Driver, End, turn_failed};
use super::link::Session;
use super::pass::Step;
use super::refusal::{Failure, STREAM, is_refusal, refused};
use crate::error::{Error, NetworkError, NetworkErrorKind, RefreshOutcome, codes};
use crate::event::AgentEvent;
use crate::socket::{EnginePacket, EventArguments, Packet};

/// How long a turn may go on after an error outside of it: most of those are the end of it.
const ENDING: Duration = Duration::from_secs(5);

/// How long before its end a session token is replaced, where nothing is lost by that.
const BEFORE_EXPIRY: Duration = Duration::from_secs(5);

/// What one connection knows about itself.
struct Watch {
    /// When the last frame came.
    frame: Instant,
    /// When the turn has to be over, after an error outside of it.
    ending: Option<Instant>,
    /// When the session token is to be replaced.
    expiring: Option<Instant>,
    /// What was sent on this connection.
    payload: Option<Value>,
}

impl Driver {
    /// Reads until the turn is over or the connection is. `payload` is the message that was sent on this connection,
    /// `expires` when its session token does.
    pub(super) async fn pump(
        &mut self,
        payload: Option<Value>,
        expires: Option<SystemTime>,
    ) -> Result<End, Failure> {
        let left = expires.and_then(|expires| expires.duration_since(SystemTime::now()).ok());
        let expiring = left
            .filter(|_| self.client.shared.credentials.can_renew() && !self.keeps_session)
            .and_then(|left| left.checked_sub(BEFORE_EXPIRY))
            .map(|left| Instant::now() + left);
        let mut watch = Watch { frame: Instant::now(), ending: None, expiring, payload };
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
                    self.frame(&frame?, &mut watch).await?
                }
                Some(command) = self.inbox.next() => {
                    link.emit("approval_response", &command.payload).await?;
                    self.inbox.sent(command);
                    Step::GoOn
                }
                () = timer.as_mut() => {
                    self.silence(&watch)?;
                    timer.as_mut().reset(self.deadline(&watch));
                    Step::GoOn
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
        let expiring = watch.expiring.filter(|_| self.durable);
        [idle, watch.ending, expiring].into_iter().flatten().fold(watch.frame + patience, Instant::min)
    }

    /// After a break nothing need come any more; then it is the search for the reply that has its limit.
    pub(super) fn idle_limit(&self) -> Option<Duration> {
        self.client.shared.config.limits.idle.filter(|_| !self.waiting_for_approval && !self.gap)
    }

    /// Nothing came for as long as something should have.
    fn silence(&mut self, watch: &Watch) -> Result<(), Failure> {
        let now = Instant::now();
        if watch.ending.is_some_and(|ending| now >= ending)
            && let Some(failed) = self.failed.take()
        {
            return Err(Failure::fatal(turn_failed(failed)));
        }
        // Only who sent the message hears a turn that is not durable: there, it is better to listen to the end.
        if self.durable && watch.expiring.is_some_and(|expiring| now >= expiring) {
            return Err(Failure::Expiring);
        }
        if let Some(limit) = self.idle_limit().filter(|limit| now >= self.heard + *limit) {
            return Err(Failure::fatal(self.idle(limit)));
        }
        let patience = self.link.as_ref().map(|link| link.handshake.patience()).unwrap_or_default();
        if now >= watch.frame.max(self.heard) + patience {
            let waited = patience.as_secs_f64();
            return Err(Failure::lost(format!("the platform gave no sign of life for {waited} s")));
        }
        Ok(())
    }

    pub(super) fn idle(&mut self, limit: Duration) -> Error {
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
        let packet = match EnginePacket::decode(text)? {
            EnginePacket::Ping(probe) => {
                link.pong(probe).await;
                return Ok(Step::GoOn);
            }
            EnginePacket::Close => return Err(Failure::lost("the platform closed the session")),
            EnginePacket::Message(text) => Packet::decode(text)?,
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
                    self.look_for_reply(false);
                    self.join().await?;
                }
                Ok(Step::GoOn)
            }
            Packet::Disconnect { namespace } if namespace == link.namespace => {
                Err(Failure::lost("the platform ended the session"))
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
        let offset = self.session.id.as_ref().and(arguments.offset.as_deref());
        let step = match &*arguments.name {
            "agent_event" => self.take(text, offset).await,
            // Some refusals come beside the turn: of a session, or of a rate limit.
            "error" | "exception" => return self.beside(text, watch).await,
            "done" => {
                let done = typed("done", serde_json::from_str(text).unwrap_or_default());
                self.pass(AgentEvent::from_json(done), text, offset).await
            }
            "thread_event" => return Ok(self.about_thread(text, offset).await),
            name @ ("approval_ack" | "approval_response_error") => {
                let data: Value = serde_json::from_str(text).unwrap_or_default();
                let is_taken = name == "approval_ack" && data["received"] != false;
                self.inbox.answered(data["approvalId"].as_str().unwrap_or_default(), is_taken);
                return Ok(Step::GoOn);
            }
            name => {
                tracing::debug!(name, "an event that is not about the turn");
                return Ok(Step::GoOn);
            }
        };
        // It goes on.
        (watch.frame, watch.ending) = (Instant::now(), None);
        step
    }

    /// An error that comes outside of the turn.
    async fn beside(&mut self, text: &str, watch: &mut Watch) -> Result<Step, Failure> {
        let event = AgentEvent::from_json(typed("error", serde_json::from_str(text).unwrap_or_default()));
        let AgentEvent::Error(error) = &event else { return Ok(Step::GoOn) };
        let Some(link) = &self.link else { return Ok(Step::GoOn) };
        match error.code.as_deref() {
            Some(codes::AGENT_SCOPE_MISMATCH) => {
                let error = refused(link.refusal_of(error), RefreshOutcome::OtherAgent);
                return Err(Failure::fatal(error));
            }
            code if is_refusal(error) => {
                // A session is looked at for each thing that is said: that one was not taken. One that expires by
                // itself takes nothing back.
                let refusal = link.session_refused(error);
                if !self.moved_on && code != Some(codes::SESSION_EXPIRED) {
                    self.take_back(watch.payload.take());
                }
                return Err(refusal);
            }
            // Nothing but joining was asked for, and the messages tell more about the thread.
            None if watch.payload.is_none() => {
                tracing::debug!(thread_id = self.thread_id, "the thread cannot be joined");
                return Ok(Step::GoOn);
            }
            _ => {}
        }
        let step = self.pass(event, text, None).await;
        watch.ending = Some(Instant::now() + ENDING);
        step
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
