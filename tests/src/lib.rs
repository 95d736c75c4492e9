//! What whole-system tests and the programs beside them share: a network that breaks on demand, hosts
//! behind it, a ledger of what became of every call, and processes that are measured.

pub mod attacks;
pub mod fleet;
pub mod ledger;
pub mod nats;
pub mod process;
pub mod proxy;
pub mod sizes;

use platools::{Tool, ToolOutput, ToolSpec};
use serde_json::json;

/// A tool as most are, of which a host may have thousands: `tool_00017` for 17.
pub fn small_tool(index: usize) -> Tool {
    let spec = ToolSpec::new(format!("tool_{index:05}"))
        .description("Does one small thing to one thing, and says how it went.")
        .category("things")
        .input_schema(json!({
            "type": "object",
            "properties": {
                "id": {"type": "string", "description": "Which thing, such as `thing-17`."},
                "times": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
            },
            "required": ["id"],
            "additionalProperties": false,
        }));
    Tool::new(spec, |_| async { Ok(ToolOutput::null()) })
}
