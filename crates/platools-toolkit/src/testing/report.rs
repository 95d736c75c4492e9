//! The outcomes of the cases as data and as JSON; `text` lays them out for people, `junit` for build servers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::case::Case;
use super::coverage::Coverage;

/// The outcome of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The call did what was expected.
    Passed,
    /// The call did not do what was expected, for these reasons.
    Failed(Vec<String>),
    /// The case did not run because an earlier one failed.
    Skipped,
}

impl Outcome {
    /// Returns whether the case passed.
    pub fn is_passed(&self) -> bool {
        matches!(self, Self::Passed)
    }

    /// Returns `passed`, `failed` or `skipped`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// Returns the reasons for which the case failed.
    pub fn failures(&self) -> &[String] {
        match self {
            Self::Failed(failures) => failures,
            Self::Passed | Self::Skipped => &[],
        }
    }
}

/// One case and its outcome.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CaseReport {
    /// The position of the case in the suite, from 0.
    pub index: usize,
    /// The name of the case.
    pub name: Option<String>,
    /// The tool that was called.
    pub tool: String,
    /// The line of the file that the case begins at, from 1.
    pub line: Option<u64>,
    /// The outcome.
    pub outcome: Outcome,
    /// The duration of the call, waiting included.
    pub latency: Duration,
    /// The result, for cases that failed or with [`RunOptions::keep_outputs`](super::RunOptions::keep_outputs).
    pub output: Option<Value>,
    /// The text of the call's error, expected or not. For an internal error it includes the causes.
    pub error: Option<String>,
    /// Notes on things that do not fail the case.
    pub notes: Vec<String>,
}

impl CaseReport {
    pub(super) fn new(index: usize, case: &Case, outcome: Outcome, latency: Duration) -> Self {
        Self {
            index,
            name: case.name.clone(),
            tool: case.tool.clone(),
            line: case.line,
            outcome,
            latency,
            output: None,
            error: None,
            notes: Vec::new(),
        }
    }

    /// Returns the name, or `case 3` for the third case without one.
    pub fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("case {}", self.index + 1))
    }
}

/// Milliseconds with their fraction to the microsecond.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

impl Serialize for CaseReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.title())?;
        map.serialize_entry("tool", &self.tool)?;
        map.serialize_entry("line", &self.line)?;
        map.serialize_entry("outcome", self.outcome.as_str())?;
        map.serialize_entry("latency_ms", &milliseconds(self.latency))?;
        map.serialize_entry("failures", self.outcome.failures())?;
        map.serialize_entry("notes", &self.notes)?;
        if let Some(output) = &self.output {
            map.serialize_entry("output", output)?;
        }
        if let Some(error) = &self.error {
            map.serialize_entry("error", error)?;
        }
        map.end()
    }
}

/// The latency of several calls.
///
/// ```
/// use std::time::Duration;
///
/// use platools_toolkit::testing::Latency;
///
/// let latency = Latency::of((1..=20).map(Duration::from_millis)).unwrap();
/// assert_eq!((latency.p50, latency.p95), (Duration::from_micros(10_500), Duration::from_millis(19)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// The number of calls.
    pub count: usize,
    /// The median.
    pub p50: Duration,
    /// The 95th percentile, by nearest rank.
    pub p95: Duration,
    /// The longest.
    pub max: Duration,
}

impl Latency {
    /// Computes the figures; returns `None` without any call.
    pub fn of(latencies: impl IntoIterator<Item = Duration>) -> Option<Self> {
        let mut sorted: Vec<_> = latencies.into_iter().collect();
        sorted.sort_unstable();
        let (count, max) = (sorted.len(), *sorted.last()?);
        let middle = sorted.get(count / 2).copied().unwrap_or(max);
        let p50 = match sorted.get((count / 2).wrapping_sub(1)) {
            Some(below) if count % 2 == 0 => (*below + middle) / 2,
            _ => middle,
        };
        let p95 = sorted.get((count * 95).div_ceil(100) - 1).copied().unwrap_or(max);
        Some(Self { count, p50, p95, max })
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("count", &self.count)?;
        map.serialize_entry("p50_ms", &milliseconds(self.p50))?;
        map.serialize_entry("p95_ms", &milliseconds(self.p95))?;
        map.serialize_entry("max_ms", &milliseconds(self.max))?;
        map.end()
    }
}

/// The outcome of a suite: [`text`](Self::text) for people, [JUnit XML](Self::junit) for build servers, JSON through
/// serde.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SuiteReport {
    /// Every case, in the order of the suite.
    pub cases: Vec<CaseReport>,
    /// The number of cases of each tool.
    pub coverage: Coverage,
}

impl SuiteReport {
    pub(super) fn new(cases: Vec<CaseReport>, coverage: Coverage) -> Self {
        Self { cases, coverage }
    }

    fn count(&self, word: &str) -> usize {
        self.cases.iter().filter(|case| case.outcome.as_str() == word).count()
    }

    /// Returns the number of cases that passed.
    pub fn passed(&self) -> usize {
        self.count("passed")
    }

    /// Returns the number of cases that failed.
    pub fn failed(&self) -> usize {
        self.count("failed")
    }

    /// Returns the number of cases that did not run.
    pub fn skipped(&self) -> usize {
        self.count("skipped")
    }

    /// Returns the exit code for a program that prints the report: 1 if a case failed, else 0.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.failed() > 0)
    }

    /// The cases whose tool was called.
    fn called(&self) -> impl Iterator<Item = &CaseReport> {
        let exists = |case: &&CaseReport| self.coverage.tools().any(|(name, _)| name == case.tool);
        self.cases.iter().filter(|case| case.outcome != Outcome::Skipped).filter(exists)
    }

    /// Returns the latency of all calls; `None` without any call.
    pub fn latency(&self) -> Option<Latency> {
        Latency::of(self.called().map(|case| case.latency))
    }

    /// Returns the latency of the calls of each tool.
    pub fn latency_by_tool(&self) -> BTreeMap<&str, Latency> {
        let mut by_tool: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
        for case in self.called() {
            by_tool.entry(&case.tool).or_default().push(case.latency);
        }
        by_tool.into_iter().filter_map(|(tool, latencies)| Some((tool, Latency::of(latencies)?))).collect()
    }

    /// Returns the report as a JSON value.
    pub fn to_json(&self) -> Value {
        json!(self)
    }
}

impl Serialize for SuiteReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("passed", &self.passed())?;
        map.serialize_entry("failed", &self.failed())?;
        map.serialize_entry("skipped", &self.skipped())?;
        map.serialize_entry("latency", &self.latency())?;
        map.serialize_entry("latency_by_tool", &self.latency_by_tool())?;
        map.serialize_entry("coverage", &self.coverage)?;
        map.serialize_entry("cases", &self.cases)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_calls_that_there_were_or_the_middle_of_two() {
        let of = |list: &[u64]| {
            Latency::of(list.iter().map(|ms| Duration::from_millis(*ms)))
                .map(|latency| [latency.p50, latency.p95, latency.max].map(|duration| duration.as_millis()))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some([7, 7, 7]));
        assert_eq!(of(&[30, 10]), Some([20, 30, 30]));
        assert_eq!(of(&[3, 1, 2]), Some([2, 3, 3]));
        let hundred: Vec<_> = (1..=100).collect();
        assert_eq!(of(&hundred), Some([50, 95, 100]));
    }
}
