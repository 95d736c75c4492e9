//! Waiting until machines are up (plato-api §6.2), never faster than the server's own holding back or once a second.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::api::Api;
use crate::error::{EnvFailure, Error, Result};
use crate::secrets::JobId;
use crate::types::{EnvInfo, JobStatus, Readiness, SessionStatus, Waiting};

/// The pause between two looks.
const POLL: Duration = Duration::from_secs(1);

/// The longest that the server is asked to hold an answer back, in seconds.
const HOLD: u64 = 300;

/// How far the machines of a session are.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Progress {
    /// How long has been waited.
    pub waited: Duration,
    /// Each machine that the server says something of.
    pub jobs: Vec<JobProgress>,
}

/// How far one machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobProgress {
    /// Its environment's name, or the shortened id of its job where that is not known.
    pub alias: String,
    /// Whether it can be used.
    pub ready: bool,
    /// Where it is in its life.
    pub status: Option<JobStatus>,
}

/// A budget of time for waiting.
struct Deadline {
    start: Instant,
    budget: Duration,
}

impl Deadline {
    fn new(budget: Duration) -> Self {
        Self { start: Instant::now(), budget }
    }

    fn left(&self) -> Duration {
        self.budget.saturating_sub(self.start.elapsed())
    }

    /// How long the server may hold the next answer back, in seconds.
    fn hold(&self) -> u64 {
        self.left().as_secs().clamp(1, HOLD)
    }

    /// Pauses before the next look; false when there is no time for one.
    async fn pause(&self) -> bool {
        sleep(POLL.min(self.left())).await;
        !self.left().is_zero()
    }
}

/// Waits for a whole session; the answer has its context.
pub(super) async fn session_ready(
    api: &Api,
    session: &str,
    budget: Duration,
    known: &[EnvInfo],
    progress: &(dyn Fn(&Progress) + Send + Sync),
) -> Result<Waiting> {
    let deadline = Deadline::new(budget);
    let mut last = BTreeMap::new();
    loop {
        match api.session_ready(session, deadline.hold()).await {
            Ok(waiting) => {
                let jobs = waiting.results.iter().map(|(job, result)| JobProgress {
                    alias: name(known, job),
                    ready: result.ready,
                    status: result.status.clone(),
                });
                progress(&Progress { waited: deadline.start.elapsed(), jobs: jobs.collect() });
                if waiting.ready {
                    if waiting.context.is_none() {
                        return Err(Error::UnexpectedAnswer {
                            operation: "GET /sessions/{session_id}/wait_for_ready",
                            problem: "`ready` without a `context`".to_owned(),
                        });
                    }
                    return Ok(waiting);
                }
                let failed = waiting.results.iter().filter(|(_, result)| result.has_failed());
                let failed = failures(known, failed);
                if !failed.is_empty() {
                    return Err(Error::StartFailed(failed));
                }
                if waiting.status == Some(SessionStatus::Failed) {
                    let unready = waiting.results.iter().filter(|(_, result)| !result.ready);
                    return Err(Error::StartFailed(failures(known, unready)));
                }
                last = waiting.results;
            }
            // The server's own way to say: not yet.
            Err(Error::Api(error)) if error.status() == 408 => {}
            Err(error) => return Err(error),
        }
        if !deadline.pause().await {
            let pending = failures(known, last.iter().filter(|(_, result)| !result.ready));
            return Err(Error::NotReady { waited: budget, pending });
        }
    }
}

/// Waits for one job.
pub(super) async fn job_ready(api: &Api, job: &JobId, alias: &str, budget: Duration) -> Result<Readiness> {
    let deadline = Deadline::new(budget);
    let mut last = None;
    loop {
        match api.job_ready(job, deadline.hold()).await {
            Ok(result) if result.ready => return Ok(result),
            Ok(result) if result.has_failed() => {
                return Err(Error::StartFailed(vec![EnvFailure::new(alias, &result.problem())]));
            }
            Ok(result) => last = Some(result.problem()),
            Err(Error::Api(error)) if error.status() == 408 => {}
            Err(error) => return Err(error),
        }
        if !deadline.pause().await {
            let problem = last.unwrap_or_else(|| "not ready".to_owned());
            return Err(Error::NotReady { waited: budget, pending: vec![EnvFailure::new(alias, &problem)] });
        }
    }
}

fn failures<'a>(
    known: &[EnvInfo],
    results: impl Iterator<Item = (&'a JobId, &'a Readiness)>,
) -> Vec<EnvFailure> {
    results.map(|(job, result)| EnvFailure::new(name(known, job), &result.problem())).collect()
}

fn name(known: &[EnvInfo], job: &JobId) -> String {
    let env = known.iter().find(|env| env.job_id.as_ref() == Some(job));
    env.map_or_else(|| job.label(), |env| env.alias.clone())
}
