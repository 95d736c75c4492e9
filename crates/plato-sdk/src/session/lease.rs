//! The guard of a session. What keeps it runs on the [`Keeper`]'s thread and ends with the session; the program holds
//! a [`Lease`], and when that goes, the session is closed.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::core::Core;
use super::health::SessionHealth;
use super::keeper::Keeper;
use crate::api::Api;
use crate::error::{Error, Result};
use crate::types::{CreateSession, Created};

type Reply = oneshot::Sender<Result<()>>;

enum Command {
    Close(Reply),
    Detach(Reply),
}

/// A hold on a session. Its drop closes the session.
pub(crate) struct Lease {
    // Before the client, whose drop waits for what this one's drop sets off.
    commands: mpsc::UnboundedSender<Command>,
    health: watch::Receiver<SessionHealth>,
    _core: Arc<Core>,
}

/// The side of a lease that runs on the keeper's thread.
struct Tended {
    api: Api,
    session: String,
    commands: mpsc::UnboundedReceiver<Command>,
    health: watch::Sender<SessionHealth>,
    closing: watch::Receiver<u64>,
}

impl Lease {
    /// Creates a session. Once the request is on its way, the session is closed also when this future is dropped.
    pub(crate) async fn open(core: &Arc<Core>, request: CreateSession) -> Result<(Created, Self)> {
        let keeper = core.keeper()?;
        let (answer, answered) = oneshot::channel();
        let (api, closing, every) = (keeper.api(), keeper.closing(), keeper.heartbeat_interval());
        keeper.keep(async move {
            match api.make(&request).await {
                Err(error) => {
                    // Nobody waits any more, and there is nothing to close.
                    let _ = answer.send(Err(error));
                }
                Ok(created) => {
                    let session = created.session_id.clone();
                    let (handle, tended) = tended(api, session, closing);
                    // When nobody waits any more, the sender of commands is dropped here, and that closes.
                    let _ = answer.send(Ok((created, handle)));
                    tended.keep(every).await;
                }
            }
        });
        let (created, (commands, health)) = answered.await.map_err(|_| Error::Closed)??;
        Ok((created, Self { commands, health, _core: Arc::clone(core) }))
    }

    /// Takes hold of a session that exists.
    pub(crate) fn of(core: &Arc<Core>, session: String) -> Result<Self> {
        let keeper: Arc<Keeper> = core.keeper()?;
        let ((commands, health), tended) = tended(keeper.api(), session, keeper.closing());
        let every = keeper.heartbeat_interval();
        keeper.keep(async move { tended.keep(every).await });
        Ok(Self { commands, health, _core: Arc::clone(core) })
    }

    pub(crate) fn health(&self) -> watch::Receiver<SessionHealth> {
        self.health.clone()
    }

    /// Closes the session; it stays open, and beating, when that fails.
    pub(crate) async fn close(&self) -> Result<()> {
        self.command(Command::Close).await
    }

    /// Lets the session live on by itself.
    pub(crate) async fn detach(&self) -> Result<()> {
        self.command(Command::Detach).await
    }

    async fn command(&self, command: impl FnOnce(Reply) -> Command) -> Result<()> {
        let (reply, replied) = oneshot::channel();
        // Whoever tended the session is gone with it.
        self.commands.send(command(reply)).map_err(|_| Error::Closed)?;
        replied.await.map_err(|_| Error::Closed)?
    }
}

type Handle = (mpsc::UnboundedSender<Command>, watch::Receiver<SessionHealth>);

fn tended(api: Api, session: String, closing: watch::Receiver<u64>) -> (Handle, Tended) {
    let (sender, commands) = mpsc::unbounded_channel();
    let (health, seen) = watch::channel(SessionHealth::Alive);
    ((sender, seen), Tended { api, session, commands, health, closing })
}

impl Tended {
    /// Beats until the session is closed or let go.
    async fn keep(mut self, every: std::time::Duration) {
        let beating = beat(self.api.clone(), self.session.clone(), self.health.clone(), every);
        let mut beating = std::pin::pin!(beating);
        loop {
            let command = tokio::select! {
                biased;
                command = self.commands.recv() => command,
                Ok(()) = self.closing.changed() => None,
                never = &mut beating => match never {},
            };
            match command {
                Some(Command::Close(reply)) => {
                    let closed = self.close().await;
                    let done = closed.is_ok();
                    let _ = reply.send(closed);
                    if done {
                        return;
                    }
                }
                Some(Command::Detach(reply)) => {
                    self.health.send_replace(SessionHealth::Detached);
                    let _ = reply.send(Ok(()));
                    return;
                }
                None => {
                    if let Err(error) = self.close().await {
                        tracing::warn!(
                            session = self.session, %error,
                            "a session could not be closed: Plato ends it when its heartbeat has been missing for long enough"
                        );
                        self.health.send_replace(SessionHealth::Closed);
                    }
                    return;
                }
            }
        }
    }

    async fn close(&self) -> Result<()> {
        let closed = match self.api.close(&self.session).await {
            Ok(closed) if closed.success == Some(false) => Err(Error::UnexpectedAnswer {
                operation: "POST /sessions/{session_id}/close",
                problem: format!(
                    "`success: false` ({})",
                    crate::secrets::redact(&closed.message.unwrap_or_default())
                ),
            }),
            // What has ended is closed.
            Err(Error::Api(error)) if error.is_gone() => Ok(()),
            other => other.map(drop),
        };
        if closed.is_ok() {
            self.health.send_replace(SessionHealth::Closed);
            tracing::debug!(session = self.session, "closed");
        }
        closed
    }
}

/// Says every now and then that the session is wanted, and notes what the server says to it.
async fn beat(
    api: Api,
    session: String,
    health: watch::Sender<SessionHealth>,
    every: std::time::Duration,
) -> Infallible {
    let mut ticks = interval(every);
    // Late is late: what was missed is not made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut failures = 0;
    loop {
        ticks.tick().await;
        let problem = match api.heartbeat(&session).await {
            Ok(beat) if beat.is_gone() => Err("all of its machines have ended".to_owned()),
            Ok(beat) if !beat.success => Ok("the server did not note it".to_owned()),
            Ok(_) => {
                failures = 0;
                health.send_replace(SessionHealth::Alive);
                continue;
            }
            Err(Error::Api(error)) if error.is_gone() => Err(format!("status {}", error.status())),
            Err(error) => Ok(error.to_string()),
        };
        match problem {
            Ok(error) => {
                failures += 1;
                tracing::warn!(session, failures, error, "a heartbeat failed");
                health.send_replace(SessionHealth::Failing { failures, error });
            }
            Err(reason) => {
                tracing::warn!(session, reason, "the session is gone");
                health.send_replace(SessionHealth::Gone { reason });
                return std::future::pending().await;
            }
        }
    }
}
