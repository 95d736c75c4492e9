//! Errors of invalid frames.
//!
//! Error texts name members, types and sizes, never content, which may include tokens.

use thiserror::Error;

use super::json::MAX_DEPTH;

/// An invalid frame.
///
/// If [`call_id`](Self::call_id) returns an id, the platform waits for an answer with it. Any other invalid frame is
/// counted and logged but never answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame is not JSON.
    #[error("a frame of {bytes} bytes is not JSON: {problem}")]
    NotJson {
        /// The frame's size.
        bytes: usize,
        /// The parser's error, with its position.
        problem: String,
    },
    /// The frame is JSON, but not an object.
    #[error("a frame of {bytes} bytes is {found}, not an object")]
    NotAnObject {
        /// The frame's size.
        bytes: usize,
        /// The type of the value found.
        found: &'static str,
    },
    /// A value in the frame is nested too deep.
    #[error("a frame of {bytes} bytes has a value that is nested more than {MAX_DEPTH} levels deep")]
    TooDeep {
        /// The frame's size.
        bytes: usize,
    },
    /// The frame has no `type`.
    #[error("a frame of {bytes} bytes has no `type`")]
    TypeMissing {
        /// The frame's size.
        bytes: usize,
    },
    /// The frame's `type` is not valid text.
    #[error("a frame of {bytes} bytes has {found} as its `type`, expected valid text")]
    TypeNotText {
        /// The frame's size.
        bytes: usize,
        /// The type of the value found.
        found: &'static str,
    },
    /// A frame of a call has no valid `call_id`, so it cannot be answered.
    #[error("a `{frame}` frame of {bytes} bytes has no valid `call_id`, so it cannot be answered")]
    CallIdMissing {
        /// The frame's `type`.
        frame: &'static str,
        /// The frame's size.
        bytes: usize,
    },
    /// A call that has an id but is invalid.
    #[error("invalid tool_call: {problem}")]
    Call {
        /// The call's id.
        call_id: String,
        /// The problem of the call.
        problem: CallProblem,
    },
    /// A frame of a known type lacks a required member.
    #[error("a `{frame}` frame of {bytes} bytes has no valid `{member}`")]
    MemberMissing {
        /// The frame's `type`.
        frame: &'static str,
        /// The member.
        member: &'static str,
        /// The frame's size.
        bytes: usize,
    },
}

impl FrameError {
    /// Returns the id of the call, if the frame is a call that can be answered.
    pub fn call_id(&self) -> Option<&str> {
        match self {
            Self::Call { call_id, .. } => Some(call_id),
            _ => None,
        }
    }
}

/// The problem of an invalid call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallProblem {
    /// `tool_name` is missing.
    #[error("`tool_name` is missing")]
    ToolNameMissing,
    /// `tool_name` is not a string.
    #[error("`tool_name` is {found}, expected a string")]
    ToolNameNotText {
        /// The type of the value found.
        found: &'static str,
    },
    /// A value is nested too deep.
    #[error("a value is nested more than {MAX_DEPTH} levels deep, send a flatter one")]
    TooDeep,
    /// `params` is missing.
    #[error("`params` is missing, expected an object")]
    ParamsMissing,
    /// `params` is not an object.
    #[error("`params` is {found}, expected an object")]
    ParamsNotAnObject {
        /// The type of the value found.
        found: &'static str,
    },
}
