//! Background operations: tasks, runs, schedules, batches.

use serde::Serialize;
use serde_json::{Value, json};

use super::query;
use crate::client::PlatosClient;
use crate::error::{ConfigError, Error};
use crate::http::{Call, id};
use crate::model::{Batch, BgoRun, Extra, Schedule, Task, TaskHandle};

/// Calls about background operations; from [`PlatosClient::bgo`].
#[derive(Debug, Clone, Copy)]
pub struct Bgo<'a> {
    pub(crate) client: &'a PlatosClient,
}

impl<'a> Bgo<'a> {
    /// What can be triggered.
    pub fn tasks(&self) -> Tasks<'a> {
        Tasks { client: self.client }
    }

    /// What was triggered.
    pub fn runs(&self) -> BgoRuns<'a> {
        BgoRuns { client: self.client }
    }

    /// What triggers itself.
    pub fn schedules(&self) -> Schedules<'a> {
        Schedules { client: self.client }
    }

    /// Many runs at once.
    pub fn batches(&self) -> Batches<'a> {
        Batches { client: self.client }
    }
}

/// How a task is triggered.
///
/// ```
/// use platos_client::TaskOptions;
///
/// let options = TaskOptions::new().option("delay", "10m").option("tags", ["nightly"]).idempotency_key("night-7");
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskOptions {
    options: Extra,
    key: Option<String>,
}

impl TaskOptions {
    /// The platform's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// One option, as the platform calls it.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Under which key the platform knows this request again. Without one, each call has its own, which covers
    /// the retries of that call.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// What a caller gives as payload, as JSON.
fn json_of(payload: impl Serialize) -> Result<Value, ConfigError> {
    let expected = "something that serializes to JSON: maps need texts as keys";
    serde_json::to_value(payload).map_err(|_| ConfigError::Setting { setting: "payload", expected })
}

/// Calls about tasks; from [`Bgo::tasks`].
#[derive(Debug, Clone, Copy)]
pub struct Tasks<'a> {
    client: &'a PlatosClient,
}

impl Tasks<'_> {
    /// The tasks of the scope.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self) -> Result<Vec<Task>, Error> {
        self.client.send(Call::get(&["trigger", "tasks"])).await?.list("tasks")
    }

    /// Triggers a task.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn trigger(
        &self,
        task_id: &str,
        payload: impl Serialize,
        options: TaskOptions,
    ) -> Result<TaskHandle, Error> {
        let path = ["trigger", "tasks", id("task id", task_id)?, "trigger"];
        let body = json!({"payload": json_of(payload)?, "options": options.options});
        self.client.send(Call::create(&path, options.key)?.body(body)).await?.one()
    }
}

query! {
    /// Which runs of tasks to list.
    pub struct BgoRunsQuery {
        /// Of one task.
        task: String = "taskId",
        /// In this state.
        status: String = "status",
        /// How many at most.
        limit: u32 = "limit",
    }
}

/// Calls about runs of tasks; from [`Bgo::runs`].
#[derive(Debug, Clone, Copy)]
pub struct BgoRuns<'a> {
    client: &'a PlatosClient,
}

impl BgoRuns<'_> {
    /// The runs of the scope.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, query: BgoRunsQuery) -> Result<Vec<BgoRun>, Error> {
        self.client.send(query.apply(Call::get(&["trigger", "runs"]))).await?.list("runs")
    }

    /// One run.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, run_id: &str) -> Result<BgoRun, Error> {
        self.client.send(Call::get(&["trigger", "runs", id("run id", run_id)?])).await?.one()
    }

    /// Cancels a run. Gives back the run as it stands then, where the platform sends it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cancel(&self, run_id: &str) -> Result<Option<BgoRun>, Error> {
        self.client.perhaps(Call::change(&["trigger", "runs", id("run id", run_id)?, "cancel"])).await
    }

    /// Runs a finished run again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn replay(&self, run_id: &str) -> Result<TaskHandle, Error> {
        let path = ["trigger", "runs", id("run id", run_id)?, "replay"];
        self.client.send(Call::create(&path, None)?).await?.one()
    }
}

/// A schedule to create.
///
/// ```
/// use platos_client::NewSchedule;
///
/// let nightly = NewSchedule::new("reindex", "0 3 * * *").timezone("Europe/Berlin");
/// # let _ = nightly;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewSchedule {
    task_id: String,
    cron: String,
    timezone: Option<String>,
    payload: Option<Value>,
    key: Option<String>,
}

impl NewSchedule {
    /// A task, and its times as a cron expression.
    pub fn new(task_id: impl Into<String>, cron: impl Into<String>) -> Self {
        Self { task_id: task_id.into(), cron: cron.into(), timezone: None, payload: None, key: None }
    }

    /// The zone of the times, such as `Europe/Berlin`.
    pub fn timezone(mut self, timezone: impl Into<String>) -> Self {
        self.timezone = Some(timezone.into());
        self
    }

    /// What each run gets.
    pub fn payload(mut self, payload: impl Into<Value>) -> Self {
        self.payload = Some(payload.into());
        self
    }

    /// Under which key the platform knows this creation again.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// Calls about schedules; from [`Bgo::schedules`].
#[derive(Debug, Clone, Copy)]
pub struct Schedules<'a> {
    client: &'a PlatosClient,
}

impl Schedules<'_> {
    /// The schedules of the scope.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self) -> Result<Vec<Schedule>, Error> {
        self.client.send(Call::get(&["trigger", "schedules"])).await?.list("schedules")
    }

    /// Creates a schedule.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create(&self, schedule: NewSchedule) -> Result<Schedule, Error> {
        let mut body = json!({"taskId": schedule.task_id, "cron": schedule.cron});
        if let Some(timezone) = schedule.timezone {
            body["timezone"] = timezone.into();
        }
        if let Some(payload) = schedule.payload {
            body["payload"] = payload;
        }
        self.client.send(Call::create(&["trigger", "schedules"], schedule.key)?.body(body)).await?.one()
    }

    /// Lets a schedule run. Gives it back as it stands then, where the platform sends it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn activate(&self, schedule_id: &str) -> Result<Option<Schedule>, Error> {
        let path = ["trigger", "schedules", id("schedule id", schedule_id)?, "activate"];
        self.client.perhaps(Call::change(&path)).await
    }

    /// Keeps a schedule from running. Gives it back as it stands then, where the platform sends it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn deactivate(&self, schedule_id: &str) -> Result<Option<Schedule>, Error> {
        let path = ["trigger", "schedules", id("schedule id", schedule_id)?, "deactivate"];
        self.client.perhaps(Call::change(&path)).await
    }

    /// Deletes a schedule.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, schedule_id: &str) -> Result<(), Error> {
        let call = Call::delete(&["trigger", "schedules", id("schedule id", schedule_id)?]);
        self.client.send(call).await?.nothing()
    }
}

/// Calls about batches; from [`Bgo::batches`].
#[derive(Debug, Clone, Copy)]
pub struct Batches<'a> {
    client: &'a PlatosClient,
}

impl Batches<'_> {
    /// Triggers a task once for each payload.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn trigger<P: Serialize>(
        &self,
        task_id: &str,
        payloads: impl IntoIterator<Item = P>,
        options: TaskOptions,
    ) -> Result<Batch, Error> {
        let payloads = payloads.into_iter().map(json_of).collect::<Result<Vec<_>, _>>()?;
        let body = json!({"payloads": payloads, "options": options.options});
        let call = Call::create(&["trigger", "batches", id("task id", task_id)?], options.key)?;
        self.client.send(call.body(body)).await?.one()
    }

    /// One batch.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, batch_id: &str) -> Result<Batch, Error> {
        self.client.send(Call::get(&["trigger", "batches", id("batch id", batch_id)?])).await?.one()
    }
}
