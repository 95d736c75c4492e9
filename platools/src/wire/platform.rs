//! The platform's side of the protocol, for a development platform and tests.
//!
//! Text is written as by `JSON.stringify`: compact, in the order of protocol §4, with `_context` and then `__platos`
//! last.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::inbound::{Frame, member, member_text};
use super::{ENVELOPE_MEMBER, Envelope, FrameError, Scope, ToolHealth};
use crate::wire::json::{self, push_string};

/// One frame from a host.
#[derive(Debug)]
#[non_exhaustive]
pub enum HostFrame<'a> {
    /// The complete declaration of the host's tools.
    ToolRegister(HostDeclaration),
    /// The answer to a call.
    ToolResult(HostResult<'a>),
    /// The answer to a failed call.
    ToolError(HostError<'a>),
    /// A heartbeat, with the health of some tools.
    Heartbeat(BTreeMap<String, ToolHealth>),
    /// A frame of an unknown type.
    Unknown(String),
}

/// The complete declaration of a host's tools.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct HostDeclaration {
    /// The tools.
    pub tools: Vec<DeclaredTool>,
    /// Where the tools are called over HTTP while the WebSocket is away, if the host stated it.
    pub callback_url: Option<String>,
}

/// The declaration of a tool by a host.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct DeclaredTool {
    /// The tool's name.
    pub name: String,
    /// The description.
    #[serde(default)]
    pub description: String,
    /// The schema of the arguments.
    #[serde(default)]
    pub input_schema: Value,
    /// The schema of the result, if there is one.
    #[serde(default)]
    pub output_schema: Option<Value>,
    /// The required caller: `none`, `user` or `admin`.
    #[serde(default)]
    pub auth: Option<String>,
    /// Roles of which the caller needs at least one.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The MCP hints, the category and further annotations.
    #[serde(default)]
    pub annotations: Map<String, Value>,
}

/// A result, borrowed from the frame's text.
#[derive(Clone)]
#[non_exhaustive]
pub struct HostResult<'a> {
    /// The id of the answered call.
    pub call_id: Cow<'a, str>,
    /// The result's JSON text; `null` if the frame has none.
    pub result: &'a str,
    /// The latency that the host measured.
    pub latency: Option<Duration>,
}

impl fmt::Debug for HostResult<'_> {
    /// Omits the result.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostResult")
            .field("call_id", &self.call_id)
            .field("bytes", &self.result.len())
            .field("latency", &self.latency)
            .finish()
    }
}

/// The error of a failed call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HostError<'a> {
    /// The id of the answered call.
    pub call_id: Cow<'a, str>,
    /// The message for the model.
    pub error: String,
    /// The traceback, if the host sent one.
    pub traceback: Option<String>,
}

impl<'a> HostFrame<'a> {
    /// Parses one text frame from a host.
    ///
    /// # Errors
    /// If the frame is not a JSON object with a `type`, a declaration is not a list of tools, or an answer has no valid
    /// `call_id`.
    pub fn parse(text: &'a str) -> Result<Self, FrameError> {
        let frame = Frame::split(text)?;
        let call_id = |name: &'static str| {
            frame
                .call_id
                .and_then(|id| id.string())
                .ok_or(FrameError::CallIdMissing { frame: name, bytes: text.len() })
        };
        let kind = frame.kind()?;
        Ok(match &*kind {
            "tool_register" => {
                let tools = member(text, "tools").and_then(|tools| serde_json::from_str(tools).ok());
                let tools = tools.ok_or(FrameError::MemberMissing {
                    frame: "tool_register",
                    member: "tools",
                    bytes: text.len(),
                })?;
                Self::ToolRegister(HostDeclaration { tools, callback_url: member_text(text, "callback_url") })
            }
            "tool_result" => Self::ToolResult(HostResult {
                call_id: call_id("tool_result")?,
                result: member(text, "result").unwrap_or("null"),
                latency: member(text, "latency_ms")
                    .and_then(|milliseconds| milliseconds.parse().ok())
                    .map(Duration::from_millis),
            }),
            "tool_error" => Self::ToolError(HostError {
                call_id: call_id("tool_error")?,
                error: member_text(text, "error").unwrap_or_default(),
                traceback: member_text(text, "traceback"),
            }),
            "heartbeat" => Self::Heartbeat(member(text, "tools_health").map(read_health).unwrap_or_default()),
            other => Self::Unknown(other.to_owned()),
        })
    }
}

/// Parses the valid entries of `tools_health`.
fn read_health(text: &str) -> BTreeMap<String, ToolHealth> {
    json::members(text)
        .filter_map(|entry| Some((entry.name()?.into_owned(), serde_json::from_str(entry.value).ok()?)))
        .collect()
}

/// Writes the first frame of an authenticated connection.
pub fn welcome(connection_id: &str, scope: &Scope) -> String {
    let mut frame = String::from(r#"{"type":"welcome","sdk_connection_id":"#);
    push_string(&mut frame, connection_id);
    for (name, value) in [
        ("entity_id", &scope.entity_id),
        ("environment_id", &scope.environment_id),
        ("organization_id", &scope.organization_id),
        ("project_id", &scope.project_id),
    ] {
        if let Some(value) = value {
            frame.push(',');
            push_string(&mut frame, name);
            frame.push(':');
            push_string(&mut frame, value);
        }
    }
    frame.push('}');
    frame
}

/// The result of a registration, as numbers of tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RegistrationCounts {
    /// Tools that the entity has now.
    pub count: u64,
    /// New tools.
    pub new_tools: u64,
    /// Changed tools.
    pub updated: u64,
    /// Removed tools.
    pub pruned: u64,
}

/// Writes the answer to a declaration.
pub fn tools_registered(scope: &Scope, counts: RegistrationCounts) -> String {
    let mut frame = String::from(r#"{"type":"tools_registered","entity_id":"#);
    push_string(&mut frame, scope.entity_id.as_deref().unwrap_or_default());
    frame.push_str(r#","environment_id":"#);
    push_string(&mut frame, scope.environment_id.as_deref().unwrap_or_default());
    let RegistrationCounts { count, new_tools, updated, pruned } = counts;
    // Writing to a string cannot fail.
    let _ =
        write!(frame, r#","count":{count},"new_tools":{new_tools},"updated":{updated},"pruned":{pruned}}}"#);
    frame
}

/// Returns the text to sign: the arguments with `_context` as the last member. `arguments` and `context` are texts of
/// JSON objects. Whitespace around the arguments and before their last brace is removed, because inserting the
/// envelope would remove it too.
pub fn signed_arguments(arguments: &str, context: Option<&str>) -> String {
    match context {
        Some(context) => with_member(arguments, super::CONTEXT_MEMBER, |text| text.push_str(context)),
        None => format!("{}}}", opened(arguments)),
    }
}

/// Writes a call. `signed_arguments` is the signed text of a JSON object; the envelope is added as its last member.
pub fn tool_call(call_id: &str, tool_name: &str, signed_arguments: &str, envelope: &Envelope) -> String {
    let mut frame = String::from(r#"{"type":"tool_call","call_id":"#);
    push_string(&mut frame, call_id);
    frame.push_str(r#","tool_name":"#);
    push_string(&mut frame, tool_name);
    frame.push_str(r#","params":"#);
    frame.push_str(&with_member(signed_arguments, ENVELOPE_MEMBER, |text| envelope.write(text)));
    frame.push('}');
    frame
}

/// Returns `object` without its last brace, the whitespace around that, and leading whitespace.
fn opened(object: &str) -> &str {
    object.trim().strip_suffix('}').map_or("{", str::trim_end)
}

/// Returns the text of `object` with one more member at its end. Text that is not an object is treated as `{}`.
fn with_member(object: &str, name: &str, push_value: impl FnOnce(&mut String)) -> String {
    let open = opened(object);
    let mut text = String::from(open);
    if !open.ends_with('{') {
        text.push(',');
    }
    push_string(&mut text, name);
    text.push(':');
    push_value(&mut text);
    text.push('}');
    text
}

/// Writes the answer to a heartbeat.
pub fn heartbeat_ack() -> String {
    r#"{"type":"heartbeat_ack"}"#.to_owned()
}

/// Writes the answer to a declaration that exceeded the rate limit.
pub fn register_throttled(error: &str, retry_after: Duration) -> String {
    let mut frame = String::from(r#"{"type":"register_throttled","error":"#);
    push_string(&mut frame, error);
    // Rounded up, so that a host that waits exactly this long is not too early.
    let milliseconds = retry_after.as_nanos().div_ceil(1_000_000);
    let _ = write!(frame, r#","retry_after_ms":{milliseconds}}}"#);
    frame
}

/// Writes an alert about an unhealthy tool. `details` is JSON text.
pub fn tool_health_alert(tool: &str, status: super::HealthStatus, details: &str) -> String {
    let mut frame = String::from(r#"{"type":"tool_health_alert","tool":"#);
    push_string(&mut frame, tool);
    frame.push_str(r#","status":"#);
    push_string(&mut frame, status.as_str());
    frame.push_str(r#","details":"#);
    frame.push_str(details);
    frame.push('}');
    frame
}

/// Writes an error that is not about a call.
pub fn error(message: &str) -> String {
    let mut frame = String::from(r#"{"type":"error","error":"#);
    push_string(&mut frame, message);
    frame.push('}');
    frame
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::{HealthStatus, Inbound, RegisterEntry, outbound};

    #[test]
    fn the_host_parses_frames_of_the_platform() {
        let scope = Scope {
            entity_id: Some("orders".to_owned()),
            organization_id: Some("org \"1\"".to_owned()),
            ..Scope::default()
        };
        match Inbound::parse(&welcome("c1", &scope)).unwrap() {
            Inbound::Welcome(welcome) => {
                assert_eq!((welcome.connection_id.as_deref(), welcome.scope), (Some("c1"), scope.clone()));
            }
            other => panic!("{other:?}"),
        }
        let counts = RegistrationCounts { count: 4, new_tools: 3, updated: 2, pruned: 1 };
        match Inbound::parse(&tools_registered(&scope, counts)).unwrap() {
            Inbound::ToolsRegistered(registered) => {
                assert_eq!((registered.count, registered.new_tools), (Some(4), Some(3)));
                assert_eq!((registered.updated, registered.pruned), (Some(2), Some(1)));
            }
            other => panic!("{other:?}"),
        }
        match Inbound::parse(&register_throttled("slow down", Duration::from_micros(1_500))).unwrap() {
            Inbound::RegisterThrottled(throttled) => {
                assert_eq!(throttled.retry_after, Some(Duration::from_millis(2)));
            }
            other => panic!("{other:?}"),
        }
        let alert = tool_health_alert("t", HealthStatus::Degraded, "{}");
        assert!(matches!(Inbound::parse(&alert), Ok(Inbound::ToolHealthAlert(_))));
        assert!(matches!(Inbound::parse(&heartbeat_ack()), Ok(Inbound::HeartbeatAck)));
        assert!(matches!(Inbound::parse(&error("e")), Ok(Inbound::Error(_))));
    }

    #[test]
    fn a_call_ends_with_context_and_envelope() {
        let envelope = Envelope { call_id: Some("c1".to_owned()), ..Envelope::default() };
        for (arguments, context, expected) in [
            ("{}", None, r#"{"__platos":{"callId":"c1"}}"#),
            (r#"{"a":1}"#, None, r#"{"a":1,"__platos":{"callId":"c1"}}"#),
            (r#"{"a":1}"#, Some(r#"{"b":2}"#), r#"{"a":1,"_context":{"b":2},"__platos":{"callId":"c1"}}"#),
            ("{}", Some("{}"), r#"{"_context":{},"__platos":{"callId":"c1"}}"#),
            ("{ }", None, r#"{"__platos":{"callId":"c1"}}"#),
        ] {
            let signed = signed_arguments(arguments, context);
            let frame = tool_call("c1", "x", &signed, &envelope);
            let Ok(Inbound::ToolCall(call)) = Inbound::parse(&frame) else { panic!("{frame}") };
            assert_eq!(call.params().text(), expected);
            if !arguments.contains(' ') {
                assert_eq!(call.params().signed_pieces().concat(), signed);
                assert_eq!(call.params().arguments_text(), arguments);
            }
        }
    }

    #[test]
    fn the_platform_parses_frames_of_the_host() {
        let schema = json!({"type": "object"});
        let roles = ["r".to_owned()];
        let entry = RegisterEntry {
            name: "t",
            description: "d",
            input_schema: &schema,
            output_schema: Some(&schema),
            auth: "admin",
            roles: &roles,
            annotations: &Map::new(),
        };
        let declaration = outbound::tool_register([entry], Some("https://a.example/"));
        match HostFrame::parse(&declaration).unwrap() {
            HostFrame::ToolRegister(HostDeclaration { tools, callback_url }) => {
                assert_eq!(callback_url.as_deref(), Some("https://a.example/"));
                assert_eq!((tools.len(), &tools[0].name[..], &tools[0].input_schema), (1, "t", &schema));
                assert_eq!((tools[0].auth.as_deref(), &tools[0].roles[0][..]), (Some("admin"), "r"));
            }
            other => panic!("{other:?}"),
        }
        match HostFrame::parse(&outbound::tool_result("c1", "[1]", Duration::from_millis(7))).unwrap() {
            HostFrame::ToolResult(result) => {
                assert_eq!((&*result.call_id, result.result), ("c1", "[1]"));
                assert_eq!(result.latency, Some(Duration::from_millis(7)));
            }
            other => panic!("{other:?}"),
        }
        match HostFrame::parse(&outbound::tool_error("c1", "no")).unwrap() {
            HostFrame::ToolError(error) => assert_eq!((&*error.call_id, &error.error[..]), ("c1", "no")),
            other => panic!("{other:?}"),
        }
        let health = ToolHealth {
            status: HealthStatus::Healthy,
            avg_latency_ms: 1,
            error_count_1h: 2,
            last_error: Some("e".to_owned()),
        };
        match HostFrame::parse(&outbound::heartbeat([("t", &health)])).unwrap() {
            HostFrame::Heartbeat(reported) => assert_eq!(reported["t"], health),
            other => panic!("{other:?}"),
        }
        for broken in [r#"{"type":"tool_result","result":1}"#, r#"{"type":"tool_register","tools":{}}"#, "[]"]
        {
            assert!(HostFrame::parse(broken).is_err(), "{broken}");
        }
    }
}
