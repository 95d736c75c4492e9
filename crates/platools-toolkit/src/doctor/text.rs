//! The report for people, laid out like the report of the Python package.

use std::fmt::Write as _;

use super::{Finding, Report, Severity};
use crate::layout::{Layout, Paint, printable};

/// The indentation of the text of a finding, in columns.
const INDENT: usize = 4;

impl Report {
    /// Returns the report for people: the number of tools, then each finding with its fix.
    pub fn text(&self, layout: Layout) -> String {
        let counts = format!("Tools: {} registered, {} healthy", self.tool_count, self.healthy());
        let mut text = layout.paint(Paint::Bold, &counts);
        text.push('\n');
        for (severity, title, marker, paint) in [
            (Severity::Error, "ERRORS", "x", Paint::Red),
            (Severity::Warning, "WARNINGS", "!", Paint::Yellow),
            (Severity::Info, "INFO", "i", Paint::Blue),
        ] {
            let findings: Vec<_> = self.of(severity).collect();
            if findings.is_empty() {
                continue;
            }
            text.push('\n');
            text.push_str(&layout.paint(paint, &format!("{title} ({}):", findings.len())));
            text.push('\n');
            for finding in findings {
                text.push_str(&lines(finding, layout, &layout.paint(paint, marker)));
            }
        }
        if self.findings.is_empty() {
            text.push_str("\nNo issues found.\n");
        }
        if !self.descriptions.is_empty() {
            let title = format!("DESCRIPTIONS AS THE PLATFORM IS SENT THEM ({}):", self.descriptions.len());
            let _ = writeln!(text, "\n{}", layout.paint(Paint::Bold, &title));
            for description in &self.descriptions {
                let _ = writeln!(text, "  {}", printable(&description.tool, &[]));
                for line in layout.wrap(&printable(&description.text, &['\n']), INDENT) {
                    let _ = writeln!(text, "{}", format!("{:INDENT$}{line}", "").trim_end());
                }
            }
        }
        if self.allowed > 0 {
            let allowed = format!("{} allowed and not shown.", self.allowed);
            let _ = writeln!(text, "\n{}", layout.paint(Paint::Dim, &allowed));
        }
        text
    }
}

/// The lines of one finding.
fn lines(finding: &Finding, layout: Layout, marker: &str) -> String {
    let mut text = String::new();
    let message = printable(&format!("{} [{}]", finding.message, finding.rule), &[]).into_owned();
    for (index, line) in layout.wrap(&message, INDENT).iter().enumerate() {
        let before = if index == 0 { format!("  {marker} ") } else { " ".repeat(INDENT) };
        let _ = writeln!(text, "{before}{line}");
    }
    for line in layout.wrap(&printable(&format!("fix: {}", finding.fix), &['\n']), INDENT) {
        let _ = writeln!(text, "{:INDENT$}{}", "", layout.paint(Paint::Dim, &line));
    }
    text
}
