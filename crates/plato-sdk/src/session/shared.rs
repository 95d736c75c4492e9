//! The state that a session and its environments share.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;

use super::core::Core;
use super::health::SessionHealth;
use super::known::Known;
use super::names::names;
use crate::api::{Api, UrlKind};
use crate::desktop::Desktop;
use crate::error::{Error, Result};
use crate::secrets::{JobId, SecretUrl, redact};
use crate::types::{EnvInfo, UrlResult};

/// The time that setting a clock may take.
pub(super) const DATE_TIMEOUT: Duration = Duration::from_secs(30);

/// The state that a session and its environments share.
pub(super) struct Shared {
    pub(super) core: Arc<Core>,
    pub(super) id: String,
    pub(super) health: watch::Receiver<SessionHealth>,
    envs: RwLock<Envs>,
    /// A desktop is woken once, by whoever uses it first.
    desktops: Mutex<HashMap<JobId, Desktop>>,
}

/// The environments of a session.
#[derive(Default)]
pub(super) struct Envs {
    /// The server's answer when they were made.
    pub(super) created: Vec<EnvInfo>,
    pub(super) known: Vec<Known>,
    /// The public id of the session's testcase.
    pub(super) task: Option<String>,
    /// Whether the machines are connected.
    pub(super) network: bool,
}

impl Shared {
    pub(super) fn new(
        core: &Arc<Core>,
        id: String,
        health: watch::Receiver<SessionHealth>,
        envs: Envs,
    ) -> Self {
        let (envs, desktops) = (RwLock::new(envs), Mutex::default());
        Self { core: Arc::clone(core), id, health, envs, desktops }
    }

    pub(super) fn api(&self) -> &Api {
        &self.core.api
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

    pub(super) fn read<T>(&self, look: impl FnOnce(&Envs) -> T) -> T {
        look(&self.envs.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Envs) -> T) -> T {
        change(&mut self.envs.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn desktop(&self, env: &Known) -> Result<Desktop> {
        let mut desktops = self.desktops.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(desktop) = desktops.get(&env.job_id) {
            return Ok(desktop.clone());
        }
        let desktop = Desktop::of(
            &env.job_id,
            &env.alias,
            env.is_windows(),
            &self.core.settings.desktops,
            &self.core.agents,
        )?;
        desktops.insert(env.job_id.clone(), desktop.clone());
        Ok(desktop)
    }

    /// Takes an environment that has ended out of the list.
    pub(super) fn forget(&self, job: &JobId) {
        self.change(|envs| envs.known.retain(|env| env.job_id != *job));
        self.desktops.lock().unwrap_or_else(PoisonError::into_inner).remove(job);
    }

    /// The results of all jobs by their environments' names. None is lost: of two environments with one alias, the
    /// second is `alias (2)`, and a job that nobody knows has a name of its own.
    pub(super) fn by_name<T>(&self, results: BTreeMap<JobId, T>) -> BTreeMap<String, T> {
        let names = self.read(|envs| names(&envs.known, results.keys()));
        let name = |job: &JobId| names.get(job).cloned().unwrap_or_else(|| job.label());
        results.into_iter().map(|(job, result)| (name(&job), result)).collect()
    }
}

/// The URL that the server gave for an environment, or its reason for giving none.
pub(super) fn url_of(alias: &str, kind: UrlKind, result: UrlResult) -> Result<SecretUrl> {
    let UrlResult { success, url, error } = result;
    match url {
        Some(url) if success != Some(false) && error.is_none() => Ok(SecretUrl::new(url)),
        _ => {
            let reason = error.map_or_else(|| "no reason was given".to_owned(), |error| redact(&error));
            Err(Error::NoEnvironment(format!(
                "the environment `{alias}` has no {} URL: {reason}",
                kind.word()
            )))
        }
    }
}
