//! Whether machines are up (plato-api §5.3).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Provider;
use super::open::{open_enum, or_default};
use crate::secrets::JobId;

open_enum! {
    /// Where a job is in its life.
    JobStatus {
        /// It exists.
        Created = "created",
        /// It waits for a machine.
        Queued = "queued",
        /// It is up, or on its way to be.
        Running = "running",
        /// It ended as it should.
        Completed = "completed",
        /// It could not be started, or broke.
        Failed = "failed",
        /// It was ended.
        Cancelled = "cancelled",
        /// Its time is up.
        TimedOut = "timeout",
    }
}

impl JobStatus {
    /// Whether nothing comes after it.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut)
    }
}

open_enum! {
    /// Where a session is on its way.
    SessionStatus {
        /// It can be used.
        Ready = "ready",
        /// It never will.
        Failed = "failed",
        /// Not yet.
        Pending = "pending",
    }
}

/// The readiness of one job.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Readiness {
    /// Whether it can be used.
    #[serde(default, deserialize_with = "or_default")]
    pub ready: bool,
    /// Where it is in its life.
    #[serde(default)]
    pub status: Option<JobStatus>,
    /// The problem, or the reason for waiting.
    #[serde(default)]
    pub error: Option<String>,
    /// Its address in the session's network.
    #[serde(default)]
    pub mesh_ip: Option<String>,
    /// The provider that runs it.
    #[serde(default)]
    pub provider: Option<Provider>,
}

impl Readiness {
    /// Whether it will never be ready.
    pub fn has_failed(&self) -> bool {
        !self.ready && self.status.as_ref().is_some_and(JobStatus::is_terminal)
    }

    /// In a few words, for an error.
    pub(crate) fn problem(&self) -> String {
        match (&self.error, &self.status) {
            (Some(error), Some(status)) => format!("{status} ({error})"),
            (Some(error), None) => error.clone(),
            (None, Some(status)) => status.to_string(),
            (None, None) => "not ready".to_owned(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Waiting {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) ready: bool,
    #[serde(default)]
    pub(crate) status: Option<SessionStatus>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) results: BTreeMap<JobId, Readiness>,
    #[serde(default)]
    pub(crate) context: Option<Context>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Context {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) envs: Vec<EnvContext>,
    #[serde(default)]
    pub(crate) task_public_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct EnvContext {
    pub(crate) job_id: JobId,
    pub(crate) alias: String,
    #[serde(default)]
    pub(crate) artifact_id: Option<String>,
    #[serde(default)]
    pub(crate) simulator: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) is_desktop: bool,
    #[serde(default)]
    pub(crate) provider: Option<Provider>,
}
