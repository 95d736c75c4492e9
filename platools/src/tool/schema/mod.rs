//! JSON Schemas of arguments and results: draft 2020-12, inlined, without redundant keywords.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

pub use self::argument::Argument;
use self::argument::Constraints;
use super::arguments::fields::Fields;
use super::arguments::missing;
use super::arguments::reader::ArgumentNames;
use super::arguments::tool_argument::ToolArgument;

/// Creates a generator that inlines subschemas unless they are recursive.
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

/// Removes Rust's integer and float widths from `format`: validators do not know them and some model vendors reject
/// them.
fn drop_numeric_formats(schema: &mut Schema) {
    let numeric = |name: &Value| name == "integer" || name == "number";
    let is_numeric = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(numeric),
        Some(name) => numeric(name),
        None => false,
    };
    if is_numeric && let Some(object) = schema.as_object_mut() {
        // `remove` would reorder the keywords.
        object.shift_remove("format");
    }
}

fn tidy(schema: &mut Schema) {
    RecursiveTransform(drop_numeric_formats as fn(&mut Schema)).transform(schema);
}

/// Tidies the schema of arguments, and closes its objects.
fn tidy_and_close(schema: &mut Schema) {
    tidy(schema);
    let mut value = std::mem::take(schema).to_value();
    closed::close(&mut value);
    if let Ok(closed) = Schema::try_from(value) {
        *schema = closed;
    }
}

/// Returns the schema of a result, unless it is that of any JSON value or of `()`.
pub(crate) fn output_schema<T: JsonSchema>() -> Option<Value> {
    let mut generator = generator(true);
    let mut schema = generator.subschema_for::<T>();
    tidy(&mut schema);
    let definitions = definitions(&mut generator, tidy);
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

/// Returns the definitions of recursive types, each passed through `finish`.
fn definitions(generator: &mut SchemaGenerator, finish: impl Fn(&mut Schema)) -> Map<String, Value> {
    let mut definitions = generator.take_definitions(true);
    for definition in definitions.values_mut() {
        if let Ok(schema) = <&mut Schema>::try_from(definition) {
            finish(schema);
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
    /// The schema of members other than `properties`; `false` allows none.
    additional: Value,
    flattened: BTreeSet<String>,
    flattened_schema: Value,
    /// The constraints of each parameter, in order.
    constraints: Vec<Constraints>,
    problems: Vec<String>,
}

impl Default for InputSchema {
    fn default() -> Self {
        Self::new()
    }
}

impl InputSchema {
    /// Creates a schema of an object without members.
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

    /// Adds the parameter `name` of type `T`; it is required unless `T` is optional.
    pub fn argument<T: ToolArgument>(
        &mut self,
        name: &'static str,
        description: Option<&str>,
    ) -> Argument<'_, T> {
        let mut schema = self.generator.subschema_for::<T>();
        tidy_and_close(&mut schema);
        if let Some(description) = description {
            schema.insert("description".to_owned(), description.into());
        }
        if !missing::is_optional::<T>() {
            self.required.push(name.to_owned());
        }
        if self.properties.insert(name.to_owned(), schema.to_value()).is_some() {
            self.problems.push(format!("duplicate parameter `{name}`"));
        }
        Argument::new(self, name)
    }

    /// Adds the fields of the struct `T` as arguments.
    pub fn flatten<T: ToolArgument>(&mut self, parameter: &'static str) {
        let mut schema = self.generator.subschema_for::<T>();
        tidy_and_close(&mut schema);
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

    /// Allows unknown members, which are ignored.
    pub fn allow_additional_properties(&mut self) {
        self.additional = json!(true);
    }

    /// Returns the accepted names and their schemas, for decoding and its errors.
    pub fn names(&self) -> Arc<ArgumentNames> {
        let definitions = definitions(&mut self.generator.clone(), tidy_and_close);
        Arc::new(ArgumentNames {
            fields: Fields::new(&self.properties, &self.flattened_schema, &definitions),
            properties: self.properties.clone(),
            definitions,
            flattened: self.flattened.clone(),
            flattened_schema: self.flattened_schema.clone(),
            open: self.additional != json!(false),
        })
    }

    /// Returns the finished schema and its problems.
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
        let definitions = definitions(&mut self.generator, tidy_and_close);
        if !definitions.is_empty() {
            schema.insert("$defs".to_owned(), definitions.into());
        }
        (schema.into(), self.problems)
    }
}

/// Returns whether a schema is an object schema without `oneOf`, `anyOf`, `allOf` or `$ref`.
fn is_plain_object(object: &Map<String, Value>) -> bool {
    object.get("type").is_some_and(|name| name == "object")
        && !["oneOf", "anyOf", "allOf", "$ref"].iter().any(|key| object.contains_key(*key))
}

/// Returns a schema type with its article, for error texts.
pub(crate) fn article(type_name: &str) -> String {
    match type_name {
        "integer" => "an integer".to_owned(),
        "array" => "an array".to_owned(),
        "object" => "an object".to_owned(),
        other => format!("a {other}"),
    }
}

mod argument;
mod closed;
#[cfg(test)]
mod golden;
