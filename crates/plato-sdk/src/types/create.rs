//! Making a session, and adding to it (plato-api §5.1, §5.2, §5.8).

use serde::{Deserialize, Serialize};

use super::Env;
use super::open::or_default;
use crate::secrets::JobId;

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum CreateSession {
    Envs {
        envs: Vec<Env>,
        timeout: u64,
        source: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        heartbeat_timeout: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        agent_artifact_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        shutdown_callback_url: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        shutdown_callback_token: Option<String>,
    },
    Testcase {
        testcase_id: String,
        timeout: u64,
        source: &'static str,
    },
}

#[derive(Debug, Deserialize)]
pub(crate) struct Created {
    pub(crate) session_id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) envs: Vec<EnvInfo>,
}

/// An environment as the server answers its creation.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct EnvInfo {
    /// Its name in the session.
    #[serde(default, deserialize_with = "or_default")]
    pub alias: String,
    /// Its job, unless it could not be created.
    #[serde(default)]
    pub job_id: Option<JobId>,
    /// The artifact that it is made of.
    #[serde(default)]
    pub artifact_id: Option<String>,
    /// Its simulator's name.
    #[serde(default)]
    pub simulator: Option<String>,
    /// Whether it is a desktop.
    #[serde(default, deserialize_with = "or_default")]
    pub is_desktop: bool,
    /// Whether it was created; absent means yes.
    #[serde(default)]
    pub success: Option<bool>,
    /// Why not.
    #[serde(default)]
    pub error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct AddJob {
    pub(crate) env: Env,
    pub(crate) timeout: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) heartbeat_timeout: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AddedJob {
    pub(crate) env: EnvInfo,
}
