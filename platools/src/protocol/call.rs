//! One `tool_call` frame (tool-sync §4), borrowed from its text.

use std::borrow::Cow;
use std::fmt;

use super::{CallProblem, FrameError, Params, RawEnvelope};
use crate::json;

/// A call that the platform asks for, unverified.
#[derive(Debug, Clone)]
pub struct CallFrame<'a> {
    call_id: Cow<'a, str>,
    tool_name: ToolName<'a>,
    params: Params<'a>,
}

impl<'a> CallFrame<'a> {
    /// Reads a call from the texts of its members, which `serde_json` has accepted.
    pub(super) fn new(
        bytes: usize,
        call_id: Option<&'a str>,
        tool_name: Option<&'a str>,
        params: Option<&'a str>,
    ) -> Result<Self, FrameError> {
        let call_id = call_id
            .and_then(json::decode_string)
            .ok_or(FrameError::CallIdMissing { frame: "tool_call", bytes })?;
        let parts = || {
            let tool_name = ToolName::new(tool_name.ok_or(CallProblem::ToolNameMissing)?)?;
            let params = params.ok_or(CallProblem::ParamsMissing)?;
            let params = Params::new(params)
                .ok_or_else(|| CallProblem::ParamsNotAnObject { found: json::kind(params) })?;
            Ok((tool_name, params))
        };
        match parts() {
            Ok((tool_name, params)) => Ok(Self { call_id, tool_name, params }),
            Err(problem) => Err(FrameError::Call { call_id: call_id.into_owned(), problem }),
        }
    }

    /// The id under which the call is answered.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// The name of the tool.
    pub fn tool_name(&self) -> &ToolName<'a> {
        &self.tool_name
    }

    /// The arguments and the envelopes.
    pub fn params(&self) -> &Params<'a> {
        &self.params
    }

    /// The envelope as it stands in the frame, unverified; empty when there is none.
    pub fn envelope(&self) -> RawEnvelope<'a> {
        self.params.envelope_text().map(RawEnvelope::parse).unwrap_or_default()
    }
}

/// The name of the tool that a call is for.
#[derive(Clone, Copy)]
pub struct ToolName<'a> {
    raw: &'a str,
}

impl<'a> ToolName<'a> {
    pub(super) fn new(raw: &'a str) -> Result<Self, CallProblem> {
        if raw.starts_with('"') {
            Ok(Self { raw })
        } else {
            Err(CallProblem::ToolNameNotText { found: json::kind(raw) })
        }
    }

    /// The name as JSON, with quotes and escapes, as it was signed.
    pub fn raw_json(&self) -> &'a str {
        self.raw
    }

    /// The name, or `None` when it is not valid Unicode (a lone surrogate), so that no tool has it.
    pub fn exact(&self) -> Option<Cow<'a, str>> {
        json::decode_string(self.raw)
    }

    /// The name for messages: what is not valid Unicode becomes `\u{fffd}`.
    pub fn display(&self) -> Cow<'a, str> {
        json::decode_string_lossy(self.raw)
    }
}

impl fmt::Debug for ToolName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.display(), f)
    }
}
