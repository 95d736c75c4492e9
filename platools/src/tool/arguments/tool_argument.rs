//! One trait that bundles the bounds of an argument's type, so that rustc reports a single error.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

/// A type of arguments: decoded from JSON and described by a JSON Schema.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tool argument",
    label = "cannot be decoded from JSON, or has no JSON Schema",
    note = "derive `serde::Deserialize` and `schemars::JsonSchema` for it, and for the types inside it",
    note = "for a type of another crate: enable that crate's `serde` feature, and the schemars feature for that crate",
    note = "if it has both: use the schemars version that platools re-exports as `platools::schemars`",
    note = "if it is injected from the call (a `CallContext`, `State` or `CancellationToken` under another name, or your own type that implements `platools::FromCall`): mark the parameter `#[tool(inject)]`"
)]
pub trait ToolArgument: DeserializeOwned + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> ToolArgument for T {}
