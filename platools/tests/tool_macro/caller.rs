//! Calls tools as a platform would, through the host's one dispatcher, without a connection.

use platools::tool::ToolErrorKind;
use platools::{CallContext, Host, Platools, Tool};
use serde_json::Value;

/// Calls `tool` and gives its answer: the JSON value, or the text of the error.
pub(crate) async fn call(tool: &Tool, arguments: Value) -> Result<Value, String> {
    call_in(host([tool.clone()]), tool.name(), arguments).await
}

/// A host with `tools`.
pub(crate) fn host(tools: impl IntoIterator<Item = Tool>) -> Host {
    builder().tools(tools).build().unwrap()
}

/// What a host needs beside its tools.
pub(crate) fn builder() -> Platools {
    Platools::builder().url("ws://127.0.0.1:1").secret("a secret of the tests").entity("tests")
}

/// Calls the tool `name` of a host.
pub(crate) async fn call_in(host: Host, name: &str, arguments: Value) -> Result<Value, String> {
    let context = CallContext::builder().user_id("user-7").build();
    let output = host.call(name, arguments.try_into().unwrap(), context).await;
    output.map(|output| output.to_value()).map_err(|error| {
        assert_ne!(error.to_string(), "", "an error without a text");
        match error.kind() {
            ToolErrorKind::Internal => format!("{error} <- {}", error.chain()),
            _ => error.to_string(),
        }
    })
}
