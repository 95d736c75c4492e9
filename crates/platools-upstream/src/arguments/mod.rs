//! Checks arguments against a JSON Schema that is known only at run time, and explains mistakes to a model.
//!
//! Nothing is fetched: a schema refers only to its own definitions.

mod close;
mod explain;
mod patterns;

use std::sync::{Arc, OnceLock};

use jsonschema::Validator;
use platools::tool::decode_json_texts;
use platools::{Arguments, ToolError};
use serde_json::{Map, Value, json};

pub use self::patterns::without_unusable_patterns;

/// How many mistakes one answer names.
const NAMED: usize = 10;

/// The JSON Schema of a tool's arguments, ready to check them.
///
/// ```
/// use platools::Arguments;
/// use platools_upstream::ArgumentSchema;
/// use serde_json::json;
///
/// let schema = ArgumentSchema::new(json!({"properties": {"limit": {"type": "integer", "default": 10}}}))?;
/// let filled = schema.check(&Arguments::try_from(json!({}))?).unwrap();
/// assert_eq!(filled["limit"], 10);
/// let error = schema.check(&Arguments::try_from(json!({"limti": 5}))?).unwrap_err();
/// assert!(error.to_string().contains("did you mean `limit`?"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ArgumentSchema {
    schema: Arc<Value>,
    /// Empty until it is needed again, where it was compiled to find mistakes alone.
    validator: OnceLock<Result<Validator, String>>,
    /// The values of absent arguments.
    defaults: Map<String, Value>,
}

impl ArgumentSchema {
    /// Compiles a schema. Unknown arguments, and unknown fields of objects inside, are refused unless the schema says
    /// otherwise: by `additionalProperties`, `unevaluatedProperties` or `patternProperties`, or by naming no field at all.
    ///
    /// # Errors
    /// Returns what is wrong with the schema.
    pub fn new(schema: impl Into<Arc<Value>>) -> Result<Self, String> {
        Self::with(schema.into(), true)
    }

    /// Compiles a schema as [`new`](Self::new) does, and leaves the objects inside as they are.
    ///
    /// # Errors
    /// Returns what is wrong with the schema.
    pub fn open_inside(schema: impl Into<Arc<Value>>) -> Result<Self, String> {
        Self::with(schema.into(), false)
    }

    fn with(mut schema: Arc<Value>, closes_inside: bool) -> Result<Self, String> {
        let Some(object) = schema.as_object() else {
            return Err("the schema has to be an object such as {\"type\": \"object\", …}".to_owned());
        };
        if object.get("type").is_some_and(|name| name != "object") {
            return Err("the schema has to say `\"type\": \"object\"`: arguments have names".to_owned());
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
        let is_closed = !open.iter().any(|key| object.contains_key(*key));
        let is_complete = object.contains_key("type") && object.contains_key("properties");
        // A complete schema stays the one that others share.
        if (is_closed || !is_complete)
            && let Some(object) = Arc::make_mut(&mut schema).as_object_mut()
        {
            object.entry("type").or_insert_with(|| "object".into());
            if is_closed {
                object.insert("additionalProperties".to_owned(), false.into());
            }
            object.entry("properties").or_insert_with(|| json!({}));
        }
        if closes_inside {
            let mut closed = Value::clone(&schema);
            if close::close(&mut closed) {
                schema = Arc::new(closed);
            }
        }
        let mut this = Self::as_declared(schema)?;
        let properties = this.schema["properties"].as_object();
        let defaults = properties
            .into_iter()
            .flatten()
            .filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone())));
        this.defaults = defaults.collect();
        Ok(this)
    }

    /// Compiles a schema as it is, for a receiver that checks arguments too: unknown arguments are allowed unless the
    /// schema refuses them, and defaults are not filled in.
    ///
    /// # Errors
    /// Returns what is wrong with the schema.
    pub fn as_declared(schema: impl Into<Arc<Value>>) -> Result<Self, String> {
        let schema = schema.into();
        let validator = OnceLock::from(Ok(validator(&schema)?));
        Ok(Self { schema, validator, defaults: Map::new() })
    }

    /// Leaves absent arguments absent instead of filling in defaults.
    #[must_use]
    pub fn without_defaults(mut self) -> Self {
        self.defaults.clear();
        self
    }

    /// Drops what was compiled: the first check compiles it again. For schemas of which most are never used, since they
    /// take much less memory so.
    #[must_use]
    pub fn compiled_when_used(mut self) -> Self {
        self.validator = OnceLock::new();
        self
    }

    fn validator(&self) -> Result<&Validator, ToolError> {
        let compiled = self.validator.get_or_init(|| validator(&self.schema));
        compiled.as_ref().map_err(|problem| ToolError::internal(problem.clone()))
    }

    /// Returns the schema, as it is declared.
    pub fn value(&self) -> &Arc<Value> {
        &self.schema
    }

    /// Returns the names of the arguments.
    pub fn names(&self) -> Vec<&str> {
        let properties = self.schema["properties"].as_object();
        properties.map(|properties| properties.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// Returns whether an argument is present in every checked call: required, or with a default.
    pub fn is_required(&self, name: &str) -> bool {
        let required = self.schema["required"].as_array();
        required.is_some_and(|required| required.iter().any(|required| required == name))
            || self.defaults.contains_key(name)
    }

    /// Checks the arguments of a call and returns them, with defaults for those that are absent. A JSON text in place of
    /// an array, an object or a number is decoded.
    ///
    /// # Errors
    /// Returns one [`ToolError::invalid_arguments`] that names up to ten mistakes.
    pub fn check(&self, arguments: &Arguments) -> Result<Map<String, Value>, ToolError> {
        let mut object: Map<String, Value> = arguments.parse()?;
        for (name, default) in &self.defaults {
            object.entry(name).or_insert_with(|| default.clone());
        }
        let mut object = Value::Object(object);
        let validator = self.validator()?;
        let mut is_valid = validator.is_valid(&object);
        if !is_valid {
            is_valid = decode_json_texts(&self.schema, &mut object, |object| validator.is_valid(object));
        }
        if !is_valid {
            let names = self.names();
            let mut mistakes: Vec<String> = Vec::new();
            for error in validator.iter_errors(&object) {
                for mistake in explain::mistakes(&error, &names, &self.schema) {
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

/// Compiles a validator that fetches nothing.
///
/// # Errors
/// Returns where and why the schema is invalid.
fn validator(schema: &Value) -> Result<Validator, String> {
    jsonschema::options().offline().build(schema).map_err(|error| match error.kind() {
        jsonschema::error::ValidationErrorKind::Referencing(error) => format!(
            "this is not a JSON Schema: a `$ref` leads nowhere ({error}): refer to `#/$defs/…` of the same schema, \
             nothing is fetched"
        ),
        _ => format!("this is not a JSON Schema: {}", explain::mistakes(&error, &[], &Value::Null).join("; ")),
    })
}
