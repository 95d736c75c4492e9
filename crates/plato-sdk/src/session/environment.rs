//! One environment of a session, which is one machine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::known::Known;
use super::shared::{DATE_TIMEOUT, Shared, url_of};
use crate::api::UrlKind;
use crate::desktop::Desktop;
use crate::error::{EnvFailure, Error, Result};
use crate::secrets::{JobId, SecretUrl};
use crate::types::{
    CommandOutput, DateOutput, Flow, JobInfo, KeyAdded, Outcome, Provider, ResetRequest, RoutingInfo,
    Snapshot, SnapshotKind, SnapshotOptions, State,
};

/// How long a machine may take until its sshd takes keys, and how often that is looked at (plato-api §10.4).
const SSH_BUDGET: Duration = Duration::from_secs(90);
const SSH_POLL: Duration = Duration::from_secs(5);
const SSH_PROBE: Duration = Duration::from_secs(20);

/// One environment of a running session. It does not keep the session open.
#[derive(Clone)]
pub struct Environment {
    shared: Arc<Shared>,
    known: Known,
}

impl Environment {
    pub(super) fn new(shared: &Arc<Shared>, known: Known) -> Self {
        Self { shared: Arc::clone(shared), known }
    }

    /// Its name in the session.
    pub fn alias(&self) -> &str {
        &self.known.alias
    }

    /// Its job.
    pub fn job_id(&self) -> &JobId {
        &self.known.job_id
    }

    /// Its simulator's name, if known.
    pub fn simulator(&self) -> Option<&str> {
        self.known.simulator.as_deref()
    }

    /// The artifact that it is made of, if known.
    pub fn artifact_id(&self) -> Option<&str> {
        self.known.artifact_id.as_deref()
    }

    /// Whether it is a desktop.
    pub fn is_desktop(&self) -> bool {
        self.known.is_desktop()
    }

    /// The provider that runs it, if known.
    pub fn provider(&self) -> Option<&Provider> {
        self.known.provider.as_ref()
    }

    /// Its name for the other machines of the session, once they are connected.
    pub fn internal_hostname(&self) -> String {
        format!("{}.plato.internal", self.known.alias)
    }

    /// Its desktop.
    ///
    /// # Errors
    /// [`Error::NoEnvironment`] when it is none, [`Error::Config`] when it is not known where desktops are.
    pub fn desktop(&self) -> Result<Desktop> {
        if !self.known.has_agent() {
            return Err(Error::NoEnvironment(format!(
                "the environment `{}` is no desktop: desktops are of the simulators `ubuntu-vm` and `windows-vm`",
                self.alias()
            )));
        }
        self.shared.desktop(&self.known)
    }

    /// Its address in the session's network.
    ///
    /// # Errors
    /// When the server has to be asked for it, and says no.
    pub async fn mesh_ip(&self) -> Result<Option<String>> {
        match &self.known.mesh_ip {
            Some(address) => Ok(Some(address.clone())),
            None => Ok(self.info().await?.mesh_ip),
        }
    }

    /// Puts its data back, and begins to note what is changed.
    ///
    /// # Errors
    /// [`Error::EnvironmentsFailed`] when it could not be reset.
    pub async fn reset(&self) -> Result<Outcome> {
        self.shared.usable()?;
        let request = ResetRequest { task_id: None, source: "SDK", model: None };
        self.worked("reset", self.shared.api().reset_job(self.job_id(), &request).await?)
    }

    /// Its state, with what was changed since the last reset; or since the cursor of an earlier state.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn state(&self, since: Option<&str>) -> Result<State> {
        self.shared.usable()?;
        self.shared.api().job_state(self.job_id(), since).await
    }

    /// Runs a command in a shell of its own.
    ///
    /// # Errors
    /// When the server says no. A command that fails is no error.
    pub async fn execute(&self, command: &str, timeout: Duration) -> Result<CommandOutput> {
        self.shared.usable()?;
        self.shared.api().job_execute(self.job_id(), command, timeout).await
    }

    /// Sets its clock, by ISO 8601. A machine that woke from a snapshot has the snapshot's time, and does not trust
    /// certificates of today.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn set_date(&self, date: &str) -> Result<DateOutput> {
        self.shared.usable()?;
        self.shared.api().job_set_date(self.job_id(), date, DATE_TIMEOUT).await
    }

    /// Keeps it as an artifact.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn snapshot(&self, kind: SnapshotKind, options: &SnapshotOptions) -> Result<Snapshot> {
        self.shared.usable()?;
        self.shared.api().job_snapshot(self.job_id(), kind, options).await
    }

    /// The URL of its app for a browser.
    ///
    /// # Errors
    /// When the server says no, or that it has none.
    pub async fn public_url(&self, port: Option<u16>) -> Result<SecretUrl> {
        self.shared.usable()?;
        let result = self.shared.api().job_public_url(self.job_id(), port).await?;
        url_of(self.alias(), UrlKind::Public, result)
    }

    /// The flows of its app, such as `login`; empty if there are none.
    ///
    /// # Errors
    /// When the server says no, except for 404, which means that there is nothing.
    pub async fn flows(&self) -> Result<Vec<Flow>> {
        self.shared.usable()?;
        match self.shared.api().flows(self.job_id()).await {
            Err(Error::Api(error)) if error.status() == 404 => Ok(Vec::new()),
            flows => flows,
        }
    }

    /// Asks for the properties of its job.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn info(&self) -> Result<JobInfo> {
        self.shared.api().job_info(self.job_id()).await
    }

    /// How it is reached inside of Plato.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn routing_info(&self) -> Result<RoutingInfo> {
        self.shared.api().routing_info(self.job_id()).await
    }

    /// Lets a public key log in over ssh, after waiting for up to 90 s until the machine takes keys at all.
    ///
    /// # Errors
    /// When the machine does not get that far, or the server says no.
    pub async fn add_ssh_key(&self, public_key: &str, user: &str) -> Result<KeyAdded> {
        let start = Instant::now();
        // A key that is given while sshd is down is lost without a word.
        while !self.execute("echo ready", SSH_PROBE).await.is_ok_and(|output| output.stdout.contains("ready"))
        {
            self.shared.usable()?;
            if start.elapsed() >= SSH_BUDGET {
                let pending = vec![EnvFailure::new(self.alias(), "no ssh")];
                return Err(Error::NotReady { waited: SSH_BUDGET, pending });
            }
            sleep(SSH_POLL).await;
        }
        self.shared.api().job_add_ssh_key(self.job_id(), public_key, user).await
    }

    /// Ends this machine; the others go on, and the session does not list it any more.
    ///
    /// # Errors
    /// [`Error::EnvironmentsFailed`] when it could not be closed.
    pub async fn close(&self) -> Result<Outcome> {
        self.shared.usable()?;
        let closed = self.worked("closed", self.shared.api().close_job(self.job_id()).await?)?;
        self.shared.forget(self.job_id());
        Ok(closed)
    }

    fn worked(&self, action: &'static str, outcome: Outcome) -> Result<Outcome> {
        if outcome.success {
            return Ok(outcome);
        }
        let problem = outcome.message.as_deref().unwrap_or("no reason was given");
        let environments = vec![EnvFailure::new(self.alias(), problem)];
        Err(Error::EnvironmentsFailed { action, environments })
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.known.fmt(f)
    }
}
