//! The findings as data and as JSON; `text` lays them out for people.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::Rule;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The tool cannot work.
    Error,
    /// The tool will fail for some callers.
    Warning,
    /// The tool could be better.
    Info,
}

/// One problem, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The rule that found it.
    #[serde(rename = "code")]
    pub rule: Rule,
    /// Its severity.
    #[serde(skip)]
    pub severity: Severity,
    /// The problem.
    pub message: String,
    /// The tool, unless it is about several.
    pub tool: Option<String>,
    /// The parameter, when it is about one.
    #[serde(rename = "param")]
    pub parameter: Option<String>,
    /// How to fix it.
    pub fix: String,
}

impl Finding {
    /// Creates a finding about no tool in particular.
    pub(super) fn new(
        rule: Rule,
        severity: Severity,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let (message, fix) = (message.into(), fix.into());
        Self { rule, severity, message, tool: None, parameter: None, fix }
    }

    /// Sets the tool.
    pub(super) fn about(self, tool: &str) -> Self {
        Self { tool: Some(tool.to_owned()), ..self }
    }

    /// Sets the parameter.
    pub(super) fn parameter(self, name: &str) -> Self {
        Self { parameter: Some(name.to_owned()), ..self }
    }
}

/// A description that the platform is sent with a summary of the parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Description {
    /// The tool.
    pub tool: String,
    /// The whole text.
    pub text: String,
}

/// All findings, sorted by tool.
///
/// [`text`](Self::text) is the report for people. The JSON has the shape that the Python package writes
/// (`tool_count`, and `errors`, `warnings` and `info`, each a list of `code`, `message`, `tool` and `param`), with
/// `fix` in each finding, and `healthy`, `allowed` and `descriptions` beside the lists.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The number of tools that were examined.
    pub tool_count: usize,
    /// The findings that are not allowed.
    pub findings: Vec<Finding>,
    /// The number of findings left out because they are allowed.
    pub allowed: usize,
    /// The descriptions that the platform is sent with a summary of the parameters.
    pub descriptions: Vec<Description>,
}

impl Report {
    /// Returns the findings of one severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.severity == severity)
    }

    /// Returns whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.of(Severity::Error).next().is_some()
    }

    /// Returns the number of tools without an error.
    pub fn healthy(&self) -> usize {
        let mut ill: Vec<_> = self.of(Severity::Error).filter_map(|error| error.tool.as_deref()).collect();
        ill.sort_unstable();
        ill.dedup();
        self.tool_count.saturating_sub(ill.len())
    }

    /// Returns the exit code for a program that prints the report: 1 if there is an error, else 0.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.has_errors())
    }

    /// Returns the report as a JSON value.
    pub fn to_json(&self) -> Value {
        json!(self)
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let list = |severity| self.of(severity).collect::<Vec<_>>();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("tool_count", &self.tool_count)?;
        map.serialize_entry("healthy", &self.healthy())?;
        map.serialize_entry("allowed", &self.allowed)?;
        map.serialize_entry("errors", &list(Severity::Error))?;
        map.serialize_entry("warnings", &list(Severity::Warning))?;
        map.serialize_entry("info", &list(Severity::Info))?;
        map.serialize_entry("descriptions", &self.descriptions)?;
        map.end()
    }
}
