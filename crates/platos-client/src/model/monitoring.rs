//! Runs, traces and costs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, lenient, list, number, text, whole};

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

/// What happened in a thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Trace {
    /// The steps of all turns.
    #[serde(default, deserialize_with = "list")]
    pub spans: Vec<Span>,
    /// What all of it came to.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub rollup: Option<TraceTotals>,
    /// All other fields, such as `thread`, `messages`, `spanTree` and `timeline`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What all turns of a thread came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TraceTotals {
    /// In cents.
    #[serde(default, deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub total_cost_cents: Option<f64>,
    /// How many tokens went into models.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub total_input_tokens: Option<u64>,
    /// How many tokens came out of them.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub total_output_tokens: Option<u64>,
    /// How many tools were called.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub tool_call_count: Option<u64>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What something cost: a day, an agent, a model, a user or a thread. What else it is called is in `extra`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Cost {
    /// The day, where it is that of a day.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// The agent's id, where it is that of an agent.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// What people call the agent.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
    /// The model, where it is that of a model.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The user's id, where it is that of a user.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
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
