//! Runs, traces and costs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, number, text, whole};

/// One run of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Run {
    /// Its id.
    pub id: String,
    /// The agent's id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The thread's id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// How it ended, or that it has not.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When it began.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// What it cost, in cents.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub cost_cents: Option<f64>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One step of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Span {
    /// The trace's id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Its id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// The step that it is part of.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<String>,
    /// What it is called.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What kind of step it is.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// What else there is to know about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Value>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What one agent cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AgentCost {
    /// The agent's id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// What people call it.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
    /// In cents.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub cost_cents: Option<f64>,
    /// How many runs there were.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
    /// How many tokens went into models.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// How many tokens came out of them.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What something cost; what it is stands in `extra`, such as `model` or `userId`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Cost {
    /// In cents.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub cost_cents: Option<f64>,
    /// How many tokens went into models.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// How many tokens came out of them.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a scope cost on one day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ScopeCost {
    /// The day.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// In cents.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub cost_cents: Option<f64>,
    /// How many runs there were.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
    /// How many tokens went into models.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// How many tokens came out of them.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}
