//! `#[tool]` and `#[toolset]`: what they declare, and how it behaves.
#![allow(
    clippy::needless_pass_by_value,
    clippy::option_option,
    clippy::too_many_arguments,
    clippy::unnecessary_wraps,
    clippy::unused_async,
    clippy::unwrap_used,
    reason = "the tests are about all kinds of signatures"
)]

#[path = "tool_macro/arguments.rs"]
mod arguments;
#[path = "tool_macro/caller.rs"]
mod caller;
#[path = "tool_macro/declaration.rs"]
mod declaration;
#[path = "tool_macro/functions.rs"]
mod functions;
#[path = "tool_macro/injection.rs"]
mod injection;
#[path = "tool_macro/results.rs"]
mod results;
#[path = "tool_macro/toolsets.rs"]
mod toolsets;
