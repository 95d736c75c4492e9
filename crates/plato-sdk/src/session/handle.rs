//! The program's hold on a session.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OnceCell;

use super::core::Core;
use super::environment::Environment;
use super::health::SessionHealth;
use super::known::Known;
use super::lease::Lease;
use super::names::names;
use super::ready::{self, Progress};
use super::saved::SavedSession;
use super::shared::{Envs, Shared, url_of};
use crate::api::{Api, UrlKind};
use crate::browser::LoginOptions;
use crate::config::is_production;
use crate::desktop::Desktop;
use crate::error::{EnvFailure, Error, Result};
use crate::secrets::{JobId, SecretUrl};
use crate::types::{Created, Heartbeat, SessionDetails};

/// How long a session that is given up is waited for; the keeper's thread goes on trying after that.
const GIVE_UP: Duration = Duration::from_secs(10);

/// A session, which is a set of running environments. The drop of its last clone closes it; see [`Plato`](crate::Plato)
/// for the ways that a session can end. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    held: Arc<Held>,
}

/// The state that all clones of a session share.
struct Held {
    // First: its drop closes the session, and the drop of the client behind the rest waits for that.
    lease: Lease,
    shared: Arc<Shared>,
    setup: Setup,
}

/// A step of the user's own.
pub(super) type Prepare =
    Box<dyn Fn(Session) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// Is told how far machines are.
pub(super) type Tell = Box<dyn Fn(&Progress) + Send + Sync>;

/// The steps that a session's request asks for once the machines are up.
#[derive(Default)]
pub(super) struct Setup {
    /// Whether it is of a testcase, whose record begins by itself.
    pub(super) of_testcase: bool,
    pub(super) network: Option<bool>,
    pub(super) login: Option<LoginOptions>,
    pub(super) prepare: Vec<Prepare>,
    pub(super) progress: Option<Tell>,
    pub(super) done: OnceCell<()>,
}

impl Setup {
    pub(super) fn progress(&self) -> &(dyn Fn(&Progress) + Send + Sync) {
        match &self.progress {
            Some(tell) => &**tell,
            None => &|_| {},
        }
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("of_testcase", &self.of_testcase)
            .field("network", &self.network)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(core: &Arc<Core>, lease: Lease, created: Created, setup: Setup) -> Self {
        let envs = Envs { created: created.envs, ..Envs::default() };
        Self::with_envs(core, lease, created.session_id, envs, setup)
    }

    fn with_envs(core: &Arc<Core>, lease: Lease, id: String, envs: Envs, setup: Setup) -> Self {
        let shared = Arc::new(Shared::new(core, id, lease.health(), envs));
        Self { held: Arc::new(Held { lease, shared, setup }) }
    }

    pub(crate) fn resume(core: &Arc<Core>, saved: &SavedSession) -> Result<Self> {
        let lease = Lease::of(core, saved.session_id.clone())?;
        let known = saved.envs.iter().map(Known::from).collect();
        let envs = Envs { known, task: saved.task_public_id.clone(), ..Envs::default() };
        Ok(Self::with_envs(core, lease, saved.session_id.clone(), envs, Setup::default()))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.held.shared
    }

    pub(super) fn setup(&self) -> &Setup {
        &self.held.setup
    }

    pub(super) fn api(&self) -> &Api {
        self.shared().api()
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        &self.shared().id
    }

    /// The testcase's public id, if it is a testcase's session and the server said it.
    pub fn task_public_id(&self) -> Option<String> {
        self.shared().read(|envs| envs.task.clone())
    }

    /// The state of the session, as its heartbeats report it.
    pub fn health(&self) -> SessionHealth {
        self.shared().health.borrow().clone()
    }

    /// Waits until the session has ended, here or on the server, and says how.
    pub async fn ended(&self) -> SessionHealth {
        let mut health = self.shared().health.clone();
        let ended = health.wait_for(|health| !health.is_usable()).await;
        ended.map_or(SessionHealth::Closed, |health| health.clone())
    }

    /// Says now that the session is wanted, as is done every 30 s anyway.
    ///
    /// # Errors
    /// When the server says no; 404 and 410 mean that the session has ended.
    pub async fn heartbeat(&self) -> Result<Heartbeat> {
        self.shared().usable()?;
        self.api().heartbeat(self.id()).await
    }

    /// Waits for a session that was made with [`create`](super::SessionRequest::create), and does what its
    /// [`start`](super::SessionRequest::start) would have done then: a testcase's session is reset, machines are
    /// connected, apps are logged in to, and what was to be prepared is. That is done once.
    ///
    /// # Errors
    /// [`Error::StartFailed`] when a machine never will be ready, [`Error::NotReady`] when the time is up, and
    /// otherwise whatever went wrong. The session is left as it is: wait again, drop it or close it.
    pub async fn wait_until_ready(&self, timeout: Duration) -> Result<()> {
        self.wait(timeout).await?;
        self.set_up().await
    }

    pub(super) async fn wait(&self, budget: Duration) -> Result<()> {
        self.shared().usable()?;
        let created = self.shared().read(|envs| envs.created.clone());
        let progress = self.setup().progress();
        let waiting = ready::session_ready(self.api(), self.id(), budget, &created, progress).await?;
        let Some(context) = waiting.context else { return Ok(()) };
        let known = context.envs.into_iter().map(|env| Known::new(env, &waiting.results)).collect();
        self.shared().change(|envs| {
            envs.known = known;
            envs.task = context.task_public_id;
        });
        Ok(())
    }

    /// Asks for the simulators of environments that the server named by their artifact only.
    pub(super) async fn look_up_simulators(&self) {
        for env in self.known().into_iter().filter(|env| env.simulator.is_none()) {
            let Some(artifact) = &env.artifact_id else { continue };
            // Without it nothing but a name is missing.
            if let Ok(artifact) = self.api().artifact(artifact).await {
                self.shared().change(|envs| {
                    for known in envs.known.iter_mut().filter(|known| known.job_id == env.job_id) {
                        known.simulator.clone_from(&artifact.simulator_name);
                    }
                });
            }
        }
    }

    /// Wakes the desktop, if there is one. That it is not up yet is no failure of the session.
    pub(super) async fn probe_desktop(&self) {
        let Some(env) = self.known().into_iter().find(|env| env.is_flagged) else { return };
        let status = async { self.shared().desktop(&env)?.status().await };
        if let Err(error) = status.await {
            tracing::warn!(session = self.id(), %error, "the desktop does not answer yet");
        }
    }

    pub(super) async fn join_network(&self, wanted: Option<bool>) -> Result<()> {
        let wanted = wanted.unwrap_or_else(|| is_production(&self.shared().core.settings.base));
        if wanted && !self.shared().read(|envs| envs.network) {
            self.connect_network().await?;
        }
        Ok(())
    }

    /// Lets the machines reach each other as `{alias}.plato.internal`. Machines that are added later join by
    /// themselves.
    ///
    /// # Errors
    /// [`Error::EnvironmentsFailed`] when it did not work, with the machines that are not connected if the server
    /// says which.
    pub async fn connect_network(&self) -> Result<()> {
        self.shared().usable()?;
        let network = self.api().connect_network(self.id()).await?;
        let problem = network.message.as_deref().unwrap_or("no reason was given");
        let mut apart: Vec<_> = self
            .by_alias(network.results)
            .into_iter()
            .filter(|(_, is_connected)| !is_connected)
            .map(|(alias, _)| EnvFailure::new(alias, problem))
            .collect();
        if apart.is_empty() && network.success == Some(false) {
            apart.push(EnvFailure::new("the network", problem));
        }
        if !apart.is_empty() {
            return Err(Error::EnvironmentsFailed { action: "connected", environments: apart });
        }
        self.shared().change(|envs| envs.network = true);
        Ok(())
    }

    /// The environments, in the server's order.
    pub fn environments(&self) -> Vec<Environment> {
        self.known().into_iter().map(|env| Environment::new(self.shared(), env)).collect()
    }

    /// The environment of that alias. Of several with one alias, the second is `alias (2)`.
    ///
    /// # Errors
    /// [`Error::NoEnvironment`], which names those that there are.
    pub fn environment(&self, alias: &str) -> Result<Environment> {
        let known = self.known();
        let names = names(&known, std::iter::empty());
        let name = |env: &Known| names.get(&env.job_id).cloned().unwrap_or_default();
        if let Some(env) = known.iter().find(|env| name(env) == alias) {
            return Ok(Environment::new(self.shared(), env.clone()));
        }
        let aliases: Vec<_> = known.iter().map(|env| format!("`{}`", name(env))).collect();
        let aliases = if aliases.is_empty() { "none that is ready".to_owned() } else { aliases.join(", ") };
        Err(Error::NoEnvironment(format!("the session has no environment `{alias}`; it has: {aliases}")))
    }

    /// The desktop of the session: the first environment that the server flags as one, and without such a flag the
    /// first that has a desktop's agent.
    ///
    /// # Errors
    /// [`Error::NoEnvironment`] when it has none, [`Error::Config`] when it is not known where desktops are.
    pub fn desktop(&self) -> Result<Desktop> {
        let Some(env) = self.desktop_env() else {
            return Err(Error::NoEnvironment(
                "the session has no desktop: give it an environment such as `Env::simulator(\"ubuntu-vm\")`"
                    .to_owned(),
            ));
        };
        self.shared().desktop(&env)
    }

    fn desktop_env(&self) -> Option<Known> {
        let known = self.known();
        let flagged = known.iter().find(|env| env.is_flagged);
        // What runs Windows may be an app as well.
        let named = || known.iter().find(|env| env.is_desktop_simulator());
        flagged.or_else(named).or_else(|| known.iter().find(|env| env.has_agent())).cloned()
    }

    /// The environments that have an app to log in to.
    pub(super) fn apps(&self) -> Vec<Environment> {
        let desktop = self.desktop_env().map(|env| env.job_id);
        let is_app = |env: &Known| {
            // What has no artifact is a bare machine, without an app.
            let has_app = env.artifact_id.is_some() && !env.is_desktop() && !env.is_proctor();
            has_app && Some(&env.job_id) != desktop.as_ref()
        };
        let apps = self.known().into_iter().filter(is_app);
        apps.map(|env| Environment::new(self.shared(), env)).collect()
    }

    /// Whether there is a desktop, whose browser its apps belong into.
    pub(super) fn has_desktop(&self) -> bool {
        self.known().iter().any(Known::is_desktop)
    }

    pub(super) fn known(&self) -> Vec<Known> {
        self.shared().read(|envs| envs.known.clone())
    }

    pub(super) fn add_known(&self, env: Known) {
        self.shared().change(|envs| envs.known.push(env));
    }

    /// The results of all jobs by their environments' names.
    pub(super) fn by_alias<T>(&self, results: BTreeMap<JobId, T>) -> BTreeMap<String, T> {
        self.shared().by_name(results)
    }

    /// The URLs of the environments' apps for a browser, by alias, each with the server's reason where there is none.
    ///
    /// ```no_run
    /// # async fn run(session: plato_sdk::Session) -> plato_sdk::Result<()> {
    /// for (alias, url) in session.public_urls(None).await? {
    ///     match url {
    ///         Ok(url) => println!("{alias}: {}", url.expose()),
    ///         Err(problem) => println!("{problem}"),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the server says no to all of them.
    pub async fn public_urls(&self, port: Option<u16>) -> Result<BTreeMap<String, Result<SecretUrl>>> {
        self.urls(UrlKind::Public, port).await
    }

    /// The URLs that lead straight to the machines, by alias; as [`public_urls`](Self::public_urls).
    ///
    /// # Errors
    /// When the server says no to all of them.
    pub async fn connect_urls(&self, port: Option<u16>) -> Result<BTreeMap<String, Result<SecretUrl>>> {
        self.urls(UrlKind::Connect, port).await
    }

    /// The URLs of the MCP servers that apps have of their own, by alias; as [`public_urls`](Self::public_urls).
    ///
    /// # Errors
    /// When the server says no to all of them.
    pub async fn mcp_urls(&self) -> Result<BTreeMap<String, Result<SecretUrl>>> {
        self.urls(UrlKind::Mcp, None).await
    }

    /// The URLs of the viewers of Windows desktops, by alias; as [`public_urls`](Self::public_urls).
    ///
    /// # Errors
    /// When the server says no to all of them.
    pub async fn rdp_urls(&self) -> Result<BTreeMap<String, Result<SecretUrl>>> {
        self.urls(UrlKind::Rdp, None).await
    }

    async fn urls(&self, kind: UrlKind, port: Option<u16>) -> Result<BTreeMap<String, Result<SecretUrl>>> {
        self.shared().usable()?;
        let urls = self.api().session_urls(self.id(), kind, port).await?;
        let urls = self.by_alias(urls.results).into_iter();
        Ok(urls.map(|(alias, result)| (alias.clone(), url_of(&alias, kind, result))).collect())
    }

    /// The session as the server keeps it, with its mutations.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn details(&self) -> Result<SessionDetails> {
        self.api().session_details(self.id()).await
    }

    /// The last lines that an environment logged, as the server keeps them.
    ///
    /// # Errors
    /// When there is no such environment, or the server says no.
    pub async fn logs(&self, alias: &str, limit: u32) -> Result<Value> {
        let env = self.environment(alias)?;
        self.api().logs(self.id(), env.job_id(), limit).await
    }

    /// Describes the session for another process, which can resume it; see [`Plato::resume`](crate::Plato::resume).
    pub fn save(&self) -> SavedSession {
        SavedSession {
            session_id: self.id().to_owned(),
            task_public_id: self.task_public_id(),
            envs: self.known().iter().map(Into::into).collect(),
            base_url: Some(self.shared().core.settings.base.to_string()),
        }
    }

    /// Lets the session live on without this program: no more heartbeats, and it is not closed. The server ends it
    /// after its heartbeat timeout unless somebody takes it up.
    ///
    /// # Errors
    /// When the session has ended already.
    pub async fn detach(self) -> Result<SavedSession> {
        self.shared().usable()?;
        self.held.lease.detach().await?;
        Ok(self.save())
    }

    /// Closes the session. A second time does nothing.
    ///
    /// # Errors
    /// When the server cannot be reached or says no. The session is open then, and its drop tries again.
    pub async fn close(&self) -> Result<()> {
        match self.health() {
            SessionHealth::Closed | SessionHealth::Detached => Ok(()),
            _ => match self.held.lease.close().await {
                // All sessions were closed in the meantime.
                Err(Error::Closed) => Ok(()),
                closed => closed,
            },
        }
    }

    /// Closes it because it is of no use; its drop goes on trying.
    pub(super) async fn give_up(self) {
        let closed = tokio::time::timeout(GIVE_UP, self.close()).await;
        if !matches!(closed, Ok(Ok(()))) {
            tracing::warn!(session = self.id(), "a session that failed to start is not closed yet");
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .field("health", &self.health())
            .field("environments", &self.known())
            .finish_non_exhaustive()
    }
}
