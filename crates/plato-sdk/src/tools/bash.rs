//! `bash`: commands on the desktop, with the arguments of Anthropic's `bash_20250124` and a `timeout`.

use std::sync::Arc;
use std::time::Duration;

use platools::{Tool, ToolCall, ToolError, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{UNTYPED, text};
use super::failure::refusal;
use super::pool::Source;
use super::schema;
use super::settings::Settings;
use crate::desktop::BashRequest;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The command; not needed with `restart`.
    #[serde(default)]
    command: Option<String>,
    /// Start a new shell in place of one that hangs.
    #[serde(default)]
    restart: bool,
    /// How long the command may take, in seconds; without it, as long as the call may take.
    #[serde(default)]
    #[schemars(range(min = 1))]
    timeout: Option<u64>,
}

pub(super) fn tool(source: &Source, settings: &Arc<Settings>) -> Tool {
    let longest = settings.longest.as_secs().max(1);
    let spec = ToolSpec::new("bash")
        .description(
            "Run a command in the desktop's shell and read what it writes. Whether the shell remembers its folder \
             from one command to the next is not certain: write `cd … && …`. Write `; echo $?` behind a command whose \
             exit code matters.",
        )
        .category("desktop")
        .allow([UNTYPED])
        .open_world(true)
        .destructive(true)
        .input_schema(schema::with_maximum(schema::of::<Input>(), "timeout", longest));
    let (source, settings) = (source.clone(), Arc::clone(settings));
    Tool::new(spec, move |call: ToolCall| {
        let (source, settings) = (source.clone(), Arc::clone(&settings));
        async move {
            let input: Input = call.arguments.parse()?;
            if let Some(seconds) = input.timeout
                && !(1..=longest).contains(&seconds)
            {
                let problem = format!("`timeout`: expected 1 to {longest} seconds, got {seconds}");
                return Err(ToolError::invalid_arguments(problem));
            }
            let request = match (input.command.filter(|command| !command.trim().is_empty()), input.restart) {
                (None, true) => BashRequest::restart(),
                (Some(command), false) => BashRequest::new(command),
                (Some(_), true) => {
                    let problem =
                        "`restart` runs no command: restart first, then call again with the `command`";
                    return Err(ToolError::invalid_arguments(problem));
                }
                (None, false) => {
                    let problem = "`command` is missing: give one, or `restart` for a new shell";
                    return Err(ToolError::invalid_arguments(problem));
                }
            };
            let turn = source.turn(&call, &settings).await?;
            let seconds = input.timeout.unwrap_or_else(|| turn.seconds_left());
            let time = Duration::from_secs(seconds);
            turn.has("timeout", time)?;
            let output = turn.desktop().bash(request.timeout(time)).await;
            let said = output.map_err(refusal)?.text();
            Ok(text(&settings, if said.is_empty() { "OK" } else { &said }))
        }
    })
}
