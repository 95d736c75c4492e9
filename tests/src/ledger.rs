//! What became of every call: how often its handler ran, when it finished, and whether there was time to
//! deliver the answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use platools_dev::{CallReport, Outcome};

/// An answer had time when the connection was sound for so long between its making and the platform's
/// giving up.
const ENOUGH: Duration = Duration::from_secs(2);

/// The record of many calls. Handlers, callers and whoever breaks the connection write into it.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    runs: HashMap<String, Run>,
    /// The connection that is there.
    connection: Option<String>,
    /// Whether somebody is breaking it.
    disturbed: bool,
    /// When the connection was sound; the last time may go on.
    sound: Vec<(Instant, Option<Instant>)>,
    tally: Tally,
}

/// What is known about the handler of one call.
#[derive(Debug, Default)]
struct Run {
    started: u32,
    finished: Option<Instant>,
}

/// What became of the calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls that were sent.
    pub sent: u64,
    /// Calls that were answered with a result.
    pub ok: u64,
    /// Calls that were answered with an error, by what the error begins with.
    pub errors: HashMap<String, u64>,
    /// Calls that never arrived at a handler.
    pub never_arrived: u64,
    /// Calls whose handler did not finish, or finished when there was no time left to deliver the answer.
    pub expired: u64,
    /// Calls that were lost although there was time.
    pub lost: Vec<String>,
    /// Calls that a handler ran more than once for.
    pub ran_twice: Vec<String>,
}

impl Tally {
    /// How many calls were answered with an error.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Whether every call is accounted for.
    pub fn is_sound(&self) -> bool {
        let accounted = self.ok + self.failed() + self.never_arrived + self.expired;
        self.lost.is_empty() && self.ran_twice.is_empty() && accounted == self.sent
    }

    /// The sum of two tallies.
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.ok += other.ok;
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        self.never_arrived += other.never_arrived;
        self.expired += other.expired;
        self.lost.extend(other.lost);
        self.ran_twice.extend(other.ran_twice);
    }
}

impl Inner {
    fn begin_sound(&mut self) {
        let goes_on = self.sound.last().is_some_and(|(_, until)| until.is_none());
        if !goes_on && !self.disturbed && self.connection.is_some() {
            self.sound.push((Instant::now(), None));
        }
    }

    fn end_sound(&mut self) {
        if let Some((_, until @ None)) = self.sound.last_mut() {
            *until = Some(Instant::now());
        }
    }
}

impl Ledger {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handler starts to work on a call.
    pub fn started(&self, call_id: &str) {
        self.inner().runs.entry(call_id.to_owned()).or_default().started += 1;
    }

    /// A handler has finished with a call.
    pub fn finished(&self, call_id: &str) {
        self.inner().runs.entry(call_id.to_owned()).or_default().finished = Some(Instant::now());
    }

    /// The connection that is there now, by its id.
    pub fn connected(&self, connection: Option<String>) {
        let mut inner = self.inner();
        if inner.connection != connection {
            inner.end_sound();
            inner.connection = connection;
            inner.begin_sound();
        }
    }

    /// Somebody breaks the connection, or has stopped to.
    pub fn disturbed(&self, disturbed: bool) {
        let mut inner = self.inner();
        inner.disturbed = disturbed;
        if disturbed {
            inner.end_sound();
        } else {
            inner.begin_sound();
        }
    }

    /// A call that was sent at `sent` ended, from the caller's point of view.
    pub fn settle(&self, sent: Instant, report: &CallReport) {
        let mut inner = self.inner();
        inner.tally.sent += 1;
        match &report.outcome {
            Outcome::Result(_) => inner.tally.ok += 1,
            Outcome::Error(error) => {
                let kind = error.split(':').next().unwrap_or_default().to_owned();
                *inner.tally.errors.entry(kind).or_default() += 1;
            }
            _ => {
                let given_up = sent + report.latency;
                match inner.runs.get(&report.call_id) {
                    None => inner.tally.never_arrived += 1,
                    Some(Run { finished: Some(finished), .. })
                        if inner.sound.iter().any(|(from, until)| {
                            let from = *from.max(finished);
                            until.map_or(given_up, |until| until.min(given_up)) > from + ENOUGH
                        }) =>
                    {
                        inner.tally.lost.push(report.call_id.clone());
                    }
                    Some(_) => inner.tally.expired += 1,
                }
            }
        }
    }

    /// What became of all calls that were settled.
    pub fn tally(&self) -> Tally {
        let inner = self.inner();
        let twice = inner.runs.iter().filter(|(_, run)| run.started > 1);
        Tally { ran_twice: twice.map(|(call_id, _)| call_id.clone()).collect(), ..inner.tally.clone() }
    }
}
