//! Keeping a machine as an artifact (plato-api §5.7).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::open::or_default;

/// The extent of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotKind {
    /// Disk and memory.
    Full,
    /// Disk and memory, without what is stored already; the better one for a base.
    Store,
    /// The disk.
    Disk,
    /// The differences from the artifact that the machine was made of.
    Checkpoint,
}

/// How a snapshot is kept.
///
/// ```
/// let options = plato_sdk::SnapshotOptions { override_version: Some("v2".into()), ..Default::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are the server's")]
pub struct SnapshotOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_dataset: Option<String>,
    /// ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// YAML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<String>,
    /// YAML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plato_config: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal_app_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messaging_port: Option<u16>,
    /// Whether it has a user interface; yes unless said otherwise.
    pub ui_available: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshotted_at: Option<String>,
    /// Further fields of the request: `credentials`, `mcp_config`, `additional_metadata`.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        Self {
            description: None,
            override_service: None,
            override_version: None,
            override_dataset: None,
            expires_at: None,
            flows: None,
            plato_config: None,
            internal_app_port: None,
            messaging_port: None,
            ui_available: true,
            target: None,
            snapshotted_at: None,
            other: BTreeMap::new(),
        }
    }
}

/// A snapshot that was begun; the artifact is being made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// Whether it was.
    #[serde(default, deserialize_with = "or_default")]
    pub success: bool,
    /// The artifact; [`wait_for_artifact`](crate::Plato::wait_for_artifact) waits for it.
    #[serde(default)]
    pub artifact_id: Option<String>,
    /// The error.
    #[serde(default)]
    pub error: Option<String>,
}
