//! From the schemas of a document to JSON Schema 2020-12, piece by piece.
//!
//! A converted schema has references, written as in the document, and no other peculiarities of it; `assemble` puts
//! the pieces together.

use serde_json::{Map, Number, Value, json};

use crate::document::{Dialect, Document, local, shown};
use crate::keyword::{Kind, kind};
use crate::place::Place;
use crate::report::Warnings;

/// The largest example that is carried over, in bytes of JSON.
const MAX_EXAMPLE: usize = 200;

/// Which way a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the backend, without what is only read.
    Request,
    /// From it, without what is only written.
    Response,
}

/// Converts schemas.
#[derive(Clone, Copy)]
pub(crate) struct Converter<'d> {
    pub(crate) document: &'d Document,
    pub(crate) warnings: &'d Warnings,
    pub(crate) way: Way,
}

impl Converter<'_> {
    /// The schema at `place`.
    pub(crate) fn convert(&self, schema: &Value, place: &Place<'_>) -> Value {
        let object = match schema {
            Value::Bool(any) => return Value::Bool(*any),
            Value::Object(object) => object,
            _ => {
                self.warnings.add(place, "this is no schema; anything is taken in its place");
                return json!({});
            }
        };
        let mut converted = Map::new();
        if let Some(reference) = object.get("$ref") {
            let target = reference.as_str().ok_or_else(|| "`$ref` is no text".to_owned()).and_then(local);
            match target {
                Ok(target) => converted.insert("$ref".to_owned(), format!("#{target}").into()),
                Err(problem) => {
                    self.warnings.add(place, format!("{problem}; anything is taken in its place"));
                    None
                }
            };
            // In 3.0, what stands beside a reference means nothing.
            if self.document.dialect == Dialect::V3_0 {
                return Value::Object(converted);
            }
        }
        for (keyword, value) in object {
            if let Some(kind) = kind(keyword) {
                if let Some(value) = self.keyword(keyword, kind, value, &place.at(keyword)) {
                    converted.insert(keyword.clone(), value);
                }
            } else if keyword == "$dynamicRef" {
                self.warnings.add(place, "`$dynamicRef` is not followed; anything is taken in its place");
            }
        }
        if let Some(example) = object.get("example")
            && !converted.contains_key("examples")
            && example.to_string().len() <= MAX_EXAMPLE
        {
            converted.insert("examples".to_owned(), json!([example]));
        }
        if self.document.dialect == Dialect::V3_0 {
            bounds(object, &mut converted);
            if object.get("nullable") == Some(&Value::Bool(true)) {
                nullable(&mut converted);
            }
        }
        self.drop_other_way(object, &mut converted);
        if self.way == Way::Request && stands_for_others(object) {
            converted.entry("additionalProperties").or_insert(Value::Bool(true));
        }
        Value::Object(converted)
    }

    fn keyword(&self, keyword: &str, kind: Kind, value: &Value, place: &Place<'_>) -> Option<Value> {
        let converted = match (kind, value) {
            (Kind::Type, Value::String(name)) if is_type(name) => Some(value.clone()),
            (Kind::Type, Value::Array(names)) => {
                let known = !names.is_empty() && names.iter().all(|name| name.as_str().is_some_and(is_type));
                known.then(|| value.clone())
            }
            (Kind::InPlace | Kind::Inside, Value::Object(_) | Value::Bool(_)) => {
                Some(self.convert(value, place))
            }
            (Kind::InPlaceList | Kind::InsideList, Value::Array(list)) if !list.is_empty() => {
                let each =
                    list.iter().enumerate().map(|(index, schema)| self.convert(schema, &place.index(index)));
                Some(each.collect())
            }
            (Kind::InPlaceMap | Kind::InsideMap, Value::Object(map)) => {
                let each =
                    map.iter().map(|(name, schema)| (name.clone(), self.convert(schema, &place.at(name))));
                Some(Value::Object(each.collect()))
            }
            // A number or a flag in a description happens in YAML; a text in the place of a bound does as well.
            (Kind::Text, Value::String(_))
            | (Kind::Flag, Value::Bool(_))
            | (Kind::Data, _)
            | (Kind::Number, Value::Number(_)) => Some(value.clone()),
            (Kind::Count, Value::Number(number)) => whole(number).map(Value::from),
            (Kind::Names, Value::Array(names)) if names.iter().all(Value::is_string) => {
                let mut unique: Vec<&Value> = Vec::new();
                for name in names {
                    if !unique.contains(&name) {
                        unique.push(name);
                    }
                }
                Some(unique.into_iter().cloned().collect())
            }
            (Kind::NamesMap, Value::Object(map))
                if map.values().all(|names| {
                    names.as_array().is_some_and(|names| names.iter().all(Value::is_string))
                }) =>
            {
                Some(value.clone())
            }
            (Kind::DataList, Value::Array(list)) if keyword == "examples" => {
                let small = list.iter().filter(|example| example.to_string().len() <= MAX_EXAMPLE);
                let small: Vec<_> = small.take(3).cloned().collect();
                return (!small.is_empty()).then_some(Value::Array(small));
            }
            (Kind::DataList, Value::Array(list)) if !list.is_empty() => Some(value.clone()),
            // In 3.0 these say whether the bound itself is left out; see `bounds`.
            (Kind::Number, Value::Bool(_)) if keyword.starts_with("exclusive") => return None,
            _ => None,
        };
        if converted.is_none() {
            let found = shown(&value.to_string());
            self.warnings.add(place, format!("`{keyword}` cannot be {found}; it is left out"));
        }
        converted
    }

    /// Leaves out the properties that do not go this way.
    fn drop_other_way(&self, source: &Map<String, Value>, converted: &mut Map<String, Value>) {
        let flag = match self.way {
            Way::Request => "readOnly",
            Way::Response => "writeOnly",
        };
        let Some(properties) = source.get("properties").and_then(Value::as_object) else { return };
        let dropped: Vec<&String> = properties
            .iter()
            .filter(|(_, schema)| schema.get(flag) == Some(&Value::Bool(true)))
            .map(|(name, _)| name)
            .collect();
        if dropped.is_empty() {
            return;
        }
        if let Some(properties) = converted.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|name, _| !dropped.contains(&name));
        }
        if let Some(required) = converted.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| !dropped.iter().any(|dropped| name == dropped.as_str()));
        }
    }
}

/// Returns whether a schema stands for others that are built on it, and that have more properties: it says which property names
/// them, and not which ones there are.
fn stands_for_others(schema: &Map<String, Value>) -> bool {
    schema.contains_key("discriminator")
        && !["oneOf", "anyOf"].iter().any(|keyword| schema.contains_key(*keyword))
}

fn is_type(name: &str) -> bool {
    matches!(name, "null" | "boolean" | "object" | "array" | "number" | "string" | "integer")
}

/// A count, which some documents write as `1.0`.
fn whole(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        #[expect(clippy::cast_sign_loss, reason = "checked")]
        (float >= 0.0 && float.fract() == 0.0 && float < 1e15).then_some(float as u64)
    })
}

/// `minimum: 0` with `exclusiveMinimum: true` is one keyword in 2020-12.
fn bounds(source: &Map<String, Value>, converted: &mut Map<String, Value>) {
    for (exclusive, inclusive) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if source.get(exclusive) == Some(&Value::Bool(true))
            && let Some(bound) = converted.remove(inclusive)
        {
            converted.insert(exclusive.to_owned(), bound);
        }
    }
}

/// Lets null be a value.
fn nullable(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    match schema.get_mut("type") {
        Some(Value::String(name)) if name != "null" => {
            let both = json!([name, "null"]);
            schema.insert("type".to_owned(), both);
        }
        Some(Value::Array(names)) if !names.iter().any(|name| name == "null") => names.push("null".into()),
        Some(_) => {}
        // Without a type, null is refused only by what is composed.
        None => {
            let composed = ["allOf", "anyOf", "oneOf"].iter().any(|keyword| schema.contains_key(*keyword));
            if composed {
                let described = schema.remove("description");
                let inner = std::mem::take(schema);
                if let Some(description) = described {
                    schema.insert("description".to_owned(), description);
                }
                schema.insert("anyOf".to_owned(), json!([inner, {"type": "null"}]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(version: &str, schema: &Value, way: Way) -> (Value, Vec<String>) {
        let document = json!({"openapi": version}).to_string();
        let document = Document::parse(document.as_bytes()).unwrap();
        let warnings = Warnings::default();
        let schema =
            Converter { document: &document, warnings: &warnings, way }.convert(schema, &Place::start("/s"));
        (schema, warnings.into_list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_peculiarities_of_3_0_become_2020_12() {
        for (source, expected) in [
            (json!({"type": "string", "nullable": true}), json!({"type": ["string", "null"]})),
            (
                json!({"type": "string", "nullable": true, "enum": ["a"]}),
                json!({"type": ["string", "null"], "enum": ["a", null]}),
            ),
            (
                json!({"nullable": true, "description": "d", "allOf": [{"$ref": "#/x", "description": "lost"}]}),
                json!({"description": "d", "anyOf": [{"allOf": [{"$ref": "#/x"}]}, {"type": "null"}]}),
            ),
            (json!({"minimum": 0, "exclusiveMinimum": true}), json!({"exclusiveMinimum": 0})),
            (json!({"minimum": 0, "exclusiveMinimum": false}), json!({"minimum": 0})),
            (json!({"type": "string", "example": "a"}), json!({"type": "string", "examples": ["a"]})),
            (json!({"type": "object", "xml": {}, "x-own": 1, "externalDocs": {}}), json!({"type": "object"})),
            (
                json!({"oneOf": [{"$ref": "#/x"}], "discriminator": {"propertyName": "k"}}),
                json!({"oneOf": [{"$ref": "#/x"}]}),
            ),
            // What is built on it has more properties.
            (
                json!({"type": "object", "discriminator": {"propertyName": "k"}, "properties": {"k": {}}}),
                json!({"type": "object", "properties": {"k": {}}, "additionalProperties": true}),
            ),
        ] {
            assert_eq!(converted("3.0.3", &source, Way::Request), (expected, vec![]), "{source}");
        }
    }

    #[test]
    fn in_3_1_what_stands_beside_a_reference_counts() {
        let source =
            json!({"$ref": "#/x", "description": "kept", "exclusiveMinimum": 3, "type": ["string", "null"]});
        assert_eq!(converted("3.1.0", &source, Way::Request), (source.clone(), vec![]));
    }

    #[test]
    fn what_is_only_read_is_not_asked_for_and_what_is_only_written_not_promised() {
        let source = json!({"properties": {"id": {"readOnly": true}, "key": {"writeOnly": true}, "a": {}},
            "required": ["id", "key", "a"]});
        let (request, _) = converted("3.1.0", &source, Way::Request);
        assert_eq!(
            request,
            json!({"properties": {"key": {"writeOnly": true}, "a": {}}, "required": ["key", "a"]})
        );
        let (response, _) = converted("3.1.0", &source, Way::Response);
        assert_eq!(
            response,
            json!({"properties": {"id": {"readOnly": true}, "a": {}}, "required": ["id", "a"]})
        );
    }

    #[test]
    fn what_is_no_schema_is_left_out_and_said() {
        for (source, expected, part) in [
            (json!({"type": "text"}), json!({}), "at `/s/type`: `type` cannot be \"text\""),
            (json!({"properties": []}), json!({}), "at `/s/properties`"),
            (
                json!({"properties": {"a": 5}}),
                json!({"properties": {"a": {}}}),
                "at `/s/properties/a`: this is no schema",
            ),
            (json!({"required": true}), json!({}), "at `/s/required`"),
            (json!({"minLength": -1}), json!({}), "at `/s/minLength`"),
            (json!({"$ref": "x.yaml"}), json!({}), "another document"),
            (json!({"$ref": 5}), json!({}), "no text"),
            (json!({"allOf": []}), json!({}), "at `/s/allOf`"),
            (json!([]), json!({}), "at `/s`: this is no schema"),
        ] {
            let (schema, warnings) = converted("3.1.0", &source, Way::Request);
            assert_eq!(schema, expected, "{source}");
            assert!(warnings.len() == 1 && warnings[0].contains(part), "{source}: {warnings:?}");
        }
        assert_eq!(converted("3.1.0", &json!({"minLength": 1.0}), Way::Request).0, json!({"minLength": 1}));
    }
}
