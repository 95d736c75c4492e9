//! Files on a desktop (plato-api §8.5).

use std::time::Duration;

use serde_json::{Value, json};

use super::Desktop;
use crate::error::{Error, Result};
use crate::http::Repeat;

/// An operation on a file.
///
/// ```
/// use plato_sdk::EditCommand;
///
/// let view = EditCommand::View { path: "/etc/hosts".into(), lines: Some((1, 5)) };
/// assert_eq!(view.name(), "view");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditCommand {
    /// Read it.
    View {
        /// The file.
        path: String,
        /// From this line to that one, counted from 1; -1 is the last one.
        lines: Option<(i64, i64)>,
    },
    /// Write it anew.
    Create {
        /// The file.
        path: String,
        /// All of it.
        text: String,
    },
    /// Put one text in the place of another, which stands in it once.
    Replace {
        /// The file.
        path: String,
        /// The text to replace; it must occur once.
        old: String,
        /// The new text.
        new: String,
    },
    /// Put a text between two lines.
    Insert {
        /// The file.
        path: String,
        /// Behind this line; 0 is the beginning.
        line: u64,
        /// The text.
        text: String,
    },
    /// Take the last change of it back.
    Undo {
        /// The file.
        path: String,
    },
}

impl EditCommand {
    /// The agent's name for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::View { .. } => "view",
            Self::Create { .. } => "create",
            Self::Replace { .. } => "str_replace",
            Self::Insert { .. } => "insert",
            Self::Undo { .. } => "undo_edit",
        }
    }

    fn request(&self) -> Value {
        let command = self.name();
        match self {
            Self::View { path, lines: None } | Self::Undo { path } => {
                json!({"command": command, "path": path})
            }
            Self::View { path, lines: Some((first, last)) } => {
                json!({"command": command, "path": path, "view_range": [first, last]})
            }
            Self::Create { path, text } => json!({"command": command, "path": path, "file_text": text}),
            Self::Replace { path, old, new } => {
                json!({"command": command, "path": path, "old_str": old, "new_str": new})
            }
            Self::Insert { path, line, text } => {
                json!({"command": command, "path": path, "insert_line": line, "new_str": text})
            }
        }
    }
}

impl Desktop {
    /// Reads or changes a file, and hands over what the agent says. A change that may have reached the desktop is
    /// never sent twice.
    ///
    /// # Errors
    /// [`Error::Tool`] when it could not be done, with the agent's words; otherwise when the desktop cannot be reached.
    pub async fn edit(&self, command: &EditCommand) -> Result<String> {
        let repeat = match command {
            EditCommand::View { .. } => Repeat::Safe,
            _ => Repeat::IfUnsent,
        };
        let result = self.agent.tool("POST /edit", &command.request(), repeat, Duration::ZERO).await?;
        match result.complaint() {
            Some(complaint) => Err(Error::Tool { action: command.name(), message: complaint }),
            None => Ok(result.output.unwrap_or_default()),
        }
    }
}
