//! The one trait that generated code asks of an argument's type, so that rustc's message is one too.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// A type whose values callers can send: it is decoded from JSON, and its schema says so.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tool argument",
    label = "cannot be decoded from JSON, or has no JSON Schema",
    note = "derive `serde::Deserialize` and `schemars::JsonSchema` for it, and for the types inside it",
    note = "for a type of another crate: turn on that crate's `serde` feature, and schemars' feature for it",
    note = "if it has both: schemars must be the version that platools re-exports as `platools::schemars`",
    note = "if it comes from the call (a `CallContext`, `State` or `CancellationToken` under another name): mark the parameter `#[tool(inject)]`; a type of your own too, once it implements `platools::FromCall`"
)]
pub trait ToolArgument: DeserializeOwned + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> ToolArgument for T {}
