//! Decodes JSON texts that models send in place of an array, an object or a number: `"[1, 2]"` for `[1, 2]`.
//!
//! Only where the schema allows no text, and once: a text inside a decoded text stays one.

use serde_json::Value;

use super::words::{Definitions, alternatives, is_null, only_text, resolved, types};
use crate::observe;

/// Maximum depth of the walk. Values that serde can parse are at most 127 levels deep.
const MAX_DEPTH: usize = 128;
/// Maximum depth of alternatives inside alternatives.
const MAX_NESTED: usize = 4;

/// Returns the JSON `text` with the texts in it decoded that stand for another kind of value; `None` if there are none.
#[cold]
pub(super) fn decoded(schema: &Value, definitions: &Definitions, text: &str) -> Option<String> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    let changed = decode(schema, definitions, &mut value, 0);
    note(changed);
    changed.then(|| value.to_string())
}

fn note(changed: bool) {
    if changed {
        observe::argument_decoded();
        tracing::debug!("a JSON text was sent in place of an array, an object or a number, and decoded");
    }
}

/// Decodes JSON texts in `arguments` where `schema` wants an array, an object or a number and allows no text. Models
/// send them now and then, and each refusal costs a turn.
///
/// For handlers that check arguments against a schema themselves; the arguments of `#[tool]` functions are decoded like
/// this already. Returns whether anything was decoded, which `platools_arguments_decoded_total` counts.
///
/// ```
/// use platools::tool::decode_json_texts;
/// use serde_json::json;
///
/// let schema = json!({"type": "object", "properties": {
///     "ids": {"type": "array", "items": {"type": "integer"}},
///     "note": {"type": "string"},
/// }});
/// let mut arguments = json!({"ids": "[1, 2]", "note": "[3]"});
/// assert!(decode_json_texts(&schema, &mut arguments));
/// assert_eq!(arguments, json!({"ids": [1, 2], "note": "[3]"}));
/// ```
pub fn decode_json_texts(schema: &Value, arguments: &mut Value) -> bool {
    let none = Definitions::new();
    let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&none);
    let changed = decode(schema, definitions, arguments, 0);
    note(changed);
    changed
}

/// Decodes the texts in a value. Returns whether there were any.
fn decode(schema: &Value, definitions: &Definitions, value: &mut Value, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    let schema = resolved(schema, definitions);
    let mut changed = false;
    match value {
        Value::String(text) => {
            if allows(schema, definitions, &Value::String(String::new()), depth) {
                return false;
            }
            let Ok(inner) = serde_json::from_str::<Value>(text) else { return false };
            let is_wanted = inner.is_array() || inner.is_object() || inner.is_number();
            if is_wanted && allows(schema, definitions, &inner, depth) {
                *value = inner;
                changed = true;
            }
        }
        Value::Object(members) => {
            let branch = branch_of(schema, definitions, members);
            for (name, value) in members {
                let schemas = [Some(schema), branch].into_iter().flatten();
                let known = schemas.clone().find_map(|schema| schema.get("properties")?.get(name));
                let mut others = schemas.filter_map(|schema| schema.get("additionalProperties"));
                if let Some(schema) = known.or_else(|| others.next()) {
                    changed |= decode(schema, definitions, value, depth + 1);
                }
            }
        }
        Value::Array(items) => {
            let list = only_branch(schema, definitions, "array");
            let first = list.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            for (index, item) in items.iter_mut().enumerate() {
                if let Some(schema) = first.get(index).or_else(|| list.get("items")) {
                    changed |= decode(schema, definitions, item, depth + 1);
                }
            }
        }
        _ => {}
    }
    changed
}

/// Returns whether a schema allows a value of this kind.
fn allows(schema: &Value, definitions: &Definitions, value: &Value, depth: usize) -> bool {
    let schema = resolved(schema, definitions);
    if depth > MAX_DEPTH {
        return true;
    }
    let mut types = types(schema).peekable();
    if types.peek().is_some() {
        return types.any(|name| match name {
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => false,
        });
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().any(|known| known == value || known.is_string() && value.is_string());
    }
    if let Some(known) = schema.get("const") {
        return known == value || known.is_string() && value.is_string();
    }
    match alternatives(schema) {
        Some(branches) => branches.iter().any(|branch| allows(branch, definitions, value, depth + 1)),
        None => true,
    }
}

/// Returns the alternative that an object with these members is meant to be, if only one can be.
fn branch_of<'a>(
    schema: &'a Value,
    definitions: &'a Definitions,
    members: &serde_json::Map<String, Value>,
) -> Option<&'a Value> {
    let fits = |branch: &&Value| {
        let Some(properties) = branch.get("properties").and_then(Value::as_object) else { return false };
        let has_tags = properties.iter().all(|(name, schema)| {
            only_text(schema).is_none_or(|text| members.get(name).is_some_and(|sent| sent == text))
        });
        has_tags && members.keys().all(|name| properties.contains_key(name))
    };
    only(leaves(schema, definitions, 0).into_iter().filter(fits))
}

/// Returns the only alternative of that type, or the schema itself if it has no alternatives.
fn only_branch<'a>(schema: &'a Value, definitions: &'a Definitions, name: &str) -> &'a Value {
    let branches = leaves(schema, definitions, 0).into_iter();
    only(branches.filter(|branch| types(branch).any(|known| known == name))).unwrap_or(schema)
}

/// Returns the alternatives of a schema, and theirs in place of those that have some.
fn leaves<'a>(schema: &'a Value, definitions: &'a Definitions, depth: usize) -> Vec<&'a Value> {
    let branches = alternatives(schema).into_iter().flatten().map(|branch| resolved(branch, definitions));
    let mut all = Vec::new();
    for branch in branches.filter(|branch| !is_null(branch)) {
        match alternatives(branch) {
            Some(_) if depth < MAX_NESTED => all.extend(leaves(branch, definitions, depth + 1)),
            _ => all.push(branch),
        }
    }
    all
}

/// Returns the item of an iterator that has exactly one.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    items.next().filter(|_| items.next().is_none())
}
