//! Closes the objects of a schema: fields that no `properties` name are refused, at every depth.
//!
//! A schema opts out by saying what further fields are: `additionalProperties`, `unevaluatedProperties` or
//! `patternProperties`. An object without named fields takes any. Where several schemas are applied to one object, all
//! fields that any of them names are taken, so that none of them refuses what another one names.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// Keywords that say nothing about which values are valid.
const REMARKS: [&str; 11] = [
    "$comment",
    "$defs",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

/// Keywords beside which alternatives can be closed each by itself.
const BESIDE_ALTERNATIVES: [&str; 6] =
    ["anyOf", "maxProperties", "minProperties", "oneOf", "required", "type"];

/// Closes every object of a schema. Returns whether that changed anything.
pub(super) fn close(schema: &mut Value) -> bool {
    let original = schema.clone();
    if has_distant_reference(&original) {
        return false;
    }
    let mut closer = Closer { root: &original, shared: HashSet::new(), changed: false };
    closer.find_shared(&original, Use::Alone);
    closer.close(schema, "", Use::Alone);
    closer.changed
}

/// How a schema is applied to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Nothing else is said of the value.
    Alone,
    /// Others say something about the same value.
    Shared,
}

/// The restriction that a schema puts on the fields of an object, with other schemas beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FieldRule {
    Nothing,
    /// It names some.
    Names,
    /// There may be others.
    Open,
}

struct Closer<'r> {
    /// The schema as it was.
    root: &'r Value,
    /// Definitions, by their pointers, that are applied beside others somewhere. They stay open: what refers to them is
    /// closed instead.
    shared: HashSet<String>,
    changed: bool,
}

impl<'r> Closer<'r> {
    fn find_shared(&mut self, schema: &'r Value, used: Use) {
        let Value::Object(object) = schema else { return };
        for (keyword, value) in object {
            each_schema(keyword, value, |_, schema| {
                let used = use_of(object, keyword, used).unwrap_or(Use::Shared);
                self.find_shared(schema, used);
            });
        }
        if let Some(target) = target(object)
            && (used == Use::Shared || !is_only_reference(object))
            && self.shared.insert(target.to_owned())
            && let Some(definition) = self.root.pointer(target)
        {
            self.find_shared(definition, Use::Shared);
        }
    }

    fn close(&mut self, schema: &mut Value, place: &str, used: Use) {
        let Value::Object(object) = schema else { return };
        let used = if self.shared.contains(place) { Use::Shared } else { used };
        let addition = if used == Use::Alone { self.addition(object) } else { None };
        let keywords: Vec<(String, Use)> = object
            .keys()
            .filter_map(|keyword| Some((keyword.clone(), use_of(object, keyword, used)?)))
            .collect();
        for (keyword, used) in keywords {
            let Some(value) = object.get_mut(&keyword) else { continue };
            each_schema_mut(&keyword, value, |step, schema| {
                self.close(schema, &format!("{place}/{}{step}", escaped(&keyword)), used);
            });
        }
        if let Some(keyword) = addition {
            object.insert(keyword.to_owned(), false.into());
            self.changed = true;
        }
    }

    /// Returns the keyword that closes an object of which nothing else is said.
    fn addition(&self, object: &Map<String, Value>) -> Option<&'static str> {
        if !takes_objects(object) || says_more(object) {
            return None;
        }
        let own = if names_any(object) { FieldRule::Names } else { FieldRule::Nothing };
        let beside = self.beside(object, &mut HashSet::new());
        if is_only_reference(object) {
            // A definition that is applied nowhere else beside others is closed itself.
            let is_shared = target(object).is_some_and(|target| self.shared.contains(target));
            return (is_shared && beside == FieldRule::Names).then_some("unevaluatedProperties");
        }
        match (own, beside) {
            (_, FieldRule::Open) | (FieldRule::Nothing, FieldRule::Nothing) => None,
            _ if has_alternatives_alone(object) => None,
            (_, FieldRule::Nothing) => Some("additionalProperties"),
            (_, FieldRule::Names) => Some("unevaluatedProperties"),
        }
    }

    /// Returns the restriction of the schemas that are applied beside an object's own keywords.
    fn beside(&self, object: &Map<String, Value>, seen: &mut HashSet<String>) -> FieldRule {
        let mut says = FieldRule::Nothing;
        for (keyword, value) in object.iter().filter(|(keyword, _)| is_in_place(keyword)) {
            let is_choice = matches!(keyword.as_str(), "anyOf" | "oneOf");
            each_schema(keyword, value, |_, schema| says = says.max(self.says(schema, is_choice, seen)));
        }
        match target(object) {
            Some(target) if seen.insert(target.to_owned()) => match self.root.pointer(target) {
                Some(definition) => says.max(self.says(definition, false, seen)),
                None => FieldRule::Open,
            },
            _ => says,
        }
    }

    fn says(&self, schema: &Value, is_choice: bool, seen: &mut HashSet<String>) -> FieldRule {
        let Value::Object(object) = schema else {
            return if is_choice && *schema == Value::Bool(true) {
                FieldRule::Open
            } else {
                FieldRule::Nothing
            };
        };
        let is_closed = |keyword: &str| object.get(keyword) == Some(&Value::Bool(false));
        if says_more(object) && !is_closed("additionalProperties") && !is_closed("unevaluatedProperties") {
            return FieldRule::Open;
        }
        let mut words = object.keys().filter(|keyword| !REMARKS.contains(&keyword.as_str()));
        if is_choice && takes_objects(object) && words.all(|keyword| keyword == "type") {
            // Whatever comes is one of these.
            return FieldRule::Open;
        }
        let own = if names_any(object) { FieldRule::Names } else { FieldRule::Nothing };
        own.max(self.beside(object, seen))
    }
}

/// How the schemas of a keyword are applied; `None` where a closed schema would mean something else.
fn use_of(object: &Map<String, Value>, keyword: &str, used: Use) -> Option<Use> {
    match keyword {
        "anyOf" | "oneOf" if used == Use::Alone && has_alternatives_alone(object) => Some(Use::Alone),
        "contains" | "if" | "not" => None,
        keyword if is_in_place(keyword) => Some(Use::Shared),
        _ => Some(Use::Alone),
    }
}

fn is_in_place(keyword: &str) -> bool {
    matches!(keyword, "allOf" | "anyOf" | "oneOf" | "then" | "else" | "dependentSchemas")
}

/// Calls `found` with each schema of a keyword, and the steps to it from the keyword.
fn each_schema<'s>(keyword: &str, value: &'s Value, mut found: impl FnMut(String, &'s Value)) {
    match (shape(keyword), value) {
        (Shape::One, Value::Object(_)) => found(String::new(), value),
        (Shape::One | Shape::List, Value::Array(list)) => {
            list.iter().enumerate().for_each(|(index, schema)| found(format!("/{index}"), schema));
        }
        (Shape::Map, Value::Object(map)) => {
            map.iter().for_each(|(name, schema)| found(format!("/{}", escaped(name)), schema));
        }
        _ => {}
    }
}

/// Calls `found` with each schema in the value of a keyword, to change it.
pub(super) fn each_schema_mut(keyword: &str, value: &mut Value, mut found: impl FnMut(String, &mut Value)) {
    match (shape(keyword), value) {
        (Shape::One, value @ Value::Object(_)) => found(String::new(), value),
        (Shape::One | Shape::List, Value::Array(list)) => {
            list.iter_mut().enumerate().for_each(|(index, schema)| found(format!("/{index}"), schema));
        }
        (Shape::Map, Value::Object(map)) => {
            map.iter_mut().for_each(|(name, schema)| found(format!("/{}", escaped(name)), schema));
        }
        _ => {}
    }
}

/// The content of a keyword.
enum Shape {
    NoSchema,
    /// A schema, or, as `items` in old drafts, a list of them.
    One,
    List,
    Map,
}

fn shape(keyword: &str) -> Shape {
    match keyword {
        "items"
        | "additionalItems"
        | "unevaluatedItems"
        | "contains"
        | "additionalProperties"
        | "unevaluatedProperties"
        | "not"
        | "if"
        | "then"
        | "else" => Shape::One,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Shape::List,
        "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions" => Shape::Map,
        _ => Shape::NoSchema,
    }
}

/// Returns whether alternatives are all that says something about the fields of an object.
fn has_alternatives_alone(object: &Map<String, Value>) -> bool {
    let is_beside = |keyword: &str| {
        REMARKS.contains(&keyword)
            || BESIDE_ALTERNATIVES.contains(&keyword)
            || keyword == "properties" && !names_any(object)
    };
    object.contains_key("anyOf") != object.contains_key("oneOf")
        && object.keys().all(|keyword| is_beside(keyword))
}

/// Returns whether a schema is a reference and nothing else.
fn is_only_reference(object: &Map<String, Value>) -> bool {
    object.contains_key("$ref")
        && object.keys().all(|keyword| keyword == "$ref" || REMARKS.contains(&keyword.as_str()))
}

/// The pointer of a reference to something of the same schema.
fn target(object: &Map<String, Value>) -> Option<&str> {
    object.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'))
}

fn takes_objects(object: &Map<String, Value>) -> bool {
    match object.get("type") {
        None => true,
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        Some(name) => name == "object",
    }
}

fn names_any(object: &Map<String, Value>) -> bool {
    object.get("properties").and_then(Value::as_object).is_some_and(|properties| !properties.is_empty())
}

/// Returns whether a schema says what fields are that `properties` do not name.
fn says_more(object: &Map<String, Value>) -> bool {
    ["additionalProperties", "unevaluatedProperties", "patternProperties"]
        .iter()
        .any(|keyword| object.contains_key(*keyword))
}

/// Returns whether something refers to a schema by more than a plain pointer. Then it is not known what stands beside what.
fn has_distant_reference(schema: &Value) -> bool {
    let Value::Object(object) = schema else { return false };
    let is_distant = |reference: &Value| {
        !reference.as_str().is_some_and(|text| text == "#" || text.starts_with("#/") && !text.contains('%'))
    };
    let mut found = object.get("$ref").is_some_and(is_distant)
        || ["$dynamicRef", "$recursiveRef"].iter().any(|keyword| object.contains_key(*keyword));
    for (keyword, value) in object {
        each_schema(keyword, value, |_, schema| found = found || has_distant_reference(schema));
    }
    found
}

/// A name as a step of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn closed(mut schema: Value) -> Value {
        let before = schema.clone();
        let changed = close(&mut schema);
        assert_eq!(changed, schema != before);
        let mut again = schema.clone();
        assert!(!close(&mut again), "closed is closed: {again}");
        schema
    }

    fn is_valid(schema: &Value, value: &Value) -> bool {
        jsonschema::validator_for(schema).unwrap().is_valid(value)
    }

    #[test]
    fn objects_are_closed_at_every_depth() {
        let line = json!({"type": "object", "properties": {"sku": {"type": "string"}}});
        let schema = closed(json!({"type": "object", "properties": {
            "one": line, "list": {"type": "array", "items": line}, "pair": {"prefixItems": [line]},
            "map": {"additionalProperties": line}, "maybe": {"anyOf": [line, {"type": "null"}]},
            "referred": {"$ref": "#/$defs/line"}, "nullable": {"type": ["object", "null"], "properties": {"a": {}}},
        }, "$defs": {"line": line}}));
        for place in [
            "",
            "/properties/one",
            "/properties/list/items",
            "/properties/pair/prefixItems/0",
            "/properties/map/additionalProperties",
            "/properties/maybe/anyOf/0",
            "/$defs/line",
            "/properties/nullable",
        ] {
            assert_eq!(schema.pointer(place).unwrap()["additionalProperties"], false, "{place}");
        }
        assert_eq!(schema.to_string().matches("Properties\":false").count(), 8, "{schema}");
    }

    #[test]
    fn what_says_what_further_fields_are_stays_as_it_is() {
        for inner in [
            json!({"properties": {"a": {}}, "additionalProperties": true}),
            json!({"properties": {"a": {}}, "additionalProperties": {"type": "string"}}),
            json!({"properties": {"a": {}}, "unevaluatedProperties": true}),
            json!({"properties": {"a": {}}, "patternProperties": {"^x-": {}}}),
            json!({"type": "object"}),
            json!({"type": "object", "properties": {}}),
            json!({"type": "array", "properties": {"a": {}}}),
            json!({"not": {"properties": {"a": {}}}}),
            json!({"contains": {"properties": {"a": {}}, "required": ["a"]}}),
            json!({"allOf": [{"properties": {"a": {}}}, {"additionalProperties": true}]}),
            json!({"properties": {"a": {}}, "anyOf": [{"properties": {"b": {}}}, {"type": "object"}]}),
            json!({"properties": {"a": {}}, "anyOf": [{"properties": {"b": {}}}, true]}),
            json!(true),
        ] {
            let schema = json!({"properties": {"inner": inner}, "additionalProperties": false});
            assert_eq!(closed(schema.clone()), schema);
        }
        // Nobody can tell what these refer to.
        for reference in ["#line", "other.json", "#/$defs/a%20b"] {
            let schema = json!({"properties": {"a": {"$ref": reference}, "b": {"properties": {"c": {}}}}});
            assert_eq!(closed(schema.clone()), schema);
        }
    }

    #[test]
    fn composed_objects_take_what_any_part_names_and_nothing_else() {
        let defs = json!({
            "base": {"type": "object", "properties": {"id": {}}, "required": ["id"]},
            "named": {"allOf": [{"$ref": "#/$defs/base"}, {"properties": {"name": {}}}]},
            "cat": {"allOf": [{"$ref": "#/$defs/named"}, {"properties": {"lives": {}}}]},
            "dog": {"type": "object", "properties": {"bark": {}}, "required": ["bark"]},
            "node": {"properties": {"next": {"$ref": "#/$defs/node"}, "value": {}}},
        });
        for (inner, good, bad) in [
            (json!({"$ref": "#/$defs/base"}), json!({"id": 1}), json!({"id": 1, "x": 1})),
            (
                json!({"$ref": "#/$defs/named"}),
                json!({"id": 1, "name": 1}),
                json!({"id": 1, "name": 1, "x": 1}),
            ),
            (
                json!({"$ref": "#/$defs/cat"}),
                json!({"id": 1, "name": 1, "lives": 9}),
                json!({"id": 1, "x": 1}),
            ),
            (
                json!({"oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}]}),
                json!({"id": 1, "lives": 9}),
                json!({"id": 1, "lives": 9, "x": 1}),
            ),
            (
                json!({"properties": {"kind": {}}, "oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}]}),
                json!({"kind": 1, "bark": 1}),
                json!({"kind": 1, "bark": 1, "lives": 9}),
            ),
            (
                json!({"properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
                json!({"a": 1}),
                json!({"a": 1, "x": 1}),
            ),
            (
                json!({"properties": {"a": {}}, "if": {"required": ["a"]}, "then": {"properties": {"b": {}}}}),
                json!({"a": 1, "b": 1}),
                json!({"b": 1}),
            ),
            (
                json!({"$ref": "#/$defs/node"}),
                json!({"next": {"next": {"value": 1}}}),
                json!({"next": {"next": {"x": 1}}}),
            ),
            (
                json!({"$ref": "#/$defs/dog", "properties": {"tail": {}}}),
                json!({"bark": 1, "tail": 1}),
                json!({"bark": 1, "x": 1}),
            ),
        ] {
            let open = json!({"properties": {"inner": inner}, "$defs": defs});
            let schema = closed(open.clone());
            assert!(is_valid(&schema, &json!({"inner": good})), "{good} in {schema}");
            assert!(is_valid(&open, &json!({"inner": bad})), "{bad} in {open}");
            assert!(!is_valid(&schema, &json!({"inner": bad})), "{bad} in {schema}");
        }
    }
}
