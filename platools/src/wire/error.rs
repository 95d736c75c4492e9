//! What can be wrong with a frame.
//!
//! Messages name members, kinds and sizes, never what the frame holds: it may hold tokens.

use thiserror::Error;

/// A frame that cannot be read.
///
/// When [`call_id`](Self::call_id) gives one, the platform waits for an answer under it. Any other
/// broken frame is counted and logged, and never answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame is not JSON.
    #[error("a frame of {bytes} bytes is not JSON: {problem}")]
    NotJson {
        /// The frame's size.
        bytes: usize,
        /// What the reader stumbled over, and where.
        problem: String,
    },
    /// The frame is JSON, but not an object.
    #[error("a frame of {bytes} bytes is {found}, not an object")]
    NotAnObject {
        /// The frame's size.
        bytes: usize,
        /// What it is instead.
        found: &'static str,
    },
    /// The frame does not say what it is.
    #[error("a frame of {bytes} bytes has no `type`")]
    TypeMissing {
        /// The frame's size.
        bytes: usize,
    },
    /// The frame's `type` is not readable text.
    #[error("a frame of {bytes} bytes has {found} as its `type`, expected valid text")]
    TypeNotText {
        /// The frame's size.
        bytes: usize,
        /// What stands there instead.
        found: &'static str,
    },
    /// A frame that belongs to a call has no `call_id` that an answer could carry.
    #[error("a `{frame}` frame of {bytes} bytes has no readable `call_id`, so nobody can be answered")]
    CallIdMissing {
        /// The frame's `type`.
        frame: &'static str,
        /// The frame's size.
        bytes: usize,
    },
    /// A call that can be answered, but not run.
    #[error("broken tool_call: {problem}")]
    Call {
        /// The call's id.
        call_id: String,
        /// What is wrong with the call.
        problem: CallProblem,
    },
    /// A frame of a known type lacks a member that it cannot do without.
    #[error("a `{frame}` frame of {bytes} bytes has no usable `{member}`")]
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
    /// The id of the call that waits for an answer, if the frame is a call that can be answered.
    pub fn call_id(&self) -> Option<&str> {
        match self {
            Self::Call { call_id, .. } => Some(call_id),
            _ => None,
        }
    }
}

/// What is wrong with a call that has an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallProblem {
    /// There is no `tool_name`.
    #[error("`tool_name` is missing")]
    ToolNameMissing,
    /// The `tool_name` is not a string.
    #[error("`tool_name` is {found}, expected a string")]
    ToolNameNotText {
        /// What stands there instead.
        found: &'static str,
    },
    /// There are no `params`.
    #[error("`params` is missing, expected an object")]
    ParamsMissing,
    /// The `params` are not an object.
    #[error("`params` is {found}, expected an object")]
    ParamsNotAnObject {
        /// What stands there instead.
        found: &'static str,
    },
}
