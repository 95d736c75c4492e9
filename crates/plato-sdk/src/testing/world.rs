//! The state of the double: sessions, jobs, and the test's orders for both.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::fault::Fault;
use super::machine::{Chrome, Machine};
use super::record::RecordedRequest;
use super::script::Script;
use super::testcase::FakeTestcase;
use crate::desktop::Size;

/// The time of all answers.
pub(super) const NOW: &str = "2026-01-01T00:00:00Z";

/// How the machines of a simulator come up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Boot {
    /// They are up at once.
    AtOnce,
    /// They are up when they have been looked at so often.
    AfterLooks(u32),
    /// They never are.
    Never,
    /// They come to this end, such as `failed`, with an error.
    Fails(String),
    /// They cannot be created, with this error.
    Refused(String),
}

/// How a session came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEnd {
    /// It was closed.
    Closed,
    /// Nothing was heard of it for its heartbeat timeout.
    HeartbeatMissing,
    /// The test ended it.
    Killed,
}

pub(super) struct World {
    pub(super) base: String,
    pub(super) key: String,
    pub(super) screen: Size,
    pub(super) heartbeat_timeout: Duration,
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) jobs: BTreeMap<String, Job>,
    pub(super) requests: Vec<RecordedRequest>,
    pub(super) faults: Vec<Fault>,
    pub(super) boots: BTreeMap<String, Boot>,
    pub(super) flows: BTreeMap<String, Value>,
    pub(super) testcases: Vec<FakeTestcase>,
    pub(super) snapshots: Vec<(String, String)>,
    /// The artifact that a simulator's name stands for, where it is not the usual one.
    pub(super) examples: BTreeMap<String, Option<String>>,
    /// The simulators that cannot be reset, and why.
    pub(super) stuck: BTreeMap<String, String>,
    /// The address of the browser that is the Chrome of all desktops.
    pub(super) chrome: Option<String>,
    /// The state of Chrome on a machine that has just come up.
    pub(super) chrome_state: Chrome,
    /// Replies to commands; later ones come first.
    pub(super) scripts: Vec<Script>,
}

/// The world, shared by the server and the test.
pub(super) struct Shared {
    world: Mutex<World>,
    /// The number of open sessions.
    pub(super) open: watch::Sender<usize>,
    /// The number of requests.
    pub(super) asked: watch::Sender<usize>,
}

impl Shared {
    pub(super) fn new(world: World) -> Self {
        Self { world: Mutex::new(world), open: watch::channel(0).0, asked: watch::channel(0).0 }
    }

    /// Reads or changes the world.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut world);
        let (open, asked) = (world.open_sessions().len(), world.requests.len());
        drop(world);
        self.open.send_if_modified(|before| std::mem::replace(before, open) != open);
        self.asked.send_if_modified(|before| std::mem::replace(before, asked) != asked);
        done
    }
}

pub(super) struct Session {
    pub(super) jobs: Vec<String>,
    pub(super) testcase: Option<String>,
    pub(super) end: Option<SessionEnd>,
    /// Zero switches it off.
    pub(super) heartbeat_timeout: Duration,
    pub(super) heard: Instant,
    pub(super) beats: u32,
    /// Whether there is a record to score.
    pub(super) was_reset: bool,
}

/// The origin of an environment.
pub(super) struct Made {
    pub(super) alias: String,
    pub(super) simulator: String,
    pub(super) artifact: Option<String>,
}

pub(super) struct Job {
    pub(super) session: String,
    pub(super) alias: String,
    pub(super) simulator: String,
    pub(super) artifact: Option<String>,
    pub(super) boot: Boot,
    pub(super) is_closed: bool,
    pub(super) machine: Machine,
    /// Whether changes are noted, which begins with the first reset.
    pub(super) is_recording: bool,
    /// Mutations that are not flushed yet.
    pending: Vec<Value>,
    pub(super) mutations: Vec<Value>,
}

impl Job {
    pub(super) fn new(session: &str, env: Made, boot: Boot, machine: Machine) -> Self {
        let Made { alias, simulator, artifact } = env;
        Self {
            session: session.to_owned(),
            alias,
            simulator,
            artifact,
            boot,
            is_closed: false,
            machine,
            is_recording: false,
            pending: Vec::new(),
            mutations: Vec::new(),
        }
    }

    /// Begins the record.
    pub(super) fn reset(&mut self) {
        self.is_recording = true;
        self.pending.clear();
        self.mutations.clear();
    }

    /// Notes a change, if there is a record. It is part of it when the state is asked for.
    pub(super) fn note(&mut self, mutation: Value) {
        if self.is_recording {
            self.pending.push(mutation);
        }
    }

    /// Writes down what was noted.
    pub(super) fn flush(&mut self) {
        self.mutations.append(&mut self.pending);
    }

    pub(super) fn is_desktop(&self) -> bool {
        matches!(self.simulator.as_str(), "ubuntu-vm" | "windows-vm")
    }

    pub(super) fn provider(&self) -> &'static str {
        if self.simulator == "windows-vm" { "qemu" } else { "firecracker" }
    }

    /// Whether it is up, and its state; one that is looked at comes closer to it.
    pub(super) fn look(&mut self) -> (bool, &'static str, Option<String>) {
        match &mut self.boot {
            _ if self.is_closed => (false, "cancelled", None),
            Boot::AtOnce => (true, "running", None),
            Boot::AfterLooks(0 | 1) => {
                self.boot = Boot::AtOnce;
                (false, "running", None)
            }
            Boot::AfterLooks(looks) => {
                *looks -= 1;
                (false, "queued", None)
            }
            Boot::Never => (false, "queued", None),
            Boot::Fails(error) | Boot::Refused(error) => (false, "failed", Some(error.clone())),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        !self.is_closed && self.boot == Boot::AtOnce
    }
}

impl World {
    /// The artifact that a simulator's name stands for.
    pub(super) fn example(&self, simulator: &str) -> Option<String> {
        match self.examples.get(simulator) {
            Some(example) => example.clone(),
            None => Some(format!("art-{simulator}")),
        }
    }

    /// The simulator of an artifact: `art-ubuntu-vm` is named after it, a snapshot has that of its machine.
    pub(super) fn simulator_of(&self, artifact: &str) -> String {
        match self.snapshots.iter().find(|(id, _)| id == artifact) {
            Some((_, simulator)) => simulator.clone(),
            None => artifact.strip_prefix("art-").unwrap_or(artifact).to_owned(),
        }
    }

    /// Resets a job's data, and returns the outcome.
    pub(super) fn reset(&mut self, job: &str) -> Value {
        let Some(job) = self.jobs.get_mut(job) else {
            return json!({"success": false, "message": "no such job"});
        };
        if let Some(problem) = self.stuck.get(&job.simulator) {
            return json!({"success": false, "message": problem});
        }
        job.reset();
        json!({"success": true, "message": "reset"})
    }

    /// A job that is up, of a session that is open.
    pub(super) fn running(&mut self, job: &str) -> Option<&mut Job> {
        let session = &self.jobs.get(job)?.session;
        if self.sessions.get(session)?.end.is_some() {
            return None;
        }
        self.jobs.get_mut(job).filter(|job| job.is_up())
    }

    pub(super) fn open_sessions(&self) -> Vec<String> {
        let open = self.sessions.iter().filter(|(_, session)| session.end.is_none());
        open.map(|(id, _)| id.clone()).collect()
    }

    /// Ends the sessions that have been silent for too long.
    pub(super) fn end_silent_sessions(&mut self) {
        let now = Instant::now();
        for session in self.sessions.values_mut().filter(|session| session.end.is_none()) {
            let limit = session.heartbeat_timeout;
            if !limit.is_zero() && now.duration_since(session.heard) > limit {
                session.end = Some(SessionEnd::HeartbeatMissing);
            }
        }
    }
}
