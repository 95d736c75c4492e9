//! JSON Schemas of arguments and results: draft 2020-12, inlined, without noise.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::arguments::constraint::{Length, Measured, Range, Ranged, Textual};
use super::arguments::missing;
use super::arguments::reader::ArgumentNames;
use super::arguments::tool_argument::ToolArgument;

/// A generator whose subschemas are inlined unless recursive.
fn generator(for_output: bool) -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
            if for_output {
                settings.contract = schemars::generate::Contract::Serialize;
            }
        })
        .into_generator()
}

/// Numbers carry Rust's widths as `format`, which no validator knows and some model vendors reject.
fn drop_numeric_formats(schema: &mut Schema) {
    let numeric = |name: &Value| name == "integer" || name == "number";
    let is_numeric = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(numeric),
        Some(name) => numeric(name),
        None => false,
    };
    if is_numeric && let Some(object) = schema.as_object_mut() {
        // Not `remove`, which would move the last keyword into the gap.
        object.shift_remove("format");
    }
}

fn tidy(schema: &mut Schema) {
    RecursiveTransform(drop_numeric_formats as fn(&mut Schema)).transform(schema);
}

/// The schema of a result, unless it says nothing: neither that of any JSON value nor that of `()`.
pub(crate) fn output_schema<T: JsonSchema>() -> Option<Value> {
    let mut generator = generator(true);
    let mut schema = generator.subschema_for::<T>();
    tidy(&mut schema);
    let definitions = definitions(&mut generator);
    if let Value::Object(object) = schema.as_value() {
        let nothing = object.len() == 1 && object.get("type").is_some_and(|name| name == "null");
        if object.is_empty() || nothing {
            return None;
        }
    } else {
        return None;
    }
    if !definitions.is_empty() {
        schema.insert("$defs".to_owned(), definitions.into());
    }
    Some(schema.to_value())
}

/// The definitions that recursive types left behind.
fn definitions(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut definitions = generator.take_definitions(true);
    for definition in definitions.values_mut() {
        if let Ok(schema) = <&mut Schema>::try_from(definition) {
            tidy(schema);
        }
    }
    definitions
}

/// Builds the schema of a tool's arguments, parameter by parameter.
#[derive(Debug)]
pub struct InputSchema {
    generator: SchemaGenerator,
    properties: Map<String, Value>,
    required: Vec<String>,
    /// What members other than `properties` must look like; `false` allows none.
    additional: Value,
    flattened: BTreeSet<String>,
    problems: Vec<String>,
}

impl Default for InputSchema {
    fn default() -> Self {
        Self::new()
    }
}

impl InputSchema {
    /// A schema without properties that allows no others.
    pub fn new() -> Self {
        Self {
            generator: generator(false),
            properties: Map::new(),
            required: Vec::new(),
            additional: json!(false),
            flattened: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    /// Adds a parameter of type `T` under `name`; it is required unless `T` can do without a value.
    pub fn argument<T: ToolArgument>(
        &mut self,
        name: &'static str,
        description: Option<&str>,
    ) -> Argument<'_, T> {
        let mut schema = self.generator.subschema_for::<T>();
        tidy(&mut schema);
        if let Some(description) = description {
            schema.insert("description".to_owned(), description.into());
        }
        if !missing::is_optional::<T>() {
            self.required.push(name.to_owned());
        }
        if self.properties.insert(name.to_owned(), schema.to_value()).is_some() {
            self.problems.push(format!("two parameters are called `{name}`"));
        }
        Argument { input: self, name, of: std::marker::PhantomData }
    }

    /// Adds the properties of the struct `T` beside the other parameters.
    pub fn flatten<T: ToolArgument>(&mut self, parameter: &'static str) {
        let mut schema = self.generator.subschema_for::<T>();
        tidy(&mut schema);
        let Some(object) = schema.as_object().filter(|object| is_plain_object(object)) else {
            self.problems.push(format!(
                "the flattened parameter `{parameter}` is not a struct with named fields or a map; \
                 take it as a parameter of its own, without `flatten`"
            ));
            return;
        };
        if let Some(required) = object.get("required").and_then(Value::as_array) {
            self.required.extend(required.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        match object.get("additionalProperties") {
            None | Some(Value::Bool(false)) => {}
            Some(additional) => self.additional = additional.clone(),
        }
        let properties = object.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, property) in properties {
            self.flattened.insert(name.clone());
            if self.properties.insert(name.clone(), property).is_some() {
                self.problems.push(format!(
                    "`{name}` is a parameter and also a field of the flattened parameter `{parameter}`"
                ));
            }
        }
    }

    /// Lets callers send members that no parameter takes; they are dropped.
    pub fn allow_additional_properties(&mut self) {
        self.additional = json!(true);
    }

    /// The names that callers may send, for decoding.
    pub fn names(&self) -> Arc<ArgumentNames> {
        let expected = |schema: &Value| match schema.get("type") {
            Some(Value::String(name)) => Some(name.clone()),
            Some(Value::Array(names)) => {
                names.iter().find_map(|name| name.as_str().filter(|name| *name != "null")).map(str::to_owned)
            }
            _ => None,
        };
        let names = self.properties.iter().map(|(name, schema)| (name.clone(), expected(schema))).collect();
        Arc::new(ArgumentNames {
            names,
            flattened: self.flattened.clone(),
            open: self.additional != json!(false),
        })
    }

    /// The finished schema, and what is wrong with it.
    pub(crate) fn finish(mut self) -> (Value, Vec<String>) {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), json!("object"));
        schema.insert("properties".to_owned(), self.properties.into());
        if !self.required.is_empty() {
            schema.insert("required".to_owned(), self.required.into());
        }
        if self.additional != json!(true) {
            schema.insert("additionalProperties".to_owned(), self.additional);
        }
        let definitions = definitions(&mut self.generator);
        if !definitions.is_empty() {
            schema.insert("$defs".to_owned(), definitions.into());
        }
        (schema.into(), self.problems)
    }
}

/// Whether a schema is an object with properties and nothing that combines schemas.
fn is_plain_object(object: &Map<String, Value>) -> bool {
    object.get("type").is_some_and(|name| name == "object")
        && !["oneOf", "anyOf", "allOf", "$ref"].iter().any(|key| object.contains_key(*key))
}

/// One parameter that was just added, for its default and its constraints.
#[derive(Debug)]
pub struct Argument<'a, T> {
    input: &'a mut InputSchema,
    name: &'static str,
    of: std::marker::PhantomData<fn() -> T>,
}

impl<T> Argument<'_, T> {
    fn set(&mut self, key: &str, value: Value) {
        let Some(property) = self.input.properties.get_mut(self.name) else { return };
        // `true`, the schema of anything, has no room for keywords.
        if !property.is_object() {
            *property = json!({});
        }
        property[key] = value;
    }

    /// The value when the caller sends none.
    #[must_use]
    pub fn default_value(mut self, value: &T) -> Self
    where
        T: Serialize,
    {
        self.input.required.retain(|name| name != self.name);
        match serde_json::to_value(value) {
            Ok(value) => self.set("default", value),
            Err(error) => self
                .input
                .problems
                .push(format!("the default of `{}` cannot be written as JSON: {error}", self.name)),
        }
        self
    }

    /// Bounds of a number.
    #[must_use]
    pub fn range(mut self, range: Range) -> Self
    where
        T: Ranged,
    {
        for (key, bound) in range.keywords() {
            self.set(key, bound.to_json());
        }
        self
    }

    /// Bounds of a length: characters of a text, items of a list, members of a map.
    #[must_use]
    pub fn length(mut self, length: Length) -> Self
    where
        T: Measured,
    {
        for (key, bound) in length.keywords(T::UNIT) {
            self.set(&key, bound.into());
        }
        self
    }

    /// A regular expression that a text must match somewhere.
    #[must_use]
    pub fn pattern(mut self, pattern: &str) -> Self
    where
        T: Textual,
    {
        self.set("pattern", pattern.into());
        self
    }
}

/// How a schema's type is called in an error.
pub(crate) fn article(type_name: &str) -> String {
    match type_name {
        "integer" => "an integer".to_owned(),
        "array" => "an array".to_owned(),
        "object" => "an object".to_owned(),
        other => format!("a {other}"),
    }
}

#[cfg(test)]
mod golden;
