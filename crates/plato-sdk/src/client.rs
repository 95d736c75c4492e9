//! The front door: one client for sessions and for what there is to run.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use platools_net::signals::Signals;
use tokio::time::{Instant, sleep};

use crate::config::PlatoBuilder;
use crate::error::{EnvFailure, Error, Result};
use crate::session::{Core, SavedSession, Session, SessionRequest};
use crate::types::{Artifact, ArtifactStatus, SimulatorArtifacts, TestcaseFilter, TestcasePage};

/// How often an artifact that is being made is looked at.
const ARTIFACT_POLL: Duration = Duration::from_secs(5);

/// A client of Plato. Cheap to clone; clones share connections and the thread that keeps sessions.
///
/// # How sessions come to their end
///
/// A machine that nobody needs costs money, so a session is closed by whatever ends its use: [`Session::close`],
/// its drop, the drop of the future that is starting it, a panic, and every error while it is started. That is done
/// on a thread of the client's own, which does not need the program's runtime: sessions are also closed that are
/// dropped while the runtime shuts down, and one whose creation is under way then is closed when its id arrives.
/// The drop of the last handle (a `Plato`, a [`Session`], an [`Environment`](crate::Environment)) waits for that
/// thread, for at most the [`close_grace`](PlatoBuilder::close_grace) of 10 s. To wait without blocking, await
/// [`close_all`](Self::close_all) before.
///
/// Two ends run no code of this process. A signal whose default action was left in place ends it at once: wrap the
/// work in [`until_signal`](Self::until_signal). And after `SIGKILL`, or a `process::exit`, the server ends the
/// session itself when it has heard no heartbeat for the session's heartbeat timeout, 300 s unless
/// [`heartbeat_timeout`](SessionRequest::heartbeat_timeout) says otherwise.
#[derive(Clone)]
pub struct Plato {
    core: Arc<Core>,
}

impl Plato {
    /// A client by the environment: `PLATO_API_KEY`, and if need be `PLATO_BASE_URL`, `PLATO_DESKTOP_URL` and
    /// `PLATO_CA_FILE`.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no key, or a variable cannot be used.
    pub fn from_env() -> Result<Self> {
        PlatoBuilder::from_env().build()
    }

    /// A client by code; the environment is not looked at.
    pub fn builder() -> PlatoBuilder {
        PlatoBuilder::default()
    }

    /// A session to be started.
    ///
    /// ```no_run
    /// use plato_sdk::{Env, Plato};
    ///
    /// # async fn run() -> plato_sdk::Result<()> {
    /// let plato = Plato::from_env()?;
    /// let session = plato.session().env(Env::simulator("ubuntu-vm").alias("desktop")).start().await?;
    /// session.close().await?;
    /// # Ok(()) }
    /// ```
    pub fn session(&self) -> SessionRequest {
        SessionRequest::new(&self.core)
    }

    /// Takes up a session that was saved, also by another process: its heartbeats go on, and it is closed when the
    /// handle is dropped. Nothing is asked of the server.
    ///
    /// # Errors
    /// When the thread for sessions cannot be started.
    pub fn resume(&self, saved: &SavedSession) -> Result<Session> {
        Session::resume(&self.core, saved)
    }

    /// Closes all sessions of this client, and waits until they are: also those that were dropped and are on their
    /// way, and one that is being created. The client can be used further.
    pub async fn close_all(&self) {
        self.core.close_all().await;
    }

    /// How many sessions of this client are open, or being opened or closed.
    pub fn open_sessions(&self) -> usize {
        self.core.open_sessions()
    }

    /// Does `work` until it ends, or until SIGTERM or SIGINT arrives; then the work is dropped, and all sessions
    /// of this client are closed.
    ///
    /// ```no_run
    /// use plato_sdk::{Env, Plato};
    ///
    /// #[tokio::main]
    /// async fn main() -> plato_sdk::Result<()> {
    ///     let plato = Plato::from_env()?;
    ///     let work = async {
    ///         let session = plato.session().testcase("tc_abc123").start().await?;
    ///         // …
    ///         session.close().await
    ///     };
    ///     plato.until_signal(work).await?
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Interrupted`] when a signal came first.
    pub async fn until_signal<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let name = {
            let mut work = std::pin::pin!(work);
            tokio::select! {
                biased;
                name = signal() => name,
                done = &mut work => return Ok(done),
            }
        };
        tracing::info!(signal = name, "closing all sessions");
        self.close_all().await;
        Err(Error::Interrupted(name))
    }

    /// Asks for the properties of an artifact.
    ///
    /// # Errors
    /// When the server says no, with status 404 when there is no such artifact.
    pub async fn artifact(&self, artifact_id: &str) -> Result<Artifact> {
        self.core.api.artifact(artifact_id).await
    }

    /// Waits until an artifact can be used, such as one that a snapshot is making.
    ///
    /// # Errors
    /// [`Error::StartFailed`] when it never will, [`Error::NotReady`] when the time is up.
    pub async fn wait_for_artifact(&self, artifact_id: &str, timeout: Duration) -> Result<Artifact> {
        let start = Instant::now();
        loop {
            let artifact = self.artifact(artifact_id).await?;
            let state = artifact.status.as_ref().map_or("of unknown state", ArtifactStatus::as_str);
            let failure = || vec![EnvFailure::new(format!("artifact {artifact_id}"), state)];
            match artifact.status {
                Some(ArtifactStatus::Ready) => return Ok(artifact),
                Some(ArtifactStatus::Failed) => return Err(Error::StartFailed(failure())),
                _ => {}
            }
            let Some(left) = timeout.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else {
                return Err(Error::NotReady { waited: timeout, pending: failure() });
            };
            sleep(ARTIFACT_POLL.min(left)).await;
        }
    }

    /// One page of the testcases that a filter lets through.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn testcases(&self, filter: &TestcaseFilter) -> Result<TestcasePage> {
        self.core.api.testcases(filter).await
    }

    /// The artifacts of a simulator, newest first.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn simulator_artifacts(&self, name: &str, testcases_only: bool) -> Result<SimulatorArtifacts> {
        self.core.api.simulator_artifacts(name, testcases_only).await
    }
}

impl PlatoBuilder {
    /// Builds the client. Nothing is dialled.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no key, or an option cannot be used.
    pub fn build(self) -> Result<Plato> {
        Ok(Plato { core: Core::new(self.settings()?)? })
    }
}

impl fmt::Debug for Plato {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plato")
            .field("base_url", &self.core.settings.base.as_str())
            .field("open_sessions", &self.open_sessions())
            .finish_non_exhaustive()
    }
}

/// The name of the signal that arrived.
async fn signal() -> &'static str {
    match Signals::new() {
        Ok(mut signals) => signals.next().await,
        Err(error) => {
            tracing::warn!(%error, "signals cannot be listened for: sessions are not closed when one arrives");
            std::future::pending().await
        }
    }
}
