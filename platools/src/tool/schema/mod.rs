//! JSON Schemas of arguments and results: draft 2020-12, inlined, without noise.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

pub use self::argument::Argument;
use self::argument::Constraints;
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
    flattened_schema: Value,
    /// What was said about each parameter, in their order.
    constraints: Vec<Constraints>,
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
            flattened_schema: Value::Null,
            constraints: Vec::new(),
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
        Argument::new(self, name)
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
        self.flattened_schema = object.clone().into();
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

    /// The names that callers may send and their schemas, for decoding and for what is wrong with it.
    pub fn names(&self) -> Arc<ArgumentNames> {
        Arc::new(ArgumentNames {
            properties: self.properties.clone(),
            definitions: definitions(&mut self.generator.clone()),
            flattened: self.flattened.clone(),
            flattened_schema: self.flattened_schema.clone(),
            open: self.additional != json!(false),
        })
    }

    /// The finished schema, and what is wrong with it.
    pub(crate) fn finish(mut self) -> (Value, Vec<String>) {
        self.problems.extend(self.constraints.iter().flat_map(Constraints::problems_of_default));
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

/// How a schema's type is called in an error.
pub(crate) fn article(type_name: &str) -> String {
    match type_name {
        "integer" => "an integer".to_owned(),
        "array" => "an array".to_owned(),
        "object" => "an object".to_owned(),
        other => format!("a {other}"),
    }
}

mod argument;
#[cfg(test)]
mod golden;
