//! The answer to a call, as a value that each door writes in its own way.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::run::Finished;
use crate::tool::declaration::format_bytes;
use crate::tool::{ToolError, ToolErrorKind, ToolOutput, ToolResult};
use crate::wire::{MAX_FRAME_BYTES, MAX_RESULT_BYTES, outbound};

/// The end of a call: its result, or the error that the caller may read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answer {
    /// The id of the call.
    pub call_id: Arc<str>,
    /// The result, or the failure.
    pub outcome: Result<ToolOutput, Failure>,
    /// The time from the arrival of the call to its result.
    pub latency: Duration,
}

/// A failed call as its caller may see it: what broke inside is in the log, under the id of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    kind: ToolErrorKind,
    text: String,
    retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(error: &ToolError, call_id: &str, show_internal: bool) -> Self {
        let text = error.answer_text(call_id, show_internal);
        Self { kind: error.kind(), text, retry_after: error.retry_after() }
    }

    /// The error of a call that was answered with this failure elsewhere. What broke inside is in the log there.
    pub(crate) fn into_error(self) -> ToolError {
        ToolError::answered(self.kind, self.text, self.retry_after)
    }

    /// Replaces the words by which the platform takes an error for a timeout, unless it is one.
    fn reworded(mut self) -> Self {
        if self.kind == ToolErrorKind::TimedOut {
            return self;
        }
        // Lower-case ASCII has the same length.
        let lower = self.text.to_ascii_lowercase();
        let mut text = String::new();
        let mut rest = 0;
        for (at, found) in lower.match_indices(TIMED_OUT) {
            text.push_str(&self.text[rest..at]);
            text.push_str(TOOK_TOO_LONG);
            rest = at + found.len();
        }
        if rest > 0 {
            text.push_str(&self.text[rest..]);
            self.text = text;
        }
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ToolErrorKind {
        self.kind
    }

    /// The text for the model.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The time after which it makes sense to call again, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

impl Answer {
    /// The answer to a call that ended with `result`. What broke inside is left out unless `show_internal`.
    pub fn new(call_id: impl Into<Arc<str>>, result: ToolResult, show_internal: bool) -> Self {
        let call_id = call_id.into();
        let outcome = result.map_err(|error| Failure::new(&error, &call_id, show_internal));
        Self { call_id, outcome, latency: Duration::ZERO }
    }

    /// The answer to a finished call. Never panics, whatever the call holds.
    pub(super) fn of(mut finished: Finished, show_internal: bool) -> Self {
        Self::take(&mut finished, show_internal)
    }

    /// The answer to a finished call, which keeps its place until it is dropped. Never panics, whatever the call holds.
    pub(crate) fn take(finished: &mut Finished, show_internal: bool) -> Self {
        let (latency, call_id) = (finished.latency(), Arc::clone(&finished.call_id));
        let result = std::mem::replace(&mut finished.result, Ok(ToolOutput::TAKEN));
        let answer = || Self { latency, ..Self::new(Arc::clone(&call_id), result, show_internal) };
        catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_panic| {
            tracing::error!(call_id = &*call_id, "internal error: a value panicked when it was dropped");
            let error = ToolError::internal("a value panicked when it was dropped");
            Self { latency, ..Self::new(call_id, Err(error), show_internal) }
        })
    }
}

/// What the platform gets for a result without a value: a model would read `null` as a failure (protocol §3).
const NOTHING: &str = r#"{"ok":true}"#;
/// The words by which the platform takes an error for a timeout, whatever else the text says (protocol §3).
const TIMED_OUT: &str = "timed out";
/// The words in their place in other errors.
const TOOK_TOO_LONG: &str = "took too long";

/// An answer within the limits of the platform, as JSON.
#[derive(Debug)]
pub(crate) struct PlatformAnswer {
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "the socket needs the frame alone"))]
    pub(crate) outcome: Result<String, Failure>,
    /// The frame that carries it.
    pub(crate) frame: String,
}

impl PlatformAnswer {
    /// Writes the answer. A result that no frame can hold becomes an error that says so.
    pub(super) fn new(call: &mut Finished, show_internal: bool) -> Self {
        let latency = call.latency();
        // Taken out, so that what the call holds besides stays until the answer is on its way.
        let result = std::mem::replace(&mut call.result, Ok(ToolOutput::TAKEN));
        let outcome = match result {
            Ok(output) => {
                let json = json_of(output);
                warn_of_size(call, json.len());
                Ok(json)
            }
            Err(error) => Err(Failure::new(&error, &call.call_id, show_internal)),
        };
        Self::write(&call.call_id, outcome, latency)
    }

    /// Writes the answer to a call with this outcome.
    fn write(call_id: &str, outcome: Result<String, Failure>, latency: Duration) -> Self {
        let failure = match outcome {
            Ok(json) => {
                let frame = outbound::tool_result(call_id, &json, latency);
                if frame.len() <= MAX_FRAME_BYTES {
                    return Self { outcome: Ok(json), frame };
                }
                Failure::new(&too_large("result", frame.len()), call_id, false)
            }
            Err(failure) => failure,
        };
        let failure = failure.reworded();
        let frame = outbound::tool_error(call_id, &failure.text);
        if frame.len() <= MAX_FRAME_BYTES {
            return Self { outcome: Err(failure), frame };
        }
        let failure = Failure { text: too_large("error message", frame.len()).to_string(), ..failure };
        Self { frame: outbound::tool_error(call_id, &failure.text), outcome: Err(failure) }
    }
}

/// The JSON that the platform gets for a result.
fn json_of(output: ToolOutput) -> String {
    if output.is_nothing() { NOTHING.to_owned() } else { output.into_json() }
}

/// The end of a call as it travels from the process that ran it to the one that answers it; see
/// [`Coordinator`](crate::host::Coordinator).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedAnswer {
    /// The JSON of the result, or the failure.
    outcome: Result<String, HandedFailure>,
    /// The time that the call took where it ran, in milliseconds.
    latency_ms: u64,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HandedFailure {
    kind: String,
    text: String,
    retry_after_ms: Option<u64>,
}

impl HandedAnswer {
    /// The size of the result or of the error, in bytes.
    pub fn size(&self) -> usize {
        match &self.outcome {
            Ok(json) => json.len(),
            Err(failure) => failure.text.len(),
        }
    }

    /// Returns whether the call has a result.
    pub fn is_ok(&self) -> bool {
        self.outcome.is_ok()
    }

    /// The answer to the call `call_id`. An error of a kind that this version does not know counts as internal.
    pub fn into_answer(self, call_id: impl Into<Arc<str>>) -> Answer {
        let outcome = self.outcome.map(ToolOutput::from_json).map_err(HandedFailure::into_failure);
        Answer { call_id: call_id.into(), outcome, latency: Duration::from_millis(self.latency_ms) }
    }

    /// The frame that answers the call.
    pub(crate) fn into_frame(self, call_id: &str) -> String {
        let outcome = self.outcome.map_err(HandedFailure::into_failure);
        PlatformAnswer::write(call_id, outcome, Duration::from_millis(self.latency_ms)).frame
    }
}

impl HandedFailure {
    fn into_failure(self) -> Failure {
        let kind = ToolErrorKind::from_name(&self.kind).unwrap_or(ToolErrorKind::Internal);
        Failure { kind, text: self.text, retry_after: self.retry_after_ms.map(Duration::from_millis) }
    }
}

impl From<Answer> for HandedAnswer {
    fn from(answer: Answer) -> Self {
        let outcome = answer.outcome.map(json_of).map_err(HandedFailure::from);
        Self { outcome, latency_ms: answer.latency.as_millis() as u64 }
    }
}

impl From<Failure> for HandedAnswer {
    fn from(failure: Failure) -> Self {
        Self { outcome: Err(failure.into()), latency_ms: 0 }
    }
}

impl From<Failure> for HandedFailure {
    fn from(failure: Failure) -> Self {
        let retry_after_ms = failure.retry_after.map(|wait| wait.as_millis() as u64);
        Self { kind: failure.kind.as_str().to_owned(), text: failure.text, retry_after_ms }
    }
}

impl fmt::Debug for HandedAnswer {
    /// Without the result.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandedAnswer").field("ok", &self.is_ok()).field("bytes", &self.size()).finish()
    }
}

fn too_large(what: &str, bytes: usize) -> ToolError {
    let (bytes, limit) = (format_bytes(bytes), MAX_FRAME_BYTES >> 20);
    ToolError::user(format!("{what} too large: {bytes}, limit {limit} MiB"))
}

/// Logs the first result of a tool that the platform will cut.
fn warn_of_size(call: &Finished, bytes: usize) {
    if bytes > MAX_RESULT_BYTES && call.entry.is_first_large_result() {
        tracing::warn!(
            tool = call.entry.name(),
            bytes,
            "a result is larger than the 256 KiB that the platform passes on whole; it will cut it short"
        );
    }
}
