//! Jobs: programs that the platform keeps, and runs when it is told to or by a schedule.

use serde::Serialize;
use serde_json::{Value, json};

use super::query;
use crate::client::PlatosClient;
use crate::error::{ConfigError, Error};
use crate::http::{Answer, Call, id};
use crate::model::{Extra, Job, TaskHandle};

/// Calls about jobs, for operators; from [`PlatosClient::jobs`]. Jobs are named by their row id.
#[derive(Debug, Clone, Copy)]
pub struct Jobs<'a> {
    pub(crate) client: &'a PlatosClient,
}

query! {
    /// Which jobs to list.
    pub struct JobsQuery {
        /// In this state, such as `active`.
        status: String = "status",
        /// With this in them.
        search: String = "search",
        /// From this one on.
        offset: u32 = "offset",
        /// How many at most.
        limit: u32 = "limit",
    }
}

/// A job to create.
///
/// ```
/// use platos_client::NewJob;
///
/// let job = NewJob::new("reindex", "Rebuild the index", "export default async () => {}").field("timeout", 60);
/// # let _ = job;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    fields: Extra,
}

impl NewJob {
    /// A job by its slug, what people call it, and its program in JavaScript.
    pub fn new(
        job_id: impl Into<String>,
        display_name: impl Into<String>,
        handler: impl Into<String>,
    ) -> Self {
        let empty = Self { fields: Extra::new() };
        empty
            .field("jobId", job_id.into())
            .field("displayName", display_name.into())
            .field("handler", handler.into())
    }

    /// Any other field, as the platform calls it, such as `scheduleCron` or `payloadSchema`.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }
}

/// What to change of a job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobChange {
    fields: Extra,
}

impl JobChange {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it can run.
    pub fn active(self, active: bool) -> Self {
        self.field("isActive", active)
    }

    /// When it runs by itself, as a cron expression and the zone of it.
    pub fn schedule(self, cron: impl Into<String>, timezone: Option<String>) -> Self {
        let change = self.field("scheduleCron", cron.into());
        match timezone {
            Some(timezone) => change.field("scheduleTimezone", timezone),
            None => change,
        }
    }

    /// It does not run by itself any more.
    pub fn unscheduled(self) -> Self {
        self.field("scheduleCron", Value::Null)
    }

    /// Any other field, as the platform calls it.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }
}

/// What a caller gives as payload, as JSON.
pub(super) fn json_of(payload: impl Serialize) -> Result<Value, ConfigError> {
    let expected = "something that serializes to JSON: maps need texts as keys";
    serde_json::to_value(payload).map_err(|_| ConfigError::Setting { setting: "payload", expected })
}

/// A job that was created or changed, and what is said of its program beside it.
fn changed(answer: &Answer) -> Result<Job, Error> {
    let mut job: Job = answer.part(&["job", "task"])?;
    job.syntax_error = match answer.value()?.get_mut("syntaxError").map(Value::take) {
        None | Some(Value::Null) => job.syntax_error,
        Some(Value::String(text)) => Some(text),
        Some(other) => Some(other.to_string()),
    };
    Ok(job)
}

/// The base of today, and the one of the oldest platforms.
const BASES: [&str; 2] = ["jobs", "platos-tasks"];

/// What lists of jobs are called there.
const LISTS: [&str; 2] = ["jobs", "tasks"];

impl Jobs<'_> {
    async fn on_both(&self, call: impl Fn(&str) -> Call) -> Result<Answer, Error> {
        self.client.send_or(call(BASES[0]), call(BASES[1])).await
    }

    /// All jobs of the environment.
    pub(super) async fn all(&self) -> Result<Vec<Job>, Error> {
        let [newer, older] = BASES.map(|base| Call::get(&[base]));
        self.client.all(newer, Some(older), &LISTS).await
    }

    /// The jobs of the environment: one page, of 25 unless [`limit`](JobsQuery::limit) says otherwise, 200 at most.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, query: JobsQuery) -> Result<Vec<Job>, Error> {
        let answer = self.on_both(|base| query.clone().apply(Call::get(&[base]))).await?;
        answer.list_of(&LISTS)
    }

    /// One job.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, id_of_job: &str) -> Result<Job, Error> {
        let job = id("job id", id_of_job)?;
        self.on_both(|base| Call::get(&[base, job])).await?.part(&["job", "task"])
    }

    /// Creates a job. A program that cannot be read is kept and does not run: see [`Job::syntax_error`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create(&self, job: NewJob) -> Result<Job, Error> {
        let body = Value::Object(job.fields);
        let answer = self.on_both(|base| {
            let mut body = body.clone();
            let fields = body.as_object_mut().filter(|_| base == BASES[1]);
            if let Some(fields) = fields
                && let Some(slug) = fields.remove("jobId")
            {
                fields.insert("taskId".to_owned(), slug);
            }
            Call::once(&[base]).body(body)
        });
        changed(&answer.await?)
    }

    /// Changes a job. A program that cannot be read is kept and does not run: see [`Job::syntax_error`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn update(&self, id_of_job: &str, change: JobChange) -> Result<Job, Error> {
        let (job, body) = (id("job id", id_of_job)?, Value::Object(change.fields));
        changed(&self.on_both(|base| Call::patch(&[base, job]).body(body.clone())).await?)
    }

    /// Deletes a job.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, id_of_job: &str) -> Result<(), Error> {
        let job = id("job id", id_of_job)?;
        self.on_both(|base| Call::delete(&[base, job])).await?.done("deleted")
    }

    /// Runs a job. Platforms do not say which run it is, but for the oldest.
    ///
    /// # Errors
    /// See [`Error`]; also when the platform does not take the job because it has nothing to run it with.
    pub async fn dispatch(&self, id_of_job: &str, payload: impl Serialize) -> Result<TaskHandle, Error> {
        let (job, body) = (id("job id", id_of_job)?, json!({"payload": json_of(payload)?}));
        let newer = Call::once(&[BASES[0], job, "dispatch"]).body(body.clone());
        let older = Call::once(&[BASES[1], job, "run"]).body(body);
        let answer = self.client.send_or(newer, older).await?;
        answer.done("accepted")?;
        answer.done("queued")?;
        answer.one()
    }
}
