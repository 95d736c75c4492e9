//! The task of a turn: connect, say what there is to say, read until it is over, and again when the connection
//! breaks.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::link::{Link, Session};
use super::message::NewMessage;
use super::outlet::{Outlet, Room};
use super::refusal::{Failure, STREAM, refused};
use super::seam::Seam;
use crate::client::PlatosClient;
use crate::error::{Error, NetworkError, NetworkErrorKind, RefreshOutcome};
use crate::event::{AgentEvent, Done, ErrorEvent};
use crate::http::{Issued, check_id};

/// A connection that lived this long was a good one: attempts are counted anew after it.
const STABLE: Duration = Duration::from_secs(10);

/// How long a turn may take to be stopped that is cancelled while there is no connection.
const STOP_AFTER_A_BREAK: Duration = Duration::from_secs(3);

/// What to do when a turn is lost whose message is not.
const SENT: &str = "the message was sent, and the turn may go on: look at the thread's messages before sending it \
                    again, or take the turn up with `resume`";

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

/// What a turn needs to know from one connection to the next.
pub(super) struct Driver {
    pub(super) client: PlatosClient,
    thread_id: String,
    /// What is to be sent, until it was.
    message: Option<Value>,
    /// Whether the turn is this stream's own, and not only watched.
    own: bool,
    pub(super) outlet: Outlet,
    cancel: CancellationToken,
    pub(super) link: Option<Link>,
    pub(super) session: Session,
    pub(super) seam: Seam,
    /// When the turn last made itself heard.
    pub(super) heard: Instant,
    /// Since when there is no connection.
    lost: Option<Instant>,
    /// It is the platform that waits.
    pub(super) waiting_for_approval: bool,
    /// The last event was an error.
    pub(super) failed: Option<ErrorEvent>,
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
        cancel: CancellationToken,
    ) -> Self {
        Self {
            message: message.map(|message| message.payload(&thread_id)),
            own: message.is_some(),
            client,
            thread_id,
            outlet,
            cancel,
            link: None,
            session: Session::default(),
            seam: Seam::default(),
            heard: Instant::now(),
            lost: Some(Instant::now()),
            waiting_for_approval: false,
            failed: None,
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
        let stop = left && self.is_on_its_way();
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
        self.own && self.message.is_none()
    }

    /// A connection for the one word that the turn is to be stopped.
    async fn another_link(&self) -> Option<Link> {
        let issued = self.client.issue(STREAM).await.ok()?;
        Link::open(&self.client, &issued, &mut Session::default()).await.ok()
    }

    async fn turn(&mut self) -> End {
        match self.rounds().await {
            Ok(end) => end,
            Err(error) if self.is_on_its_way() => End::Failed(Box::new(error.after_sending(SENT))),
            Err(error) => End::Failed(error),
        }
    }

    /// One connection after the other.
    async fn rounds(&mut self) -> Result<End, Box<Error>> {
        check_id("thread id", &self.thread_id).map_err(Error::from)?;
        self.client.check_scope().map_err(Error::from)?;
        let mut issued = self.client.issue(STREAM).await?;
        let mut renewed = false;
        loop {
            let began = Instant::now();
            let failure = match self.connection(&issued).await {
                Ok(end) => return Ok(end),
                Err(failure) => failure,
            };
            let connected = self.link.take().is_some();
            self.lost.get_or_insert_with(Instant::now);
            if self.flush_broken().await.is_none() {
                return Ok(End::Unread);
            }
            if self.moved_on || (connected && began.elapsed() >= STABLE) {
                (self.attempts, renewed) = (0, false);
            }
            match failure {
                Failure::Fatal(error) => return Err(error),
                Failure::Refused(response) if renewed => {
                    return Err(refused(*response, RefreshOutcome::RefusedAgain).into());
                }
                Failure::Refused(response) => {
                    let reason = "the platform refused the session".to_owned();
                    if connected && !self.say(AgentEvent::Disconnected { reason }).await {
                        return Ok(End::Unread);
                    }
                    let status = response.status.unwrap_or(401);
                    let fresh = self.client.shared.credentials.renew(&issued, status).await;
                    issued = fresh.map_err(|outcome| Box::new(refused(*response, outcome)))?;
                    renewed = true;
                }
                Failure::Lost { reason, retry_after, error } => {
                    if let Some(failed) = self.failed.take() {
                        return Err(turn_failed(failed).into());
                    }
                    if connected && !self.say(AgentEvent::Disconnected { reason: reason.clone() }).await {
                        return Ok(End::Unread);
                    }
                    let wait = self.next_attempt(&reason, retry_after, error)?;
                    if !self.say(AgentEvent::Reconnecting { attempt: self.attempts }).await {
                        return Ok(End::Unread);
                    }
                    tracing::debug!(
                        thread_id = self.thread_id,
                        reason,
                        attempt = self.attempts,
                        "reconnecting"
                    );
                    tokio::time::sleep(wait).await;
                }
            }
        }
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
        let message = self.message.take();
        if let Some(message) = &message {
            link.emit("message", message).await?;
            self.heard = Instant::now();
        } else {
            if !recovered {
                self.seam.resumed();
            }
            link.resume_due = true;
            if link.early.is_none() {
                self.resume().await?;
            }
        }
        let Some(link) = &mut self.link else { return Err(Failure::lost("the connection is gone")) };
        match room(&self.outlet, link, 1).await {
            Some(room) => room.fill(Ok(AgentEvent::Connected)),
            None => return Ok(End::Unread),
        }
        self.pump(message).await
    }

    /// Asks for what was missed, once the namespace is connected: before that, a server takes no events.
    pub(super) async fn resume(&mut self) -> Result<(), Failure> {
        let Some(link) = self.link.as_mut().filter(|link| link.resume_due) else { return Ok(()) };
        link.resume_due = false;
        link.emit("resume_stream", &json!({"threadId": self.thread_id})).await
    }

    /// The message was refused with the session: it may be sent with another.
    pub(super) fn take_back(&mut self, message: Option<Value>) {
        self.message = message;
    }

    /// How long to wait before the next attempt, if there is one.
    fn next_attempt(
        &mut self,
        reason: &str,
        retry_after: Option<Duration>,
        error: Option<Error>,
    ) -> Result<Duration, Box<Error>> {
        let (policy, retry) = (&self.client.shared.config.reconnect, &self.client.shared.config.retry);
        let too_long = retry_after.is_some_and(|wait| wait > retry.longest_retry_after);
        if self.attempts >= policy.attempts || too_long {
            return Err(error.unwrap_or_else(|| self.gave_up(reason)).into());
        }
        self.attempts += 1;
        Ok(retry_after.unwrap_or_else(|| policy.backoff.wait(self.attempts - 1)))
    }

    fn gave_up(&self, reason: &str) -> Error {
        let tried = match self.attempts {
            0 => String::new(),
            attempts => format!("; {attempts} attempts to reconnect failed"),
        };
        let advice = if self.is_on_its_way() {
            SENT
        } else {
            "nothing was sent: check the base URL, and that the platform is up"
        };
        let message = format!("{reason}{tried}; {advice}");
        NetworkError::new(STREAM, NetworkErrorKind::Lost, message).into()
    }

    /// Passes on an event that this client made. `false` when nobody reads any more.
    async fn say(&self, event: AgentEvent) -> bool {
        let Some(room) = self.outlet.room(1).await else { return false };
        room.fill(Ok(event));
        true
    }

    /// What the seam held when the connection broke. `None` when nobody reads any more.
    async fn flush_broken(&mut self) -> Option<()> {
        for incoming in self.seam.broke() {
            self.outlet.room(incoming.bytes).await?.fill(Ok(incoming.event));
        }
        Some(())
    }
}

/// A place for an event, as soon as there is one; `None` when nobody reads any more. While there is none, the socket
/// is not read and a ping on it not seen: the platform is told without being asked that this side lives.
pub(super) async fn room<'a>(outlet: &'a Outlet, link: &mut Link, bytes: usize) -> Option<Room<'a>> {
    if let Some(room) = outlet.try_room(bytes) {
        return Some(room);
    }
    let every = (link.handshake.patience() / 4).max(Duration::from_millis(10));
    let mut room = std::pin::pin!(outlet.room(bytes));
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
