//! Finds where a rejected value violates its declared schema, to explain the rejection.
//!
//! The type's decoder decides whether a value is valid; the schema only explains. Unsupported keywords are ignored,
//! and if no violation is found, the decoder's own error is used.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::explain::shorten;
use super::words::{
    Definitions, Tagging, alternatives, expected, expected_of_any, expected_of_missing, got, is_null, items,
    resolved, tagging, types, unknown,
};

/// Maximum depth of the walk. Values that serde can parse are at most 127 levels deep.
const MAX_DEPTH: usize = 400;
/// Maximum number of schema and value pairs visited for one answer.
const MAX_STEPS: usize = 200_000;
/// Maximum number of alternatives tried; nested alternatives grow exponentially.
const MAX_TRIES: usize = 1_000;

/// One violation of the schema.
#[derive(Debug)]
pub(super) struct Mismatch {
    /// The path, as `a.b[1]`.
    pub(super) path: String,
    /// The error text: expected and received.
    pub(super) sentence: String,
    /// Whether the value at the path is missing.
    pub(super) is_missing: bool,
    /// Whether the sentence names the declared range of a number, and the range is what is violated.
    pub(super) is_of_range: bool,
    /// Whether the sentence lists the alternatives.
    lists_alternatives: bool,
}

/// Returns the first violation in `value`, the argument `name`, which the decoder rejected at the path `rejected`.
pub(super) fn find(
    schema: &Value,
    definitions: &Definitions,
    value: &Value,
    name: &str,
    rejected: &str,
) -> Option<Mismatch> {
    // Formats are checked last: a decoder may accept more formats than the schema declares.
    let mut walk = Walk {
        definitions,
        rejected,
        formats: false,
        steps: MAX_STEPS,
        tries: MAX_TRIES,
        path: name.to_owned(),
    };
    let mut found = walk.value(schema, value, 0);
    if found.is_none() {
        walk.formats = true;
        found = walk.value(schema, value, 0);
    }
    found.filter(|_| walk.steps > 0)
}

struct Walk<'a> {
    definitions: &'a Definitions,
    rejected: &'a str,
    /// Whether formats and lengths are checked.
    formats: bool,
    /// Remaining steps. At zero, the result is discarded.
    steps: usize,
    tries: usize,
    path: String,
}

impl<'a> Walk<'a> {
    fn mismatch(&self, sentence: String) -> Mismatch {
        let path = self.path.clone();
        Mismatch { path, sentence, is_missing: false, is_of_range: false, lists_alternatives: false }
    }

    fn unexpected(&self, schema: &Value, value: &Value) -> Mismatch {
        self.mismatch(format!("expected {}, got {}", expected(schema, self.definitions), got(value)))
    }

    /// Runs `look` with `step` appended to the path.
    fn inside<T>(&mut self, step: &str, look: impl FnOnce(&mut Self) -> T) -> T {
        let end = self.path.len();
        if !step.starts_with('[') && end > 0 {
            self.path.push('.');
        }
        self.path.push_str(step);
        let seen = look(self);
        self.path.truncate(end);
        seen
    }

    fn member<T>(&mut self, name: &str, look: impl FnOnce(&mut Self) -> T) -> T {
        self.inside(&shorten(name), look)
    }

    fn missing(&mut self, name: &str, expected: &str) -> Mismatch {
        let sentence = format!("is missing, expected {expected}");
        self.member(name, |walk| Mismatch { is_missing: true, ..walk.mismatch(sentence) })
    }

    /// Returns the first violation of `schema` by `value`.
    fn value(&mut self, schema: &'a Value, value: &Value, depth: usize) -> Option<Mismatch> {
        if self.steps == 0 || depth > MAX_DEPTH {
            self.steps = 0;
            return None;
        }
        self.steps -= 1;
        let schema = resolved(schema, self.definitions);
        let keywords = schema.as_object()?;
        self.kind(schema, value)
            .or_else(|| match value {
                Value::Object(members) => self.members(keywords, members, depth),
                Value::Array(values) => self.items(keywords, values, depth),
                Value::String(text) if self.formats => self.text(schema, keywords, text),
                _ => None,
            })
            .or_else(|| {
                let all = keywords.get("allOf").and_then(Value::as_array);
                all.into_iter().flatten().find_map(|part| self.value(part, value, depth + 1))
            })
            .or_else(|| {
                let branches = alternatives(schema)?;
                self.any(branches, value, depth)
            })
    }

    /// Checks the type, the enumerated values and the bounds.
    fn kind(&self, schema: &Value, value: &Value) -> Option<Mismatch> {
        let is = |name: &str| match name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        };
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let is_outside = value.as_f64().is_some_and(|number| {
            bound("minimum").is_some_and(|min| number < min)
                || bound("maximum").is_some_and(|max| number > max)
                || bound("exclusiveMinimum").is_some_and(|min| number <= min)
                || bound("exclusiveMaximum").is_some_and(|max| number >= max)
        });
        // Unsigned types declare `minimum: 0` alone, and their decoders know both bounds.
        let has_range = bound("maximum").or(bound("exclusiveMaximum")).is_some()
            || bound("exclusiveMinimum").is_some()
            || bound("minimum").is_some_and(|min| min != 0.0);
        let of_range = || Mismatch { is_of_range: has_range, ..self.unexpected(schema, value) };
        let mut allowed = types(schema).peekable();
        if allowed.peek().is_some() && !allowed.any(is) {
            return Some(if has_range || is_outside { of_range() } else { self.unexpected(schema, value) });
        }
        let values = match (schema.get("enum").and_then(Value::as_array), schema.get("const")) {
            (Some(values), _) => Some(values.as_slice()),
            (None, only) => only.map(std::slice::from_ref),
        };
        if let Some(values) = values.filter(|values| !values.contains(value)) {
            let texts = values.iter().filter(|value| !value.is_null());
            return Some(match value.as_str() {
                Some(text) if texts.clone().all(Value::is_string) => {
                    self.mismatch(unknown("value", text, texts.filter_map(Value::as_str)))
                }
                _ => self.unexpected(schema, value),
            });
        }
        if is_outside {
            return Some(of_range());
        }
        let is_excluded = value.is_number() && schema.pointer("/not/const") == Some(value);
        is_excluded.then(|| self.unexpected(schema, value))
    }

    fn members(
        &mut self,
        keywords: &'a Map<String, Value>,
        members: &Map<String, Value>,
        depth: usize,
    ) -> Option<Mismatch> {
        let none = Map::new();
        let properties = keywords.get("properties").and_then(Value::as_object);
        let additional = keywords.get("additionalProperties");
        for (name, value) in members {
            let found = match (properties.and_then(|properties| properties.get(name)), additional) {
                (Some(schema), _) => self.member(name, |walk| walk.value(schema, value, depth + 1)),
                (None, Some(Value::Bool(false))) if !keywords.contains_key("patternProperties") => {
                    let known = properties.unwrap_or(&none).keys().map(String::as_str);
                    Some(self.member(name, |walk| walk.mismatch(unknown("field", name, known))))
                }
                (None, Some(schema)) => self.member(name, |walk| walk.value(schema, value, depth + 1)),
                (None, None) => None,
            };
            if found.is_some() {
                return found;
            }
        }
        let required = keywords.get("required").and_then(Value::as_array).into_iter().flatten();
        let missing = required.filter_map(Value::as_str).find(|name| !members.contains_key(*name))?;
        let schema = properties.and_then(|properties| properties.get(missing)).unwrap_or(&Value::Null);
        Some(self.missing(missing, &expected_of_missing(schema, self.definitions)))
    }

    fn items(
        &mut self,
        keywords: &'a Map<String, Value>,
        values: &[Value],
        depth: usize,
    ) -> Option<Mismatch> {
        let first = keywords.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let rest = keywords.get("items");
        for (index, value) in values.iter().enumerate() {
            let Some(schema) = first.get(index).or(rest) else { break };
            let found = self.inside(&format!("[{index}]"), |walk| walk.value(schema, value, depth + 1));
            if found.is_some() {
                return found;
            }
        }
        let count = values.len() as u64;
        let bound = |key: &str| keywords.get(key).and_then(Value::as_u64);
        let (min, max) = (bound("minItems"), bound("maxItems"));
        let words = match (min, max) {
            (Some(min), Some(max)) if min == max && count != min => items(min),
            (Some(min), _) if self.formats && count < min => format!("at least {}", items(min)),
            (_, Some(max)) if self.formats && count > max => format!("at most {}", items(max)),
            _ => return None,
        };
        Some(self.mismatch(format!("expected an array of {words}, got an array of {}", items(count))))
    }

    /// Checks the format of a text. A text at the rejected path fails even if it looks valid here.
    fn text(&self, schema: &Value, keywords: &Map<String, Value>, text: &str) -> Option<Mismatch> {
        let format = keywords.get("format").and_then(Value::as_str)?;
        let fits = self.path != self.rejected
            && match format {
                "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
                "date" => text.parse::<jiff::civil::Date>().is_ok(),
                "uri" => has_scheme(text),
                "uuid" => text.bytes().filter(u8::is_ascii_hexdigit).count() >= 32,
                _ => true,
            };
        (!fits).then(|| self.unexpected(schema, &text.into()))
    }

    /// Returns the violation of the alternative that was probably intended.
    fn any(&mut self, all: &'a [Value], value: &Value, depth: usize) -> Option<Mismatch> {
        let definitions = self.definitions;
        let null = |branch: &&'a Value| is_null(branch);
        let (nulls, branches): (Vec<&Value>, Vec<&Value>) =
            all.iter().map(|branch| resolved(branch, definitions)).partition(null);
        if value.is_null() && !nulls.is_empty() {
            return None;
        }
        if let [only] = branches.as_slice() {
            return self.value(only, value, depth + 1);
        }
        let unexpected = |walk: &Self| {
            let sentence = format!("expected {}, got {}", expected_of_any(all, definitions), got(value));
            Mismatch { lists_alternatives: true, ..walk.mismatch(sentence) }
        };
        match tagging(&branches) {
            Tagging::Internal(tag, texts) => {
                let Some(members) = value.as_object() else { return Some(unexpected(self)) };
                let tags = Value::from(texts.clone());
                let schema = serde_json::json!({"enum": tags});
                let Some(sent) = members.get(tag) else {
                    return Some(self.missing(tag, &expected(&schema, definitions)));
                };
                let intended: Vec<&Value> = branches
                    .iter()
                    .zip(texts)
                    .filter(|(_, text)| sent == text)
                    .map(|(branch, _)| *branch)
                    .collect();
                if intended.is_empty() {
                    return self.member(tag, |walk| walk.kind(&schema, sent));
                }
                self.best(&intended, value, depth, unexpected)
            }
            Tagging::External(names) => {
                let find = |name: &str| names.iter().find(|known| known.name == name);
                let known = names.iter().map(|known| known.name);
                match value {
                    Value::String(text) => match find(text) {
                        Some(known) if known.object.is_some() => Some(self.mismatch(format!(
                            "expected an object {{{value}: …}}, got the string {value} without a value"
                        ))),
                        Some(_) => None,
                        None => Some(self.mismatch(unknown("value", text, known))),
                    },
                    Value::Object(members) if members.len() == 1 => {
                        let name = members.keys().next()?;
                        match find(name).map(|known| known.object) {
                            Some(Some(schema)) => self.value(schema, value, depth + 1),
                            Some(None) => {
                                let name = Value::from(name.as_str());
                                Some(
                                    self.mismatch(format!("expected the string {name} alone, got an object")),
                                )
                            }
                            None => Some(self.mismatch(unknown("value", name, known))),
                        }
                    }
                    Value::Object(members) if names.iter().any(|known| known.object.is_some()) => {
                        Some(self.mismatch(format!(
                            "expected {}, got an object of {} members",
                            expected_of_any(all, definitions),
                            members.len()
                        )))
                    }
                    _ => Some(unexpected(self)),
                }
            }
            Tagging::None => {
                let mut found = self.best(&branches, value, depth, unexpected)?;
                if !found.lists_alternatives && self.tries > 0 {
                    // One alternative was probably meant, but the caller may not know the others.
                    let all = expected_of_any(all, definitions);
                    let of = if self.path.is_empty() { "it".to_owned() } else { format!("`{}`", self.path) };
                    let _ = write!(found.sentence, " ({of} takes {all})");
                    found.lists_alternatives = true;
                }
                Some(found)
            }
        }
    }

    /// Returns the violation of the branch most similar to the value, or of all branches if none is, or several are.
    fn best(
        &mut self,
        branches: &[&'a Value],
        value: &Value,
        depth: usize,
        unexpected: impl Fn(&Self) -> Mismatch,
    ) -> Option<Mismatch> {
        if let [only] = branches {
            return self.value(only, value, depth + 1);
        }
        let (mut best, mut is_tied): (Option<(usize, Mismatch)>, bool) = (None, false);
        for branch in branches {
            match self.tries.checked_sub(1) {
                Some(left) => self.tries = left,
                None => self.steps = 0,
            }
            let mismatch = self.value(branch, value, depth + 1)?;
            if mismatch.path == self.path {
                continue;
            }
            let known = |name: &&String| branch.get("properties").is_some_and(|all| all.get(*name).is_some());
            let shared = value.as_object().map_or(0, |members| members.keys().filter(known).count());
            let steps = mismatch.path[self.path.len()..].matches(['.', '[']).count();
            let similarity = 2 * shared + steps;
            let most = best.as_ref().map_or(0, |(most, _)| *most);
            is_tied = similarity == most || is_tied && similarity < most;
            if similarity > most {
                best = Some((similarity, mismatch));
            }
        }
        let best = best.filter(|_| !is_tied);
        Some(best.map_or_else(|| unexpected(self), |(_, mismatch)| mismatch))
    }
}

/// Returns whether a text starts with a URI scheme. Other errors are left to the decoder's message.
fn has_scheme(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|next| next.is_ascii_alphanumeric() || b"+-.".contains(&next))
        && !matches!(rest, "" | "//")
}
