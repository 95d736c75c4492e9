//! Frames that cannot be read.

/// The most that is quoted of a problem.
const QUOTED_CHARACTERS: usize = 200;

/// Why a frame cannot be read. Texts quote hardly anything of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("an empty frame")]
    Empty,
    #[error("a frame that is no Engine.IO packet")]
    UnknownEnginePacket,
    #[error("a Socket.IO packet of a type that does not exist")]
    UnknownPacket,
    #[error("a binary packet, which this protocol does not have")]
    Binary,
    #[error("a frame whose JSON cannot be read: {0}")]
    Json(String),
    #[error("an event without a name")]
    NamelessEvent,
}

impl From<serde_json::Error> for FrameError {
    fn from(error: serde_json::Error) -> Self {
        // The position is of no use to anybody who does not have the frame.
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        // Where a text came instead of something else, it is in there.
        Self::Json(text.chars().take(QUOTED_CHARACTERS).collect())
    }
}
