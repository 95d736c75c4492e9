//! Arguments: the text of one JSON object, and its decoding into typed values.
//!
//! All errors of a call are collected and reported to the model: path, expected and received value, accepted names.

#[cfg(test)]
mod answers;
pub(crate) mod constraint;
mod explain;
pub(crate) mod fields;
mod json_texts;
mod mismatch;
pub(crate) mod missing;
pub(crate) mod reader;
pub(crate) mod tool_argument;
mod words;

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub use self::explain::nearest_name;
pub use self::json_texts::decode_json_texts;
pub use self::words::allowed_values;
use super::ToolError;
use crate::wire::json;

/// The arguments of one call: a JSON object, kept as text until a handler decodes it.
///
/// ```
/// use platools::Arguments;
///
/// let arguments = Arguments::from_json(r#"{"a": 1, "b": [2, 3]}"#)?;
///
/// #[derive(serde::Deserialize)]
/// struct Sum { a: i64, b: Vec<i64> }
/// let sum: Sum = arguments.parse().unwrap();
/// assert_eq!(sum.a + sum.b.iter().sum::<i64>(), 6);
/// # Ok::<(), platools::tool::ArgumentsError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Arguments(String);

/// Invalid arguments: not JSON, or not a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentsError {
    /// The text is not JSON.
    #[error("the arguments are not JSON: {0}")]
    Syntax(String),
    /// A value in it is nested too deep.
    #[error("the arguments are nested more than {} levels deep, send flatter ones", json::MAX_DEPTH)]
    TooDeep,
    /// The text is JSON, but not an object.
    #[error("the arguments must be a JSON object such as {{\"name\": \"value\"}}, got {0}")]
    NotAnObject(&'static str),
}

impl Arguments {
    /// Returns empty arguments, `{}`.
    pub fn empty() -> Self {
        Self("{}".to_owned())
    }

    /// Validates that `text` is a JSON object.
    ///
    /// # Errors
    /// If `text` is not JSON or not an object.
    pub fn from_json(text: impl Into<String>) -> Result<Self, ArgumentsError> {
        let text = text.into();
        if let Err(error) = serde_json::from_str::<&RawValue>(&text) {
            return Err(ArgumentsError::Syntax(error.to_string()));
        }
        Self::from_value_text(text)
    }

    /// Wraps text that is known to be JSON, if it is an object.
    fn from_value_text(text: String) -> Result<Self, ArgumentsError> {
        match text.trim_start().as_bytes().first() {
            _ if json::is_too_deep(&text) => Err(ArgumentsError::TooDeep),
            Some(b'{') => Ok(Self(text)),
            Some(b'[') => Err(ArgumentsError::NotAnObject("an array")),
            Some(b'"') => Err(ArgumentsError::NotAnObject("a string")),
            Some(b't' | b'f') => Err(ArgumentsError::NotAnObject("a boolean")),
            Some(b'n') => Err(ArgumentsError::NotAnObject("null")),
            _ => Err(ArgumentsError::NotAnObject("a number")),
        }
    }

    /// Wraps text that is known to be a JSON object.
    pub(crate) fn from_object_text(text: String) -> Self {
        debug_assert!(serde_json::from_str::<&RawValue>(&text).is_ok() && text.trim_start().starts_with('{'));
        Self(text)
    }

    /// Returns the JSON text as it was received.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// Decodes all arguments into a `T`, for handlers without typed parameters.
    ///
    /// # Errors
    /// `invalid arguments: …` with the path of the mismatch.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ToolError> {
        explain::parse(&self.0, "")
            .map_err(|error| ToolError::invalid_arguments(error.into_problem()).into_refusal())
    }

    pub(crate) fn members(&self) -> json::Members<'_> {
        json::members(&self.0)
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Map<String, Value>> for Arguments {
    fn from(object: Map<String, Value>) -> Self {
        Self(Value::Object(object).to_string())
    }
}

/// Takes text that `serde_json` has read already, without reading it again.
impl TryFrom<&RawValue> for Arguments {
    type Error = ArgumentsError;

    fn try_from(value: &RawValue) -> Result<Self, Self::Error> {
        Self::from_value_text(value.get().to_owned())
    }
}

impl TryFrom<Value> for Arguments {
    type Error = ArgumentsError;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        Self::from_json(value.to_string())
    }
}

impl fmt::Debug for Arguments {
    /// Writes only the length: arguments are the caller's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arguments({} bytes)", self.0.len())
    }
}
