//! What there is in the double: sessions, jobs, and orders for both.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::machine::Machine;
use super::{FakeTestcase, Fault, RecordedRequest};
use crate::desktop::Size;

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
    pub(super) chrome: Option<String>,
}

pub(super) struct Session {
    pub(super) jobs: Vec<String>,
    pub(super) testcase: Option<String>,
    pub(super) end: Option<SessionEnd>,
    /// Zero switches it off.
    pub(super) heartbeat_timeout: Duration,
    pub(super) heard: Instant,
    pub(super) beats: u32,
}

pub(super) struct Job {
    pub(super) session: String,
    pub(super) alias: String,
    pub(super) simulator: String,
    pub(super) artifact: Option<String>,
    pub(super) boot: Boot,
    pub(super) is_closed: bool,
    pub(super) machine: Machine,
    pub(super) mutations: Vec<Value>,
}

impl Job {
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
