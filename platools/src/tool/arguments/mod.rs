//! Arguments: the text of one JSON object, and how it becomes typed values.
//!
//! Mistakes are collected and told in words that a model can act on: which argument, what was expected,
//! what came, and which names there are.

#[cfg(test)]
mod answers;
pub(crate) mod constraint;
mod explain;
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
use super::ToolError;
use crate::wire::json;

/// The arguments of one call: a JSON object, kept as text until a handler asks for its values.
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

/// Text that is not the JSON object that arguments have to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentsError {
    /// The text is not JSON.
    #[error("the arguments are not JSON: {0}")]
    Syntax(String),
    /// The text is JSON, but not an object.
    #[error("the arguments must be a JSON object such as {{\"name\": \"value\"}}, got {0}")]
    NotAnObject(&'static str),
}

impl Arguments {
    /// No arguments: `{}`.
    pub fn empty() -> Self {
        Self("{}".to_owned())
    }

    /// The arguments in `text`.
    ///
    /// # Errors
    /// When `text` is not JSON or not an object.
    pub fn from_json(text: impl Into<String>) -> Result<Self, ArgumentsError> {
        let text = text.into();
        if let Err(error) = serde_json::from_str::<&RawValue>(&text) {
            return Err(ArgumentsError::Syntax(error.to_string()));
        }
        match text.trim_start().as_bytes().first() {
            Some(b'{') => Ok(Self(text)),
            Some(b'[') => Err(ArgumentsError::NotAnObject("an array")),
            Some(b'"') => Err(ArgumentsError::NotAnObject("a string")),
            Some(b't' | b'f') => Err(ArgumentsError::NotAnObject("a boolean")),
            Some(b'n') => Err(ArgumentsError::NotAnObject("null")),
            _ => Err(ArgumentsError::NotAnObject("a number")),
        }
    }

    /// Text that is known to be a JSON object.
    pub(crate) fn from_object_text(text: String) -> Self {
        debug_assert!(Self::from_json(text.as_str()).is_ok());
        Self(text)
    }

    /// The arguments as they were written.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The arguments as one value of type `T`, for handlers without typed parameters.
    ///
    /// # Errors
    /// `invalid arguments: …` with the path of what does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ToolError> {
        explain::parse(&self.0, "")
            .map_err(|refusal| ToolError::invalid_arguments(refusal.into_problem()).into_refusal())
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

impl TryFrom<Value> for Arguments {
    type Error = ArgumentsError;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        Self::from_json(value.to_string())
    }
}

impl fmt::Debug for Arguments {
    /// Says how much there is, not what: arguments are the caller's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arguments({} bytes)", self.0.len())
    }
}
