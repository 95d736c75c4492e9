//! `edit`: files on the desktop, with the arguments of Anthropic's text editor, old (`new_str`) and new
//! (`insert_text`).

use std::sync::Arc;

use platools::{Tool, ToolCall, ToolError, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{UNTYPED, text};
use super::failure::refusal;
use super::pool::Source;
use super::schema;
use super::settings::Settings;
use crate::desktop::EditCommand;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The operation on the file.
    command: Name,
    /// The file, from the root, such as /home/user/notes.txt.
    path: String,
    /// The whole text of the file, for `create`.
    #[serde(default)]
    file_text: Option<String>,
    /// The first and the last line for `view`, from 1; -1 is the last one of the file.
    #[serde(default)]
    view_range: Option<[i64; 2]>,
    /// The text that `str_replace` replaces; it must occur once in the file.
    #[serde(default)]
    old_str: Option<String>,
    /// The replacement of `str_replace`; without it, the text is removed.
    #[serde(default)]
    new_str: Option<String>,
    /// The line after which `insert` puts its text; 0 is the beginning.
    #[serde(default)]
    insert_line: Option<u64>,
    /// The lines that `insert` adds to the file.
    #[serde(default)]
    insert_text: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Name {
    View,
    Create,
    StrReplace,
    Insert,
    UndoEdit,
}

impl TryFrom<Input> for EditCommand {
    type Error = ToolError;

    fn try_from(input: Input) -> Result<Self, ToolError> {
        let missing = |what: &str, command: &str| {
            ToolError::invalid_arguments(format!("`{what}` is missing: `{command}` needs it"))
        };
        let path = input.path;
        if path.trim().is_empty() {
            return Err(ToolError::invalid_arguments(
                "`path` is empty: give an absolute path, such as /tmp/notes.txt",
            ));
        }
        Ok(match input.command {
            Name::View => Self::View { path, lines: input.view_range.map(|[first, last]| (first, last)) },
            Name::Create => {
                Self::Create { path, text: input.file_text.ok_or_else(|| missing("file_text", "create"))? }
            }
            Name::StrReplace => Self::Replace {
                path,
                old: input.old_str.ok_or_else(|| missing("old_str", "str_replace"))?,
                // Without it, what was found is taken away.
                new: input.new_str.unwrap_or_default(),
            },
            Name::Insert => Self::Insert {
                path,
                line: input.insert_line.ok_or_else(|| missing("insert_line", "insert"))?,
                text: input.insert_text.or(input.new_str).ok_or_else(|| missing("insert_text", "insert"))?,
            },
            Name::UndoEdit => Self::Undo { path },
        })
    }
}

pub(super) fn tool(source: &Source, settings: &Arc<Settings>) -> Tool {
    let spec = ToolSpec::new("edit")
        .description(
            "Read and change files on the desktop. `command` says what to do with the file at `path`.",
        )
        .category("desktop")
        .allow([UNTYPED])
        .destructive(true)
        .input_schema(schema::of::<Input>());
    let (source, settings) = (source.clone(), Arc::clone(settings));
    Tool::new(spec, move |call: ToolCall| {
        let (source, settings) = (source.clone(), Arc::clone(&settings));
        async move {
            let command: EditCommand = call.arguments.parse::<Input>()?.try_into()?;
            let turn = source.turn(&call, &settings).await?;
            let said = turn.desktop().edit(&command).await.map_err(refusal)?;
            Ok(text(&settings, if said.is_empty() { "OK" } else { &said }))
        }
    })
}
