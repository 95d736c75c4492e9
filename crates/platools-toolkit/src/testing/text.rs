//! The report for people, laid out like the report of the Python package.

use std::fmt::Write as _;

use super::report::{CaseReport, Latency, Outcome, SuiteReport, milliseconds};
use crate::layout::{Layout, Paint, printable};

/// The indentation of the lines below a case, in columns.
const INDENT: usize = 6;

impl CaseReport {
    /// Returns one line for people, followed by lines for failures and notes. It can be shown as soon as the case
    /// has run.
    pub fn text(&self, layout: Layout) -> String {
        let (marker, paint) = match self.outcome {
            Outcome::Passed => ("✓", Paint::Green),
            Outcome::Failed(_) => ("✗", Paint::Red),
            Outcome::Skipped => ("-", Paint::Dim),
        };
        let mut line = format!("  {} {}", layout.paint(paint, marker), printable(&self.tool, &[]));
        if let Some(name) = &self.name {
            let _ = write!(line, ": {}", printable(name, &[]));
        }
        if self.outcome == Outcome::Skipped {
            line.push_str(" (skipped)");
        } else {
            let _ = write!(line, " ({:.1}ms)", milliseconds(self.latency));
        }
        // As in the Python package where it fits; several reasons, or a narrow window, go below.
        let width = layout.width.unwrap_or(usize::MAX);
        match self.outcome.failures() {
            [only] if line.chars().count() + 3 + only.chars().count() <= width && !only.contains('\n') => {
                let _ = writeln!(line, " — {}", printable(only, &[]));
            }
            failures => {
                line.push('\n');
                for failure in failures {
                    push(&mut line, layout, failure, paint);
                }
            }
        }
        if let (Outcome::Failed(_), Some(number)) = (&self.outcome, self.line) {
            push(&mut line, layout, &format!("the case is at line {number}"), Paint::Dim);
        }
        for note in &self.notes {
            push(&mut line, layout, &format!("note: {note}"), Paint::Yellow);
        }
        line
    }

    /// Returns [`text`](Self::text) followed by the result or the error of the call, for a case that runs alone.
    pub fn text_with_output(&self, layout: Layout) -> String {
        let mut text = self.text(layout);
        if let Some(output) = &self.output {
            let _ = writeln!(text, "  output: {}", printable(&output.to_string(), &[]));
        }
        if let Some(error) = self.error.as_ref().filter(|error| !self.outcome.failures().contains(error)) {
            let _ = writeln!(text, "  error: {}", printable(error, &[]));
        }
        text
    }
}

/// Adds a paragraph below a case.
fn push(text: &mut String, layout: Layout, paragraph: &str, paint: Paint) {
    for line in paragraph.lines().flat_map(|line| layout.wrap(&printable(line, &[]), INDENT)) {
        let _ = writeln!(text, "{:INDENT$}{}", "", layout.paint(paint, &line));
    }
}

impl SuiteReport {
    /// Returns the report for people: counts, latency, each case, and the tools without a case.
    pub fn text(&self, layout: Layout) -> String {
        let mut text = self.summary(layout);
        text.push('\n');
        for case in &self.cases {
            text.push_str(&case.text(layout));
        }
        let by_tool = self.latency_by_tool();
        if by_tool.len() > 1 {
            text.push('\n');
            text.push_str(&table(&by_tool.into_iter().collect::<Vec<_>>(), layout));
        }
        let untested: Vec<_> = self.coverage.untested().collect();
        let _ = writeln!(text, "\n{}", self.coverage.summary());
        if !untested.is_empty() {
            for line in layout.wrap(&format!("not tested: {}", untested.join(", ")), 2) {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }

    /// Returns the first lines of the report: the counts and the latency.
    pub fn summary(&self, layout: Layout) -> String {
        let mut counts = format!("Tests: {} passed, {} failed", self.passed(), self.failed());
        if self.skipped() > 0 {
            let _ = write!(counts, ", {} skipped", self.skipped());
        }
        let paint = if self.failed() > 0 { Paint::Red } else { Paint::Green };
        let mut text = format!("{}\n", layout.paint(paint, &counts));
        if let Some(latency) = self.latency() {
            let (p50, p95) = (milliseconds(latency.p50), milliseconds(latency.p95));
            let _ = writeln!(text, "Latency: p50 {p50:.1}ms, p95 {p95:.1}ms");
        }
        text
    }
}

/// The latency of each tool, in columns.
fn table(rows: &[(&str, Latency)], layout: Layout) -> String {
    let longest = rows.iter().map(|(tool, _)| tool.len()).max().unwrap_or_default().max(4);
    let heading = format!("  {:longest$}  {:>5}  {:>9}  {:>9}", "tool", "calls", "p50", "p95");
    let mut text = format!("{}\n", layout.paint(Paint::Dim, &heading));
    for (tool, latency) in rows {
        let [p50, p95] =
            [latency.p50, latency.p95].map(|duration| format!("{:.1}ms", milliseconds(duration)));
        let _ = writeln!(text, "  {tool:longest$}  {:>5}  {p50:>9}  {p95:>9}", latency.count);
    }
    text
}
