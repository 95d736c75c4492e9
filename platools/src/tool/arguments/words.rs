//! Describes schemas and values for error texts: `an integer from 0 to 9`, `the string "x"`.

use serde_json::{Map, Value};

use super::explain::{nearest_name, shorten};
use crate::tool::schema::article;

/// Maximum length of a list of alternatives, in bytes: all countries fit, and a hundred forms of an object.
const MAX_LIST: usize = 4_000;
/// Maximum depth of references and nested alternatives in a description.
const MAX_DEPTH: usize = 4;

/// The schema definitions that `$ref` resolves to.
pub(super) type Definitions = Map<String, Value>;

/// Resolves `$ref`.
pub(super) fn resolved<'a>(schema: &'a Value, definitions: &'a Definitions) -> &'a Value {
    let mut schema = schema;
    for _ in 0..MAX_DEPTH {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix("#/$defs/"));
        match target.and_then(|name| definitions.get(name)) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// Returns the branches of `anyOf` or `oneOf`.
pub(super) fn alternatives(schema: &Value) -> Option<&[Value]> {
    ["oneOf", "anyOf"].iter().find_map(|key| schema.get(key)).and_then(Value::as_array).map(Vec::as_slice)
}

/// Returns the text of a schema that allows exactly one text.
pub(super) fn only_text(schema: &Value) -> Option<&str> {
    match (schema.get("const"), schema.get("enum").and_then(Value::as_array).map(Vec::as_slice)) {
        (Some(text), _) | (None, Some([text])) => text.as_str(),
        _ => None,
    }
}

/// Returns whether a schema allows only `null`.
pub(super) fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "null") || schema.get("const").is_some_and(Value::is_null)
}

/// The tagging of an enum's alternatives, as in serde.
#[derive(Debug)]
pub(super) enum Tagging<'a> {
    /// By a member that all alternatives have: its name, and its text in each alternative.
    Internal(&'a str, Vec<&'a str>),
    /// By a name, which is either the whole value or the only member of an object.
    External(Vec<External<'a>>),
    /// Untagged.
    None,
}

/// One externally tagged alternative.
#[derive(Debug, Clone, Copy)]
pub(super) struct External<'a> {
    pub(super) name: &'a str,
    /// The schema of the object whose only member has this name; `None` for a unit variant.
    pub(super) object: Option<&'a Value>,
}

/// Determines the tagging of resolved `branches`.
pub(super) fn tagging<'a>(branches: &[&'a Value]) -> Tagging<'a> {
    let properties = |branch: &'a Value| branch.get("properties").and_then(Value::as_object);
    let tag = branches.first().and_then(|first| properties(first)).and_then(|first| {
        let is_tag = |name: &str| {
            branches
                .iter()
                .all(|branch| properties(branch).and_then(|all| all.get(name)).and_then(only_text).is_some())
        };
        first.keys().map(String::as_str).find(|name| is_tag(name))
    });
    if let Some(tag) = tag {
        return Tagging::Internal(
            tag,
            branches.iter().filter_map(|branch| only_text(&branch["properties"][tag])).collect(),
        );
    }
    let mut names = Vec::new();
    for branch in branches {
        if let Some(texts) = texts(branch) {
            names.extend(texts.into_iter().map(|name| External { name, object: None }));
            continue;
        }
        let required = branch.get("required").and_then(Value::as_array).map(Vec::as_slice);
        let only = properties(branch).filter(|all| all.len() == 1).and_then(|all| all.keys().next());
        match (required, only) {
            (Some([required]), Some(name))
                if required == name && branch.get("additionalProperties").is_some() =>
            {
                names.push(External { name, object: Some(branch) });
            }
            _ => return Tagging::None,
        }
    }
    Tagging::External(names)
}

/// Returns the texts of a schema that allows only certain texts.
fn texts(schema: &Value) -> Option<Vec<&str>> {
    if let Some(text) = only_text(schema) {
        return Some(vec![text]);
    }
    schema.get("enum")?.as_array()?.iter().map(Value::as_str).collect()
}

/// Describes the values that a schema allows.
pub(super) fn expected(schema: &Value, definitions: &Definitions) -> String {
    describe(schema, definitions, 0)
}

/// Describes the values that a JSON Schema allows, for an error text. `root` is the schema that references refer to.
///
/// ```
/// use platools::tool::allowed_values;
/// use serde_json::json;
///
/// let root = json!({"$defs": {"Size": {"type": "integer", "minimum": 1, "maximum": 9}}});
/// let either = json!({"anyOf": [{"$ref": "#/$defs/Size"}, {"enum": ["small", "large"]}]});
/// assert_eq!(allowed_values(&either, &root), r#"an integer from 1 to 9 or one of "small", "large""#);
/// ```
pub fn allowed_values(schema: &Value, root: &Value) -> String {
    let none = Definitions::new();
    expected(schema, root.get("$defs").and_then(Value::as_object).unwrap_or(&none))
}

/// Describes the values that a schema allows, briefly, for a missing argument.
pub(super) fn expected_of_missing(schema: &Value, definitions: &Definitions) -> String {
    let schema = resolved(schema, definitions);
    match types(schema).find(|name| *name != "null") {
        Some(name @ ("integer" | "number" | "array")) if schema.get("enum").is_none() => article(name),
        _ => expected(schema, definitions),
    }
}

fn describe(schema: &Value, definitions: &Definitions, depth: usize) -> String {
    let schema = resolved(schema, definitions);
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return one_of(values.iter().filter(|value| !value.is_null()).map(quoted));
    }
    if let Some(value) = schema.get("const") {
        return quoted(value);
    }
    let number = |key: &str| schema.get(key).filter(|bound| bound.is_number());
    let words: Vec<String> = types(schema)
        .filter(|name| *name != "null")
        .map(|name| match name {
            "integer" | "number" => {
                let other =
                    schema.pointer("/not/const").map_or_else(String::new, |not| format!(" other than {not}"));
                article(name) + &range(schema) + &other
            }
            "string" => match schema.get("format").and_then(Value::as_str) {
                Some(format) => formatted(format),
                None if number("maxLength").is_some_and(|max| max == 1) => {
                    "a string of one character".to_owned()
                }
                None => "a string".to_owned(),
            },
            "array" => match (number("minItems"), number("maxItems")) {
                (Some(min), Some(max)) if min == max => {
                    format!("an array of {}", items(min.as_u64().unwrap_or(0)))
                }
                _ => "an array".to_owned(),
            },
            name => article(name),
        })
        .collect();
    if let Some(branches) =
        alternatives(schema).filter(|_| depth < MAX_DEPTH && (words.is_empty() || is_only_object(&words)))
    {
        return describe_alternatives(branches, definitions, depth + 1);
    }
    match words.as_slice() {
        [] if schema.get("type").is_some() => "null".to_owned(),
        [] => "another value".to_owned(),
        words => words.join(" or "),
    }
}

/// Describes the bounds of a number, to append to `an integer`.
fn range(schema: &Value) -> String {
    let bound = |key: &str| schema.get(key).filter(|bound| bound.is_number());
    if let (Some(min), Some(max)) = (bound("minimum"), bound("maximum"))
        && bound("exclusiveMinimum").or(bound("exclusiveMaximum")).is_none()
    {
        return format!(" from {min} to {max}");
    }
    let words = [
        ("minimum", "of at least"),
        ("exclusiveMinimum", "greater than"),
        ("maximum", "of at most"),
        ("exclusiveMaximum", "less than"),
    ];
    let bounds = words.iter().filter_map(|(key, words)| Some(format!("{words} {}", bound(key)?)));
    let bounds: Vec<String> = bounds.collect();
    if bounds.is_empty() { String::new() } else { format!(" {}", bounds.join(" and ")) }
}

fn is_only_object(words: &[String]) -> bool {
    matches!(words, [word] if word == "an object")
}

/// Describes the values that any of several schemas allows.
pub(super) fn expected_of_any(branches: &[Value], definitions: &Definitions) -> String {
    describe_alternatives(branches, definitions, 0)
}

fn describe_alternatives(branches: &[Value], definitions: &Definitions, depth: usize) -> String {
    let branches: Vec<&Value> = branches
        .iter()
        .map(|branch| resolved(branch, definitions))
        .filter(|branch| !is_null(branch))
        .collect();
    if depth > MAX_DEPTH {
        return "another value".to_owned();
    }
    match tagging(&branches) {
        Tagging::Internal(tag, texts) => {
            let texts = one_of(texts.into_iter().map(|text| quoted(&text.into())));
            format!("an object whose `{}` is {texts}", shorten(tag))
        }
        Tagging::External(names) => one_of(names.into_iter().map(|external| {
            let name = quoted(&external.name.into());
            if external.object.is_some() { format!("{{{name}: …}}") } else { name }
        })),
        Tagging::None => {
            let mut words: Vec<String> = Vec::new();
            for branch in branches {
                let mut word = describe(branch, definitions, depth + 1);
                if word == "an object" {
                    word.push_str(&with_members(branch));
                }
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            limited(words.into_iter()).join(" or ")
        }
    }
}

/// Returns an object's required members, to append to `an object`.
fn with_members(schema: &Value) -> String {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<String> =
        required.filter_map(Value::as_str).take(4).map(|name| format!("`{}`", shorten(name))).collect();
    if names.is_empty() { String::new() } else { format!(" with {}", names.join(" and ")) }
}

/// Returns the type names in `type`.
pub(super) fn types(schema: &Value) -> impl Iterator<Item = &str> {
    let (one, many) = match schema.get("type") {
        Some(Value::String(name)) => (Some(name.as_str()), None),
        Some(Value::Array(names)) => (None, Some(names)),
        _ => (None, None),
    };
    one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_str))
}

/// Describes a text format with an example.
fn formatted(format: &str) -> String {
    let (words, example) = match format {
        "date-time" => ("a date-time", "2026-01-01T00:00:00Z"),
        "partial-date-time" => ("a date-time without a zone", "2026-01-01T00:00:00"),
        "date" => ("a date", "2026-01-01"),
        "time" => ("a time", "12:30:00Z"),
        "partial-time" => ("a time without a zone", "12:30:00"),
        "duration" => ("a duration", "PT1H30M"),
        "uuid" => ("a UUID", "67e55044-10b1-426f-9247-bb680e5fe0c8"),
        "uri" => ("a URL", "https://example.com/path"),
        "email" => ("an e-mail address", "name@example.com"),
        "ip" => ("an IP address", "192.0.2.1"),
        "ipv4" => ("an IPv4 address", "192.0.2.1"),
        "ipv6" => ("an IPv6 address", "2001:db8::1"),
        other => return format!("a string of the format `{}`", shorten(other)),
    };
    format!("{words} such as {example}")
}

/// Formats a number of items.
pub(super) fn items(count: u64) -> String {
    if count == 1 { "1 item".to_owned() } else { format!("{count} items") }
}

/// Describes the received value.
pub(super) fn got(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) => format!("the number {}", shorten(&number.to_string())),
        Value::String(_) => format!("the string {}", quoted(value)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Formats a value as JSON; a long text is shortened.
fn quoted(value: &Value) -> String {
    match value.as_str() {
        Some(text) => Value::from(shorten(text)).to_string(),
        None => shorten(&value.to_string()),
    }
}

fn one_of(values: impl Iterator<Item = String>) -> String {
    let values = limited(values);
    if let [one] = values.as_slice() { one.clone() } else { format!("one of {}", values.join(", ")) }
}

/// Limits a list to [`MAX_LIST`], with `…` for the rest.
fn limited(words: impl Iterator<Item = String>) -> Vec<String> {
    let (mut list, mut length) = (Vec::new(), 0);
    for word in words {
        length += word.len() + 2;
        if length > MAX_LIST {
            list.push("…".to_owned());
            break;
        }
        list.push(word);
    }
    list
}

/// Describes an unknown name, the known names and the nearest one.
pub(super) fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let hint = nearest_name(name, known.clone())
        .map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
    let names = limited(known.map(|name| format!("`{}`", shorten(name))));
    let expected = match names.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [one, two] => format!("{one} or {two}"),
        _ => format!("one of {}", names.join(", ")),
    };
    format!("unknown {kind} `{}`, expected {expected}{hint}", shorten(name))
}
