//! Entities, tools and what tools did.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, flag, number, text};

/// A backend that hosts tools.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Entity {
    /// Its slug.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<String>,
    /// What people call it.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Whether it is connected to the process that answered.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub live_connected: Option<bool>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// An entity with its secret, which the platform shows this once. `Debug` does not show it.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EntitySecret {
    /// The entity, where it was created.
    #[serde(default)]
    pub entity: Option<Entity>,
    /// The secret, to be stored where its host finds it.
    #[serde(default, deserialize_with = "text")]
    pub plaintext_secret: Option<String>,
    /// How many connections with the secret before it were closed.
    #[serde(default, deserialize_with = "number")]
    pub sessions_closed: Option<f64>,
}

impl fmt::Debug for EntitySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntitySecret").field("entity", &self.entity).finish_non_exhaustive()
    }
}

/// A tool that agents may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Tool {
    /// Its name.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it does.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One call of a tool, as the platform keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ToolCallRecord {
    /// Its id.
    pub id: String,
    /// The tool's name.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// How it ended, such as `success`.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// What the tool was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// What it gave back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a tool that was called at once came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ToolRun {
    /// `success`, `failed` or `timeout`.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What it gave back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it failed.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}
