//! A session between two processes.

use serde::{Deserialize, Serialize};

use super::known::Known;
use crate::secrets::JobId;
use crate::types::Provider;

/// A session to resume later; [`Session::save`](crate::Session::save) makes it, and one that the
/// Python SDK dumped can be read as well. It holds no API key, but job ids, which open machines: keep it like a
/// password.
///
/// ```
/// use plato_sdk::SavedSession;
///
/// let text = r#"{"session_id": "s1", "envs": [{"job_id": "j1", "alias": "desktop", "simulator": "ubuntu-vm"}],
///     "api_key": "ignored", "closed": false}"#;
/// let saved: SavedSession = serde_json::from_str(text)?;
/// assert_eq!(saved.envs[0].alias, "desktop");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SavedSession {
    /// The session.
    pub session_id: String,
    /// The testcase's public id.
    #[serde(default)]
    pub task_public_id: Option<String>,
    /// Its environments.
    #[serde(default)]
    pub envs: Vec<SavedEnvironment>,
    /// Where it runs, for people to see: the client that takes it up decides.
    #[serde(default)]
    pub base_url: Option<String>,
}

/// An environment of a saved session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SavedEnvironment {
    /// Its job.
    pub job_id: JobId,
    /// Its name.
    pub alias: String,
    /// Its artifact.
    #[serde(default)]
    pub artifact_id: Option<String>,
    /// Its simulator's name.
    #[serde(default)]
    pub simulator: Option<String>,
    /// The provider that runs it.
    #[serde(default)]
    pub provider: Option<Provider>,
    /// Its address in the session's network.
    #[serde(default)]
    pub mesh_ip: Option<String>,
    /// Whether it is a desktop, which the Python SDK does not save.
    #[serde(default)]
    pub is_desktop: bool,
}

impl From<&Known> for SavedEnvironment {
    fn from(known: &Known) -> Self {
        let known = known.clone();
        Self {
            job_id: known.job_id,
            alias: known.alias,
            artifact_id: known.artifact_id,
            simulator: known.simulator,
            provider: known.provider,
            mesh_ip: known.mesh_ip,
            is_desktop: known.is_flagged,
        }
    }
}

impl From<&SavedEnvironment> for Known {
    fn from(saved: &SavedEnvironment) -> Self {
        let saved = saved.clone();
        Self {
            job_id: saved.job_id,
            alias: saved.alias,
            artifact_id: saved.artifact_id,
            simulator: saved.simulator,
            is_flagged: saved.is_desktop,
            provider: saved.provider,
            mesh_ip: saved.mesh_ip,
        }
    }
}
