//! Frames from the platform (protocol §4).
//!
//! Tolerant where platforms differ: unknown types and members are ignored, an optional member of the wrong type
//! counts as absent, and the last duplicate wins, as in JavaScript. Calls borrow from the frame's text; other frames,
//! which are rare, are owned.

use std::time::Duration;

use super::{CallFrame, CallProblem, FrameError, HealthStatus, Params, Scope};
use crate::wire::json::{self, Scan, Value};

/// Maximum length of an unknown frame's type, in characters.
const UNKNOWN_KIND_CHARACTERS: usize = 64;

/// One frame from the platform.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly every frame is a call, and frames are not stored")]
#[non_exhaustive]
pub enum Inbound<'a> {
    /// The connection is authenticated.
    Welcome(Welcome),
    /// A registration was applied.
    ToolsRegistered(ToolsRegistered),
    /// A call of a tool.
    ToolCall(CallFrame<'a>),
    /// A heartbeat was acknowledged.
    HeartbeatAck,
    /// A registration was **not** applied: the rate limit for registrations is exceeded.
    RegisterThrottled(RegisterThrottled),
    /// The platform considers a tool unhealthy.
    ToolHealthAlert(ToolHealthAlert),
    /// An error of the platform. After a registration, the connection remains usable.
    Error(PlatformError),
    /// A frame of an unknown type; not an error.
    Unknown(UnknownFrame),
}

impl<'a> Inbound<'a> {
    /// Parses one text frame.
    ///
    /// # Errors
    /// If the frame is not a JSON object with a `type`, or is an invalid call; [`FrameError::call_id`] tells whether
    /// it must be answered.
    pub fn parse(text: &'a str) -> Result<Self, FrameError> {
        let frame = Frame::split(text)?;
        let kind = frame.kind()?;
        Ok(match &*kind {
            "tool_call" => Self::ToolCall(CallFrame::new(frame)?),
            "welcome" => Self::Welcome(Welcome::read(text)),
            "tools_registered" => Self::ToolsRegistered(ToolsRegistered::read(text)),
            "heartbeat_ack" => Self::HeartbeatAck,
            "register_throttled" => Self::RegisterThrottled(RegisterThrottled::read(text)),
            "tool_health_alert" => Self::ToolHealthAlert(ToolHealthAlert::read(text)),
            "error" => Self::Error(PlatformError::read(text)),
            unknown => {
                Self::Unknown(UnknownFrame { kind: unknown.chars().take(UNKNOWN_KIND_CHARACTERS).collect() })
            }
        })
    }
}

/// The connection is authenticated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Welcome {
    /// The platform's id of this connection.
    pub connection_id: Option<String>,
    /// The scope of the connection, as far as the platform sent it.
    pub scope: Scope,
}

impl Welcome {
    fn read(text: &str) -> Self {
        Self {
            connection_id: member_text(text, "sdk_connection_id"),
            scope: Scope {
                organization_id: member_text(text, "organization_id").or_else(|| member_text(text, "org_id")),
                project_id: member_text(text, "project_id"),
                environment_id: member_text(text, "environment_id"),
                entity_id: member_text(text, "entity_id"),
            },
        }
    }
}

/// The result of a registration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolsRegistered {
    /// Number of tools the entity has now.
    pub count: Option<u64>,
    /// Number of new tools. On the wire, a number or a list of names.
    pub new_tools: Option<u64>,
    /// Number of changed tools.
    pub updated: Option<u64>,
    /// Number of tools that were removed because they are no longer declared.
    pub pruned: Option<u64>,
}

impl ToolsRegistered {
    fn read(text: &str) -> Self {
        Self {
            count: member_count(text, "count"),
            new_tools: member_count(text, "new_tools"),
            updated: member_count(text, "updated"),
            pruned: member_count(text, "pruned"),
        }
    }
}

/// A registration was rejected by a rate limit; register again on the same connection after the delay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegisterThrottled {
    /// Time to wait.
    pub retry_after: Option<Duration>,
    /// The platform's message.
    pub message: Option<String>,
}

impl RegisterThrottled {
    fn read(text: &str) -> Self {
        Self {
            retry_after: member(text, "retry_after_ms").and_then(milliseconds),
            message: member_text(text, "error"),
        }
    }
}

/// An alert that the platform considers a tool unhealthy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolHealthAlert {
    /// The tool.
    pub tool: Option<String>,
    /// The tool's status, if it is a known one.
    pub status: Option<HealthStatus>,
    /// Further details, as JSON.
    pub details: Option<String>,
}

impl ToolHealthAlert {
    fn read(text: &str) -> Self {
        Self {
            tool: member_text(text, "tool"),
            status: member_text(text, "status").and_then(|status| HealthStatus::from_name(&status)),
            details: member(text, "details").map(str::to_owned),
        }
    }
}

/// An error reported by the platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlatformError {
    /// The platform's message; may be empty.
    pub message: String,
}

impl PlatformError {
    fn read(text: &str) -> Self {
        Self { message: member_text(text, "error").unwrap_or_default() }
    }
}

/// A frame of an unknown type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownFrame {
    /// The start of the frame's `type`.
    pub kind: String,
}

/// The members of a frame that calls use, found in one pass.
#[derive(Debug, Default)]
pub(super) struct Frame<'a> {
    pub(super) bytes: usize,
    kind: Option<Value<'a>>,
    pub(super) call_id: Option<Value<'a>>,
    pub(super) tool_name: Option<Value<'a>>,
    pub(super) params: Params<'a>,
    /// Why `params` is invalid, if it is.
    pub(super) no_params: Option<CallProblem>,
}

impl<'a> Frame<'a> {
    /// Checks that `text` is one JSON object and extracts the members, in one pass.
    pub(super) fn split(text: &'a str) -> Result<Self, FrameError> {
        let bytes = text.len();
        let no_params = Some(CallProblem::ParamsMissing);
        let mut frame = Self { bytes, no_params, ..Self::default() };
        let scan = Scan::new(text);
        let end = scan.object(0, |name, at| {
            if scan.is_text(name, "params") {
                if frame.no_params.is_none() {
                    frame.params = Params::default();
                }
                if scan.byte(at)? == b'{' {
                    frame.no_params = None;
                    return frame.params.read(scan, at);
                }
                let value = scan.value(at)?;
                frame.no_params =
                    Some(CallProblem::ParamsNotAnObject { found: json::kind(scan.get(value).text()) });
                return Some(value.end());
            }
            let value = scan.value(at)?;
            for (known, member) in [
                ("type", &mut frame.kind),
                ("call_id", &mut frame.call_id),
                ("tool_name", &mut frame.tool_name),
            ] {
                if scan.is_text(name, known) {
                    *member = Some(scan.get(value));
                }
            }
            Some(value.end())
        });
        if end.is_some_and(|end| scan.is_end(end)) {
            return Ok(frame);
        }
        Err(match json::problem(text) {
            // A value of another type: the parser's message would quote it.
            json::Problem::Syntax(problem) if problem.is_data() => {
                FrameError::NotAnObject { bytes, found: json::kind(text) }
            }
            json::Problem::Syntax(problem) => FrameError::NotJson { bytes, problem: problem.to_string() },
            json::Problem::TooDeep => {
                let is_call = frame.kind.is_some_and(|kind| kind.is("tool_call"));
                // What stands behind the deep value is not known: as the platform writes a call, that is nothing.
                match frame.call_id.filter(|_| is_call).and_then(|id| id.string()) {
                    Some(id) => FrameError::Call { call_id: id.into_owned(), problem: CallProblem::TooDeep },
                    None => FrameError::TooDeep { bytes },
                }
            }
        })
    }

    /// Returns the frame's type.
    pub(super) fn kind(&self) -> Result<std::borrow::Cow<'a, str>, FrameError> {
        let kind = self.kind.ok_or(FrameError::TypeMissing { bytes: self.bytes })?;
        kind.string()
            .ok_or_else(|| FrameError::TypeNotText { bytes: self.bytes, found: json::kind(kind.text()) })
    }
}

/// Returns the text of a member's value.
pub(super) fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    json::members(text).filter(|member| member.is(name)).last().map(|member| member.value)
}

/// Returns a member that is a valid string.
pub(super) fn member_text(text: &str, name: &str) -> Option<String> {
    member(text, name).and_then(json::decode_string).map(std::borrow::Cow::into_owned)
}

/// Returns a member that is an integer, or the length of one that is an array.
fn member_count(text: &str, name: &str) -> Option<u64> {
    let value = member(text, name)?;
    if value.starts_with('[') {
        let items: Vec<&serde_json::value::RawValue> = serde_json::from_str(value).ok()?;
        return Some(items.len() as u64);
    }
    value.parse().ok()
}

/// Parses a number of milliseconds, rounded up.
fn milliseconds(value: &str) -> Option<Duration> {
    if let Ok(whole) = value.parse() {
        return Some(Duration::from_millis(whole));
    }
    let seconds = value.parse::<f64>().ok()? / 1000.0;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call(text: &str) -> CallFrame<'_> {
        match Inbound::parse(text) {
            Ok(Inbound::ToolCall(call)) => call,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_call_is_read_whatever_the_order_of_its_members() {
        let text =
            r#"{"params":{"a":1},"extra":[{}],"tool_name":"caf\u00e9","call_id":"c1","type":"tool_call"}"#;
        let call = call(text);
        assert_eq!(call.call_id(), "c1");
        assert_eq!(call.tool_name().raw_json(), r#""caf\u00e9""#);
        assert_eq!(call.tool_name().exact().as_deref(), Some("café"));
        assert_eq!(call.params().text(), r#"{"a":1}"#);
    }

    #[test]
    fn a_lone_surrogate_in_a_name_is_shown_and_matches_no_tool() {
        let call = call(r#"{"type":"tool_call","call_id":"c1","tool_name":"x\ud800y","params":{}}"#);
        assert_eq!(call.tool_name().exact(), None);
        let shown = call.tool_name().display();
        assert!(shown.starts_with("x\u{fffd}") && shown.ends_with('y'), "{shown}");
    }

    #[test]
    fn an_invalid_call_with_an_id_can_be_answered() {
        for (members, problem) in [
            (r#""tool_name":"x""#, CallProblem::ParamsMissing),
            (r#""params":{}"#, CallProblem::ToolNameMissing),
            (r#""tool_name":7,"params":{}"#, CallProblem::ToolNameNotText { found: "a number" }),
            (r#""tool_name":"x","params":[1]"#, CallProblem::ParamsNotAnObject { found: "an array" }),
            (r#""tool_name":"x","params":null"#, CallProblem::ParamsNotAnObject { found: "null" }),
            (r#""tool_name":"x","params":"{}""#, CallProblem::ParamsNotAnObject { found: "a string" }),
        ] {
            let text = format!(r#"{{"type":"tool_call","call_id":"c\u0031",{members}}}"#);
            let error = Inbound::parse(&text).unwrap_err();
            assert_eq!(error.call_id(), Some("c1"), "{text}");
            assert_eq!(error, FrameError::Call { call_id: "c1".to_owned(), problem });
        }
    }

    #[test]
    fn an_invalid_frame_without_an_id_is_an_error_without_content() {
        for text in [
            "",
            "s3cret",
            "\"s3cret\"",
            "[\"s3cret\"]",
            "{\"s3cret\"",
            "{}",
            r#"{"type":"tool_call","tool_name":"x","params":{"s3cret":1}}"#,
            r#"{"type":"tool_call","call_id":5,"s3cret":1}"#,
            r#"{"type":"tool_call","call_id":"\ud800","s3cret":1}"#,
            r#"{"type":{"s3cret":1}}"#,
            r#"{"type":"\udc00","s3cret":1}"#,
            r#"{"type":"tool_call","call_id":"c1","params":{"s3cret":}}"#,
            "{\"type\":\"heartbeat_ack\"} s3cret",
            "\u{feff}{\"type\":\"heartbeat_ack\"}",
        ] {
            let error = Inbound::parse(text).unwrap_err();
            assert_eq!(error.call_id(), None, "{text}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_last_duplicate_wins() {
        let call = call(
            r#"{"type":"x","type":"tool_call","call_id":"a","call_id":"b","tool_name":"a","params":1,"params":{},"tool_name":"b"}"#,
        );
        assert_eq!((call.call_id(), call.tool_name().raw_json()), ("b", "\"b\""));
    }

    #[test]
    fn depth_and_size_do_not_use_the_stack() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        for depth in [128, 129, 20_000, 2_000_000] {
            let deep = format!(
                r#"{{"type":"tool_call","call_id":"c1","tool_name":"x","params":{{"a":{}}}}}"#,
                nested(depth)
            );
            let id = Inbound::parse(&deep).map(|_| ());
            let too_deep = FrameError::Call { call_id: "c1".to_owned(), problem: CallProblem::TooDeep };
            assert_eq!(id, if depth == 128 { Ok(()) } else { Err(too_deep) });
            assert!(Inbound::parse(&deep[..deep.len() / 2]).is_err());
        }
        for text in [
            format!(r#"{{"params":{{"a":{}}},"type":"tool_call","call_id":"c1"}}"#, nested(400_000)),
            format!(r#"{{"type":"welcome","call_id":"c1","more":{}}}"#, nested(400_000)),
        ] {
            assert_eq!(Inbound::parse(&text).unwrap_err(), FrameError::TooDeep { bytes: text.len() });
        }
        let noise: String = (0..5_000_000_u32).map(|at| char::from(33 + (at * 31 % 90) as u8)).collect();
        assert!(matches!(Inbound::parse(&noise), Err(FrameError::NotJson { bytes: 5_000_000, .. })));
        assert!(Inbound::parse(&"{\"a\":".repeat(20_000)).is_err());
    }

    #[test]
    fn a_welcome_comes_in_old_and_new_shapes() {
        let Ok(Inbound::Welcome(new)) = Inbound::parse(
            r#"{"type":"welcome","sdk_connection_id":"u","entity_id":"orders","environment_id":"e","organization_id":"o","project_id":"p","org_id":"other"}"#,
        ) else {
            panic!("a welcome");
        };
        assert_eq!(new.connection_id.as_deref(), Some("u"));
        assert_eq!(new.scope.organization_id.as_deref(), Some("o"));
        assert_eq!(new.scope.entity_id.as_deref(), Some("orders"));

        let Ok(Inbound::Welcome(old)) =
            Inbound::parse(r#"{"type":"welcome","org_id":"o","project_id":7,"organization_id":null}"#)
        else {
            panic!("a welcome");
        };
        assert_eq!(old.scope.organization_id.as_deref(), Some("o"));
        assert_eq!(old.scope.project_id, None);
        assert_eq!(old.connection_id, None);
    }

    #[test]
    fn new_tools_are_a_number_or_a_list() {
        for (text, expected) in [
            (r#"{"type":"tools_registered","count":3,"new_tools":2,"updated":1,"pruned":0}"#, Some(2)),
            (
                r#"{"type":"tools_registered","count":3,"new_tools":["a","b"],"updated":1,"pruned":0}"#,
                Some(2),
            ),
            (r#"{"type":"tools_registered","count":3,"new_tools":{},"updated":1,"pruned":0}"#, None),
        ] {
            let Ok(Inbound::ToolsRegistered(registered)) = Inbound::parse(text) else { panic!("{text}") };
            assert_eq!(registered.new_tools, expected, "{text}");
            assert_eq!(
                (registered.count, registered.updated, registered.pruned),
                (Some(3), Some(1), Some(0))
            );
        }
    }

    #[test]
    fn the_other_frames_are_read_tolerantly() {
        let parse = |text| Inbound::parse(text).unwrap();
        assert!(matches!(parse(r#"{"type":"heartbeat_ack","more":[]}"#), Inbound::HeartbeatAck));
        let throttled = |text| match parse(text) {
            Inbound::RegisterThrottled(throttled) => throttled.retry_after,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            throttled(r#"{"type":"register_throttled","error":"e","retry_after_ms":41000}"#),
            Some(Duration::from_secs(41))
        );
        assert_eq!(
            throttled(r#"{"type":"register_throttled","retry_after_ms":1500.5}"#),
            Some(Duration::from_micros(1_500_500))
        );
        assert_eq!(throttled(r#"{"type":"register_throttled","retry_after_ms":"soon"}"#), None);
        assert_eq!(throttled(r#"{"type":"register_throttled","retry_after_ms":-1}"#), None);
        assert_eq!(throttled(r#"{"type":"register_throttled"}"#), None);
        match parse(r#"{"type":"tool_health_alert","tool":"t","status":"down","details":{"a":1}}"#) {
            Inbound::ToolHealthAlert(alert) => {
                assert_eq!(alert.tool.as_deref(), Some("t"));
                assert_eq!(alert.status, Some(HealthStatus::Down));
                assert_eq!(alert.details.as_deref(), Some(r#"{"a":1}"#));
            }
            other => panic!("{other:?}"),
        }
        match parse(r#"{"type":"error","error":"tool_register failed: x"}"#) {
            Inbound::Error(error) => assert_eq!(error.message, "tool_register failed: x"),
            other => panic!("{other:?}"),
        }
        match parse(&format!(r#"{{"type":"{}"}}"#, "new".repeat(1000))) {
            Inbound::Unknown(unknown) => assert_eq!(unknown.kind.len(), 64),
            other => panic!("{other:?}"),
        }
    }

    /// Parses any text as a frame and calls every accessor.
    fn survive(text: &str) {
        if let Ok(Inbound::ToolCall(call)) = Inbound::parse(text) {
            let _ = (call.tool_name().exact(), call.tool_name().display(), call.envelope().to_envelope());
            let _ = (call.params().arguments_text(), call.params().signed_pieces(), format!("{call:?}"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text: String) {
            survive(&text);
        }

        #[test]
        fn any_change_of_a_call_is_parsed_without_panic(at in 0_usize..200, byte in 32_u8..127) {
            let mut text = String::from(
                r#"{"type":"tool_call","call_id":"call-1","tool_name":"x","params":{"a":[1,"\ud800"],"_context":{"u":1},"__platos":{"userId":"u","nonce":"n","signature":"s"}}}"#,
            );
            let at = at % text.len();
            text.replace_range(at..=at, &char::from(byte).to_string());
            survive(&text);
        }
    }
}
