//! The program's hold on a session.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::lease::Lease;
use super::ready::{self, Progress};
use super::{Environment, SavedSession, SessionHealth};
use crate::api::{Api, UrlKind};
use crate::client::{Inner, Plato};
use crate::config::is_production;
use crate::desktop::Desktop;
use crate::error::{Error, Result};
use crate::secrets::{JobId, SecretUrl};
use crate::session::environment::Known;
use crate::types::{Created, EnvInfo, Heartbeat, SessionDetails};

/// How long a session that is given up is waited for; the keeper's thread goes on trying after that.
const GIVE_UP: Duration = Duration::from_secs(10);

/// A session, which is a set of running environments. Its drop closes it; see [`Plato`] for the ways that a session
/// can end.
pub struct Session {
    // First: its drop closes the session, and the drop of the client behind the rest waits for that.
    lease: Lease,
    shared: Arc<Shared>,
}

/// What a session and its environments have in common.
pub(crate) struct Shared {
    pub(super) client: Arc<Inner>,
    pub(super) id: String,
    pub(super) health: watch::Receiver<SessionHealth>,
    envs: RwLock<Envs>,
    /// A desktop is woken once, by whoever uses it first.
    desktops: Mutex<HashMap<JobId, Desktop>>,
}

#[derive(Default)]
struct Envs {
    /// What the server said when they were made.
    created: Vec<EnvInfo>,
    known: Vec<Known>,
    task: Option<String>,
    network_wanted: Option<bool>,
    network: bool,
}

impl Shared {
    pub(super) fn api(&self) -> &Api {
        &self.client.api
    }

    /// # Errors
    /// When the session is known to have ended; nothing is asked then.
    pub(super) fn usable(&self) -> Result<()> {
        match &*self.health.borrow() {
            SessionHealth::Closed | SessionHealth::Detached => Err(Error::Closed),
            SessionHealth::Gone { reason } => Err(Error::Gone(reason.clone())),
            _ => Ok(()),
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Envs) -> T) -> T {
        look(&self.envs.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Envs) -> T) -> T {
        change(&mut self.envs.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn desktop(&self, env: &Known) -> Result<Desktop> {
        let mut desktops = self.desktops.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(desktop) = desktops.get(&env.job_id) {
            return Ok(desktop.clone());
        }
        let desktop = Desktop::of(&self.client, env)?;
        desktops.insert(env.job_id.clone(), desktop.clone());
        Ok(desktop)
    }

    /// The name of a job's environment, or its id where nobody knows it.
    fn alias(&self, job: &JobId) -> String {
        self.read(|envs| {
            let known = envs.known.iter().find(|env| env.job_id == *job).map(|env| env.alias.clone());
            known.unwrap_or_else(|| job.as_str().to_owned())
        })
    }
}

impl Session {
    pub(super) fn new(plato: &Plato, lease: Lease, created: Created, network: Option<bool>) -> Self {
        let envs = Envs { created: created.envs, network_wanted: network, ..Envs::default() };
        Self::with_envs(plato, lease, created.session_id, envs)
    }

    fn with_envs(plato: &Plato, lease: Lease, id: String, envs: Envs) -> Self {
        let (client, health) = (Arc::clone(&plato.inner), lease.health());
        Self {
            lease,
            shared: Arc::new(Shared {
                client,
                id,
                health,
                envs: RwLock::new(envs),
                desktops: Mutex::default(),
            }),
        }
    }

    pub(crate) fn resume(plato: &Plato, saved: &SavedSession) -> Result<Self> {
        let lease = Lease::of(&plato.inner, saved.session_id.clone())?;
        let known = saved.envs.iter().map(Known::from).collect();
        let envs = Envs { known, task: saved.task_public_id.clone(), ..Envs::default() };
        Ok(Self::with_envs(plato, lease, saved.session_id.clone(), envs))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn api(&self) -> &Api {
        self.shared.api()
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    /// The testcase's public id, if it is a testcase's session and the server said it.
    pub fn task_public_id(&self) -> Option<String> {
        self.shared.read(|envs| envs.task.clone())
    }

    /// What its heartbeats came to.
    pub fn health(&self) -> SessionHealth {
        self.shared.health.borrow().clone()
    }

    /// Waits until the session has ended, here or on the server, and says how.
    pub async fn ended(&self) -> SessionHealth {
        let mut health = self.shared.health.clone();
        let ended = health.wait_for(|health| !health.is_usable()).await;
        ended.map_or(SessionHealth::Closed, |health| health.clone())
    }

    /// Says now that the session is wanted, as is done every 30 s anyway.
    ///
    /// # Errors
    /// When the server says no; 404 and 410 mean that the session has ended.
    pub async fn heartbeat(&self) -> Result<Heartbeat> {
        self.shared.usable()?;
        self.api().heartbeat(self.id()).await
    }

    /// Waits for a session that was made with [`create`](super::SessionRequest::create).
    ///
    /// # Errors
    /// [`Error::StartFailed`] when a machine never will be ready, [`Error::NotReady`] when the time is up. The
    /// session is left as it is: drop or close it.
    pub async fn wait_until_ready(&self, timeout: Duration) -> Result<()> {
        self.wait(timeout, &|_| {}).await?;
        self.join_network(self.shared.read(|envs| envs.network_wanted)).await
    }

    pub(super) async fn wait(
        &self,
        budget: Duration,
        progress: &(dyn Fn(&Progress) + Send + Sync),
    ) -> Result<()> {
        self.shared.usable()?;
        let created = self.shared.read(|envs| envs.created.clone());
        let waiting = ready::session_ready(self.api(), self.id(), budget, &created, progress).await?;
        let Some(context) = waiting.context else { return Ok(()) };
        let known = context.envs.into_iter().map(|env| Known::new(env, &waiting.results)).collect();
        self.shared.change(|envs| {
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
                self.shared.change(|envs| {
                    for known in envs.known.iter_mut().filter(|known| known.job_id == env.job_id) {
                        known.simulator.clone_from(&artifact.simulator_name);
                    }
                });
            }
        }
    }

    /// Wakes the desktop, if there is one. That it is not up yet is no failure of the session.
    pub(super) async fn probe_desktop(&self) {
        let Some(env) = self.known().into_iter().find(|env| env.is_desktop) else { return };
        let status = async { self.shared.desktop(&env)?.status().await };
        if let Err(error) = status.await {
            tracing::warn!(session = self.id(), %error, "the desktop does not answer yet");
        }
    }

    pub(super) async fn join_network(&self, wanted: Option<bool>) -> Result<()> {
        let wanted = wanted.unwrap_or_else(|| is_production(&self.shared.client.settings.base));
        if wanted && !self.shared.read(|envs| envs.network) {
            self.connect_network().await?;
        }
        Ok(())
    }

    /// Lets the machines reach each other as `{alias}.plato.internal`. Machines that are added later join by
    /// themselves.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn connect_network(&self) -> Result<()> {
        self.shared.usable()?;
        self.api().connect_network(self.id()).await?;
        self.shared.change(|envs| envs.network = true);
        Ok(())
    }

    /// The environments, in the server's order.
    pub fn environments(&self) -> Vec<Environment> {
        self.known().into_iter().map(|env| Environment::new(&self.shared, env)).collect()
    }

    /// The environment of that alias.
    ///
    /// # Errors
    /// [`Error::NoEnvironment`], which names those that there are.
    pub fn environment(&self, alias: &str) -> Result<Environment> {
        let known = self.known();
        if let Some(env) = known.iter().find(|env| env.alias == alias) {
            return Ok(Environment::new(&self.shared, env.clone()));
        }
        let aliases: Vec<_> = known.into_iter().map(|env| format!("`{}`", env.alias)).collect();
        let aliases = if aliases.is_empty() { "none that is ready".to_owned() } else { aliases.join(", ") };
        Err(Error::NoEnvironment(format!("the session has no environment `{alias}`; it has: {aliases}")))
    }

    /// The first desktop of the session.
    ///
    /// # Errors
    /// [`Error::NoEnvironment`] when it has none, [`Error::Config`] when it is not known where desktops are.
    pub fn desktop(&self) -> Result<Desktop> {
        let desktop = self.known().into_iter().find(Known::is_desktop);
        let Some(env) = desktop else {
            return Err(Error::NoEnvironment(
                "the session has no desktop: give it an environment such as `Env::simulator(\"ubuntu-vm\")`"
                    .to_owned(),
            ));
        };
        self.shared.desktop(&env)
    }

    pub(super) fn known(&self) -> Vec<Known> {
        self.shared.read(|envs| envs.known.clone())
    }

    pub(super) fn add_known(&self, env: Known) {
        self.shared.change(|envs| envs.known.push(env));
    }

    pub(super) fn forget(&self, job: &JobId) {
        self.shared.change(|envs| envs.known.retain(|env| env.job_id != *job));
    }

    /// The results of all jobs by their environments' names.
    pub(super) fn by_alias<T>(&self, results: BTreeMap<JobId, T>) -> BTreeMap<String, T> {
        results.into_iter().map(|(job, result)| (self.shared.alias(&job), result)).collect()
    }

    /// The URLs of the environments' apps for a browser, by alias; those that have none are left out.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn public_urls(&self, port: Option<u16>) -> Result<BTreeMap<String, SecretUrl>> {
        self.urls(UrlKind::Public, port).await
    }

    /// The URLs that lead straight to the machines, by alias.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn connect_urls(&self, port: Option<u16>) -> Result<BTreeMap<String, SecretUrl>> {
        self.urls(UrlKind::Connect, port).await
    }

    /// The URLs of the MCP servers that apps have of their own, by alias.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn mcp_urls(&self) -> Result<BTreeMap<String, SecretUrl>> {
        self.urls(UrlKind::Mcp, None).await
    }

    /// The URLs of the viewers of Windows desktops, by alias.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn rdp_urls(&self) -> Result<BTreeMap<String, SecretUrl>> {
        self.urls(UrlKind::Rdp, None).await
    }

    async fn urls(&self, kind: UrlKind, port: Option<u16>) -> Result<BTreeMap<String, SecretUrl>> {
        self.shared.usable()?;
        let urls = self.api().session_urls(self.id(), kind, port).await?;
        let urls = self.by_alias(urls.results).into_iter();
        Ok(urls.filter_map(|(alias, result)| Some((alias, SecretUrl::new(result.url?)))).collect())
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

    /// What another process needs to take the session up; see [`Plato::resume`].
    pub fn save(&self) -> SavedSession {
        SavedSession {
            session_id: self.id().to_owned(),
            task_public_id: self.task_public_id(),
            envs: self.known().iter().map(Into::into).collect(),
            base_url: Some(self.shared.client.settings.base.to_string()),
        }
    }

    /// Lets the session live on without this program: no more heartbeats, and it is not closed. The server ends it
    /// after its heartbeat timeout unless somebody takes it up.
    ///
    /// # Errors
    /// When the session has ended already.
    pub async fn detach(self) -> Result<SavedSession> {
        self.shared.usable()?;
        self.lease.detach().await?;
        Ok(self.save())
    }

    /// Closes the session. A second time does nothing.
    ///
    /// # Errors
    /// When the server cannot be reached or says no. The session is open then, and its drop tries again.
    pub async fn close(&self) -> Result<()> {
        match self.health() {
            SessionHealth::Closed | SessionHealth::Detached => Ok(()),
            _ => match self.lease.close().await {
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
