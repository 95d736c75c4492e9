//! Frames from the host (protocol §3).
//!
//! Each function writes one text frame. Results and schemas are written unchanged; callers decide what to send and
//! check the size.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire::json::push_string;

/// The declaration of one tool: exactly the seven members of protocol §3.
#[derive(Debug, Clone, Copy)]
pub struct RegisterEntry<'a> {
    /// The tool's name.
    pub name: &'a str,
    /// The description. The platform searches name and description.
    pub description: &'a str,
    /// The schema of the arguments.
    pub input_schema: &'a Value,
    /// The schema of the result; `null` on the wire if there is none.
    pub output_schema: Option<&'a Value>,
    /// The required caller: `none`, `user` or `admin`.
    pub auth: &'a str,
    /// Roles of which the caller needs at least one; empty if no role is required.
    pub roles: &'a [String],
    /// The MCP hints, the category and further annotations.
    pub annotations: &'a Map<String, Value>,
}

/// The health of a tool, for heartbeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolHealth {
    /// The status.
    pub status: HealthStatus,
    /// The moving average of the latency, in milliseconds.
    pub avg_latency_ms: u64,
    /// Number of failed calls in the last hour.
    pub error_count_1h: u64,
    /// The text of the last error, as sent to the model.
    pub last_error: Option<String>,
}

/// The health status of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// It works.
    Healthy,
    /// It often fails.
    Degraded,
    /// It does not work.
    Down,
}

impl HealthStatus {
    /// Returns the value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }

    /// Parses the value on the wire.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Healthy, Self::Degraded, Self::Down].into_iter().find(|status| status.as_str() == name)
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Writes the complete declaration of an entity's tools. The platform removes tools that are not in it. It calls them at
/// `callback_url` while the WebSocket is away (protocol §6).
pub fn tool_register<'a>(
    tools: impl IntoIterator<Item = RegisterEntry<'a>>,
    callback_url: Option<&str>,
) -> String {
    let mut frame = String::from(r#"{"type":"tool_register","tools":["#);
    push_separated(&mut frame, tools, |frame, tool| {
        frame.push_str(r#"{"name":"#);
        push_string(frame, tool.name);
        frame.push_str(r#","description":"#);
        push_string(frame, tool.description);
        frame.push_str(r#","input_schema":"#);
        push_value(frame, tool.input_schema);
        frame.push_str(r#","output_schema":"#);
        push_value(frame, tool.output_schema.unwrap_or(&Value::Null));
        frame.push_str(r#","auth":"#);
        push_string(frame, tool.auth);
        frame.push_str(r#","roles":["#);
        push_separated(frame, tool.roles, |frame, role| push_string(frame, role));
        frame.push_str(r#"],"annotations":{"#);
        push_separated(frame, tool.annotations, |frame, (name, value)| {
            push_string(frame, name);
            frame.push(':');
            push_value(frame, value);
        });
        frame.push_str("}}");
    });
    frame.push(']');
    if let Some(url) = callback_url {
        frame.push_str(r#","callback_url":"#);
        push_string(&mut frame, url);
    }
    frame.push('}');
    frame
}

/// Writes the answer to a call. `result` is JSON text and is written unchanged.
pub fn tool_result(call_id: &str, result: &str, latency: Duration) -> String {
    const FIXED: usize = r#"{"type":"tool_result","call_id":"","result":,"latency_ms":}"#.len() + 20;
    let mut frame = String::with_capacity(FIXED + call_id.len() + result.len());
    frame.push_str(r#"{"type":"tool_result","call_id":"#);
    push_string(&mut frame, call_id);
    frame.push_str(r#","result":"#);
    frame.push_str(result);
    push_number(&mut frame, r#","latency_ms":"#, latency.as_millis());
    frame.push('}');
    frame
}

/// Writes the answer to a failed call. `error` goes to the model and to the platform's logs, so it must not contain
/// internal details.
pub fn tool_error(call_id: &str, error: &str) -> String {
    let mut frame = String::from(r#"{"type":"tool_error","call_id":"#);
    push_string(&mut frame, call_id);
    frame.push_str(r#","error":"#);
    push_string(&mut frame, error);
    frame.push('}');
    frame
}

/// Writes a heartbeat with the health of the tools whose health changed.
pub fn heartbeat<'a>(tools_health: impl IntoIterator<Item = (&'a str, &'a ToolHealth)>) -> String {
    let mut frame = String::from(r#"{"type":"heartbeat","tools_health":{"#);
    push_separated(&mut frame, tools_health, |frame, (name, health)| {
        push_string(frame, name);
        frame.push_str(r#":{"status":"#);
        push_string(frame, health.status.as_str());
        push_number(frame, r#","avg_latency_ms":"#, health.avg_latency_ms.into());
        push_number(frame, r#","error_count_1h":"#, health.error_count_1h.into());
        frame.push_str(r#","last_error":"#);
        match &health.last_error {
            Some(error) => push_string(frame, error),
            None => frame.push_str("null"),
        }
        frame.push('}');
    });
    frame.push_str("}}");
    frame
}

/// Appends each item with `push`, separated by commas.
fn push_separated<T>(
    frame: &mut String,
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut String, T),
) {
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            frame.push(',');
        }
        push(frame, item);
    }
}

fn push_value(frame: &mut String, value: &Value) {
    // Writing to a string cannot fail.
    let _ = write!(frame, "{value}");
}

fn push_number(frame: &mut String, before: &str, number: u128) {
    let _ = write!(frame, "{before}{number}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_declaration_has_exactly_the_seven_members() {
        let schema = json!({"type": "object", "properties": {}});
        let roles = ["support".to_owned(), "admin".to_owned()];
        let annotations = Map::from_iter([("category".to_owned(), json!("orders"))]);
        let entry = RegisterEntry {
            name: "lookup_order",
            description: "Look up \"one\" order by id.",
            input_schema: &schema,
            output_schema: None,
            auth: "user",
            roles: &roles,
            annotations: &annotations,
        };
        assert_eq!(
            tool_register([entry], None),
            r#"{"type":"tool_register","tools":[{"name":"lookup_order","description":"Look up \"one\" order by id.","input_schema":{"type":"object","properties":{}},"output_schema":null,"auth":"user","roles":["support","admin"],"annotations":{"category":"orders"}}]}"#
        );
        assert_eq!(tool_register([], None), r#"{"type":"tool_register","tools":[]}"#);
        let two: Value =
            serde_json::from_str(&tool_register([entry, entry], Some("https://a.example/?b\""))).unwrap();
        assert_eq!(two["tools"].as_array().unwrap().len(), 2);
        assert_eq!(two["callback_url"], "https://a.example/?b\"");
    }

    #[test]
    fn a_heartbeat_carries_health() {
        let well = ToolHealth {
            status: HealthStatus::Healthy,
            avg_latency_ms: 12,
            error_count_1h: 0,
            last_error: None,
        };
        let unwell = ToolHealth {
            status: HealthStatus::Down,
            avg_latency_ms: 0,
            error_count_1h: 9,
            last_error: Some("no \"db\"".to_owned()),
        };
        assert_eq!(heartbeat([]), r#"{"type":"heartbeat","tools_health":{}}"#);
        assert_eq!(
            heartbeat([("a", &well), ("b", &unwell)]),
            r#"{"type":"heartbeat","tools_health":{"a":{"status":"healthy","avg_latency_ms":12,"error_count_1h":0,"last_error":null},"b":{"status":"down","avg_latency_ms":0,"error_count_1h":9,"last_error":"no \"db\""}}}"#
        );
    }

    proptest! {
        #[test]
        fn answers_are_json_whatever_the_id_and_the_text(call_id: String, error: String, latency: u32) {
            let frame: Value = serde_json::from_str(&tool_error(&call_id, &error)).unwrap();
            prop_assert_eq!(frame, json!({"type": "tool_error", "call_id": call_id.clone(), "error": error}));
            let text = tool_result(&call_id, "[1, {}]", Duration::from_millis(latency.into()));
            let frame: Value = serde_json::from_str(&text).unwrap();
            let expected =
                json!({"type": "tool_result", "call_id": call_id, "result": [1, {}], "latency_ms": latency});
            prop_assert_eq!(frame, expected);
        }
    }
}
