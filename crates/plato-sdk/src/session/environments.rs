//! Adding environments to a running session and taking them away (plato-api §6.8), and what is done with all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::environment::Environment;
use super::handle::Session;
use super::known::Known;
use super::ready;
use super::shared::DATE_TIMEOUT;
use crate::error::{EnvFailure, Error, Result};
use crate::types::{
    AddJob, CommandOutput, DateOutput, Env, JobSummary, KeyAdded, Snapshot, SnapshotKind, SnapshotOptions,
};

/// How an environment is added to a session.
#[derive(Debug, Clone)]
pub struct AddEnv {
    /// The environment.
    pub env: Env,
    /// How long it lives, in whole seconds.
    pub lifetime: Duration,
    /// How long is waited until it is ready; `None` does not wait.
    pub ready_timeout: Option<Duration>,
    /// After how long without a heartbeat the server ends it; absent means 300 s, zero never.
    pub heartbeat_timeout: Option<Duration>,
}

impl AddEnv {
    /// With a life of 30 min, and waiting for at most 10 min.
    pub fn new(env: Env) -> Self {
        Self {
            env,
            lifetime: Duration::from_secs(1800),
            ready_timeout: Some(Duration::from_secs(600)),
            heartbeat_timeout: None,
        }
    }
}

impl Session {
    /// Adds an environment. When it does not become ready, it is removed again.
    ///
    /// # Errors
    /// [`Error::EnvironmentsFailed`] when it could not be created, [`Error::StartFailed`] or [`Error::NotReady`] when it
    /// does not become ready.
    pub async fn add_env(&self, add: AddEnv) -> Result<Environment> {
        self.shared().usable()?;
        let env = add.env.named();
        env.check()?;
        let (alias, simulator) =
            (env.alias_name().unwrap_or_default().to_owned(), env.simulator_name().map(str::to_owned));
        if self.known().iter().any(|known| known.alias == alias) {
            return Err(Error::InvalidInput(format!(
                "the session has an environment `{alias}` already: give this one another alias"
            )));
        }
        let heartbeat_timeout = add.heartbeat_timeout.map(|time| time.as_secs());
        let request = AddJob { env, timeout: add.lifetime.as_secs(), heartbeat_timeout };
        let added = self.api().add_job(self.id(), &request).await?.env;
        let job_id = match added.job_id {
            Some(job_id) if added.success != Some(false) => job_id,
            _ => {
                let problem = added.error.as_deref().unwrap_or("no reason was given");
                let environments = vec![EnvFailure::new(alias, problem)];
                return Err(Error::EnvironmentsFailed { action: "created", environments });
            }
        };
        let mut known = Known {
            job_id,
            alias: if added.alias.is_empty() { alias } else { added.alias },
            artifact_id: added.artifact_id,
            simulator: added.simulator.or(simulator),
            is_flagged: added.is_desktop,
            provider: None,
            mesh_ip: None,
        };
        if let Some(budget) = add.ready_timeout {
            let budget = budget.min(add.lifetime);
            match ready::job_ready(self.api(), &known.job_id, &known.alias, budget).await {
                Ok(result) => (known.provider, known.mesh_ip) = (result.provider, result.mesh_ip),
                Err(error) => {
                    // It would be paid for, and nobody would know of it.
                    if let Err(error) = self.api().remove_job(self.id(), &known.job_id).await {
                        tracing::warn!(session = self.id(), %error, "an environment that failed is still there");
                    }
                    return Err(error);
                }
            }
        }
        if known.provider.is_none()
            && known.artifact_id.is_some()
            && let Ok(info) = self.api().job_info(&known.job_id).await
        {
            known.provider = info.provider;
        }
        self.add_known(known.clone());
        Ok(Environment::new(self.shared(), known))
    }

    /// Takes an environment away.
    ///
    /// # Errors
    /// [`Error::NoEnvironment`] when there is none of that alias, or the server says no.
    pub async fn remove_env(&self, alias: &str) -> Result<()> {
        self.shared().usable()?;
        let job = self.environment(alias)?.job_id().clone();
        let removed = self.api().remove_job(self.id(), &job).await?;
        if removed.success == Some(false) {
            let problem = removed.message.as_deref().unwrap_or("no reason was given");
            let environments = vec![EnvFailure::new(alias, problem)];
            return Err(Error::EnvironmentsFailed { action: "removed", environments });
        }
        self.shared().forget(&job);
        Ok(())
    }

    /// The jobs as the server knows them now.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn list_jobs(&self) -> Result<Vec<JobSummary>> {
        Ok(self.api().list_jobs(self.id()).await?.jobs)
    }

    /// Runs a command on every machine, each in a shell of its own; what came of it, by alias.
    ///
    /// # Errors
    /// When the server says no. A command that fails is no error.
    pub async fn execute(&self, command: &str, timeout: Duration) -> Result<BTreeMap<String, CommandOutput>> {
        self.shared().usable()?;
        Ok(self.by_alias(self.api().session_execute(self.id(), command, timeout).await?.results))
    }

    /// Sets the clock of every machine, by ISO 8601; see [`Environment::set_date`].
    ///
    /// # Errors
    /// When the server says no.
    pub async fn set_date(&self, date: &str) -> Result<BTreeMap<String, DateOutput>> {
        self.shared().usable()?;
        Ok(self.by_alias(self.api().session_set_date(self.id(), date, DATE_TIMEOUT).await?.results))
    }

    /// Sets up the sandbox for agents on every machine, within two minutes.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn setup_sandbox(&self) -> Result<BTreeMap<String, DateOutput>> {
        self.shared().usable()?;
        let timeout = Duration::from_secs(120);
        Ok(self.by_alias(self.api().setup_sandbox(self.id(), timeout).await?.results))
    }

    /// Keeps every machine as an artifact, by alias. The artifacts are being made when this returns;
    /// [`wait_for_artifact`](crate::Plato::wait_for_artifact) waits for them.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn snapshot(
        &self,
        kind: SnapshotKind,
        options: &SnapshotOptions,
    ) -> Result<BTreeMap<String, Snapshot>> {
        self.shared().usable()?;
        Ok(self.by_alias(self.api().session_snapshot(self.id(), kind, options).await?.results))
    }

    /// Lets a public key log in to every machine over ssh, by alias. A key is lost on a machine whose sshd is not up
    /// yet: [`Environment::add_ssh_key`] waits for that.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn add_ssh_key(&self, public_key: &str, user: &str) -> Result<BTreeMap<String, KeyAdded>> {
        self.shared().usable()?;
        Ok(self.by_alias(self.api().session_add_ssh_key(self.id(), public_key, user).await?.results))
    }
}
