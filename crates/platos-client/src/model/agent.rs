//! Agents.

use serde::{Deserialize, Serialize};

use super::{Extra, text, whole};

/// An agent.
///
/// ```
/// use platos_client::Agent;
///
/// let agent: Agent = serde_json::from_str(r#"{"id":"agt_1","name":"Support","tier":2}"#)?;
/// assert_eq!((agent.name.as_deref(), &agent.extra["tier"]), (Some("Support"), &2.into()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Agent {
    /// Its id.
    pub id: String,
    /// What people call it.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The model it runs on.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it is told before everything else.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// When it was created.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was changed last.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One version of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AgentVersion {
    /// Its id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its number, as older platforms call it; see [`number`](Self::number).
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Its number, as newer ones do.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub version_number: Option<u64>,
    /// When it was created.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl AgentVersion {
    /// Its number, whichever name the platform gives it.
    pub fn number(&self) -> Option<u64> {
        self.version_number.or(self.version)
    }
}
