//! Background operations: tasks, runs, schedules, batches.

use serde::Serialize;
use serde_json::{Value, json};

use super::jobs::{JobChange, json_of};
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

/// How a task is triggered, as published clients have it. No known platform takes any option.
///
/// ```
/// use platos_client::TaskOptions;
///
/// let options = TaskOptions::new().option("delay", "10m").option("tags", ["nightly"]);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskOptions {
    options: Extra,
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
}

/// Calls about tasks; from [`Bgo::tasks`].
#[derive(Debug, Clone, Copy)]
pub struct Tasks<'a> {
    client: &'a PlatosClient,
}

impl Tasks<'_> {
    /// The tasks of the environment, which are its [jobs](PlatosClient::jobs).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self) -> Result<Vec<Task>, Error> {
        Ok(self.client.jobs().all().await?.into_iter().map(Task::from).collect())
    }

    /// Triggers a task, which dispatches the job of that id. Platforms do not say which run it is, but for the oldest.
    ///
    /// # Errors
    /// See [`Error`]. Options are refused before anything is sent: no platform takes any.
    pub async fn trigger(
        &self,
        task_id: &str,
        payload: impl Serialize,
        options: TaskOptions,
    ) -> Result<TaskHandle, Error> {
        if !options.options.is_empty() {
            let expected = "none: platforms take no options for a task, its job has them";
            return Err(ConfigError::Setting { setting: "options", expected }.into());
        }
        self.client.jobs().dispatch(task_id, payload).await
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

/// What comes nearest to runs, which published clients ask for and no known platform keeps.
const NO_RUNS: &str =
    "a job is dispatched without a run that could be asked for: `jobs().get(…)` says when it ran last";

/// What comes nearest to batches.
const NO_BATCHES: &str = "dispatch the job once for each payload: `jobs().dispatch(…)`";

/// Calls about runs of tasks, which no known platform answers; from [`Bgo::runs`].
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
        self.client.send_rare(query.apply(Call::get(&["trigger", "runs"])), NO_RUNS).await?.list("runs")
    }

    /// One run.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, run_id: &str) -> Result<BgoRun, Error> {
        let call = Call::get(&["trigger", "runs", id("run id", run_id)?]);
        self.client.send_rare(call, NO_RUNS).await?.one()
    }

    /// Cancels a run. Gives back the run as it stands then, where the platform sends it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cancel(&self, run_id: &str) -> Result<Option<BgoRun>, Error> {
        let call = Call::change(&["trigger", "runs", id("run id", run_id)?, "cancel"]);
        self.client.send_rare(call, NO_RUNS).await?.perhaps()
    }

    /// Runs a finished run again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn replay(&self, run_id: &str) -> Result<TaskHandle, Error> {
        let path = ["trigger", "runs", id("run id", run_id)?, "replay"];
        self.client.send_rare(Call::once(&path), NO_RUNS).await?.one()
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
}

impl NewSchedule {
    /// A task, and its times as a cron expression.
    pub fn new(task_id: impl Into<String>, cron: impl Into<String>) -> Self {
        Self { task_id: task_id.into(), cron: cron.into(), timezone: None, payload: None }
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
}

/// Calls about schedules, which are fields of [jobs](PlatosClient::jobs) and have the job's id; from [`Bgo::schedules`].
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
        let jobs = self.client.jobs().all().await?;
        Ok(jobs.into_iter().filter(|job| job.schedule_cron.is_some()).map(Schedule::from).collect())
    }

    /// Creates a schedule.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create(&self, schedule: NewSchedule) -> Result<Schedule, Error> {
        if schedule.payload.is_some() {
            let expected = "none: a job that runs by itself gets no payload";
            return Err(ConfigError::Setting { setting: "payload", expected }.into());
        }
        let change = JobChange::new().schedule(schedule.cron, schedule.timezone).active(true);
        Ok(self.client.jobs().update(&schedule.task_id, change).await?.into())
    }

    /// Lets a schedule run. Gives it back as it stands then, where the platform sends it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn activate(&self, schedule_id: &str) -> Result<Option<Schedule>, Error> {
        Ok(Some(self.client.jobs().update(schedule_id, JobChange::new().active(true)).await?.into()))
    }

    /// Keeps a schedule from running. Gives it back as it stands then, where the platform sends it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn deactivate(&self, schedule_id: &str) -> Result<Option<Schedule>, Error> {
        Ok(Some(self.client.jobs().update(schedule_id, JobChange::new().active(false)).await?.into()))
    }

    /// Deletes a schedule; its job stays.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, schedule_id: &str) -> Result<(), Error> {
        self.client.jobs().update(schedule_id, JobChange::new().unscheduled()).await.map(drop)
    }
}

/// Calls about batches, which no known platform answers; from [`Bgo::batches`].
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
        let call = Call::once(&["trigger", "batches", id("task id", task_id)?]);
        self.client.send_rare(call.body(body), NO_BATCHES).await?.one()
    }

    /// One batch.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, batch_id: &str) -> Result<Batch, Error> {
        let call = Call::get(&["trigger", "batches", id("batch id", batch_id)?]);
        self.client.send_rare(call, NO_BATCHES).await?.one()
    }
}
