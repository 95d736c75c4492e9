//! What was found: for programs here, for people in `text`.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::Rule;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A tool that cannot work.
    Error,
    /// Something that will go wrong for some callers.
    Warning,
    /// Something to think about.
    Info,
}

/// One thing that was found, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The rule that found it.
    #[serde(rename = "code")]
    pub rule: Rule,
    /// How bad it is.
    #[serde(skip)]
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The tool, unless it is about several.
    pub tool: Option<String>,
    /// The parameter, when it is about one.
    #[serde(rename = "param")]
    pub parameter: Option<String>,
    /// What to do about it.
    pub fix: String,
}

impl Finding {
    /// A finding about no tool in particular.
    pub(super) fn new(
        rule: Rule,
        severity: Severity,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let (message, fix) = (message.into(), fix.into());
        Self { rule, severity, message, tool: None, parameter: None, fix }
    }

    /// The same, about one tool.
    pub(super) fn about(self, tool: &str) -> Self {
        Self { tool: Some(tool.to_owned()), ..self }
    }

    /// The same, about one parameter.
    pub(super) fn parameter(self, name: &str) -> Self {
        Self { parameter: Some(name.to_owned()), ..self }
    }
}

/// All that was found, in the order of the tools' names; see [`text`](Self::text) for people. As JSON it is
/// what the Python package writes (`tool_count`, and `errors`, `warnings` and `info`, each a list of `code`,
/// `message`, `tool` and `param`), with `fix` in each finding, and `healthy` and `allowed` beside the lists.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many tools were examined.
    pub tool_count: usize,
    /// What was found and is not allowed.
    pub findings: Vec<Finding>,
    /// How many findings were left out because they are allowed.
    pub allowed: usize,
}

impl Report {
    /// The findings of one severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.severity == severity)
    }

    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.of(Severity::Error).next().is_some()
    }

    /// How many tools have no error.
    pub fn healthy(&self) -> usize {
        let mut ill: Vec<_> = self.of(Severity::Error).filter_map(|error| error.tool.as_deref()).collect();
        ill.sort_unstable();
        ill.dedup();
        self.tool_count.saturating_sub(ill.len())
    }

    /// What a program that printed the report ends with: 1 when there is an error, else 0.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.has_errors())
    }

    /// The report as a JSON value.
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
        map.end()
    }
}
