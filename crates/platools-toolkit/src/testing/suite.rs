//! Reads cases from YAML; every error names its line and case.

use std::fmt;
use std::time::Duration;

use platools::tool::nearest_name;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use super::case::{Caller, Case, Expectation};

/// The keys of a case.
const CASE: [&str; 8] =
    ["name", "tool", "params", "expect_success", "expect_error", "expect", "max_latency_ms", "context"];
/// The keys of its `context`.
const CONTEXT: [&str; 7] =
    ["user_id", "user_token", "entity_token", "agent_id", "thread_id", "roles", "context"];

/// The hint for a file without cases.
const NO_TESTS: &str = "there is no `tests:`, a list of cases such as `- tool: lookup_order`";

/// Test cases in the order in which they run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Suite {
    cases: Vec<Case>,
}

impl Suite {
    /// Reads the cases of a YAML file; [the module](super) documents the format.
    ///
    /// # Errors
    /// If the text is not YAML, has an unknown key or a value of a wrong kind, or a case contradicts itself.
    pub fn from_yaml(text: &str) -> Result<Self, SuiteError> {
        let says_nothing = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if text.lines().all(says_nothing) {
            return Err(SuiteError::at(None, None, format!("the file is empty: {NO_TESTS}")));
        }
        let options = serde_saphyr::options! {
            with_snippet: false,
            reject_non_finite_typeless_float: true,
        };
        let file: File = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let location = error.location();
            let message = error.to_string();
            // Its own place, at the end of some of its messages, is said in our words.
            let message = message.split(" at line ").next().unwrap_or(&message);
            SuiteError::at(location, None, message)
        })?;
        if let Some(key) = file.unknown.first() {
            return Err(SuiteError::at(Some(key.referenced), None, unknown_key(&key.value, &["tests"])));
        }
        let tests = file.tests.ok_or_else(|| SuiteError::at(None, None, NO_TESTS))?;
        let cases = tests.into_iter().enumerate().map(|(index, case)| Reader::new(index, &case).read());
        Ok(Self { cases: cases.collect::<Result<_, _>>()? })
    }

    /// Returns the cases.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Keeps only the cases for which `keep` returns `true`.
    pub fn filter(mut self, keep: impl FnMut(&Case) -> bool) -> Self {
        self.cases.retain(keep);
        self
    }
}

impl FromIterator<Case> for Suite {
    fn from_iter<I: IntoIterator<Item = Case>>(cases: I) -> Self {
        Self { cases: cases.into_iter().collect() }
    }
}

impl From<Case> for Suite {
    /// A single case.
    fn from(case: Case) -> Self {
        Self { cases: vec![case] }
    }
}

/// A file of cases that cannot be used. A program that was given one ends with 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteError {
    place: Option<(u64, u64)>,
    /// The number of the case, from 1, and its tool if it names one.
    case: Option<(usize, Option<String>)>,
    message: String,
}

impl SuiteError {
    fn at(
        location: Option<Location>,
        case: Option<(usize, Option<String>)>,
        message: impl Into<String>,
    ) -> Self {
        let place = location.filter(|at| *at != Location::UNKNOWN).map(|at| (at.line(), at.column()));
        Self { place, case, message: message.into() }
    }

    /// Returns the line, from 1.
    pub fn line(&self) -> Option<u64> {
        self.place.map(|(line, _)| line)
    }

    /// Returns the column, from 1.
    pub fn column(&self) -> Option<u64> {
        self.place.map(|(_, column)| column)
    }
}

impl fmt::Display for SuiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        match &self.case {
            Some((number, Some(tool))) => write!(f, "case {number} (`{tool}`): ")?,
            Some((number, None)) => write!(f, "case {number}: ")?,
            None => {}
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for SuiteError {}

/// A whole file.
struct File {
    tests: Option<Vec<Spanned<Fields>>>,
    unknown: Vec<Spanned<String>>,
}

/// The list of cases.
struct Cases(Vec<Spanned<Fields>>);

/// The keys and values of one mapping, with their places.
struct Fields(Vec<(Spanned<String>, Spanned<Value>)>);

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FileVisitor;

        impl<'de> Visitor<'de> for FileVisitor {
            type Value = File;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping with `tests:`, a list of cases")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
                let mut file = File { tests: None, unknown: Vec::new() };
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    if key.value == "tests" {
                        let Cases(cases) = map.next_value()?;
                        file.tests = Some(cases);
                        continue;
                    }
                    map.next_value::<IgnoredAny>()?;
                    if !key.value.starts_with("x-") {
                        file.unknown.push(key);
                    }
                }
                Ok(file)
            }
        }

        deserializer.deserialize_any(FileVisitor)
    }
}

impl<'de> Deserialize<'de> for Cases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CasesVisitor;

        impl<'de> Visitor<'de> for CasesVisitor {
            type Value = Cases;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of cases, such as `- tool: lookup_order`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Cases, A::Error> {
                let mut cases = Vec::new();
                while let Some(case) = list.next_element()? {
                    cases.push(case);
                }
                Ok(Cases(cases))
            }
        }

        deserializer.deserialize_any(CasesVisitor)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a case, such as `- tool: lookup_order`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_any(FieldsVisitor)
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let hint = nearest_name(key, known.iter().copied()).map(|near| format!(", did you mean `{near}`?"));
    let list: Vec<_> = known.iter().map(|key| format!("`{key}`")).collect();
    format!("there is no key `{key}`{}; known: {}", hint.unwrap_or_default(), list.join(", "))
}

/// Reads one case.
struct Reader<'a> {
    number: usize,
    place: Location,
    fields: &'a [(Spanned<String>, Spanned<Value>)],
    tool: Option<String>,
}

impl<'a> Reader<'a> {
    fn new(index: usize, case: &'a Spanned<Fields>) -> Self {
        let fields = &*case.value.0;
        let mut reader = Self { number: index + 1, place: case.referenced, fields, tool: None };
        reader.tool = reader.get("tool").and_then(|tool| tool.value.as_str()).map(str::to_owned);
        reader
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<Value>> {
        // A key without a value counts as absent, as in Python.
        let field = self.fields.iter().find(|(name, _)| name.value == key);
        field.map(|(_, value)| value).filter(|value| key == "expect" || !value.value.is_null())
    }

    fn error(&self, place: Location, message: impl Into<String>) -> SuiteError {
        let place = if place == Location::UNKNOWN { self.place } else { place };
        SuiteError::at(Some(place), Some((self.number, self.tool.clone())), message)
    }

    /// The error for a value of the wrong kind. The value is not quoted because it may be a token.
    fn wrong(&self, key: &str, value: &Spanned<Value>, takes: &str) -> SuiteError {
        self.error(value.referenced, format!("`{key}` takes {takes}, got {}", kind(&value.value)))
    }

    fn text(&self, key: &str) -> Result<Option<String>, SuiteError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match text_of(&value.value) {
                Some(text) if !text.is_empty() => Ok(Some(text)),
                _ => Err(self.wrong(key, value, "some text")),
            },
        }
    }

    fn switch(&self, key: &str) -> Result<Option<bool>, SuiteError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.value {
                Value::Bool(switch) => Ok(Some(switch)),
                _ => Err(self.wrong(key, value, "`true` or `false`")),
            },
        }
    }

    fn read(self) -> Result<Case, SuiteError> {
        for (key, _) in self.fields {
            if !CASE.contains(&key.value.as_str()) && !key.value.starts_with("x-") {
                return Err(self.error(key.referenced, unknown_key(&key.value, &CASE)));
            }
        }
        let no_tool =
            || self.error(self.place, "there is no `tool`: name the tool to call, `tool: lookup_order`");
        let mut case = Case::new(self.text("tool")?.ok_or_else(no_tool)?);
        case.line = Some(self.place.line());
        case.name = self.text("name")?;
        if let Some(params) = self.get("params") {
            match &params.value {
                Value::Object(members) => case.params.clone_from(members),
                _ => return Err(self.wrong("params", params, "a mapping such as `{order_id: ord-1042}`")),
            }
        }
        case.expectation = self.expectation()?;
        case.max_latency = self.max_latency()?;
        if let Some(context) = self.get("context") {
            case.caller = self.caller(context)?;
        }
        Ok(case)
    }

    fn expectation(&self) -> Result<Expectation, SuiteError> {
        let success = self.switch("expect_success")?;
        let (fails, text) = match self.get("expect_error") {
            None => (None, None),
            Some(value) => match &value.value {
                Value::Bool(fails) => (Some(*fails), None),
                Value::String(text) if !text.is_empty() => (Some(true), Some(text.clone())),
                _ => {
                    return Err(self.wrong(
                        "expect_error",
                        value,
                        "`true`, `false`, or a part of the error's text",
                    ));
                }
            },
        };
        let place = |key: &str| self.get(key).map_or(self.place, |value| value.referenced);
        match (success, fails) {
            (Some(true), Some(true)) => {
                let message = "`expect_success` and `expect_error` contradict each other: keep one";
                return Err(self.error(place("expect_error"), message));
            }
            (Some(false), Some(false)) => {
                let message =
                    "neither success nor an error is expected, so that nothing can pass: keep one of the two";
                return Err(self.error(place("expect_error"), message));
            }
            _ => {}
        }
        let is_error = fails == Some(true) || success == Some(false);
        match (self.get("expect"), is_error, text) {
            (Some(value), true, _) => {
                let message = "`expect` is about a result, and an error is expected: keep one";
                Err(self.error(value.referenced, message))
            }
            (Some(value), false, _) => Ok(Expectation::Value(value.value.clone())),
            (None, true, Some(text)) => Ok(Expectation::ErrorText(text)),
            (None, true, None) => Ok(Expectation::Error),
            (None, false, _) => Ok(Expectation::Success),
        }
    }

    fn max_latency(&self) -> Result<Option<Duration>, SuiteError> {
        let Some(value) = self.get("max_latency_ms") else { return Ok(None) };
        let limit = value.value.as_f64().filter(|limit| *limit > 0.0);
        let limit = limit.and_then(|limit| Duration::try_from_secs_f64(limit / 1e3).ok());
        limit.map(Some).ok_or_else(|| self.wrong("max_latency_ms", value, "a number of milliseconds above 0"))
    }

    fn caller(&self, context: &Spanned<Value>) -> Result<Caller, SuiteError> {
        let Value::Object(members) = &context.value else {
            return Err(self.wrong("context", context, "a mapping such as `{user_id: usr_1}`"));
        };
        let mut caller = Caller::default();
        for (key, value) in members {
            let wrong = |takes: &str| {
                let message = format!("`{key}` of `context` takes {takes}, got {}", kind(value));
                self.error(context.referenced, message)
            };
            let text = || text_of(value).filter(|text| !text.is_empty()).ok_or_else(|| wrong("some text"));
            caller = match key.as_str() {
                "user_id" => caller.user_id(text()?),
                "user_token" => caller.user_token(text()?),
                "entity_token" => caller.entity_token(text()?),
                "agent_id" => caller.agent_id(text()?),
                "thread_id" => caller.thread_id(text()?),
                "roles" => {
                    let list = value.as_array().ok_or_else(|| wrong("a list such as `[support]`"))?;
                    let roles: Option<Vec<_>> = list.iter().map(text_of).collect();
                    caller.roles(roles.ok_or_else(|| wrong("a list of texts"))?)
                }
                "context" => {
                    let members =
                        value.as_object().ok_or_else(|| wrong("a mapping such as `{user.plan: pro}`"))?;
                    members.iter().fold(caller, |caller, (key, value)| caller.context(key, value.clone()))
                }
                unknown => {
                    let message = format!("in `context`, {}", unknown_key(unknown, &CONTEXT));
                    return Err(self.error(context.referenced, message));
                }
            };
        }
        if caller.roles.is_some() && caller.user_token.is_some() {
            let message =
                "`roles` make a verified user and `user_token` asks the authenticator for one: keep one";
            return Err(self.error(context.referenced, message));
        }
        Ok(caller)
    }
}

/// Returns a string, or a number as it is written, since an id may look like one.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(text) if text.is_empty() => "an empty text",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests;
