//! The arguments of a tool whose schema comes from outside: checked before anything runs, and refused in words that
//! a model can act on.
//!
//! Nothing is fetched: a schema refers to what is in it.

mod explain;

use jsonschema::Validator;
use platools::{Arguments, ToolError};
use serde_json::{Map, Value, json};

/// How many mistakes one answer names.
const NAMED: usize = 10;

/// The schema of a tool's arguments, ready to check them.
#[derive(Debug)]
pub(crate) struct ArgumentSchema {
    schema: Value,
    validator: Validator,
    /// What absent arguments become.
    defaults: Map<String, Value>,
}

impl ArgumentSchema {
    /// Prepares a schema. Where it does not say whether other arguments are allowed, they are not.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(mut schema: Value) -> Result<Self, String> {
        let Some(object) = schema.as_object_mut() else {
            return Err("the schema has to be an object such as {\"type\": \"object\", …}".to_owned());
        };
        match object.get("type") {
            None => {
                object.insert("type".to_owned(), "object".into());
            }
            Some(Value::String(name)) if name == "object" => {}
            Some(_) => {
                return Err("the schema has to say `\"type\": \"object\"`: arguments have names".to_owned());
            }
        }
        let open = [
            "additionalProperties",
            "unevaluatedProperties",
            "patternProperties",
            "allOf",
            "anyOf",
            "oneOf",
            "$ref",
        ];
        if !open.iter().any(|key| object.contains_key(*key)) {
            object.insert("additionalProperties".to_owned(), false.into());
        }
        object.entry("properties").or_insert_with(|| json!({}));
        let mut this = Self::as_declared(schema)?;
        let properties = this.schema["properties"].as_object();
        let defaults = properties
            .into_iter()
            .flatten()
            .filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone())));
        this.defaults = defaults.collect();
        Ok(this)
    }

    /// Prepares a schema of somebody who checks arguments, too: what it allows is allowed, and defaults are theirs to
    /// fill in.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn as_declared(schema: Value) -> Result<Self, String> {
        let validator = validator(&schema)?;
        Ok(Self { schema, validator, defaults: Map::new() })
    }

    /// The same, leaving defaults to whoever gets the arguments.
    pub(crate) fn without_defaults(mut self) -> Self {
        self.defaults.clear();
        self
    }

    /// The schema, as it is declared.
    pub(crate) fn value(&self) -> &Value {
        &self.schema
    }

    /// The names of the arguments.
    pub(crate) fn names(&self) -> Vec<&str> {
        let properties = self.schema["properties"].as_object();
        properties.map(|properties| properties.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// Whether an argument is there in every call.
    pub(crate) fn is_required(&self, name: &str) -> bool {
        let required = self.schema["required"].as_array();
        required.is_some_and(|required| required.iter().any(|required| required == name))
            || self.defaults.contains_key(name)
    }

    /// The arguments of a call, with defaults for those that are absent.
    ///
    /// # Errors
    /// `invalid arguments: …`, all mistakes together.
    pub(crate) fn check(&self, arguments: &Arguments) -> Result<Map<String, Value>, ToolError> {
        let mut object: Map<String, Value> = arguments.parse()?;
        for (name, default) in &self.defaults {
            object.entry(name).or_insert_with(|| default.clone());
        }
        let object = Value::Object(object);
        if !self.validator.is_valid(&object) {
            let names = self.names();
            let mut mistakes: Vec<String> = Vec::new();
            for error in self.validator.iter_errors(&object) {
                for mistake in explain::mistakes(&error, &names) {
                    if !mistakes.contains(&mistake) {
                        mistakes.push(mistake);
                    }
                }
                if mistakes.len() > NAMED {
                    break;
                }
            }
            let more = mistakes.len() > NAMED;
            mistakes.truncate(NAMED);
            let mut message = mistakes.join("; ");
            if more {
                message.push_str("; and more");
            }
            return Err(ToolError::invalid_arguments(message));
        }
        match object {
            Value::Object(object) => Ok(object),
            _ => Ok(Map::new()),
        }
    }
}

/// A validator that fetches nothing.
///
/// # Errors
/// Where and why the schema is none.
pub(crate) fn validator(schema: &Value) -> Result<Validator, String> {
    jsonschema::options().offline().build(schema).map_err(|error| match error.kind() {
        jsonschema::error::ValidationErrorKind::Referencing(error) => format!(
            "this is not a JSON Schema: a `$ref` leads nowhere ({error}): refer to `#/$defs/…` of the same schema, \
             nothing is fetched"
        ),
        _ => format!("this is not a JSON Schema: {}", explain::mistakes(&error, &[]).join("; ")),
    })
}
