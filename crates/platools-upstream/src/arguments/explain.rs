//! A validator's findings in words that a model can act on: the path, what was expected, what came.

use std::borrow::Cow;
use std::fmt::Write as _;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use platools::tool::{allowed_values, nearest_name, shortened};
use serde_json::Value;

/// The longest piece of a caller's own text that an answer repeats, in characters.
const MAX_QUOTE: usize = 80;

/// How many names are listed.
const MAX_LISTED: usize = 30;
/// How many values of an enumeration are listed: all countries fit.
const MAX_CHOICES: usize = 300;

/// Explains each mistake in a value of `schema` in a sentence. `names` are the arguments at the top.
pub(super) fn mistakes(error: &ValidationError<'_>, names: &[&str], schema: &Value) -> Vec<String> {
    let path = path(error);
    let came = came(error.instance());
    let at = |sentence: String| {
        if path.is_empty() { sentence } else { format!("`{path}`: {sentence}") }
    };
    let expected = |what: String| vec![at(format!("expected {what}, got {came}"))];
    match error.kind() {
        Kind::Required { property } => {
            let name = member(&path, property.as_str().unwrap_or_default());
            vec![format!("`{name}` is missing")]
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            unexpected.iter().map(|name| unexpected_name(&path, name, names, &known(error, schema))).collect()
        }
        Kind::Type { kind } => expected(types(kind)),
        Kind::Enum { options } => {
            let options: Vec<String> =
                options.as_array().into_iter().flatten().take(MAX_CHOICES).map(Value::to_string).collect();
            let texts: Vec<&str> = options.iter().map(|option| option.trim_matches('"')).collect();
            let meant = error.instance().as_str().and_then(|text| nearest_name(text, texts.iter().copied()));
            let meant = meant.map(|meant| format!(", did you mean \"{meant}\"?")).unwrap_or_default();
            vec![at(format!("expected one of {}, got {came}{meant}", options.join(", ")))]
        }
        Kind::Constant { expected_value } => expected(expected_value.to_string()),
        Kind::Minimum { limit } => {
            expected(range(error, schema).unwrap_or_else(|| format!("at least {limit}")))
        }
        Kind::Maximum { limit } => {
            expected(range(error, schema).unwrap_or_else(|| format!("at most {limit}")))
        }
        Kind::ExclusiveMinimum { limit } => {
            expected(range(error, schema).unwrap_or_else(|| format!("more than {limit}")))
        }
        Kind::ExclusiveMaximum { limit } => {
            expected(range(error, schema).unwrap_or_else(|| format!("less than {limit}")))
        }
        Kind::MultipleOf { multiple_of } => expected(format!("a multiple of {multiple_of}")),
        Kind::MinLength { limit } => expected(counted("at least", *limit, "character")),
        Kind::MaxLength { limit } => expected(counted("at most", *limit, "character")),
        Kind::MinItems { limit } => expected(counted("at least", *limit, "item")),
        Kind::MaxItems { limit } => expected(counted("at most", *limit, "item")),
        Kind::MinProperties { limit } => expected(counted("at least", *limit, "member")),
        Kind::MaxProperties { limit } => expected(counted("at most", *limit, "member")),
        Kind::UniqueItems => vec![at("the items have to differ from each other".to_owned())],
        Kind::Pattern { pattern } => expected(format!("a text that matches {pattern}")),
        Kind::Format { format } => expected(format!("a text of the format {format}")),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            let all = schema.pointer(error.schema_path().as_str()).and_then(Value::as_array);
            let all = all.map(|all| allowed_values(&serde_json::json!({"anyOf": all}), schema));
            any_of(context, names, schema, at, &came, (error.instance_path().as_str(), &path, all))
        }
        Kind::OneOfMultipleValid { .. } => {
            vec![at(format!("{came} fits several of the alternatives, and has to fit one"))]
        }
        Kind::FalseSchema => vec![at("nothing is allowed here".to_owned())],
        _ => vec![at(format!("{}", error.masked_with("the value")))],
    }
}

/// The declared range of a number, both ends of it.
fn range(error: &ValidationError<'_>, schema: &Value) -> Option<String> {
    let (declared, _) = error.schema_path().as_str().rsplit_once('/')?;
    let declared = schema.pointer(declared).filter(|declared| declared.get("type").is_some())?;
    Some(allowed_values(declared, schema))
}

/// None of the alternatives: what the one says that came nearest, and what all of them take.
fn any_of(
    context: &[Vec<ValidationError<'static>>],
    names: &[&str],
    schema: &Value,
    at: impl Fn(String) -> String,
    came: &str,
    (place, path, all): (&str, &str, Option<String>),
) -> Vec<String> {
    // Errors deeper inside mean that the alternative was the one that was meant.
    let depth = |errors: &Vec<ValidationError<'static>>| {
        errors.iter().map(|error| error.instance_path().as_str().matches('/').count()).max().unwrap_or(0)
    };
    let types: Option<Vec<String>> = context
        .iter()
        .map(|errors| match errors.as_slice() {
            [error] => match error.kind() {
                Kind::Type { kind } => Some(types(kind)),
                _ => None,
            },
            _ => None,
        })
        .collect();
    if let Some(types) = types {
        return vec![at(format!("expected {}, got {came}", types.join(" or ")))];
    }
    let nearest = context
        .iter()
        .filter(|errors| {
            // With the forms known, a choice that does not fit is as far away as another type.
            let is_other_form = |kind: &Kind| match kind {
                Kind::Type { .. } => true,
                Kind::Enum { .. } | Kind::Constant { .. } => all.is_some(),
                _ => false,
            };
            let is_other_type = |error: &ValidationError<'_>| {
                is_other_form(error.kind()) && error.instance_path().as_str() == place
            };
            !errors.iter().any(is_other_type)
        })
        .max_by_key(|errors| (depth(errors), usize::MAX - errors.len()));
    match nearest {
        Some(errors) => {
            let mut found: Vec<_> =
                errors.iter().take(3).flat_map(|error| mistakes(error, names, schema)).collect();
            if let (Some(last), Some(all)) = (found.last_mut(), all) {
                let of = if path.is_empty() { "it".to_owned() } else { format!("`{path}`") };
                let _ = write!(last, " ({of} takes {all})");
            }
            found
        }
        None => match all {
            Some(all) => vec![at(format!("expected {all}, got {came}"))],
            None => vec![at(format!("{came} fits none of the alternatives"))],
        },
    }
}

/// The names that the object of an error may have, as far as its schema itself says.
fn known<'s>(error: &ValidationError<'_>, schema: &'s Value) -> Vec<&'s str> {
    let declared =
        error.schema_path().as_str().rsplit_once('/').and_then(|(declared, _)| schema.pointer(declared));
    let properties = declared.and_then(|declared| declared["properties"].as_object());
    properties.map(|properties| properties.keys().map(String::as_str).collect()).unwrap_or_default()
}

fn unexpected_name(path: &str, name: &str, names: &[&str], known: &[&str]) -> String {
    let shown = quoted(name);
    if !path.is_empty() {
        let place = member(path, &shown);
        return match nearest_name(name, known.iter().copied()) {
            Some(nearest) => format!("`{place}` is not expected there, did you mean `{nearest}`?"),
            None => format!("`{place}` is not expected there"),
        };
    }
    match (nearest_name(name, names.iter().copied()), names) {
        (_, []) => format!("`{shown}` is not an argument; there are none"),
        (Some(nearest), _) => format!("`{shown}` is not an argument, did you mean `{nearest}`?"),
        (None, _) => {
            let names: Vec<_> = names.iter().take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
            format!("`{shown}` is not an argument (accepted: {})", names.join(", "))
        }
    }
}

/// A JSON Pointer as people write it: `lines[2].sku`.
fn path(error: &ValidationError<'_>) -> String {
    let mut path = String::new();
    for step in error.instance_path().as_str().split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit()) && !path.is_empty() {
            path = format!("{path}[{step}]");
        } else {
            path = member(&path, &quoted(&step));
        }
    }
    path
}

fn member(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn counted(how: &str, count: u64, what: &str) -> String {
    format!("{how} {count} {what}{}", if count == 1 { "" } else { "s" })
}

fn types(kind: &TypeKind) -> String {
    let named = |name: &str| match name {
        "null" => "null".to_owned(),
        "integer" | "array" | "object" => format!("an {name}"),
        name => format!("a {name}"),
    };
    match kind {
        TypeKind::Single(one) => named(one.as_str()),
        TypeKind::Multiple(several) => {
            several.iter().map(|one| named(one.as_str())).collect::<Vec<_>>().join(" or ")
        }
    }
}

/// A value as an answer repeats it.
fn came(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string \"{}\"", quoted(text)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn quoted(text: &str) -> Cow<'_, str> {
    shortened(text, MAX_QUOTE)
}

#[cfg(test)]
mod tests {
    use platools::Arguments;
    use serde_json::json;

    use crate::arguments::ArgumentSchema;

    fn refusal(arguments: serde_json::Value) -> String {
        let schema = ArgumentSchema::new(json!({
            "properties": {
                "order_id": {"type": "string", "minLength": 3, "maxLength": 10, "pattern": "^ord"},
                "limit": {"type": "integer", "minimum": 1, "exclusiveMaximum": 10, "default": 5},
                "color": {"enum": ["red", "green"]},
                "lines": {"type": "array", "maxItems": 2, "items": {
                    "type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"],
                    "additionalProperties": false,
                }},
                "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "shape": {"oneOf": [
                    {"type": "object", "properties": {"radius": {"type": "number"}}, "required": ["radius"]},
                    {"type": "object", "properties": {"side": {"type": "number"}}, "required": ["side"]},
                    {"enum": ["dot"]},
                ]},
                "when": {"type": ["integer", "string"]},
            },
            "required": ["order_id"],
        }))
        .unwrap();
        match schema.check(&Arguments::try_from(arguments).unwrap()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn mistakes_are_told_with_path_expectation_and_value() {
        for (arguments, expected) in [
            (json!({"order_id": "ord-1", "lines": [{"sku": "a"}], "either": null, "when": 3}), ""),
            (json!({}), "invalid arguments: `order_id` is missing"),
            (
                json!({"orderId": "ord-1"}),
                "invalid arguments: `orderId` is not an argument, did you mean `order_id`?; `order_id` is missing",
            ),
            (
                json!({"order_id": "ord-1", "banana": 1}),
                "invalid arguments: `banana` is not an argument (accepted: `order_id`, `limit`, `color`, `lines`, \
                 `either`, `shape`, `when`)",
            ),
            (
                json!({"order_id": 7, "limit": "x"}),
                "invalid arguments: `order_id`: expected a string, got the number 7; `limit`: expected an integer, \
                 got the string \"x\"",
            ),
            (
                json!({"order_id": "ord-1", "limit": 0}),
                "invalid arguments: `limit`: expected an integer of at least 1 and less than 10, got the number 0",
            ),
            (
                json!({"order_id": "ord-1", "limit": 10}),
                "invalid arguments: `limit`: expected an integer of at least 1 and less than 10, got the number 10",
            ),
            (
                json!({"order_id": "ord-1", "color": "gren"}),
                "invalid arguments: `color`: expected one of \"red\", \"green\", got the string \"gren\", did you \
                 mean \"green\"?",
            ),
            (
                json!({"order_id": "ord-1", "lines": [{"sku": "a"}, {"skew": 1}]}),
                "invalid arguments: `lines[1].skew` is not expected there; `lines[1].sku` is missing",
            ),
            (
                json!({"order_id": "ord-1", "either": 3}),
                "invalid arguments: `either`: expected a string or null, got the number 3",
            ),
            (
                json!({"order_id": "ord-1", "shape": 7}),
                "invalid arguments: `shape`: expected one of {\"radius\": …}, {\"side\": …}, \"dot\", got the number 7",
            ),
            (
                json!({"order_id": "ord-1", "shape": {"radius": "x"}}),
                "invalid arguments: `shape.radius`: expected a number, got the string \"x\" (`shape` takes one of \
                 {\"radius\": …}, {\"side\": …}, \"dot\")",
            ),
            (
                json!({"order_id": "ord-1", "lines": [{"sku": "a", "skus": "b"}]}),
                "invalid arguments: `lines[0].skus` is not expected there, did you mean `sku`?",
            ),
            (json!({"order_id": "ord-1", "limit": "3", "lines": "[{\"sku\": \"5\"}]"}), ""),
            (
                json!({"order_id": "ord-1", "limit": "30"}),
                "invalid arguments: `limit`: expected an integer of at least 1 and less than 10, got the number 30",
            ),
            (
                json!({"order_id": "ord-1", "when": true}),
                "invalid arguments: `when`: expected an integer or a string, got true",
            ),
            (
                json!({"order_id": "xyz"}),
                "invalid arguments: `order_id`: expected a text that matches ^ord, got the string \"xyz\"",
            ),
        ] {
            let mut got: Vec<String> = refusal(arguments.clone()).split("; ").map(str::to_owned).collect();
            let mut expected: Vec<String> = expected.split("; ").map(str::to_owned).collect();
            for list in [&mut got, &mut expected] {
                for part in list.iter_mut() {
                    *part = part.replace("invalid arguments: ", "");
                }
                list.sort();
            }
            assert_eq!(got, expected, "{arguments}");
        }
    }

    #[test]
    fn many_and_long_mistakes_make_a_short_answer() {
        let many: serde_json::Map<_, _> =
            (0..1_000).map(|n| (format!("x{n}"), json!("y".repeat(1_000)))).collect();
        assert!(refusal(many.into()).len() < 2_000);
        assert!(refusal(json!({"order_id": "é".repeat(100_000)})).len() < 1_000);
    }

    #[test]
    fn what_is_no_schema_is_said_with_its_place() {
        let error = ArgumentSchema::new(json!({"properties": {"a": {"type": "strin"}}})).unwrap_err();
        assert!(
            error.contains("`properties.a.type`: expected one of")
                && error.contains("did you mean \"string\""),
            "{error}"
        );
        let error =
            ArgumentSchema::new(json!({"properties": {"a": {"$ref": "https://x.example/s"}}})).unwrap_err();
        assert!(error.contains("nothing is fetched"), "{error}");
        let error =
            ArgumentSchema::new(json!({"properties": {"a": {"$ref": "#/$defs/absent"}}})).unwrap_err();
        assert!(error.contains("nothing is fetched"), "{error}");
        assert!(ArgumentSchema::new(json!({"type": "string"})).unwrap_err().contains("object"));
        assert!(ArgumentSchema::new(json!([])).unwrap_err().contains("object"));
    }
}
