//! The health of a tool, for the heartbeat (protocol §3).
//!
//! | figure | meaning |
//! | --- | --- |
//! | average latency | moving average of the handler's time, each call weighing a tenth |
//! | errors | handlers that failed in the last hour: an error of either kind, a panic, a timeout |
//! | `down` | at least 5 calls in the last hour, and half of them or more failed |
//! | `down` | also while the tool's health probe returns a reason ([`Tool::down_while`](crate::Tool::down_while)) |
//! | `degraded` | at least a tenth of the last hour's calls failed |
//!
//! Rejections before the handler (limits, wrong arguments, an incomplete context) do not count.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::tool::ToolError;
use crate::wire::{HealthStatus, LOGGED_ERROR_CHARACTERS, ToolHealth};

/// The report on a tool that was never called, once one is due.
const NEVER_CALLED: ToolHealth =
    ToolHealth { status: HealthStatus::Healthy, avg_latency_ms: 0, error_count_1h: 0, last_error: None };

const WINDOW: Duration = Duration::from_secs(3_600);
const BUCKET: Duration = Duration::from_secs(60);
/// The weight of one call in the moving average.
const WEIGHT: f64 = 0.1;

/// The health of one tool.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Record>);

#[derive(Debug, Default)]
struct Record {
    average_ms: Option<f64>,
    buckets: VecDeque<Bucket>,
    last_error: Option<String>,
    reported: Option<ToolHealth>,
}

/// The calls of one minute.
#[derive(Debug)]
struct Bucket {
    since: Instant,
    calls: u32,
    errors: u32,
}

impl Health {
    fn record_mut(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one call that ran its handler, with its error if it failed.
    pub(super) fn record(&self, started: Instant, ended: Instant, error: Option<&ToolError>, call_id: &str) {
        let mut record = self.record_mut();
        let took = ended.duration_since(started).as_secs_f64() * 1_000.0;
        record.average_ms =
            Some(record.average_ms.map_or(took, |average| average + WEIGHT * (took - average)));
        if record.buckets.back().is_none_or(|bucket| ended.duration_since(bucket.since) >= BUCKET) {
            record.expire(ended);
            record.buckets.push_back(Bucket { since: ended, calls: 0, errors: 0 });
        }
        if let Some(bucket) = record.buckets.back_mut() {
            bucket.calls += 1;
            bucket.errors += u32::from(error.is_some());
        }
        if let Some(error) = error {
            record.last_error =
                Some(error.answer_text(call_id, false).chars().take(LOGGED_ERROR_CHARACTERS).collect());
        }
    }

    /// Returns the current health: `Down` if `down` is a reason; `None` if the tool was never called and is not down.
    pub(super) fn current(&self, down: Option<String>) -> Option<ToolHealth> {
        let mut record = self.record_mut();
        record.expire(Instant::now());
        record.report(down)
    }

    /// Returns the current health if it differs from the last report, and records it as reported.
    pub(super) fn changed(&self, down: Option<String>) -> Option<ToolHealth> {
        let mut record = self.record_mut();
        record.expire(Instant::now());
        // A tool that was reported down and was never called is reported once more: it is up again.
        let report = record.report(down).or_else(|| record.reported.is_some().then_some(NEVER_CALLED))?;
        if record.reported.as_ref() == Some(&report) {
            return None;
        }
        record.reported = Some(report.clone());
        Some(report)
    }

    /// Forgets the last report, so that a new connection gets a full one.
    pub(super) fn forget_reported(&self) {
        self.record_mut().reported = None;
    }
}

impl Record {
    fn expire(&mut self, now: Instant) {
        while self.buckets.front().is_some_and(|bucket| now.duration_since(bucket.since) >= WINDOW) {
            self.buckets.pop_front();
        }
    }

    fn report(&self, down: Option<String>) -> Option<ToolHealth> {
        match down {
            Some(reason) => Some(ToolHealth {
                status: HealthStatus::Down,
                last_error: Some(reason.chars().take(LOGGED_ERROR_CHARACTERS).collect()),
                ..self.counted().unwrap_or(NEVER_CALLED)
            }),
            None => self.counted(),
        }
    }

    /// Returns the health by the calls alone; `None` for a tool that was never called.
    fn counted(&self) -> Option<ToolHealth> {
        let average = self.average_ms?;
        let sum =
            |count: fn(&Bucket) -> u32| self.buckets.iter().map(|bucket| u64::from(count(bucket))).sum();
        let (calls, errors): (u64, u64) = (sum(|bucket| bucket.calls), sum(|bucket| bucket.errors));
        let status = if calls >= 5 && errors * 2 >= calls {
            HealthStatus::Down
        } else if errors * 10 >= calls.max(1) {
            HealthStatus::Degraded
        } else {
            HealthStatus::Healthy
        };
        Some(ToolHealth {
            status,
            avg_latency_ms: Duration::from_secs_f64(average.max(0.0) / 1_000.0).as_millis() as u64,
            error_count_1h: errors,
            last_error: self.last_error.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records a call that took 10 ms.
    fn record(health: &Health, error: Option<&ToolError>, call_id: &str) {
        let ended = Instant::now();
        health.record(ended - Duration::from_millis(10), ended, error, call_id);
    }

    fn failing(health: &Health) {
        record(health, Some(&ToolError::user("no")), "call-1");
    }

    #[tokio::test(start_paused = true)]
    async fn thresholds_are_as_documented() {
        let health = Health::default();
        assert_eq!(health.changed(None), None, "never called");
        record(&health, None, "call-1");
        let report = health.changed(None).unwrap();
        assert_eq!(
            (report.status, report.avg_latency_ms, report.error_count_1h),
            (HealthStatus::Healthy, 10, 0)
        );
        assert_eq!(health.changed(None), None, "nothing new");
        failing(&health);
        let report = health.changed(None).unwrap();
        assert_eq!(
            (report.status, report.error_count_1h),
            (HealthStatus::Degraded, 1),
            "2 calls are too few for down"
        );
        assert_eq!(report.last_error.as_deref(), Some("no"));
        for _ in 0..3 {
            failing(&health);
        }
        assert_eq!(health.changed(None).unwrap().status, HealthStatus::Down);
        tokio::time::advance(WINDOW).await;
        let report = health.changed(None).unwrap();
        assert_eq!((report.status, report.error_count_1h), (HealthStatus::Healthy, 0), "an hour later");
    }

    #[tokio::test(start_paused = true)]
    async fn a_tool_that_says_it_is_down_is_and_is_well_again_afterwards() {
        let health = Health::default();
        let down = || health.changed(Some("unplugged".to_owned()));
        let report = down().unwrap();
        assert_eq!((report.status, report.last_error.as_deref()), (HealthStatus::Down, Some("unplugged")));
        assert_eq!(down(), None, "nothing new");
        assert_eq!(health.changed(None), Some(NEVER_CALLED), "never called, and up again");
        assert_eq!(health.changed(None), None, "nothing new");
        record(&health, None, "call-1");
        let report = down().unwrap();
        assert_eq!((report.status, report.avg_latency_ms), (HealthStatus::Down, 10));
        let report = health.changed(None).unwrap();
        assert_eq!((report.status, report.last_error), (HealthStatus::Healthy, None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_slides_and_stays_small() {
        let health = Health::default();
        for _ in 0..600 {
            failing(&health);
            tokio::time::advance(Duration::from_secs(30)).await;
        }
        let errors = health.changed(None).unwrap().error_count_1h;
        assert!((118..=120).contains(&errors), "{errors} in an hour of two a minute");
        assert!(health.record_mut().buckets.len() <= 61);
    }

    #[tokio::test(start_paused = true)]
    async fn last_error_is_what_the_model_got() {
        let health = Health::default();
        record(&health, Some(&ToolError::internal("password=hunter2")), "call-7");
        assert_eq!(health.changed(None).unwrap().last_error.as_deref(), Some("internal error (call call-7)"));
        record(&health, Some(&ToolError::user("é".repeat(900))), "call-8");
        assert_eq!(
            health.changed(None).unwrap().last_error.unwrap().chars().count(),
            LOGGED_ERROR_CHARACTERS
        );
    }
}
