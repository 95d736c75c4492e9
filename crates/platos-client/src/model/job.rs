//! Jobs.

use serde::{Deserialize, Serialize};

use super::{Extra, Schedule, Task, flag, text};

/// A program that the platform keeps and runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Job {
    /// Its row's id, which calls name it by.
    pub id: String,
    /// Its slug; see [`slug`](Self::slug).
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Its slug on the oldest platforms.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// What people call it.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What it is for.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it runs by itself, as a cron expression.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub schedule_cron: Option<String>,
    /// The zone of that.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub schedule_timezone: Option<String>,
    /// Whether it can run.
    #[serde(default, deserialize_with = "flag", skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
    /// Why its program cannot be read, where it was just created or changed; then it does not run.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub syntax_error: Option<String>,
    /// When it ran last.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub last_started_at: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Job {
    /// Its slug, whichever name the platform gives it.
    pub fn slug(&self) -> Option<&str> {
        self.job_id.as_deref().or(self.task_id.as_deref())
    }
}

impl From<Job> for Task {
    fn from(job: Job) -> Self {
        Self { id: job.id, name: job.display_name, extra: job.extra }
    }
}

impl From<Job> for Schedule {
    fn from(job: Job) -> Self {
        Self {
            task_id: Some(job.id.clone()),
            id: job.id,
            cron: job.schedule_cron,
            timezone: job.schedule_timezone,
            active: job.is_active,
            last_run_at: job.last_started_at,
            next_run_at: None,
            extra: job.extra,
        }
    }
}
