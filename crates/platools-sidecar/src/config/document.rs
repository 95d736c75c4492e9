//! The text of a file as a tree whose every key knows its line.
//!
//! It must not know what the keys mean.

use platools::tool::nearest_name;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;

/// The way to a value: keys, and indexes as numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<String>);

impl Path {
    /// The way to `key` below this one.
    pub(crate) fn key(&self, key: impl std::fmt::Display) -> Self {
        let mut steps = self.0.clone();
        steps.push(key.to_string());
        Self(steps)
    }

    /// Whether it begins with `section`.
    pub(crate) fn is_below(&self, section: &str) -> bool {
        self.0.first().is_some_and(|first| first == section)
    }
}

/// A file.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    lines: Lines,
    root: Spanned<DeTable<'a>>,
    /// What is wrong with it as TOML. The rest can be read all the same.
    pub(crate) slips: Vec<Problem>,
}

impl<'a> Document<'a> {
    /// Reads a text, and notes everything that is wrong with it as TOML.
    pub(crate) fn parse(text: &'a str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let lines = Lines::of(text);
        // One slip makes the parser stumble several times; of each line the first says most.
        let mut slips: Vec<Problem> = Vec::new();
        for error in errors {
            let line = error.span().map(|span| lines.at(span.start));
            if !slips.iter().any(|slip| slip.line == line) {
                let message = match error.message() {
                    "duplicate key" => "this key stands there already: keep one of them".to_owned(),
                    message => format!("this is not TOML: {}", message.replace('\n', ", ")),
                };
                slips.push(Problem { line, key: String::new(), message });
            }
        }
        Self { lines, root, slips }
    }

    /// Whether there is something at a path.
    pub(crate) fn has(&self, path: &Path) -> bool {
        let mut steps = path.0.iter();
        let Some(first) = steps.next() else { return true };
        let found = steps.try_fold(self.root().get(first.as_str()), |value, step| {
            let found = match value?.get_ref() {
                DeValue::Table(table) => table.get(step.as_str()),
                DeValue::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            Some(found)
        });
        found.flatten().is_some()
    }

    /// The keys at the top, with their values.
    pub(crate) fn root(&self) -> &DeTable<'a> {
        self.root.get_ref()
    }

    /// A problem with the value at a path; where there is none, with what is nearest above it.
    pub(crate) fn problem(&self, path: &Path, message: impl Into<String>) -> Problem {
        Problem { line: Some(self.line(path)), key: self.shown(path), message: message.into() }
    }

    /// A path with dots between its keys.
    #[expect(clippy::unused_self, reason = "beside `problem`, which needs it")]
    pub(crate) fn name_of(&self, path: &Path) -> String {
        path.0.join(".")
    }

    /// The line of the value at a path.
    pub(crate) fn line(&self, path: &Path) -> usize {
        self.lines.at(self.offset(path))
    }

    /// Where a path leads, in bytes from the beginning.
    fn offset(&self, path: &Path) -> usize {
        let Some((first, rest)) = path.0.split_first() else { return self.root.span().start };
        let Some((key, mut value)) = self.root.get_ref().get_key_value(first.as_str()) else {
            return self.root.span().start;
        };
        let mut offset = key.span().start;
        for step in rest {
            match value.get_ref() {
                DeValue::Table(table) => {
                    let Some((key, below)) = table.get_key_value(step.as_str()) else { break };
                    (offset, value) = (key.span().start, below);
                }
                DeValue::Array(items) => {
                    let Some(item) = step.parse().ok().and_then(|index: usize| items.get(index)) else {
                        break;
                    };
                    (offset, value) = (item.span().start, item);
                }
                _ => break,
            }
        }
        offset
    }

    /// A path as people name it: `` `url` of `[[tool.http]]` `lookup_order` ``.
    fn shown(&self, path: &Path) -> String {
        let mut steps = path.0.iter();
        let mut value: Option<&DeValue<'_>> = None;
        let mut section: Vec<&str> = Vec::new();
        let mut owner = None;
        while let Some(step) = steps.next() {
            match value {
                Some(DeValue::Array(items)) if item_of(items, step).is_some_and(DeValue::is_table) => {
                    let item = item_of(items, step);
                    let name =
                        item.and_then(|item| item.get("name")).and_then(|name| name.get_ref().as_str());
                    owner = Some((
                        section.join("."),
                        name.map_or_else(|| ordinal(step), |name| format!("`{name}`")),
                    ));
                    section = steps.map(String::as_str).collect();
                    break;
                }
                // A value in a list has no name: the list has.
                Some(DeValue::Array(_)) => break,
                Some(DeValue::Table(table)) => value = table.get(step.as_str()).map(Spanned::get_ref),
                Some(_) => value = None,
                None => value = self.root().get(step.as_str()).map(Spanned::get_ref),
            }
            section.push(step);
        }
        let key = section.join(".");
        match owner {
            Some((owner, name)) if key.is_empty() => format!("[[{owner}]] {name}"),
            Some((owner, name)) => format!("`{key}` of [[{owner}]] {name}"),
            None if key.is_empty() => key,
            None => format!("`{key}`"),
        }
    }

    /// What to say of a key that does not exist.
    pub(crate) fn unknown(&self, path: &Path, key: &str, known: &[&str]) -> Problem {
        self.problem(&path.key(key), unknown_key(key, known))
    }
}

/// Where the lines of a text end.
#[derive(Debug)]
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line of an offset in bytes, from 1.
    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

/// The value in a list that a step of a path names.
fn item_of<'l, 'a>(items: &'l [Spanned<DeValue<'a>>], step: &str) -> Option<&'l DeValue<'a>> {
    Some(items.get(step.parse::<usize>().ok()?)?.get_ref())
}

fn ordinal(index: &str) -> String {
    let number = index.parse::<usize>().map_or(1, |index| index + 1);
    format!("number {number}")
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(nearest) => format!("there is no key `{key}` here, did you mean `{nearest}`?"),
        None => format!("there is no key `{key}` here; the keys are {}", listed(known)),
    }
}

/// Returns the known name that `name` is probably a misspelling of.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    nearest_name(name, known.iter().copied())
}

/// Names as they stand in a sentence.
pub(crate) fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The names between backticks.
pub(super) fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Serde's words in ours.
pub(super) fn explain(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let (name, known) = rest.split_once(", ").unwrap_or((rest, ""));
        let known = quoted(known);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        return unknown_key(name.trim_matches('`'), &known);
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let (name, known) = rest.split_once(", ").unwrap_or((rest, ""));
        let known = quoted(known);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let name = name.trim_matches('`');
        return match nearest(name, &known) {
            Some(nearest) => format!("`{name}` is not possible here, did you mean `{nearest}`?"),
            None => format!("`{name}` is not possible here; write one of {}", listed(&known)),
        };
    }
    if let Some(name) = message.strip_prefix("missing field ") {
        return format!("the key {name} is missing: add it");
    }
    // What came may be a secret: only its type is repeated.
    if let Some(rest) = message.strip_prefix("invalid type: ") {
        let (came, expected) = rest.rsplit_once(", expected ").unwrap_or((rest, "another type"));
        let came = came.split(['`', '"']).next().unwrap_or_default().trim();
        return format!("this is a value of type {came}; write {}", plainly(expected));
    }
    match message {
        "invalid socket address syntax" => ADDRESS.to_owned(),
        "invalid IP address syntax" => "write an address such as \"169.254.169.254\"".to_owned(),
        other => other.to_owned(),
    }
}

const ADDRESS: &str = "write an address with a port, such as \"127.0.0.1:8700\"";

/// What is expected, for people who do not know what the file is read with.
fn plainly(expected: &str) -> &str {
    match expected {
        "usize" | "u32" | "u64" => "a whole number",
        "a string" | "path string" => "a text, in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list, in brackets",
        "a map" => "a table",
        "socket address" => ADDRESS.trim_start_matches("write "),
        "IP address" => "an address such as \"169.254.169.254\", in quotes",
        other if other.starts_with("struct ") => "a table, such as { key = \"value\" }",
        other => other,
    }
}

/// An error for a value that cannot be read; its text is shown as it is.
pub(crate) fn refuse<E: serde::de::Error>(message: impl std::fmt::Display) -> E {
    E::custom(message)
}
