//! Finds the members of nested objects that the schema does not name, which serde's decoders ignore.
//!
//! The names are cut out of the schemas once. A value is checked after its type has decoded it, in one pass over its
//! text, and only where its schema has objects with named members.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize as _, Serialize, Serializer};
use serde_json::{Map, Value};

use super::explain::{shorten, shorten_path};
use super::words::{Definitions, alternatives, is_null, only_text, types, unknown};

/// Maximum number of fields that one search finds.
const MAX_FOUND: usize = 11;
/// Maximum number of references in a row.
const MAX_REFERENCES: usize = 4;
/// Maximum number of values that one search looks at more than once, to choose between alternatives.
const MAX_TRIED: usize = 10_000;

/// The names of the members inside each argument.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    arguments: BTreeMap<String, Shape>,
    flattened: Option<Shape>,
    definitions: BTreeMap<String, Shape>,
}

/// The member names of a value, at every depth.
#[derive(Debug)]
enum Shape {
    /// Nothing inside has to be checked.
    Any,
    /// The shape of that definition.
    Reference(String),
    /// An object.
    Object {
        fields: Names,
        /// The shape of further members; `None` if there are none.
        others: Option<Box<Shape>>,
    },
    /// An array: its first items, and the others.
    Array(Vec<Shape>, Box<Shape>),
    /// Alternatives.
    Choice(Vec<Branch>),
}

type Names = BTreeMap<String, Field>;

/// A member with a name.
#[derive(Debug)]
struct Field {
    /// Its place in the schema.
    position: usize,
    shape: Shape,
}

/// One of several alternatives.
#[derive(Debug)]
struct Branch {
    shape: Shape,
    takes_object: bool,
    takes_array: bool,
    /// Members that have one text in this alternative.
    tags: Vec<(String, String)>,
}

impl Shape {
    fn of(schema: &Value) -> Self {
        if let Some(name) =
            schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix("#/$defs/"))
        {
            return Self::Reference(name.to_owned());
        }
        let object = |key: &str| schema.get(key).and_then(Value::as_object);
        if object("properties").is_some() || schema.get("additionalProperties").is_some() {
            let fields = object("properties").into_iter().flatten();
            let fields = fields.enumerate().map(|(position, (name, schema))| {
                (name.clone(), Field { position, shape: Self::of(schema) })
            });
            let fields: Names = fields.collect();
            let others = match schema.get("additionalProperties") {
                Some(Value::Bool(false))
                    if !schema.get("patternProperties").is_some_and(Value::is_object) =>
                {
                    None
                }
                Some(others) => Some(Box::new(Self::of(others))),
                None => Some(Box::new(Self::Any)),
            };
            let is_any = fields.values().all(|field| field.shape.is_any())
                && others.as_ref().is_some_and(|others| others.is_any());
            return if is_any { Self::Any } else { Self::Object { fields, others } };
        }
        if let Some(branches) = alternatives(schema) {
            let branches = branches.iter().filter(|branch| !is_null(branch));
            let mut branches: Vec<Branch> = branches.map(Branch::of).collect();
            if branches.iter().all(|branch| branch.shape.is_any()) {
                return Self::Any;
            }
            let only = if branches.len() == 1 { branches.pop() } else { None };
            return only.map_or_else(|| Self::Choice(branches), |branch| branch.shape);
        }
        let first = schema.get("prefixItems").and_then(Value::as_array).into_iter().flatten();
        let first: Vec<Self> = first.map(Self::of).collect();
        let rest = schema.get("items").map_or(Self::Any, Self::of);
        if first.iter().all(Self::is_any) && rest.is_any() {
            return Self::Any;
        }
        Self::Array(first, Box::new(rest))
    }

    /// Returns the number of an object's own members that have no place in it.
    fn strangers(&self, value: &Value) -> usize {
        match (self, value) {
            (Self::Object { fields, others: None }, Value::Object(members)) => {
                members.keys().filter(|name| !fields.contains_key(*name)).count()
            }
            _ => 0,
        }
    }

    fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }
}

impl Branch {
    fn of(schema: &Value) -> Self {
        let takes = |name: &str| {
            let mut types = types(schema).peekable();
            types.peek().is_none() && only_text(schema).is_none() || types.any(|known| known == name)
        };
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let tags =
            properties.filter_map(|(name, schema)| Some((name.clone(), only_text(schema)?.to_owned())));
        Self {
            shape: Shape::of(schema),
            takes_object: takes("object"),
            takes_array: takes("array"),
            tags: tags.collect(),
        }
    }
}

impl Fields {
    /// Collects the names in the schemas of arguments, of the flattened parameter and of their definitions.
    pub(crate) fn new(properties: &Map<String, Value>, flattened: &Value, definitions: &Definitions) -> Self {
        let shapes = |schemas: &Map<String, Value>| {
            let shapes = schemas.iter().map(|(name, schema)| (name.clone(), Shape::of(schema)));
            shapes.filter(|(_, shape)| !shape.is_any()).collect::<BTreeMap<_, _>>()
        };
        Self {
            arguments: shapes(properties),
            flattened: Some(Shape::of(flattened)).filter(|shape| !shape.is_any()),
            definitions: shapes(definitions),
        }
    }

    /// Returns the unknown fields inside the argument `name`, or inside the flattened parameter if `name` is empty.
    /// `text` is JSON that its type has decoded.
    pub(super) fn unknown_in(&self, name: &str, text: &str) -> Vec<UnknownField> {
        let shape = if name.is_empty() { self.flattened.as_ref() } else { self.arguments.get(name) };
        let Some(shape) = shape else { return Vec::new() };
        let mut search = Search { fields: self, found: Vec::new(), tries: MAX_TRIED };
        let check = Check { shape, at: &Step::Argument(name), search: &mut search };
        // The text was decoded before, so there is no error.
        let _ = check.deserialize(&mut serde_json::Deserializer::from_str(text));
        search.found
    }
}

/// A member that the schema does not name.
#[derive(Debug)]
pub(super) struct UnknownField {
    /// The error text.
    pub(super) problem: String,
    /// The way to it through the value.
    steps: Vec<Key>,
}

/// One step into a value.
#[derive(Debug, PartialEq)]
enum Key {
    Name(String),
    Index(usize),
}

impl UnknownField {
    /// Returns the JSON text with this member written twice. A decoder that knows the name after all, as a
    /// `#[serde(alias)]`, refuses that; one that ignores the member does not notice.
    pub(super) fn doubled_in(&self, text: &str) -> Option<String> {
        let value: Value = serde_json::from_str(text).ok()?;
        serde_json::to_string(&Doubled { value: &value, steps: &self.steps }).ok()
    }
}

/// A value in which the member at the end of `steps` is written twice.
struct Doubled<'a> {
    value: &'a Value,
    steps: &'a [Key],
}

impl Serialize for Doubled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.value, self.steps) {
            (Value::Object(members), [step, rest @ ..]) => {
                let mut map = serializer.serialize_map(None)?;
                for (name, value) in members {
                    let is_on_the_way = *step == Key::Name(name.clone());
                    if is_on_the_way && rest.is_empty() {
                        map.serialize_entry(name, value)?;
                    }
                    let steps = if is_on_the_way { rest } else { &[] };
                    map.serialize_entry(name, &Self { value, steps })?;
                }
                map.end()
            }
            (Value::Array(items), [step, rest @ ..]) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for (index, value) in items.iter().enumerate() {
                    let steps = if *step == Key::Index(index) { rest } else { &[] };
                    list.serialize_element(&Self { value, steps })?;
                }
                list.end()
            }
            (value, _) => value.serialize(serializer),
        }
    }
}

/// The way to a value, from its end.
#[derive(Clone, Copy)]
enum Step<'p> {
    /// The argument of this name, or all arguments together if it is empty.
    Argument(&'p str),
    Member(&'p Step<'p>, &'p str),
    Item(&'p Step<'p>, usize),
}

impl Step<'_> {
    fn write(&self, path: &mut String, keys: &mut Vec<Key>) {
        match self {
            Self::Argument(name) => path.push_str(name),
            Self::Member(outer, name) => {
                outer.write(path, keys);
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&shorten(name));
                keys.push(Key::Name((*name).to_owned()));
            }
            Self::Item(outer, index) => {
                outer.write(path, keys);
                let _ = write!(path, "[{index}]");
                keys.push(Key::Index(*index));
            }
        }
    }
}

struct Search<'a> {
    fields: &'a Fields,
    found: Vec<UnknownField>,
    /// How many values may still be looked at to choose between alternatives.
    tries: usize,
}

/// Checks one value against its shape.
struct Check<'a, 's, 'p> {
    shape: &'a Shape,
    at: &'p Step<'p>,
    search: &'s mut Search<'a>,
}

impl<'a> Check<'a, '_, '_> {
    #[cold]
    fn found(&mut self, name: &str, known: &Names) {
        if self.search.found.len() < MAX_FOUND {
            let (mut path, mut steps) = (String::new(), Vec::new());
            Step::Member(self.at, name).write(&mut path, &mut steps);
            let mut known: Vec<_> = known.iter().collect();
            known.sort_unstable_by_key(|(_, field)| field.position);
            let what = unknown("field", name, known.into_iter().map(|(name, _)| name.as_str()));
            self.search
                .found
                .push(UnknownField { problem: format!("`{}`: {what}", shorten_path(&path)), steps });
        }
    }

    /// Checks a value against the alternative that was meant: the one whose tags it has, or the one that explains it
    /// best.
    fn choose(self, branches: &'a [Branch], value: &Value) {
        let fits = |branch: &&Branch| match value {
            Value::Object(members) => {
                let has = |(tag, text): &(String, String)| members.get(tag).is_none_or(|sent| sent == text);
                branch.takes_object && branch.tags.iter().all(has)
            }
            Value::Array(_) => branch.takes_array,
            _ => false,
        };
        let mut best: Option<((usize, usize), Vec<UnknownField>)> = None;
        for branch in branches.iter().filter(fits) {
            let Some(left) = self.search.tries.checked_sub(1) else { return };
            self.search.tries = left;
            let mut search = Search { fields: self.search.fields, found: Vec::new(), tries: left };
            let check = Check { shape: &branch.shape, at: self.at, search: &mut search };
            let _ = check.deserialize(value);
            self.search.tries = search.tries;
            if search.found.is_empty() {
                return;
            }
            let rank = (branch.shape.strangers(value), search.found.len());
            if best.as_ref().is_none_or(|(least, _)| rank < *least) {
                best = Some((rank, search.found));
            }
        }
        self.search.found.extend(best.into_iter().flat_map(|(_, found)| found));
    }
}

impl<'de> DeserializeSeed<'de> for Check<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<(), D::Error> {
        // A definition may be another reference, but not for ever.
        for _ in 0..MAX_REFERENCES {
            let Shape::Reference(name) = self.shape else { break };
            self.shape = self.search.fields.definitions.get(name).unwrap_or(&Shape::Any);
        }
        match self.shape {
            Shape::Any | Shape::Reference(_) => IgnoredAny::deserialize(deserializer).map(drop),
            Shape::Choice(branches) => {
                let value = Value::deserialize(deserializer)?;
                self.choose(branches, &value);
                Ok(())
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Check<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let Shape::Object { fields, others } = self.shape else {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        while let Some(name) = members.next_key_seed(Name(fields))? {
            let (name, shape) = match &name {
                Known::Field(name, shape) => (*name, Some(*shape)),
                Known::Other(name) => (name.as_str(), others.as_deref()),
            };
            if let Some(shape) = shape {
                let at = &Step::Member(self.at, name);
                members.next_value_seed(Check { shape, at, search: &mut *self.search })?;
            } else {
                self.found(name, fields);
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let (first, rest) = match self.shape {
            Shape::Array(first, rest) => (first.as_slice(), &**rest),
            _ => (&[][..], &Shape::Any),
        };
        let mut index = 0;
        loop {
            let (shape, at) = (first.get(index).unwrap_or(rest), &Step::Item(self.at, index));
            if items.next_element_seed(Check { shape, at, search: &mut *self.search })?.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads the name of a member and finds its shape, without a copy of a known name.
struct Name<'a>(&'a Names);

enum Known<'a> {
    Field(&'a str, &'a Shape),
    Other(String),
}

impl<'de, 'a> DeserializeSeed<'de> for Name<'a> {
    type Value = Known<'a>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Known<'a>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a> {
    type Value = Known<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Known<'a>, E> {
        Ok(match self.0.get_key_value(name) {
            Some((name, field)) => Known::Field(name, &field.shape),
            None => Known::Other(name.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(schema: &Value, value: &Value) -> Vec<String> {
        let properties = Map::from_iter([("value".to_owned(), schema.clone())]);
        let definitions = schema.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
        let fields = Fields::new(&properties, &Value::Null, &definitions);
        let found = fields.unknown_in("value", &value.to_string());
        found
            .into_iter()
            .map(|field| field.problem.split(": ").next().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn only_arguments_with_named_members_are_looked_at() {
        let plain = json!({
            "a": {"type": "integer"},
            "b": {"type": "array", "items": {"type": "string"}},
            "c": {"type": "object", "additionalProperties": {"type": "number"}},
            "d": true,
            "e": {"oneOf": [{"type": "string"}, {"type": "null"}]},
        });
        let fields = Fields::new(plain.as_object().unwrap(), &Value::Null, &Map::new());
        assert!(fields.arguments.is_empty() && fields.flattened.is_none(), "{fields:?}");
    }

    #[test]
    fn the_alternative_that_was_meant_is_checked() {
        let closed = |properties: Value| json!({"type": "object", "properties": properties, "additionalProperties": false});
        let schema = json!({"anyOf": [
            closed(json!({"kind": {"const": "a"}, "x": {}})),
            closed(json!({"kind": {"const": "b"}, "y": {}})),
            {"type": "array", "items": closed(json!({"z": {}}))},
            {"type": "string"},
        ]});
        for (value, expected) in [
            (json!("a"), vec![]),
            (json!({"kind": "a", "x": 1}), vec![]),
            (json!({"kind": "a", "y": 1}), vec!["`value.y`"]),
            (json!({"y": 1}), vec![]),
            (json!([{"z": 1}, {"x": 1}]), vec!["`value[1].x`"]),
        ] {
            assert_eq!(found(&schema, &value), expected, "{value}");
        }
    }

    #[test]
    fn many_alternatives_in_each_other_are_bounded() {
        let schema = json!({"$ref": "#/$defs/Formula", "$defs": {"Formula": {"anyOf": [
            {"type": "object", "properties": {"l": {"$ref": "#/$defs/Formula"}, "a": {}}, "additionalProperties": false},
            {"type": "object", "properties": {"l": {"$ref": "#/$defs/Formula"}, "b": {}}, "additionalProperties": false},
        ]}}});
        let mut value = json!({"unknown": 1});
        for _ in 0..60 {
            value = json!({"l": value});
        }
        let _ = found(&schema, &value);
    }
}
