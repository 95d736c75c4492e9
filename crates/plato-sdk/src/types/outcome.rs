//! Outcomes of requests (plato-api §5.4, §5.6 to §5.9).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Provider;
use super::open::or_default;
use crate::secrets::JobId;

/// How something went for one job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Whether it worked.
    #[serde(default, deserialize_with = "or_default")]
    pub success: bool,
    /// The server's words.
    #[serde(default)]
    pub message: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ResetRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) task_id: Option<i64>,
    pub(crate) source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Outcomes {
    #[serde(default)]
    pub(crate) success: Option<bool>,
    #[serde(default)]
    pub(crate) message: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) results: BTreeMap<JobId, Outcome>,
}

/// The outcome of connecting the machines of a session.
#[derive(Debug, Deserialize)]
pub(crate) struct Network {
    #[serde(default)]
    pub(crate) success: Option<bool>,
    #[serde(default, alias = "error")]
    pub(crate) message: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) results: BTreeMap<JobId, bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Closed {
    #[serde(default)]
    pub(crate) success: Option<bool>,
    #[serde(default)]
    pub(crate) message: Option<String>,
}

/// An answer for each job.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(crate) struct Results<T> {
    #[serde(default = "BTreeMap::new", deserialize_with = "or_default")]
    pub(crate) results: BTreeMap<JobId, T>,
}

/// The result of a command on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct CommandOutput {
    /// Whether it ran and ended with 0.
    #[serde(default, deserialize_with = "or_default")]
    pub success: bool,
    /// Its standard output.
    #[serde(default, deserialize_with = "or_default")]
    pub stdout: String,
    /// Its standard error.
    #[serde(default, deserialize_with = "or_default")]
    pub stderr: String,
    /// The exit code.
    #[serde(default, deserialize_with = "or_default")]
    pub exit_code: i32,
    /// Whether it was ended because it took too long.
    #[serde(default, deserialize_with = "or_default")]
    pub timed_out: bool,
}

/// The outcome of setting a clock or setting up a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct DateOutput {
    /// Whether it worked.
    #[serde(default, deserialize_with = "or_default")]
    pub success: bool,
    /// The standard output.
    #[serde(default, deserialize_with = "or_default")]
    pub stdout: String,
    /// The standard error.
    #[serde(default, deserialize_with = "or_default")]
    pub stderr: String,
    /// The error.
    #[serde(default)]
    pub error: Option<String>,
}

/// Whether a key for ssh was taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct KeyAdded {
    /// Whether it worked.
    #[serde(default, deserialize_with = "or_default")]
    pub success: bool,
    /// The error.
    #[serde(default)]
    pub error: Option<String>,
    /// The output of the machine.
    #[serde(default)]
    pub output: Option<String>,
}

/// Not `Debug`: URLs open machines.
#[derive(Clone, Deserialize)]
pub(crate) struct UrlResult {
    #[serde(default)]
    pub(crate) success: Option<bool>,
    #[serde(default)]
    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) error: Option<String>,
}

impl fmt::Debug for UrlResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UrlResult").field("has_url", &self.url.is_some()).finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Urls {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) results: BTreeMap<JobId, UrlResult>,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Heartbeat {
    /// Whether it was noted.
    #[serde(default, deserialize_with = "or_default")]
    pub success: bool,
    /// How each job is, where the server says it.
    #[serde(default, deserialize_with = "or_default")]
    pub results: BTreeMap<JobId, JobHeartbeat>,
}

/// The state of one job in the answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct JobHeartbeat {
    /// Whether it was noted.
    #[serde(default, deserialize_with = "or_default")]
    pub success: bool,
    /// Whether the job has ended for good.
    #[serde(default, deserialize_with = "or_default")]
    pub gone: bool,
    /// The error.
    #[serde(default, deserialize_with = "or_default")]
    pub errors: Vec<String>,
}

impl Heartbeat {
    /// Whether every job that the server speaks of has ended.
    pub fn is_gone(&self) -> bool {
        !self.results.is_empty() && self.results.values().all(|job| job.gone)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct JobList {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) jobs: Vec<JobSummary>,
}

/// A job in a session's list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct JobSummary {
    /// The job.
    pub job_id: JobId,
    /// Its environment's name.
    #[serde(default, deserialize_with = "or_default")]
    pub alias: String,
    /// Its simulator's name.
    #[serde(default)]
    pub simulator: Option<String>,
    /// Where it is in its life.
    #[serde(default)]
    pub status: Option<super::JobStatus>,
    /// Why it is there.
    #[serde(default)]
    pub status_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Removed {
    #[serde(default)]
    pub(crate) success: Option<bool>,
    #[serde(default)]
    pub(crate) message: Option<String>,
}

/// The properties of a job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct JobInfo {
    /// The job.
    pub job_id: JobId,
    /// Its environment's name.
    #[serde(default)]
    pub alias: Option<String>,
    /// Where it is in its life.
    #[serde(default)]
    pub status: Option<super::JobStatus>,
    /// Its address in the session's network.
    #[serde(default)]
    pub mesh_ip: Option<String>,
    /// Its processors.
    #[serde(default)]
    pub vcpu_count: Option<u32>,
    /// Its memory in MiB.
    #[serde(default)]
    pub mem_size_mib: Option<u32>,
    /// Its disk in MB.
    #[serde(default)]
    pub overlay_size_mb: Option<u64>,
    /// The provider that runs it.
    #[serde(default)]
    pub provider: Option<Provider>,
}

/// How a job is reached inside of Plato.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct RoutingInfo {
    /// Whether it is reached at all.
    #[serde(default, deserialize_with = "or_default")]
    pub ready: bool,
    /// The address of its worker.
    #[serde(default)]
    pub worker_private_ip: Option<String>,
    /// The machine's address on its worker.
    #[serde(default)]
    pub vm_private_ip: Option<String>,
    /// The port, as text.
    #[serde(default)]
    pub vm_port: Option<String>,
    /// Where the job is in its life.
    #[serde(default)]
    pub status: Option<super::JobStatus>,
}

/// A session as the server keeps it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct SessionDetails {
    /// The session.
    pub session_id: String,
    /// When it began.
    #[serde(default)]
    pub created_at: Option<String>,
    /// Its mutations, by alias.
    #[serde(default, deserialize_with = "or_default")]
    pub state_mutations: BTreeMap<String, Vec<Value>>,
    /// All else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}
