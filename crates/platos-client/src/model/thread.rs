//! Threads, and what is in them.

use serde::{Deserialize, Serialize};

use super::{Extra, lenient, open_enum, text, whole};

open_enum! {
    /// Who a message is from.
    pub enum Role {
        /// The user.
        User = "user",
        /// The agent.
        Assistant = "assistant",
        /// What the agent is told.
        System = "system",
        /// A tool's result.
        Tool = "tool",
    }
}

/// A conversation with an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Thread {
    /// Its id.
    pub id: String,
    /// The agent's id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Its title.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How it is, such as `active` or `archived`.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Its tags.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// When it was pinned, if it is.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub pinned_at: Option<String>,
    /// When it was archived, if it is.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<String>,
    /// The thread that it was forked from.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub parent_thread_id: Option<String>,
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

/// One message of a thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Message {
    /// Its id.
    pub id: String,
    /// The thread's id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// Who it is from.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What it says.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// When it was created.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Something that an agent made: a document, a program, a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Artifact {
    /// Its id.
    pub id: String,
    /// The thread's id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// What its revisions have in common.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub artifact_key: Option<String>,
    /// What it is, such as `markdown` or `code`.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Which revision it is.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Its title.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The language it is written in.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The whole of it.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// When it was created.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}
