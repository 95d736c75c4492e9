//! A session on its way: what it is made of, and the steps until it can be used (plato-api §6.1).

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::lease::Lease;
use super::{Progress, Session};
use crate::client::Plato;
use crate::error::{EnvFailure, Error, Result};
use crate::types::{CreateSession, Env};

/// How long the machines of a session live, unless it is said.
const LIFETIME: Duration = Duration::from_secs(1800);

/// What a session is to be made of, by [`Plato::session`].
#[must_use = "nothing is started before `start` is awaited"]
pub struct SessionRequest {
    plato: Plato,
    envs: Vec<Env>,
    artifacts: Vec<String>,
    testcase: Option<String>,
    lifetime: Duration,
    ready_timeout: Option<Duration>,
    heartbeat_timeout: Option<Duration>,
    network: Option<bool>,
    agent_artifact: Option<String>,
    shutdown_callback: Option<(String, Option<String>)>,
    progress: Box<dyn Fn(&Progress) + Send + Sync>,
}

impl SessionRequest {
    pub(crate) fn new(plato: Plato) -> Self {
        Self {
            plato,
            envs: Vec::new(),
            artifacts: Vec::new(),
            testcase: None,
            lifetime: LIFETIME,
            ready_timeout: None,
            heartbeat_timeout: None,
            network: None,
            agent_artifact: None,
            shutdown_callback: None,
            progress: Box::new(|_| {}),
        }
    }

    /// With this environment.
    pub fn env(mut self, env: Env) -> Self {
        self.envs.push(env);
        self
    }

    /// With these environments.
    pub fn envs(mut self, envs: impl IntoIterator<Item = Env>) -> Self {
        self.envs.extend(envs);
        self
    }

    /// With the environments of these artifacts, in place of environments by hand.
    pub fn artifacts<T: Into<String>>(mut self, artifact_ids: impl IntoIterator<Item = T>) -> Self {
        self.artifacts.extend(artifact_ids.into_iter().map(Into::into));
        self
    }

    /// With the environments and the scoring of a testcase, in place of environments by hand. It is reset when it
    /// is ready, so that what is scored begins there.
    pub fn testcase(mut self, testcase_id: impl Into<String>) -> Self {
        self.testcase = Some(testcase_id.into());
        self
    }

    /// How long the machines live, in whole seconds; 30 min unless said otherwise.
    pub fn lifetime(mut self, time: Duration) -> Self {
        self.lifetime = time;
        self
    }

    /// How long is waited until it is ready; as long as the machines live, unless said otherwise.
    pub fn ready_timeout(mut self, time: Duration) -> Self {
        self.ready_timeout = Some(time);
        self
    }

    /// After how long without a heartbeat the server ends the session, in whole seconds; 300 s unless said
    /// otherwise. Zero switches that off: then a session outlives a program that was killed.
    pub fn heartbeat_timeout(mut self, time: Duration) -> Self {
        self.heartbeat_timeout = Some(time);
        self
    }

    /// Whether the machines reach each other as `{alias}.plato.internal`; on Plato's own production API they do
    /// unless said otherwise, elsewhere they do not.
    pub fn network(mut self, connect: bool) -> Self {
        self.network = Some(connect);
        self
    }

    /// The artifact of the agent that works in the session.
    pub fn agent_artifact(mut self, artifact_id: impl Into<String>) -> Self {
        self.agent_artifact = Some(artifact_id.into());
        self
    }

    /// Where the server says that it ended a machine by force, and the bearer token that it sends there.
    pub fn shutdown_callback(mut self, url: impl Into<String>, token: Option<String>) -> Self {
        self.shutdown_callback = Some((url.into(), token));
        self
    }

    /// Is told how far the machines are, after every look.
    pub fn on_progress(mut self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.progress = Box::new(tell);
        self
    }

    /// Creates the session and waits until it can be used. When that fails, or this future is dropped, the
    /// session is closed.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when it is not made of exactly one of environments, artifacts and a testcase, and
    /// otherwise whatever went wrong.
    pub async fn start(self) -> Result<Session> {
        let (network, testcase) = (self.network, self.testcase.is_some());
        let budget = self.ready_timeout.unwrap_or(self.lifetime);
        let (session, progress) = self.make().await?;
        let ready = async {
            session.wait(budget, &*progress).await?;
            session.look_up_simulators().await;
            session.probe_desktop().await;
            if testcase {
                session.reset().await?;
            }
            session.join_network(network).await
        };
        match ready.await {
            Ok(()) => Ok(session),
            Err(error) => {
                session.give_up().await;
                Err(error)
            }
        }
    }

    /// Creates the session and does not wait; [`Session::wait_until_ready`] does.
    ///
    /// # Errors
    /// Those of [`start`](Self::start), except for what comes after the creation.
    pub async fn create(self) -> Result<Session> {
        self.make().await.map(|(session, _)| session)
    }

    async fn make(self) -> Result<(Session, Box<dyn Fn(&Progress) + Send + Sync>)> {
        let request = self.request()?;
        let (created, lease) = Lease::open(&self.plato.inner, request).await?;
        let failed: Vec<_> = created
            .envs
            .iter()
            .filter(|env| env.success == Some(false))
            .map(|env| EnvFailure::new(&*env.alias, env.error.as_deref().unwrap_or("no reason was given")))
            .collect();
        let session = Session::new(&self.plato, lease, created, self.network);
        if failed.is_empty() {
            return Ok((session, self.progress));
        }
        session.give_up().await;
        Err(Error::EnvsFailed(failed))
    }

    /// The request for it, if it makes sense.
    fn request(&self) -> Result<CreateSession> {
        let invalid = |text: &str| Err(Error::InvalidInput(text.to_owned()));
        let kinds = [!self.envs.is_empty(), !self.artifacts.is_empty(), self.testcase.is_some()];
        match kinds.into_iter().filter(|given| *given).count() {
            0 => {
                return invalid("a session of nothing: give it `.env(…)`, `.artifacts(…)` or `.testcase(…)`");
            }
            1 => {}
            _ => {
                return invalid(
                    "a session is made of environments, of artifacts or of a testcase: give one of them",
                );
            }
        }
        let timeout = self.lifetime.as_secs();
        if timeout == 0 {
            return invalid(
                "a session's machines live for whole seconds, at least one: give a longer `.lifetime(…)`",
            );
        }
        if let Some(testcase) = &self.testcase {
            let envs_only = self.heartbeat_timeout.is_some() || self.agent_artifact.is_some();
            if envs_only || self.shutdown_callback.is_some() {
                return invalid(
                    "a testcase takes no heartbeat timeout, agent artifact or shutdown callback: leave them out, or \
                     give environments",
                );
            }
            let testcase_id = testcase.trim().to_owned();
            if testcase_id.is_empty() {
                return invalid("the testcase's id is empty: it looks like `tc_abc123`");
            }
            return Ok(CreateSession::Testcase { testcase_id, timeout, source: "SDK" });
        }
        let artifacts = self.artifacts.iter().map(Env::artifact);
        let envs: Vec<_> = self.envs.iter().cloned().chain(artifacts).map(Env::named).collect();
        let mut aliases = BTreeSet::new();
        for env in &envs {
            env.check()?;
            let alias = env.alias_name().unwrap_or_default();
            if !aliases.insert(alias) {
                return Err(Error::InvalidInput(format!(
                    "two environments have the alias `{alias}`: give each its own"
                )));
            }
        }
        let (shutdown_callback_url, shutdown_callback_token) =
            self.shutdown_callback.clone().map_or((None, None), |(url, token)| (Some(url), token));
        Ok(CreateSession::Envs {
            envs,
            timeout,
            source: "SDK",
            heartbeat_timeout: self.heartbeat_timeout.map(|time| time.as_secs()),
            agent_artifact_id: self.agent_artifact.clone(),
            shutdown_callback_url,
            shutdown_callback_token,
        })
    }
}

impl fmt::Debug for SessionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRequest")
            .field("envs", &self.envs)
            .field("artifacts", &self.artifacts)
            .field("testcase", &self.testcase)
            .finish_non_exhaustive()
    }
}
