//! Background operations.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, flag, list, text};

/// A task that can be triggered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Task {
    /// Its id.
    pub id: String,
    /// What people call it.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One run of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BgoRun {
    /// Its id.
    pub id: String,
    /// The task's id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// How it is.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When it was triggered.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it began.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// What came out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// What it says about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What triggering or replaying gives back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TaskHandle {
    /// The run's id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How the run is.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// When a task runs by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Schedule {
    /// Its id.
    pub id: String,
    /// The task's id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The times, as a cron expression.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The zone of the times.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Whether it runs.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// When it ran last.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub last_run_at: Option<String>,
    /// When it runs next.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Several runs of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Batch {
    /// Its id.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its id, where the platform calls it that.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    /// How it is.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The runs in it.
    #[serde(default, deserialize_with = "list")]
    pub run_ids: Vec<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl TaskHandle {
    /// The run's id, whichever name the platform gives it.
    pub fn run_id(&self) -> Option<&str> {
        self.id.as_deref().or_else(|| self.extra.get("runId")?.as_str())
    }
}

impl Batch {
    /// The batch's id, whichever name the platform gives it.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref().or(self.batch_id.as_deref())
    }
}
