//! Decodes the arguments of one call by name and collects all errors.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use regex::Regex;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::constraint::{Length, Measured, Range, Ranged, Textual};
use super::explain::DecodeError;
use super::fields::{Fields, UnknownField};
use super::tool_argument::ToolArgument;
use super::{Arguments, explain, json_texts, missing, words};
use crate::tool::ToolError;

/// Maximum number of problems in one answer.
const MAX_PROBLEMS: usize = 10;

/// The accepted argument names and their schemas.
#[derive(Debug)]
pub struct ArgumentNames {
    /// The schema of each name.
    pub(crate) properties: Map<String, Value>,
    /// The definitions that the schemas refer to.
    pub(crate) definitions: Map<String, Value>,
    /// The names that belong to a flattened parameter.
    pub(crate) flattened: BTreeSet<String>,
    /// The schema of the flattened parameter.
    pub(crate) flattened_schema: Value,
    /// The names of the members inside the arguments.
    pub(crate) fields: Fields,
    /// Whether unknown names are accepted and ignored.
    pub(crate) open: bool,
}

impl ArgumentNames {
    fn contains(&self, name: &str) -> bool {
        self.properties.contains_key(name)
    }

    /// Returns the names, quoted and comma-separated.
    fn list(&self) -> String {
        let names: Vec<String> = self.properties.keys().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    }
}

struct Sent<'a> {
    name: Cow<'a, str>,
    value: &'a str,
    taken: bool,
}

/// Reads the arguments of one call.
pub struct ArgumentReader<'a> {
    sent: Vec<Sent<'a>>,
    names: Arc<ArgumentNames>,
    problems: Vec<String>,
    /// Whether a name was unknown or missing, so that the answer lists the accepted names.
    list_names: bool,
}

impl std::fmt::Debug for ArgumentReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArgumentReader").field("problems", &self.problems.len()).finish_non_exhaustive()
    }
}

impl<'a> ArgumentReader<'a> {
    /// Creates a reader of `arguments` that accepts `names`.
    pub fn new(arguments: &'a Arguments, names: &Arc<ArgumentNames>) -> Self {
        let mut reader = Self {
            sent: Vec::with_capacity(names.properties.len()),
            names: Arc::clone(names),
            problems: Vec::new(),
            list_names: false,
        };
        for member in arguments.members() {
            match member.name() {
                Some(name) => reader.sent.push(Sent { name, value: member.value, taken: false }),
                None => reader.problems.push("the name of an argument is not valid Unicode".to_owned()),
            }
        }
        reader
    }

    /// Takes the JSON text of the argument `name`. The last duplicate wins, as in JavaScript.
    fn take_text(&mut self, name: &str) -> Option<&'a str> {
        let mut text = None;
        for sent in self.sent.iter_mut().filter(|sent| sent.name == name) {
            sent.taken = true;
            text = Some(sent.value);
        }
        text
    }

    fn parse<T: DeserializeOwned>(&mut self, name: &str, text: &str) -> Option<T> {
        match explain::parse(text, name) {
            Ok(value) => {
                let unknown = self.names.fields.unknown_in(name, text);
                if !unknown.is_empty() {
                    self.refuse_fields::<T>(unknown, name, text);
                }
                Some(value)
            }
            Err(error) => self.parse_again(error, name, text),
        }
    }

    /// Decodes a value once more, with the JSON texts in it decoded that stand for something else.
    #[cold]
    fn parse_again<T: DeserializeOwned>(&mut self, error: DecodeError, name: &str, text: &str) -> Option<T> {
        let schema = schema_of(&self.names, name);
        let Some(decoded) = json_texts::decoded(schema, &self.names.definitions, text) else {
            self.record(error, name, text);
            return None;
        };
        match explain::parse(&decoded, name) {
            Ok(value) => {
                let (unknown, before) = (self.names.fields.unknown_in(name, &decoded), self.problems.len());
                self.refuse_fields::<T>(unknown, name, &decoded);
                if self.problems.len() == before {
                    json_texts::note_accepted();
                }
                Some(value)
            }
            Err(error) => {
                self.record(error, name, &decoded);
                None
            }
        }
    }

    /// Records the unknown fields that the type `T` does not read under another name.
    #[cold]
    fn refuse_fields<T: DeserializeOwned>(&mut self, unknown: Vec<UnknownField>, name: &str, text: &str) {
        for field in unknown {
            let is_read =
                field.doubled_in(text).is_some_and(|text| explain::parse::<T>(&text, name).is_err());
            if !is_read {
                self.problems.push(field.problem);
            }
        }
    }

    /// Records a decoding error of the argument `name`, or of the flattened parameter if `name` is empty.
    #[cold]
    fn record(&mut self, error: DecodeError, name: &str, text: &str) {
        let schema = schema_of(&self.names, name);
        let problem = error.into_problem_of(text, name, schema, &self.names.definitions);
        self.problems.push(problem);
    }

    /// Decodes the argument `name`; returns `None` on an error, which `finish` reports.
    pub fn take<T: ToolArgument>(&mut self, name: &'static str) -> Option<T> {
        if let Some(text) = self.take_text(name) {
            return self.parse(name, text);
        }
        let value = missing::value();
        if value.is_none() {
            let schema = self.names.properties.get(name).unwrap_or(&Value::Null);
            let expected = words::expected_of_missing(schema, &self.names.definitions);
            self.problems.push(format!("`{name}` is missing, expected {expected}"));
            self.list_names = true;
        }
        value
    }

    /// Decodes the argument `name`, or returns `default` if it was not sent.
    pub fn take_or<T: ToolArgument>(&mut self, name: &'static str, default: impl FnOnce() -> T) -> Option<T> {
        match self.take_text(name) {
            Some(text) => self.parse(name, text),
            None => Some(default()),
        }
    }

    /// Decodes the struct `T` from the arguments that no other parameter took. Call it last.
    pub fn flatten<T: ToolArgument>(&mut self) -> Option<T> {
        let mut text = String::from("{");
        for sent in &mut self.sent {
            if sent.taken || !(self.names.open || self.names.flattened.contains(&*sent.name)) {
                continue;
            }
            sent.taken = true;
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&serde_json::Value::from(&*sent.name).to_string());
            text.push(':');
            text.push_str(sent.value);
        }
        text.push('}');
        let value = self.parse("", &text);
        self.list_names |= value.is_none();
        value
    }

    fn check(&mut self, name: &str, problem: Option<String>) {
        self.problems.extend(problem.map(|problem| format!("`{name}`: {problem}")));
    }

    /// Checks a number against its bounds.
    pub fn check_range<T: Ranged>(&mut self, name: &str, value: Option<&T>, range: Range) {
        let number = value.and_then(Ranged::number).filter(|number| range.check(*number).is_some());
        let problem = number.map(|number| {
            let expected = words::expected(schema_of(&self.names, name), &self.names.definitions);
            format!("expected {expected}, got the number {number}")
        });
        self.check(name, problem);
    }

    /// Checks a length against its bounds.
    pub fn check_length<T: Measured>(&mut self, name: &str, value: Option<&T>, length: Length) {
        let problem = value.and_then(Measured::measure).and_then(|measured| length.check(measured, T::UNIT));
        self.check(name, problem);
    }

    /// Checks a text against a pattern.
    pub fn check_pattern<T: Textual>(&mut self, name: &str, value: Option<&T>, pattern: &Regex) {
        let problem = value.and_then(Textual::text).filter(|text| !pattern.is_match(text)).map(|text| {
            let quoted = serde_json::Value::from(explain::shorten(text));
            format!("must match the pattern `{pattern}`, got {quoted}")
        });
        self.check(name, problem);
    }

    /// Reports all errors: mismatched values and unknown names.
    ///
    /// # Errors
    /// One `invalid arguments: …` that lists all problems.
    pub fn finish(mut self) -> Result<(), ToolError> {
        if !self.names.open {
            for sent in self.sent.iter().filter(|sent| !sent.taken && !self.names.contains(&sent.name)) {
                let known = self.names.properties.keys().map(String::as_str);
                let hint = explain::nearest_name(&sent.name, known)
                    .map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
                self.problems.push(format!("`{}` is not an argument{hint}", explain::shorten(&sent.name)));
                self.list_names = true;
            }
        }
        if self.problems.is_empty() {
            return Ok(());
        }
        let more = self.problems.len().saturating_sub(MAX_PROBLEMS);
        self.problems.truncate(MAX_PROBLEMS);
        let mut message = self.problems.join("; ");
        if more > 0 {
            let _ = write!(message, "; and {more} more");
        }
        if self.list_names {
            match self.names.list() {
                names if names.is_empty() => message.push_str(" (the tool takes no arguments)"),
                names => {
                    let _ = write!(message, " (accepted: {names})");
                }
            }
        }
        Err(ToolError::invalid_arguments(message).into_refusal())
    }
}

/// Returns the schema of the argument `name`, or of the flattened parameter if `name` is empty.
fn schema_of<'n>(names: &'n ArgumentNames, name: &str) -> &'n Value {
    let schema = if name.is_empty() { Some(&names.flattened_schema) } else { names.properties.get(name) };
    schema.unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;
    use crate::tool::arguments::constraint::Number;
    use crate::tool::schema::InputSchema;

    const QUANTITY: Range = Range {
        min: Some(Number::Integer(1)),
        max: Some(Number::Integer(9)),
        exclusive_min: None,
        exclusive_max: None,
    };

    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Page {
        size: u8,
        after: Option<String>,
    }

    type Order = (String, i64, Option<String>, bool, Page);

    fn schema() -> InputSchema {
        let mut input = InputSchema::new();
        let _ = input.argument::<String>("order_id", Some("The order."));
        let _ = input.argument::<i64>("quantity", None).range(QUANTITY);
        let _ = input.argument::<Option<String>>("note", None);
        let _ = input.argument::<bool>("gift", None).default_value(&true);
        input.flatten::<Page>("page");
        input
    }

    fn read(text: &str) -> Result<Order, String> {
        let names = schema().names();
        let arguments = Arguments::from_json(text).unwrap();
        let mut reader = ArgumentReader::new(&arguments, &names);
        let order_id = reader.take("order_id");
        let quantity = reader.take("quantity");
        reader.check_range("quantity", quantity.as_ref(), QUANTITY);
        let note = reader.take("note");
        let gift = reader.take_or("gift", || true);
        let page = reader.flatten();
        reader.finish().map_err(|error| error.to_string())?;
        Ok((order_id.unwrap(), quantity.unwrap(), note.unwrap(), gift.unwrap(), page.unwrap()))
    }

    #[test]
    fn the_schema_matches_the_decoding() {
        let (schema, problems) = schema().finish();
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            serde_json::to_string(&schema).unwrap(),
            json!({
                "type": "object",
                "properties": {
                    "order_id": {"type": "string", "description": "The order."},
                    "quantity": {"type": "integer", "minimum": 1, "maximum": 9},
                    "note": {"type": ["string", "null"]},
                    "gift": {"type": "boolean", "default": true},
                    "size": {"type": "integer", "minimum": 0, "maximum": 255},
                    "after": {"type": ["string", "null"]},
                },
                "required": ["order_id", "quantity", "size"],
                "additionalProperties": false,
            })
            .to_string()
        );
    }

    #[test]
    fn valid_arguments_are_decoded() {
        let page = |size, after: Option<&str>| Page { size, after: after.map(str::to_owned) };
        assert_eq!(
            read(r#"{"order_id":"a","quantity":2,"size":5}"#),
            Ok(("a".into(), 2, None, true, page(5, None)))
        );
        assert_eq!(
            read(
                r#"{"gift":false,"after":"x","note":null,"order_id":"a","quantity":1,"quantity":2,"size":5}"#
            ),
            Ok(("a".into(), 2, None, false, page(5, Some("x"))))
        );
    }

    #[test]
    fn all_errors_are_reported_together() {
        let cases = [
            (
                r#"{"orderId":"a","quantity":"two","size":5}"#,
                "invalid arguments: `order_id` is missing, expected a string; `quantity`: expected an integer \
                 from 1 to 9, got the string \"two\"; `orderId` is not an argument, did you mean `order_id`? \
                 (accepted: `order_id`, `quantity`, `note`, `gift`, `size`, `after`)",
            ),
            (
                r#"{"order_id":"a","quantity":10,"size":5,"gift":null}"#,
                "invalid arguments: `quantity`: expected an integer from 1 to 9, got the number 10; `gift`: expected a boolean, got null",
            ),
            (
                r#"{"order_id":"a","quantity":1,"size":500}"#,
                "invalid arguments: `size`: expected an integer from 0 to 255, got the number 500 \
                 (accepted: `order_id`, `quantity`, `note`, `gift`, `size`, `after`)",
            ),
            (
                r#"{"order_id":"a","quantity":1,"size":5,"\ud800":1,"zzz":{}}"#,
                "invalid arguments: the name of an argument is not valid Unicode; `zzz` is not an argument \
                 (accepted: `order_id`, `quantity`, `note`, `gift`, `size`, `after`)",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).unwrap_err(), expected);
        }
        let many: Value =
            (0..1_000).map(|index| (format!("x{index}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
        assert!(read(&many.to_string()).unwrap_err().len() < 1_000);
    }

    #[test]
    fn an_open_tool_ignores_unknown_arguments() {
        let mut input = InputSchema::new();
        let _ = input.argument::<u8>("a", None);
        input.allow_additional_properties();
        let names = input.names();
        let arguments = Arguments::from_json(r#"{"a":1,"b":2}"#).unwrap();
        let mut reader = ArgumentReader::new(&arguments, &names);
        assert_eq!(reader.take::<u8>("a"), Some(1));
        assert!(reader.finish().is_ok());
        assert_eq!(input.finish().0.get("additionalProperties"), None);
    }

    #[test]
    fn a_parameter_that_cannot_be_flattened_is_a_problem() {
        let mut input = InputSchema::new();
        let _ = input.argument::<u8>("size", None);
        input.flatten::<Page>("page");
        input.flatten::<Vec<u8>>("list");
        let (_, problems) = input.finish();
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("`size`") && problems[1].contains("`list`"), "{problems:?}");
    }
}
