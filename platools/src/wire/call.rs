//! The `tool_call` frame (protocol §4), borrowed from its text.

use std::borrow::Cow;
use std::fmt;

use super::inbound::Frame;
use super::{CallProblem, FrameError, Params, RawEnvelope};
use crate::wire::json::{self, Value};

/// A call from the platform, unverified.
#[derive(Debug, Clone)]
pub struct CallFrame<'a> {
    call_id: Cow<'a, str>,
    tool_name: ToolName<'a>,
    params: Params<'a>,
}

impl<'a> CallFrame<'a> {
    /// Converts a frame into a call.
    pub(super) fn new(frame: Frame<'a>) -> Result<Self, FrameError> {
        let call_id = frame
            .call_id
            .and_then(|id| id.string())
            .ok_or(FrameError::CallIdMissing { frame: "tool_call", bytes: frame.bytes })?;
        let problem = match frame.tool_name.ok_or(CallProblem::ToolNameMissing).and_then(ToolName::new) {
            Err(problem) => problem,
            Ok(tool_name) => match frame.no_params {
                Some(problem) => problem,
                None => return Ok(Self { call_id, tool_name, params: frame.params }),
            },
        };
        Err(FrameError::Call { call_id: call_id.into_owned(), problem })
    }

    /// Returns the call's id, which its answer must carry.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Returns the name of the tool.
    pub fn tool_name(&self) -> &ToolName<'a> {
        &self.tool_name
    }

    /// Returns the arguments and the envelopes.
    pub fn params(&self) -> &Params<'a> {
        &self.params
    }

    /// Returns the unverified envelope of the frame; empty if it has none.
    pub fn envelope(&self) -> &RawEnvelope<'a> {
        self.params.envelope()
    }
}

/// The tool name of a call.
#[derive(Clone, Copy)]
pub struct ToolName<'a>(Value<'a>);

impl<'a> ToolName<'a> {
    pub(super) fn new(name: Value<'a>) -> Result<Self, CallProblem> {
        if name.text().starts_with('"') {
            Ok(Self(name))
        } else {
            Err(CallProblem::ToolNameNotText { found: json::kind(name.text()) })
        }
    }

    /// Returns the name as JSON, with quotes and escapes, as it was signed.
    pub fn raw_json(&self) -> &'a str {
        self.0.text()
    }

    /// Returns the name, or `None` if it is not valid Unicode (a lone surrogate), so that no tool matches it.
    pub fn exact(&self) -> Option<Cow<'a, str>> {
        self.0.string()
    }

    /// Returns the name for error texts; invalid Unicode is replaced by `\u{fffd}`.
    pub fn display(&self) -> Cow<'a, str> {
        json::decode_string_lossy(self.0.text())
    }
}

impl fmt::Debug for ToolName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.display(), f)
    }
}
