//! Items that generated code refers to. Not part of the public API; may change in any release.

pub use inventory;
pub use regex::Regex;
pub use schemars;
pub use serde_json;

pub use crate::tool::arguments::constraint::{Length, Measured, Number, Range, Ranged, Textual, Unit};
pub use crate::tool::arguments::reader::{ArgumentNames, ArgumentReader};
pub use crate::tool::arguments::tool_argument::ToolArgument;
pub use crate::tool::result;
pub use crate::tool::schema::{Argument, InputSchema};
pub use crate::tool::{Auth, FromCall, Location, RateLimit, Tool, ToolCall, ToolSpec, Toolset};
use crate::tool::{Requirement, ToolError};

/// A tool that registers itself.
#[derive(Debug)]
pub struct Registration {
    /// Makes the tool.
    pub tool: fn() -> Tool,
}

inventory::collect!(Registration);

/// Implemented by `#[tool]` for a type with the name of the function, so that `tools![…]` finds the tool.
pub trait ToolDefinition {
    /// Makes the tool.
    fn tool() -> Tool;
}

/// Returns the requirement of a parameter of type `T` on the host.
pub fn requirement<T: FromCall>() -> Option<Requirement> {
    T::requirement()
}

/// Marks an error as a rejection before the handler, so that it does not count against the tool's health.
pub fn refusal(error: ToolError) -> ToolError {
    error.into_refusal()
}

/// Compiles a regular expression that the macro has validated.
///
/// # Panics
/// When the compiled expression exceeds the size limit of `regex`.
pub fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| panic!("the pattern `{pattern}` of a tool argument: {error}"))
}

/// Unwraps a value from the reader, which is present unless its `finish` returned an error.
pub fn read<T>(value: Option<T>) -> Result<T, ToolError> {
    value.ok_or_else(|| ToolError::invalid_arguments("an argument could not be read"))
}
