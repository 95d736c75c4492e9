//! The outcome of a call, and the parts that its signature covers (protocol §3, §6).

use std::time::Duration;

use platools::verify::{Secret, SigningKey};
use platools::wire::{CallFrame, Inbound, MAX_RESULT_BYTES};
use serde_json::{Value, json};
use thiserror::Error;

/// How many characters of a result that is too large are shown in its place.
const PREVIEW_CHARACTERS: usize = 2048;

/// What an answer says, as text: the result's JSON, or the error's message.
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

    /// The outcome as the agent gets it: a result is whole, or replaced when it is too large.
    pub(crate) fn into_outcome(self) -> Outcome {
        match self {
            Self::Result(result) => Outcome::Result(read_result(&result)),
            Self::Error(error) => Outcome::Error(error),
            Self::TimedOut => Outcome::TimedOut,
        }
    }
}

/// The result as the agent gets it: whole, or replaced when it is too large.
fn read_result(result: &str) -> Value {
    if let Some(replaced) = replaced_result(result) {
        return replaced;
    }
    // A lone surrogate or endless nesting is JSON, but no value.
    serde_json::from_str(result).unwrap_or_else(|_| Value::String(result.to_owned()))
}

/// What the platform puts in the place of a result that is too large; `None` when it is not.
pub(crate) fn replaced_result(result: &str) -> Option<Value> {
    (result.len() > MAX_RESULT_BYTES).then(|| {
        let preview: String = result.chars().take(PREVIEW_CHARACTERS).collect();
        json!({"truncated": true, "preview": preview, "original_bytes": result.len()})
    })
}

/// What came of a call.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct CallReport {
    /// The call's id.
    pub call_id: String,
    /// The tool's name, as it was sent.
    pub tool: String,
    /// What the host answered.
    pub outcome: Outcome,
    /// The time from sending to the answer, or to giving up.
    pub latency: Duration,
    /// The latency that the host measured and reported with its result.
    pub host_latency: Option<Duration>,
    /// The frame that was sent, exactly.
    pub sent: String,
    /// The frame that was received, exactly.
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
            .finish_non_exhaustive()
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The host answered with a result. One over 256 KiB is replaced by an object with `truncated`,
    /// `preview` and `original_bytes`.
    Result(Value),
    /// The host answered with an error, for the model.
    Error(String),
    /// No answer came in time.
    TimedOut,
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
}

impl CallReport {
    /// The result.
    ///
    /// # Errors
    /// When the host answered with an error, or not at all.
    pub fn into_result(self) -> Result<Value, CallFailure> {
        match self.outcome {
            Outcome::Result(result) => Ok(result),
            Outcome::Error(error) => Err(CallFailure::Error(error)),
            Outcome::TimedOut => Err(CallFailure::TimedOut(self.latency)),
        }
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
    /// When the call says it was signed.
    pub timestamp: Option<String>,
    /// What makes the call unique. The legacy form has none.
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

    fn of_call(call: &CallFrame<'_>) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_over_the_limit_is_replaced() {
        let whole = format!("\"{}\"", "é".repeat((MAX_RESULT_BYTES - 2) / 2));
        assert_eq!(whole.len(), MAX_RESULT_BYTES);
        assert!(read_result(&whole).is_string());
        let larger = format!("[{whole}]");
        let replaced = read_result(&larger);
        assert_eq!(replaced["truncated"], true);
        assert_eq!(replaced["original_bytes"], larger.len());
        assert_eq!(replaced["preview"].as_str().unwrap().chars().count(), PREVIEW_CHARACTERS);
    }
}
