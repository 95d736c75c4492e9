//! The task of a turn: say what there is to say by the way that was chosen, read until it is over, and look for the
//! reply when the connection breaks.

use std::pin::pin;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::commands::Inbox;
use super::known::{Known, Said};
use super::link::{Link, Session};
use super::message::{NewMessage, Outgoing, Transport};
use super::outlet::{Outlet, Room};
use super::recovery::{Need, NotFound, Reply, Sought, search};
use super::refusal::{Failure, STREAM, refused};
use crate::client::PlatosClient;
use crate::error::{Error, NetworkError, NetworkErrorKind, ProtocolError, RefreshOutcome, TurnLost};
use crate::event::{AgentEvent, Done, ErrorEvent, MessageBoundary, MessagePersisted, Recovered, Token};
use crate::http::{Issued, check_id};

/// A connection that lived this long was a good one: attempts are counted anew after it.
const STABLE: Duration = Duration::from_secs(10);

/// How long a turn may take to be stopped that is cancelled while there is no connection.
const STOP_AFTER_A_BREAK: Duration = Duration::from_secs(3);

/// For how long a platform knows a message again by its key.
const KEY_KEPT: Duration = Duration::from_secs(600);

/// How a turn ends.
pub(super) enum End {
    /// With `done`, which was passed on.
    Done,
    /// Nobody reads any more.
    Unread,
    /// It was cancelled.
    Stopped,
    Failed(Box<Error>),
}

/// Why a turn cannot be followed any more.
pub(super) struct Gone {
    pub(super) error: Box<Error>,
    /// Its reply may be stored all the same.
    pub(super) is_recoverable: bool,
}

impl<E: Into<Error>> From<E> for Gone {
    fn from(error: E) -> Self {
        Self { error: Box::new(error.into()), is_recoverable: false }
    }
}

/// What a turn needs to know from one connection to the next.
#[allow(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct Driver {
    pub(super) client: PlatosClient,
    pub(super) thread_id: String,
    message: Option<NewMessage>,
    /// What is to be sent over the socket, until it was.
    pub(super) unsent: Option<Value>,
    /// Under which key it is sent.
    key: Option<String>,
    /// When the message may have been sent first.
    sent: Option<Instant>,
    /// Whether the turn is this stream's own, and not only watched.
    pub(super) own: bool,
    /// The platform began another thread for it.
    pub(super) misled: bool,
    pub(super) outlet: Outlet,
    cancel: CancellationToken,
    pub(super) inbox: Inbox,
    pub(super) link: Option<Link>,
    pub(super) session: Session,
    pub(super) known: Known,
    pub(super) said: Said,
    /// When the turn last made itself heard.
    pub(super) heard: Instant,
    /// Since when there is no connection.
    lost: Option<Instant>,
    /// Tells the search for the reply that it is needed.
    need: watch::Sender<Option<Need>>,
    /// How long the reply is looked for.
    pub(super) recovery: Duration,
    /// Events may have been lost.
    pub(super) gap: bool,
    /// Whoever is in the thread's room hears the turn, and not only who sent the message.
    pub(super) durable: bool,
    /// It was said that the reply is stored.
    pub(super) persisted: bool,
    /// The message had arrived before.
    arrived: bool,
    /// Nobody gives another session token before the platform refuses this one.
    pub(super) keeps_session: bool,
    pub(super) usage: Option<Value>,
    /// It is the platform that waits.
    pub(super) waiting_for_approval: bool,
    /// The last event was an error.
    pub(super) failed: Option<ErrorEvent>,
    /// What broke last.
    reason: String,
    /// Attempts in a row.
    attempts: u32,
    /// Whether an event of the turn was passed on since the last connection began.
    pub(super) moved_on: bool,
}

impl Driver {
    pub(super) fn new(
        client: PlatosClient,
        thread_id: String,
        message: Option<&NewMessage>,
        outlet: Outlet,
        inbox: Inbox,
        cancel: CancellationToken,
    ) -> Self {
        let recovery = client.shared.config.limits.recovery;
        Self {
            recovery,
            message: message.cloned(),
            own: message.is_some(),
            client,
            thread_id,
            unsent: None,
            key: None,
            sent: None,
            misled: false,
            outlet,
            cancel,
            inbox,
            link: None,
            session: Session::default(),
            known: Known::default(),
            said: Said::default(),
            heard: Instant::now(),
            lost: Some(Instant::now()),
            need: watch::Sender::new(None),
            gap: message.is_none(),
            durable: message.is_none(),
            persisted: false,
            arrived: false,
            keeps_session: false,
            usage: None,
            waiting_for_approval: false,
            failed: None,
            reason: String::new(),
            attempts: 0,
            moved_on: false,
        }
    }

    /// The whole turn.
    pub(super) async fn run(mut self) {
        let cancel = self.cancel.clone();
        let end = tokio::select! {
            biased;
            () = cancel.cancelled() => End::Stopped,
            end = self.turn() => end,
        };
        // A turn that is over is not stopped, even if its reader leaves in this moment: the thread's next turn may
        // have begun.
        let left = matches!(end, End::Stopped | End::Unread) && cancel.is_cancelled();
        let by_socket = self.message.as_ref().is_none_or(|message| message.way() == Transport::Socket);
        let stop = by_socket && ((left && self.is_on_its_way()) || self.misled);
        let last = match end {
            End::Done | End::Unread => None,
            End::Stopped => Some(Ok(AgentEvent::Done(Done { stopped: Some(true), ..Done::default() }))),
            End::Failed(error) => Some(Err(*error)),
        };
        let (outlet, link) = (&self.outlet, self.link.take());
        let deliver = async {
            if let Some(last) = last
                && let Some(room) = outlet.room(1).await
            {
                room.fill(last);
            }
        };
        let leave = async {
            let link = match link {
                None if stop => timeout(STOP_AFTER_A_BREAK, self.another_link()).await.ok().flatten(),
                link => link,
            };
            if let Some(link) = link {
                link.goodbye(stop.then_some(&*self.thread_id)).await;
            }
        };
        tokio::join!(deliver, leave);
    }

    /// Whether there is a turn of this stream's own on the platform, as far as this side knows.
    fn is_on_its_way(&self) -> bool {
        self.own && self.sent.is_some() && self.unsent.is_none()
    }

    /// A connection for the one word that the turn is to be stopped.
    async fn another_link(&self) -> Option<Link> {
        let issued = self.client.issue(STREAM).await.ok()?;
        Link::open(&self.client, &issued, &mut Session::default()).await.ok()
    }

    async fn turn(&mut self) -> End {
        let outgoing = match self.prepare().await {
            Ok(outgoing) => outgoing,
            Err(error) => return End::Failed(error),
        };
        let sought = Sought {
            thread_id: self.thread_id.clone(),
            text: self.message.as_ref().map(|message| message.text().to_owned()),
            before: self.own.then(|| self.client.last_message(&self.thread_id)).flatten(),
        };
        let mut search = pin!(search(self.client.clone(), sought, self.need.subscribe()));
        let live = {
            let live = pin!(self.live(outgoing));
            tokio::select! {
                biased;
                live = live => Ok(live),
                found = &mut search => Err(found),
            }
        };
        let found = match live {
            Ok(Ok(end)) => return end,
            Ok(Err(gone)) if gone.is_recoverable => {
                self.reason = gone.error.to_string();
                self.look_for_reply(true);
                search.await
            }
            Ok(Err(gone)) => return End::Failed(gone.error),
            Err(found) => found,
        };
        match found {
            Ok(reply) => self.recovered(reply).await,
            Err(NotFound { problem: Some(error), .. }) if !self.own && !error.is_transient() => {
                End::Failed(Box::new(error))
            }
            Err(not_found) => End::Failed(Box::new(self.lost_turn(not_found))),
        }
    }

    /// Checks everything that can be checked before anything is sent, and finds out what is missing.
    async fn prepare(&mut self) -> Result<Option<Outgoing>, Box<Error>> {
        check_id("thread id", &self.thread_id).map_err(Error::from)?;
        self.client.check_scope().map_err(Error::from)?;
        let Some(message) = &self.message else {
            // Whatever was said last may have been said at any time.
            self.sent = Some(Instant::now());
            self.look_for_reply(false);
            return Ok(None);
        };
        message.check().map_err(Error::from)?;
        // The oldest platforms take the agent `default` where none is named.
        let agent = match message.agent_id() {
            Some(_) => None,
            None => self.client.agent_of(&self.thread_id).await?,
        };
        let outgoing = message.outgoing(&self.thread_id, agent);
        // Nothing is known again by one request.
        self.key = (outgoing.transport != Transport::Blocking).then(|| outgoing.key.clone());
        Ok(Some(outgoing))
    }

    async fn live(&mut self, outgoing: Option<Outgoing>) -> Result<End, Gone> {
        match outgoing {
            Some(outgoing) if outgoing.transport == Transport::Sse => self.sse(outgoing).await,
            Some(outgoing) if outgoing.transport == Transport::Blocking => self.blocking(outgoing).await,
            outgoing => {
                self.unsent = outgoing.map(Outgoing::into_frame);
                self.rounds().await
            }
        }
    }

    /// The turn goes on by itself. Over a socket, platforms hand only the text to such an agent.
    pub(super) fn is_durable(&mut self) {
        let lost = self.message.as_ref().and_then(NewMessage::lost_by_durable_agents);
        if let Some(field) = lost.filter(|_| !std::mem::replace(&mut self.durable, true)) {
            let thread_id = &self.thread_id;
            tracing::warn!(
                thread_id,
                field,
                "a durable agent does not get this over a socket: use `Transport::Sse`"
            );
        }
        self.durable = true;
    }

    /// The message may be on its way from now on.
    pub(super) fn is_sent(&mut self) {
        self.sent.get_or_insert_with(Instant::now);
        self.heard = Instant::now();
    }

    /// The reply may have to be found otherwise than by listening. `only_hope`: nobody listens any more.
    pub(super) fn look_for_reply(&mut self, only_hope: bool) {
        if let Some(sent) = self.sent.filter(|_| self.unsent.is_none()) {
            self.gap = true;
            let need = Some(Need { sent, limit: self.recovery, only_hope, arrived: self.arrived });
            // It looks at once when there is something new to it, and only then.
            self.need.send_if_modified(|own| std::mem::replace(own, need) != need);
        }
    }

    /// The message had arrived before, under its key.
    pub(super) fn arrived_before(&mut self) {
        self.sent = Instant::now().checked_sub(KEY_KEPT).or(self.sent);
        self.arrived = true;
    }

    /// One connection after the other.
    async fn rounds(&mut self) -> Result<End, Gone> {
        let mut issued = self.client.issue_lasting(STREAM).await?;
        let mut renewed = false;
        loop {
            let began = Instant::now();
            let failure = match self.connection(&issued).await {
                Ok(end) => return Ok(end),
                Err(failure) => failure,
            };
            let connected = self.link.take().is_some();
            self.inbox.broke();
            self.lost.get_or_insert_with(Instant::now);
            if self.moved_on || (connected && began.elapsed() >= STABLE) {
                (self.attempts, renewed) = (0, false);
            }
            match failure {
                Failure::Fatal(error) => return Err(self.gone(*error, false)),
                Failure::Arrived => {
                    self.arrived_before();
                    let error =
                        ErrorEvent { code: Some("already_processed".to_owned()), ..ErrorEvent::default() };
                    return Err(self.gone(turn_failed(error), true));
                }
                Failure::Unheard(reason) => {
                    return Err(self.gone(ProtocolError::new(STREAM, reason).into(), true));
                }
                Failure::Refused(response) if renewed => {
                    return Err(self.gone(refused(*response, RefreshOutcome::RefusedAgain), true));
                }
                Failure::Refused(response) => {
                    let reason = "the platform refused the session".to_owned();
                    if connected && !self.say(AgentEvent::Disconnected { reason }).await {
                        return Ok(End::Unread);
                    }
                    self.reason = response.to_string();
                    self.look_for_reply(false);
                    let status = response.status.unwrap_or(401);
                    issued = match self.client.shared.credentials.renew(&issued, status).await {
                        Ok(fresh) => fresh,
                        Err(outcome) => return Err(self.gone(refused(*response, outcome), true)),
                    };
                    renewed = true;
                }
                Failure::Expiring => {
                    let reason = "the session token is about to expire".to_owned();
                    if !self.say(AgentEvent::Disconnected { reason }).await {
                        return Ok(End::Unread);
                    }
                    self.look_for_reply(false);
                    match self.client.shared.credentials.renew_early(&issued).await {
                        Some(fresh) => issued = fresh,
                        // The old one is good until the platform says otherwise.
                        None => self.keeps_session = true,
                    }
                }
                Failure::Lost { reason, retry_after, error } => {
                    if let Some(failed) = self.failed.take() {
                        return Err(turn_failed(failed).into());
                    }
                    if connected && !self.say(AgentEvent::Disconnected { reason: reason.clone() }).await {
                        return Ok(End::Unread);
                    }
                    self.reason.clone_from(&reason);
                    self.look_for_reply(false);
                    let wait = match self.next_attempt(&reason, retry_after, error) {
                        Ok(wait) => wait,
                        Err(error) => return Err(self.gone(error, true)),
                    };
                    if !self.say(AgentEvent::Reconnecting { attempt: self.attempts }).await {
                        return Ok(End::Unread);
                    }
                    let (thread_id, attempt) = (&self.thread_id, self.attempts);
                    tracing::debug!(thread_id, reason, attempt, "reconnecting");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// The end of listening. A reply can only be recovered to what was sent.
    pub(super) fn gone(&self, error: Error, is_recoverable: bool) -> Gone {
        let is_recoverable = is_recoverable && self.sent.is_some() && self.unsent.is_none();
        Gone { error: Box::new(error), is_recoverable }
    }

    /// From dialling to the end of the connection, or of the turn.
    async fn connection(&mut self, issued: &Issued) -> Result<End, Failure> {
        self.moved_on = false;
        let link = Link::open(&self.client, issued, &mut self.session).await?;
        let recovered = link.recovered;
        let link = self.link.insert(link);
        // Only what is connected can be silent.
        if let Some(lost) = self.lost.take() {
            self.heard += lost.elapsed();
        }
        // The message is gone once its first byte may be on the way.
        let payload = self.unsent.take();
        if let Some(payload) = &payload {
            self.sent.get_or_insert_with(Instant::now);
            link.emit("message", payload).await?;
            self.heard = Instant::now();
        } else if recovered {
            // It goes on exactly where it was.
            self.gap = !self.own;
            self.need.send_if_modified(|need| self.own && need.take().is_some());
        } else {
            self.join().await?;
        }
        let Some(link) = &mut self.link else { return Err(Failure::lost("the connection is gone")) };
        match room(&self.outlet, link, 1).await {
            Some(room) => room.fill(Ok(AgentEvent::Connected)),
            None => return Ok(End::Unread),
        }
        self.pump(payload, issued.expires()).await
    }

    /// Enters the thread's room, where durable turns are heard.
    pub(super) async fn join(&mut self) -> Result<(), Failure> {
        let Some(link) = self.link.as_mut() else { return Ok(()) };
        link.emit("join_thread", &json!({"threadId": self.thread_id})).await
    }

    /// The message was refused with the session: it is sent again with another, under the same key.
    pub(super) fn take_back(&mut self, payload: Option<Value>) {
        self.unsent = payload;
    }

    /// How long to wait before the next attempt, if there is one.
    fn next_attempt(
        &mut self,
        reason: &str,
        retry_after: Option<Duration>,
        error: Option<Error>,
    ) -> Result<Duration, Error> {
        let (policy, retry) = (&self.client.shared.config.reconnect, &self.client.shared.config.retry);
        let too_long = retry_after.is_some_and(|wait| wait > retry.longest_retry_after);
        if self.attempts >= policy.attempts || too_long {
            return Err(error.unwrap_or_else(|| self.gave_up(reason)));
        }
        self.attempts += 1;
        Ok(retry_after.unwrap_or_else(|| policy.backoff.wait(self.attempts - 1)))
    }

    fn gave_up(&self, reason: &str) -> Error {
        let tried = match self.attempts {
            0 => String::new(),
            attempts => format!("; {attempts} attempts to reconnect failed"),
        };
        let advice = if self.sent.is_some() && self.unsent.is_none() {
            ""
        } else {
            "; nothing was sent: check the base URL, and that the platform is up"
        };
        let message = format!("{reason}{tried}{advice}");
        NetworkError::new(STREAM, NetworkErrorKind::Lost, message).into()
    }

    /// Passes on an event that this client made. `false` when nobody reads any more.
    async fn say(&self, event: AgentEvent) -> bool {
        let Some(room) = self.outlet.room(1).await else { return false };
        room.fill(Ok(event));
        true
    }

    /// Passes on a reply that was found, as far as it was not heard.
    async fn recovered(&mut self, reply: Reply) -> End {
        let text = reply.text();
        let rest = self.said.rest(&text).map(ToOwned::to_owned);
        let continues = rest.is_some();
        let last = reply.messages.last();
        let usage = last.and_then(|message| message.extra.get("responseJson")?.get("usage")).cloned();
        let usage = self.usage.take().or(usage);
        let id = last.map(|message| message.id.clone()).unwrap_or_default();
        self.client.remember_message(&self.thread_id, &id);
        let recovered = Recovered { text: text.clone(), continues, messages: reply.messages };
        let mut events = vec![AgentEvent::Recovered(recovered)];
        if !continues {
            events.push(AgentEvent::MessageBoundary(MessageBoundary::default()));
        }
        let rest = rest.unwrap_or(text);
        if !rest.is_empty() {
            events.push(AgentEvent::Token(Token { text: rest, ..Token::default() }));
        }
        if !self.persisted {
            let persisted = MessagePersisted { message_id: id, ..MessagePersisted::default() };
            events.push(AgentEvent::MessagePersisted(persisted));
        }
        events.push(AgentEvent::Done(Done { usage, ..Done::default() }));
        for event in events {
            if !self.say(event).await {
                return End::Unread;
            }
        }
        End::Done
    }

    fn lost_turn(&mut self, not_found: NotFound) -> Error {
        let mut reason = std::mem::take(&mut self.reason);
        if let Some(problem) = not_found.problem {
            reason = if reason.is_empty() { problem.to_string() } else { format!("{reason}; {problem}") };
        }
        if reason.is_empty() {
            "nothing more of it was heard".clone_into(&mut reason);
        }
        let (thread_id, idempotency_key) = (self.thread_id.clone(), self.key.clone());
        let (state, text, taken_up) = (not_found.state, String::new(), !self.own);
        Error::TurnLost(Box::new(TurnLost { thread_id, idempotency_key, taken_up, state, text, reason }))
    }
}

/// A place for an event, as soon as there is one; `None` when nobody reads any more. While there is none, the socket
/// is not read and a ping on it not seen: the platform is told without being asked that this side lives.
pub(super) async fn room<'a>(outlet: &'a Outlet, link: &mut Link, bytes: usize) -> Option<Room<'a>> {
    if let Some(room) = outlet.try_room(bytes) {
        return Some(room);
    }
    let every = (link.handshake.patience() / 4).max(Duration::from_millis(10));
    let mut room = pin!(outlet.room(bytes));
    loop {
        tokio::select! {
            room = &mut room => return room,
            () = tokio::time::sleep(every) => link.pong("").await,
        }
    }
}

/// The error that an error event is when nothing follows it.
pub(super) fn turn_failed(event: ErrorEvent) -> Error {
    Error::Turn { message: event.text().to_owned(), text: String::new(), event: Box::new(event) }
}
