//! What people write who know another library, and what it is called here.

use quote::ToTokens as _;

use super::values::literal;
use super::{Entry, Value};
use crate::error::Errors;

/// Reports a word of another vocabulary on a function; `false` when it is of none that is known.
pub(super) fn on_tool(entry: &Entry, errors: &mut Errors) -> bool {
    let word = entry.word();
    let instead = match word.as_str() {
        "desc" | "doc" | "docs" | "help" | "about" | "summary" => {
            "write a doc comment, or `description = \"…\"`".to_owned()
        }
        "readonly" | "readOnly" | "read_only_hint" | "readOnlyHint" => write(entry, "read_only"),
        "destructive_hint" | "destructiveHint" => write(entry, "destructive"),
        "idempotent_hint" | "idempotentHint" => write(entry, "idempotent"),
        "openWorld" | "open_world_hint" | "openWorldHint" => write(entry, "open_world"),
        "role" | "scope" | "scopes" | "permissions" => {
            "who may call is said by `auth = \"user\"` and `roles = [\"support\"]`".to_owned()
        }
        "limit" | "limits" => {
            "write `rate_limit = \"60/min\"` for calls per time, or `concurrency = 4` for calls at the same time"
                .to_owned()
        }
        "rate" | "ratelimit" | "rateLimit" | "throttle" => write_or(entry, "rate_limit", "\"60/min\""),
        "max_concurrency" | "maxConcurrency" | "concurrent" | "parallelism" => {
            write_or(entry, "concurrency", "4")
        }
        "retry" | "retries" => "whether to call again is for the caller to decide: write `idempotent` when \
                                that does no harm"
            .to_owned(),
        "async" | "blocking" => {
            "write `async fn` for a function that awaits; any other runs on a thread that may block".to_owned()
        }
        "tag" | "tags" | "group" | "namespace" => {
            "a tool has one `category = \"orders\"`; anything else goes into `annotations(tags = [\"a\"])`"
                .to_owned()
        }
        _ => return false,
    };
    report(entry, &instead, errors);
    true
}

/// Reports a word of another vocabulary on a parameter; `false` when it is of none that is known.
pub(super) fn on_parameter(entry: &Entry, errors: &mut Errors) -> bool {
    let word = entry.word();
    let instead = match word.as_str() {
        "max" | "maximum" | "le" | "lte" => bound(entry, "max"),
        "min" | "minimum" | "ge" | "gte" => bound(entry, "min"),
        "exclusive_max" | "exclusive_maximum" | "lt" => {
            format!("write `range(exclusive_max = {})`", shown(entry, "100"))
        }
        "exclusive_min" | "exclusive_minimum" | "gt" => {
            format!("write `range(exclusive_min = {})`", shown(entry, "0"))
        }
        "max_length" | "maxLength" | "max_len" | "max_items" | "maxItems" => {
            format!("write `length(max = {})`", shown(entry, "10"))
        }
        "min_length" | "minLength" | "min_len" | "min_items" | "minItems" => {
            format!("write `length(min = {})`", shown(entry, "1"))
        }
        "equal" | "len" | "size" => format!("write `length(equal = {})`", shown(entry, "10")),
        "regex" | "regexp" => write_or(entry, "pattern", "\"^[a-z]+$\""),
        "desc" | "doc" | "docs" | "help" | "about" => {
            "write a doc comment on the parameter, or `description = \"…\"`".to_owned()
        }
        "optional" | "nullable" => {
            "an argument that may be left out is an `Option`, or has a `default`".to_owned()
        }
        "required" => "every argument is required, unless it is an `Option` or has a `default`".to_owned(),
        "name" | "alias" => format!(
            "an argument has one name, the parameter's or the one in `rename = {}`",
            shown(entry, "\"…\"")
        ),
        "default_value" | "default_value_t" => write_or(entry, "default", "…"),
        "skip" | "ignore" | "hidden" => {
            "a parameter that no caller sends comes from the call: write `inject`, and see `FromCall`"
                .to_owned()
        }
        "validate" | "custom" => {
            "values are checked by `range(…)`, `length(…)` and `pattern = \"…\"`; anything \
                                  else is for the function to check"
                .to_owned()
        }
        "enum" | "choices" | "values" | "one_of" => "make the parameter's type an `enum`".to_owned(),
        _ => return false,
    };
    report(entry, &instead, errors);
    true
}

fn report(entry: &Entry, instead: &str, errors: &mut Errors) {
    errors.on(&entry.key, format!("there is no `{}` here: {instead}", entry.word()));
}

/// A bound is said in one of two lists.
fn bound(entry: &Entry, name: &str) -> String {
    let value = shown(entry, "10");
    format!(
        "write `range({name} = {value})` for a number, or `length({name} = {value})` for a text or a list"
    )
}

/// The entry again under its name here; a switch when it has no value.
fn write(entry: &Entry, name: &str) -> String {
    match literal_of(entry) {
        Some(value) => format!("write `{name} = {value}`"),
        None => format!("write `{name}`"),
    }
}

/// The entry again under its name here, with an example when its value is no literal.
fn write_or(entry: &Entry, name: &str, example: &str) -> String {
    format!("write `{name} = {}`", shown(entry, example))
}

/// The literal that was given, or an example of one.
fn shown(entry: &Entry, example: &str) -> String {
    literal_of(entry).unwrap_or_else(|| example.to_owned())
}

fn literal_of(entry: &Entry) -> Option<String> {
    match &entry.value {
        Value::Assigned(expr) => literal(expr).map(|literal| literal.to_token_stream().to_string()),
        _ => None,
    }
}
