//! Maps attribute names of other libraries to the names used here.

use quote::ToTokens as _;

use super::values::literal;
use super::{Entry, Value};
use crate::error::Errors;

/// Reports another library's attribute name on a function; returns `false` if the name is not a known one.
pub(super) fn on_tool(entry: &Entry, errors: &mut Errors) -> bool {
    let name = entry.name();
    let instead = match name.as_str() {
        "desc" | "doc" | "docs" | "help" | "about" | "summary" => {
            "write a doc comment, or `description = \"…\"`".to_owned()
        }
        "readonly" | "readOnly" | "read_only_hint" | "readOnlyHint" => write(entry, "read_only"),
        "destructive_hint" | "destructiveHint" => write(entry, "destructive"),
        "idempotent_hint" | "idempotentHint" => write(entry, "idempotent"),
        "openWorld" | "open_world_hint" | "openWorldHint" => write(entry, "open_world"),
        "executor" | "dynamic" => write(entry, "dynamic_executor"),
        "role" | "scope" | "scopes" | "permissions" => {
            "use `auth = \"user\"` and `roles = [\"support\"]` to say who may call".to_owned()
        }
        "limit" | "limits" => {
            "write `rate_limit = \"60/min\"` for calls per time, or `concurrency = 4` for calls at the same time"
                .to_owned()
        }
        "rate" | "ratelimit" | "rateLimit" | "throttle" => write_or(entry, "rate_limit", "\"60/min\""),
        "max_concurrency" | "maxConcurrency" | "concurrent" | "parallelism" => {
            write_or(entry, "concurrency", "4")
        }
        "retry" | "retries" => "the caller decides about retries: write `idempotent` if repeating a call \
                                does no harm"
            .to_owned(),
        "async" | "blocking" => {
            "write `async fn` for a function that awaits; other functions run on a thread where blocking is allowed".to_owned()
        }
        "tag" | "tags" | "group" | "namespace" => {
            "write `category = \"orders\"` (one per tool); anything else goes into `annotations(tags = [\"a\"])`"
                .to_owned()
        }
        _ => return false,
    };
    report(entry, &instead, errors);
    true
}

/// Reports another library's attribute name on a parameter; returns `false` if the name is not a known one.
pub(super) fn on_parameter(entry: &Entry, errors: &mut Errors) -> bool {
    let name = entry.name();
    let instead = match name.as_str() {
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
        "optional" | "nullable" => "make the type an `Option`, or write `default`".to_owned(),
        "required" => {
            "arguments are required unless they are an `Option` or have a `default`: remove it".to_owned()
        }
        "name" | "alias" => format!("write `rename = {}`; an argument has no aliases", shown(entry, "\"…\"")),
        "default_value" | "default_value_t" => write_or(entry, "default", "…"),
        "skip" | "ignore" | "hidden" => {
            "write `inject` for a parameter that the caller does not send, and implement `FromCall`"
                .to_owned()
        }
        "validate" | "custom" => "use `range(…)`, `length(…)` or `pattern = \"…\"`; check anything \
                                  else in the function"
            .to_owned(),
        "enum" | "choices" | "values" | "one_of" => "make the parameter's type an `enum`".to_owned(),
        _ => return false,
    };
    report(entry, &instead, errors);
    true
}

fn report(entry: &Entry, instead: &str, errors: &mut Errors) {
    errors.on(&entry.key, format!("unknown attribute `{}`: {instead}", entry.name()));
}

/// Returns advice to write the bound in `range(…)` or `length(…)`.
fn bound(entry: &Entry, name: &str) -> String {
    let value = shown(entry, "10");
    format!(
        "write `range({name} = {value})` for a number, or `length({name} = {value})` for a text or a list"
    )
}

/// Returns advice to write the entry under the name used here; as a switch if it has no value.
fn write(entry: &Entry, name: &str) -> String {
    match literal_of(entry) {
        Some(value) => format!("write `{name} = {value}`"),
        None => format!("write `{name}`"),
    }
}

/// Returns advice to write the entry under the name used here, with `example` if its value is not a literal.
fn write_or(entry: &Entry, name: &str, example: &str) -> String {
    format!("write `{name} = {}`", shown(entry, example))
}

/// Returns the given literal, or `example`.
fn shown(entry: &Entry, example: &str) -> String {
    literal_of(entry).unwrap_or_else(|| example.to_owned())
}

fn literal_of(entry: &Entry) -> Option<String> {
    match &entry.value {
        Value::Assigned(expr) => literal(expr).map(|literal| literal.to_token_stream().to_string()),
        _ => None,
    }
}
