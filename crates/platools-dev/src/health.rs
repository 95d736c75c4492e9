//! The health of a host's tools as its heartbeats report it (protocol §3): the latest figures and the last samples.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use platools::wire::{HealthStatus, ToolHealth};

/// Number of heartbeats, and of samples of each tool, that are kept.
pub(crate) const KEPT: usize = 60;

/// The figures of a tool at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) at: SystemTime,
    pub(crate) status: HealthStatus,
    pub(crate) avg_latency_ms: u64,
    pub(crate) error_count_1h: u64,
}

/// Heartbeats, with the figures of each tool.
#[derive(Debug, Default)]
pub(crate) struct HealthLog {
    latest: BTreeMap<String, ToolHealth>,
    samples: BTreeMap<String, VecDeque<Sample>>,
    beats: VecDeque<SystemTime>,
    count: u64,
}

impl HealthLog {
    /// Adds a heartbeat.
    pub(crate) fn beat(&mut self, at: SystemTime, tools: BTreeMap<String, ToolHealth>) {
        self.count += 1;
        push(&mut self.beats, at);
        for (name, health) in tools {
            let ToolHealth { status, avg_latency_ms, error_count_1h, .. } = health;
            let samples = self.samples.entry(name.clone()).or_default();
            push(samples, Sample { at, status, avg_latency_ms, error_count_1h });
            self.latest.insert(name, health);
        }
    }

    /// Removes the tools that are not wanted.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.latest.retain(|name, _| wanted(name));
        self.samples.retain(|name, _| wanted(name));
    }

    /// The latest figures of each tool.
    pub(crate) fn latest(&self) -> &BTreeMap<String, ToolHealth> {
        &self.latest
    }

    /// The samples of a tool, oldest first.
    pub(crate) fn samples(&self, tool: &str) -> impl Iterator<Item = &Sample> {
        self.samples.get(tool).into_iter().flatten()
    }

    /// The times of the last heartbeats, oldest first.
    pub(crate) fn beats(&self) -> impl Iterator<Item = &SystemTime> {
        self.beats.iter()
    }

    /// Number of heartbeats.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

fn push<T>(kept: &mut VecDeque<T>, value: T) {
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(avg_latency_ms: u64) -> ToolHealth {
        ToolHealth { status: HealthStatus::Healthy, avg_latency_ms, error_count_1h: 0, last_error: None }
    }

    #[test]
    fn the_last_figures_are_kept_and_those_of_tools_that_went_are_not() {
        let mut log = HealthLog::default();
        for latency in 0..100 {
            log.beat(SystemTime::now(), BTreeMap::from([("a".to_owned(), health(latency))]));
        }
        log.beat(SystemTime::now(), BTreeMap::from([("b".to_owned(), health(1))]));
        assert_eq!((log.count(), log.beats().count()), (101, KEPT));
        let latencies: Vec<u64> = log.samples("a").map(|sample| sample.avg_latency_ms).collect();
        assert_eq!((latencies.len(), latencies[0], log.latest()["a"].avg_latency_ms), (KEPT, 40, 99));
        log.retain(|name| name == "b");
        assert_eq!((log.samples("a").count(), log.latest().len()), (0, 1));
    }
}
