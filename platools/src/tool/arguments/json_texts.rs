//! Decodes JSON texts that models send in place of an array, an object or a number: `"[1, 2]"` for `[1, 2]`.
//!
//! Only where the schema allows no text, and once: a text inside a decoded text stays one. Everything beside it stays the
//! text that was sent, so that no digit is lost.

use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::words::{Definitions, alternatives, is_null, only_text, resolved, types};
use crate::observe;
use crate::wire::json::push_string;

/// Maximum depth of the walk. Values that serde can parse are at most 127 levels deep.
const MAX_DEPTH: usize = 128;
/// Maximum depth of alternatives inside alternatives.
const MAX_NESTED: usize = 4;

/// Returns the JSON `text` with the texts in it decoded that stand for another kind of value; `None` if there are none.
#[cold]
pub(super) fn decoded(schema: &Value, definitions: &Definitions, text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    let mut splicer = Splicer { definitions, text: String::with_capacity(text.len()), changed: false };
    let splice = Splice { splicer: &mut splicer, schema: Some(schema), value: &value, depth: 0 };
    splice.deserialize(&mut serde_json::Deserializer::from_str(text)).ok()?;
    splicer.changed.then_some(splicer.text)
}

/// Counts an argument that was accepted because texts in it were decoded.
#[cold]
pub(super) fn note_accepted() {
    observe::argument_decoded();
    tracing::debug!("a JSON text was sent in place of an array, an object or a number, and decoded");
}

/// Decodes JSON texts in `arguments` where `schema` wants an array, an object or a number and allows no text. Models
/// send them now and then, and each refusal costs a turn.
///
/// For handlers that check arguments against a schema themselves; the arguments of `#[tool]` functions are decoded like
/// this already. Returns whether anything was decoded and `accepts` accepts the arguments then, which
/// `platools_arguments_decoded_total` counts.
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
/// assert!(decode_json_texts(&schema, &mut arguments, |arguments| arguments["ids"].is_array()));
/// assert_eq!(arguments, json!({"ids": [1, 2], "note": "[3]"}));
/// ```
pub fn decode_json_texts(
    schema: &Value,
    arguments: &mut Value,
    accepts: impl FnOnce(&Value) -> bool,
) -> bool {
    let none = Definitions::new();
    let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&none);
    let accepted = decode(schema, definitions, arguments, 0) && accepts(arguments);
    if accepted {
        note_accepted();
    }
    accepted
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
            if let Some(inner) = meant(schema, definitions, text, depth) {
                *value = inner;
                changed = true;
            }
        }
        Value::Object(members) => {
            let branch = branch_of(schema, definitions, members);
            for (name, value) in members {
                if let Some(schema) = member_schema(schema, branch, name) {
                    changed |= decode(schema, definitions, value, depth + 1);
                }
            }
        }
        Value::Array(items) => {
            let list = only_branch(schema, definitions, "array");
            for (index, item) in items.iter_mut().enumerate() {
                if let Some(schema) = item_schema(list, index) {
                    changed |= decode(schema, definitions, item, depth + 1);
                }
            }
        }
        _ => {}
    }
    changed
}

/// Writes a text again, with the texts in it decoded.
struct Splicer<'a> {
    definitions: &'a Definitions,
    text: String,
    changed: bool,
}

/// Writes one value again. Its decoded form tells what is to come: alternatives are chosen by all members.
struct Splice<'s, 'a> {
    splicer: &'s mut Splicer<'a>,
    /// `None` where nothing is known of the value.
    schema: Option<&'a Value>,
    value: &'a Value,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Splice<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Some(schema) = self.schema.filter(|_| self.depth <= MAX_DEPTH) else {
            return self.copy(deserializer);
        };
        let definitions = self.splicer.definitions;
        let schema = resolved(schema, definitions);
        match self.value {
            Value::Object(_) | Value::Array(_) => {
                deserializer.deserialize_any(Splice { schema: Some(schema), ..self })
            }
            Value::String(text) if meant(schema, definitions, text, self.depth).is_some() => {
                let sent = String::deserialize(deserializer)?;
                self.splicer.text.push_str(sent.trim());
                self.splicer.changed = true;
                Ok(())
            }
            _ => self.copy(deserializer),
        }
    }
}

impl Splice<'_, '_> {
    fn copy<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.splicer.text.push_str(<&RawValue>::deserialize(deserializer)?.get());
        Ok(())
    }
}

impl<'de> Visitor<'de> for Splice<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what it was before")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { splicer, schema: Some(schema), value: Value::Object(members), depth } = self else {
            return Err(serde::de::Error::custom("a name came twice, with different values"));
        };
        let branch = branch_of(schema, splicer.definitions, members);
        let mut separator = '{';
        while let Some(name) = map.next_key::<String>()? {
            splicer.text.push(separator);
            separator = ',';
            push_string(&mut splicer.text, &name);
            splicer.text.push(':');
            let (schema, value) = (member_schema(schema, branch, &name), members.get(&name));
            let value = value.unwrap_or(&Value::Null);
            map.next_value_seed(Splice { splicer: &mut *splicer, schema, value, depth: depth + 1 })?;
        }
        splicer.text.push_str(if separator == '{' { "{}" } else { "}" });
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { splicer, schema: Some(schema), value: Value::Array(items), depth } = self else {
            return Err(serde::de::Error::custom("a name came twice, with different values"));
        };
        let list = only_branch(schema, splicer.definitions, "array");
        splicer.text.push('[');
        for (index, value) in items.iter().enumerate() {
            if index > 0 {
                splicer.text.push(',');
            }
            let schema = item_schema(list, index);
            seq.next_element_seed(Splice { splicer: &mut *splicer, schema, value, depth: depth + 1 })?;
        }
        splicer.text.push(']');
        Ok(())
    }
}

/// Returns the value that a text stands for, if the schema wants one like it and no text.
fn meant(schema: &Value, definitions: &Definitions, text: &str, depth: usize) -> Option<Value> {
    if allows(schema, definitions, &Sent::of(Value::String(String::new()), ""), depth) {
        return None;
    }
    let inner = Sent::of(serde_json::from_str(text).ok()?, text);
    let is_wanted = inner.value.is_array() || inner.value.is_object() || inner.value.is_number();
    (is_wanted && allows(schema, definitions, &inner, depth)).then_some(inner.value)
}

/// A value as schemas tell values apart.
struct Sent {
    value: Value,
    /// Of any size: the decoded value of a long one is a float.
    is_integer: bool,
}

impl Sent {
    fn of(value: Value, text: &str) -> Self {
        let is_integer = value.is_number() && !text.contains(['.', 'e', 'E']);
        Self { value, is_integer }
    }
}

/// Returns the schema of a member.
fn member_schema<'a>(schema: &'a Value, branch: Option<&'a Value>, name: &str) -> Option<&'a Value> {
    let mut schemas = [Some(schema), branch].into_iter().flatten();
    let known = schemas.clone().find_map(|schema| schema.get("properties")?.get(name));
    known.or_else(|| schemas.find_map(|schema| schema.get("additionalProperties")))
}

/// Returns the schema of an item of a list.
fn item_schema(list: &Value, index: usize) -> Option<&Value> {
    let first = list.get("prefixItems").and_then(Value::as_array).and_then(|first| first.get(index));
    first.or_else(|| list.get("items"))
}

/// Returns whether a schema allows a value of this kind.
fn allows(schema: &Value, definitions: &Definitions, sent: &Sent, depth: usize) -> bool {
    let schema = resolved(schema, definitions);
    if depth > MAX_DEPTH {
        return true;
    }
    let value = &sent.value;
    let mut types = types(schema).peekable();
    if types.peek().is_some() {
        return types.any(|name| match name {
            "string" => value.is_string(),
            "integer" => sent.is_integer,
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
        Some(branches) => branches.iter().any(|branch| allows(branch, definitions, sent, depth + 1)),
        None => true,
    }
}

/// Returns the alternative that an object with these members is meant to be, if only one can be.
fn branch_of<'a>(
    schema: &'a Value,
    definitions: &'a Definitions,
    members: &Map<String, Value>,
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
