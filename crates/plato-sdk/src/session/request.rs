//! A session on its way: what it is made of, and the steps until it can be used (plato-api §6.1).

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::handle::{Session, Setup};
use super::lease::Lease;
use super::ready::Progress;
use crate::browser::LoginOptions;
use crate::error::{EnvFailure, Error, Result};
use crate::types::{CreateSession, Env};

/// How long the machines of a session live, unless it is said.
const LIFETIME: Duration = Duration::from_secs(1800);

/// A request for a session, by [`Plato::session`](crate::Plato::session).
#[must_use = "nothing is started before `start` is awaited"]
pub struct SessionRequest {
    core: Arc<Core>,
    envs: Vec<Env>,
    artifacts: Vec<String>,
    testcase: Option<String>,
    lifetime: Duration,
    ready_timeout: Option<Duration>,
    heartbeat_timeout: Option<Duration>,
    agent_artifact: Option<String>,
    shutdown_callback: Option<(String, Option<String>)>,
    setup: Setup,
}

impl SessionRequest {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        Self {
            core: Arc::clone(core),
            envs: Vec::new(),
            artifacts: Vec::new(),
            testcase: None,
            lifetime: LIFETIME,
            ready_timeout: None,
            heartbeat_timeout: None,
            agent_artifact: None,
            shutdown_callback: None,
            setup: Setup::default(),
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
        self.setup.of_testcase = true;
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
        self.setup.network = Some(connect);
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

    /// Is told how far the machines are, after every look, also of
    /// [`wait_until_ready`](Session::wait_until_ready).
    pub fn on_progress(mut self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.setup.progress = Some(Box::new(tell));
        self
    }

    /// Logs in to the session's apps in the desktop's browser when the machines are up, as [`Session::login`] does:
    /// whoever gets the session finds its apps open. The session is reset before, of whatever it is made, so that the
    /// record of changes holds those of the login.
    ///
    /// ```no_run
    /// # async fn run(plato: plato_sdk::Plato) -> plato_sdk::Result<()> {
    /// use plato_sdk::LoginOptions;
    ///
    /// let session = plato.session().testcase("tc_abc123").login(LoginOptions::default()).start().await?;
    /// # Ok(()) }
    /// ```
    pub fn login(mut self, options: LoginOptions) -> Self {
        self.setup.login = Some(options);
        self
    }

    /// Does this with the session before it is handed over, after the login if there is one. Several are done in
    /// their order. When one fails, the session fails to start; errors that are not of this crate become one by
    /// [`Error::other`].
    ///
    /// ```no_run
    /// # async fn run(plato: plato_sdk::Plato) -> plato_sdk::Result<()> {
    /// use std::time::Duration;
    ///
    /// let request = plato.session().testcase("tc_abc123").prepare(|session| async move {
    ///     let seeded = session.environment("crm")?.execute("seed-orders", Duration::from_secs(30)).await?;
    ///     if seeded.success { Ok(()) } else { Err(plato_sdk::Error::other(seeded.stderr)) }
    /// });
    /// let session = request.start().await?;
    /// # Ok(()) }
    /// ```
    pub fn prepare<F, Fut>(mut self, step: F) -> Self
    where
        F: Fn(Session) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.setup.prepare.push(Box::new(move |session| Box::pin(step(session))));
        self
    }

    /// Creates the session and waits until it can be used. Then a testcase's session is reset, the machines are
    /// connected, apps are [logged in to](Self::login) and what was to be [prepared](Self::prepare) is, in that order.
    /// When any of it fails, or this future is dropped, the session is closed.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when it is not made of exactly one of environments, artifacts and a testcase, and
    /// otherwise whatever went wrong.
    pub async fn start(self) -> Result<Session> {
        let budget = self.ready_timeout.unwrap_or(self.lifetime);
        let session = self.make().await?;
        let ready = async {
            session.wait(budget).await?;
            session.look_up_simulators().await;
            session.probe_desktop().await;
            session.set_up().await
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
        self.make().await
    }

    async fn make(self) -> Result<Session> {
        let request = self.request()?;
        let (created, lease) = Lease::open(&self.core, request).await?;
        let failed: Vec<_> = created
            .envs
            .iter()
            .filter(|env| env.success == Some(false))
            .map(|env| EnvFailure::new(&*env.alias, env.error.as_deref().unwrap_or("no reason was given")))
            .collect();
        let session = Session::new(&self.core, lease, created, self.setup);
        if failed.is_empty() {
            return Ok(session);
        }
        session.give_up().await;
        Err(Error::EnvironmentsFailed { action: "created", environments: failed })
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
            .field("setup", &self.setup)
            .finish_non_exhaustive()
    }
}
