//! The outcome of a call, and the parts that its signature covers (protocol §3, §6).

use std::time::Duration;

use platools::verify::{Secret, SigningKey};
use platools::wire::{CallFrame, Inbound, MAX_RESULT_BYTES};
use serde_json::{Value, json};
use thiserror::Error;

/// Length of the preview that replaces a result that is too large, in UTF-16 code units as the server counts.
const PREVIEW_UNITS: usize = 4096;

/// The words by which the real server takes an error for a timeout.
const TIMED_OUT: &str = "timed out";

/// The content of an answer, as text: the result's JSON, or the error's message.
pub(crate) enum Content {
    Result(String),
    Error(String),
    TimedOut,
}

impl Content {
    pub(crate) fn of(answer: Result<String, String>) -> Self {
        match answer {
            Ok(result) => Self::Result(result),
            Err(error) => Self::Error(error),
        }
    }

    /// The outcome as the agent gets it: a result is whole, or replaced when it came over the WebSocket and is too large.
    pub(crate) fn into_outcome(self, transport: &Transport) -> Outcome {
        match self {
            Self::Result(result) => Outcome::Result(read_result(&result, transport)),
            Self::Error(error) => Outcome::Error(error),
            Self::TimedOut => Outcome::TimedOut,
        }
    }
}

/// The result as the agent gets it.
fn read_result(result: &str, transport: &Transport) -> Value {
    if let Some(replaced) = replaced_result(result, transport) {
        return replaced;
    }
    // A lone surrogate or endless nesting is JSON, but no value.
    serde_json::from_str(result).unwrap_or_else(|_| Value::String(result.to_owned()))
}

/// Returns the shortened result that the platform passes on for one that is too large, or `None` for a result that is
/// small enough or came over HTTP.
///
/// The server counts UTF-16 code units: those of a text itself, or of the JSON text of anything else.
pub(crate) fn replaced_result(result: &str, transport: &Transport) -> Option<Value> {
    // No text has more UTF-16 units than bytes.
    if result.len() <= MAX_RESULT_BYTES || transport.is_http() {
        return None;
    }
    let text = match serde_json::from_str(result) {
        Ok(Value::String(text)) => text,
        Ok(value) => value.to_string(),
        Err(_) => result.to_owned(),
    };
    let units = text.encode_utf16().count();
    (units > MAX_RESULT_BYTES).then(|| {
        let mut units_shown = 0;
        let preview: String = text
            .chars()
            .take_while(|character| {
                units_shown += character.len_utf16();
                units_shown <= PREVIEW_UNITS
            })
            .collect();
        json!({"truncated": true, "preview": preview, "original_bytes": units})
    })
}

/// The transport of a call to the host.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// Over the WebSocket.
    WebSocket,
    /// To the callback URL of the declaration, since no host was connected.
    Http {
        /// The URL, as it was declared.
        url: String,
        /// The status of the response, if there was one.
        status: Option<u16>,
    },
}

impl Transport {
    /// Its name: `websocket` or `http`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Http { .. } => "http",
        }
    }

    /// Whether the call went over HTTP.
    pub fn is_http(&self) -> bool {
        matches!(self, Self::Http { .. })
    }
}

impl std::fmt::Debug for Transport {
    /// Without the URL, which may hold a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WebSocket => f.write_str("WebSocket"),
            Self::Http { status, .. } => {
                f.debug_struct("Http").field("status", status).finish_non_exhaustive()
            }
        }
    }
}

/// The stage of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallStage {
    /// It was sent, and has no answer yet.
    Running,
    /// It was answered in time.
    Answered,
    /// The platform gave up. An answer may still come, too late.
    TimedOut,
}

impl CallStage {
    /// All of them.
    #[cfg(feature = "sqlite")]
    pub(crate) const ALL: [Self; 3] = [Self::Running, Self::Answered, Self::TimedOut];

    /// Its name, such as `timed_out`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Answered => "answered",
            Self::TimedOut => "timed_out",
        }
    }
}

/// The status of a call at the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallStatus {
    /// There is no answer yet.
    Running,
    /// There is a result.
    Success,
    /// There is an error.
    Failed,
    /// No answer came in time, or the host's error says `timed out`.
    Timeout,
}

impl CallStatus {
    /// Its name, such as `success`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
        }
    }
}

/// The report of a call.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct CallReport {
    /// The call's id.
    pub call_id: String,
    /// The tool's name, as it was sent.
    pub tool: String,
    /// The outcome.
    pub outcome: Outcome,
    /// The time from sending to the answer, or to giving up.
    pub latency: Duration,
    /// The latency that the host measured and reported with its result.
    pub host_latency: Option<Duration>,
    /// The transport to the host.
    pub transport: Transport,
    /// The frame that was sent, exactly. Over HTTP, the frame that says the same.
    pub sent: String,
    /// The frame that was received, exactly. Over HTTP, the frame that says what became of the response.
    pub reply: Option<String>,
}

impl std::fmt::Debug for CallReport {
    /// Without the frames, which hold tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallReport")
            .field("call_id", &self.call_id)
            .field("tool", &self.tool)
            .field("outcome", &self.outcome)
            .field("latency", &self.latency)
            .field("host_latency", &self.host_latency)
            .field("transport", &self.transport.as_str())
            .finish_non_exhaustive()
    }
}

/// The outcome of a call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The host answered with a result. One of more than 256·1024 UTF-16 code units is replaced by an object with
    /// `truncated`, `preview` and `original_bytes`, unless it came over HTTP.
    Result(Value),
    /// The host answered with an error, for the model.
    Error(String),
    /// No answer came in time.
    TimedOut,
    /// There is no answer yet. Only a call of the [history](crate::DevPlatform::history) can be like that.
    Running,
}

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallFailure {
    /// The host answered with an error.
    #[error("the tool answered with an error: {0}")]
    Error(String),
    /// No answer came in time.
    #[error("the host did not answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// There is no answer yet.
    #[error("the call is still running")]
    Running,
}

impl CallReport {
    /// The result.
    ///
    /// # Errors
    /// When the host answered with an error, or not at all, or not yet.
    pub fn into_result(self) -> Result<Value, CallFailure> {
        match self.outcome {
            Outcome::Result(result) => Ok(result),
            Outcome::Error(error) => Err(CallFailure::Error(error)),
            Outcome::TimedOut => Err(CallFailure::TimedOut(self.latency)),
            Outcome::Running => Err(CallFailure::Running),
        }
    }

    /// The status that the server gives the call.
    pub fn status(&self) -> CallStatus {
        match &self.outcome {
            Outcome::Result(_) => CallStatus::Success,
            Outcome::Error(text) if !self.transport.is_http() && text.contains(TIMED_OUT) => {
                CallStatus::Timeout
            }
            Outcome::Error(_) => CallStatus::Failed,
            Outcome::TimedOut => CallStatus::Timeout,
            Outcome::Running => CallStatus::Running,
        }
    }

    /// Returns the object that the model gets with the error's text after a 429 over HTTP: `error`, `message` and
    /// `retryAfterSeconds`. `None` after any other outcome.
    pub fn error_payload(&self) -> Option<Value> {
        let Transport::Http { status: Some(429), .. } = self.transport else { return None };
        let message = self.error()?;
        let seconds = rate_limit_seconds(message)?;
        Some(json!({"error": "rate_limit", "message": message, "retryAfterSeconds": seconds}))
    }

    /// The error's text, if the host answered with one.
    pub fn error(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Error(error) => Some(error),
            _ => None,
        }
    }

    /// The text that the signature in the sent frame must cover: `{timestamp}.{nonce}.{body}`.
    pub fn signed_text(&self) -> String {
        self.signature().map(|parts| parts.signed_text()).unwrap_or_default()
    }

    /// The signature of the sent frame, piece by piece; `None` when the frame is none of a call.
    pub fn signature(&self) -> Option<SignatureParts> {
        SignatureParts::of(&self.sent)
    }
}

/// The signature of a call and the texts that it covers, as they appear in the frame (protocol §6).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignatureParts {
    /// The time of signing, as the call states it.
    pub timestamp: Option<String>,
    /// The nonce. The legacy form has none.
    pub nonce: Option<String>,
    /// The tool's name as JSON, with its quotes.
    pub tool_name: String,
    /// The exact text of the arguments with `_context`.
    pub arguments: String,
    /// The signature, in hexadecimal.
    pub signature: Option<String>,
}

impl SignatureParts {
    /// Reads them from the frame of a call.
    pub(crate) fn of(frame: &str) -> Option<Self> {
        let Ok(Inbound::ToolCall(call)) = Inbound::parse(frame) else { return None };
        Some(Self::of_call(&call))
    }

    pub(super) fn of_call(call: &CallFrame<'_>) -> Self {
        let envelope = call.envelope().to_envelope();
        Self {
            timestamp: envelope.timestamp,
            nonce: envelope.nonce,
            tool_name: call.tool_name().raw_json().to_owned(),
            arguments: call.params().signed_pieces().concat(),
            signature: envelope.signature,
        }
    }

    /// The body: `{"method":"tools/call","params":{"name":…,"arguments":…}}`.
    pub fn body(&self) -> String {
        let Self { tool_name, arguments, .. } = self;
        format!(r#"{{"method":"tools/call","params":{{"name":{tool_name},"arguments":{arguments}}}}}"#)
    }

    /// The whole text: `{timestamp}.{nonce}.{body}`, or `{timestamp}.{body}` in the legacy form.
    pub fn signed_text(&self) -> String {
        let mut text = String::new();
        for part in [&self.timestamp, &self.nonce].into_iter().flatten() {
            text.push_str(part);
            text.push('.');
        }
        text.push_str(&self.body());
        text
    }

    /// Whether the signature is the one that this secret makes.
    pub fn is_made_with(&self, secret: &Secret) -> bool {
        let name: Result<String, _> = serde_json::from_str(&self.tool_name);
        let (Ok(name), Some(timestamp), Some(signature)) = (name, &self.timestamp, &self.signature) else {
            return false;
        };
        let expected =
            SigningKey::new(secret).sign_call(timestamp, self.nonce.as_deref(), &name, &self.arguments);
        Secret::new(expected).is_ok_and(|expected| expected.matches(signature))
    }
}

/// The text of a 429.
pub(super) fn rate_limit(seconds: u64) -> String {
    format!("rate_limit: retry in {seconds}s")
}

/// The seconds in the text of a 429.
pub(super) fn rate_limit_seconds(text: &str) -> Option<u64> {
    text.strip_prefix("rate_limit: retry in ")?.strip_suffix('s')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(result: &str) -> Option<Value> {
        replaced_result(result, &Transport::WebSocket)
    }

    #[test]
    fn a_result_is_measured_in_utf16_units_and_a_text_without_its_quotes() {
        let text = |units: usize| serde_json::to_string(&"é".repeat(units)).unwrap();
        assert_eq!(replaced(&text(MAX_RESULT_BYTES)), None, "twice as many bytes, and two quotes");
        let larger = replaced(&text(MAX_RESULT_BYTES + 1)).unwrap();
        assert_eq!(larger["truncated"], true);
        assert_eq!(larger["original_bytes"], MAX_RESULT_BYTES + 1);
        assert_eq!(larger["preview"], "é".repeat(PREVIEW_UNITS));

        let list_of_text = |units: usize| format!("[\"{}\"]", "x".repeat(units - 4));
        assert_eq!(replaced(&list_of_text(MAX_RESULT_BYTES)), None);
        assert_eq!(
            replaced(&list_of_text(MAX_RESULT_BYTES + 1)).unwrap()["original_bytes"],
            MAX_RESULT_BYTES + 1
        );
        let spaced = format!("[ {}]", " ".repeat(MAX_RESULT_BYTES));
        assert_eq!(replaced(&spaced), None, "the server measures what it writes");

        // Each of these takes two units, and none is cut in two.
        let wide = replaced(&serde_json::to_string(&"😀".repeat(MAX_RESULT_BYTES)).unwrap()).unwrap();
        assert_eq!(wide["original_bytes"], 2 * MAX_RESULT_BYTES);
        assert_eq!(wide["preview"].as_str().unwrap().encode_utf16().count(), PREVIEW_UNITS);
        let http = Transport::Http { url: String::new(), status: Some(200) };
        assert_eq!(replaced_result(&text(MAX_RESULT_BYTES + 1), &http), None);
    }
}
