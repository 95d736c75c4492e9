//! The built-in tool `ping`, for the platform's wire test.

use serde_json::json;

use super::{Tool, ToolCall, ToolOutput, ToolSpec};

/// Returns the tool `ping`, which answers every call at once: the platform's wire test calls a tool of this name
/// (protocol §9). It takes any arguments and ignores them.
pub fn ping() -> Tool {
    let spec = ToolSpec::new("ping")
        .description(
            "Check that this tool host is reachable. It takes no arguments, does nothing and answers {\"ok\": true}.",
        )
        .input_schema(json!({"type": "object", "properties": {}, "additionalProperties": true}))
        .read_only(true)
        .idempotent(true);
    Tool::new(spec, |_: ToolCall| async {
        ToolOutput::json(&json!({"ok": true, "host": platools_net::USER_AGENT}))
    })
}
