//! Names and descriptions: what a model chooses tools and fills in arguments by.

use std::collections::BTreeMap;

use super::exposure::declared;
use super::options::Options;
use super::view::{View, words};
use super::{Finding, Rule, Severity};

/// Fewer characters than this describe nothing.
const SHORTEST: usize = 10;
/// The longest description of a function that models of OpenAI up to `gpt-4o` accept, in characters.
const LONGEST: usize = 1_024;

/// Words in a name that promise a loss.
const DESTRUCTIVE: [&str; 9] =
    ["delete", "remove", "archive", "drop", "purge", "clear", "wipe", "destroy", "truncate"];

/// Words that say nothing that a name does not say.
const FILLERS: [&str; 24] = [
    "a",
    "an",
    "the",
    "this",
    "that",
    "it",
    "its",
    "of",
    "to",
    "for",
    "by",
    "with",
    "from",
    "in",
    "on",
    "and",
    "or",
    "is",
    "be",
    "tool",
    "function",
    "parameter",
    "argument",
    "value",
];

/// Placeholders for a description that has yet to be written.
const PLACEHOLDERS: [&str; 8] = [
    "todo",
    "tbd",
    "fixme",
    "lorem ipsum",
    "description here",
    "add description",
    "does stuff",
    "no description",
];

pub(super) fn check(views: &[View<'_>], options: &Options, findings: &mut Vec<Finding>) {
    for view in views {
        tool(view, options, findings);
        parameters(view, findings);
        destructive(view, findings);
    }
    duplicates(views, findings);
}

fn tool(view: &View<'_>, options: &Options, findings: &mut Vec<Finding>) {
    let (name, description) = (view.name(), view.spec().description.trim());
    let length = description.chars().count();
    let declared = declared(view.spec(), options).chars().count();
    let fix = "say in the doc comment what it does, for whom, and when to choose it";
    let finding = if length < SHORTEST {
        let message = format!("{name} description is too short ({length} chars, need ≥ {SHORTEST})");
        Finding::new(Rule::ShortToolDescription, Severity::Warning, message, fix)
    } else if let Some(problem) = vagueness(description, name) {
        Finding::new(Rule::VagueDescription, Severity::Warning, format!("{name} description {problem}"), fix)
    } else if declared > LONGEST {
        let message = format!(
            "{name} description has {declared} characters: models of OpenAI up to `gpt-4o` refuse more than {LONGEST}"
        );
        let fix =
            "keep what helps to choose the tool, and move details to the parameters that they are about";
        Finding::new(Rule::LongToolDescription, Severity::Warning, message, fix)
    } else {
        return;
    };
    findings.push(finding.about(name));
}

fn parameters(view: &View<'_>, findings: &mut Vec<Finding>) {
    for parameter in &view.parameters {
        let (tool, name, description) = (view.name(), parameter.name, parameter.description());
        let length = description.chars().count();
        let fix =
            format!("say in a doc comment on the parameter what `{name}` is, with its unit or an example");
        let finding = if length < SHORTEST {
            let message = format!("{tool}.{name} description is too short ({length} chars)");
            Finding::new(Rule::ShortParamDescription, Severity::Warning, message, fix)
        } else if let Some(problem) = vagueness(description, name) {
            let message = format!("{tool}.{name} description {problem}");
            Finding::new(Rule::VagueDescription, Severity::Warning, message, fix)
        } else {
            continue;
        };
        findings.push(finding.about(tool).parameter(name));
    }
}

/// Returns the problem of a description that is long enough but says nothing.
fn vagueness(description: &str, name: &str) -> Option<&'static str> {
    let lower = description.to_lowercase();
    if PLACEHOLDERS.iter().any(|placeholder| lower.starts_with(placeholder)) {
        return Some("is a placeholder");
    }
    let name = words(name);
    let says = |word: &String| !FILLERS.contains(&word.as_str()) && !name.contains(word);
    (!words(&lower).iter().any(says)).then_some("only repeats its name")
}

fn destructive(view: &View<'_>, findings: &mut Vec<Finding>) {
    let words = words(view.name());
    let Some(word) = words.iter().find(|word| DESTRUCTIVE.contains(&word.as_str())) else { return };
    if view.hint("destructiveHint").is_some() || view.hint("readOnlyHint") == Some(true) {
        return;
    }
    let name = view.name();
    let message =
        format!("{name} looks destructive (`{word}`) but is missing annotations.destructiveHint=true");
    let fix =
        "write `#[tool(destructive)]`, so that agents ask before they call it, or `destructive = false`";
    findings.push(Finding::new(Rule::MissingDestructiveHint, Severity::Warning, message, fix).about(name));
}

/// Tools whose descriptions are the same but for case and punctuation.
fn duplicates(views: &[View<'_>], findings: &mut Vec<Finding>) {
    let mut first_with: BTreeMap<String, &str> = BTreeMap::new();
    for view in views.iter().filter(|view| view.spec().description.trim().chars().count() >= SHORTEST) {
        let said = words(&view.spec().description.to_lowercase()).join(" ");
        if let Some(first) = first_with.get(&said) {
            let message = format!("{} has the same description as {first}", view.name());
            let fix = "say in both what sets them apart, or make one tool of them";
            findings.push(
                Finding::new(Rule::DuplicateDescription, Severity::Warning, message, fix).about(view.name()),
            );
        } else {
            first_with.insert(said, view.name());
        }
    }
}
