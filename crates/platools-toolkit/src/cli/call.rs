//! `call`: one call, here.

use std::path::Path;
use std::time::Instant;

use platools::Platools;
use platools::tool::{Arguments, ToolErrorKind, ToolOutput};
use serde_json::json;

use super::arguments::Call;
use super::output::{self, Output};
use super::{Failure, unknown_tool};

pub(super) async fn run(platools: Platools, options: Box<Call>, output: &Output) -> Result<(), Failure> {
    let local = platools.build_local().map_err(|error| Failure::of_build(&error))?;
    let name = options.tool.as_str();
    if local.tools().get(name).is_none() {
        return Err(unknown_tool(name, local.tools().registry().iter()));
    }
    let params = output::read_params(&options.params).map_err(Failure::Usage)?;
    let arguments = Arguments::from_json(params).map_err(|error| Failure::Usage(error.to_string()))?;
    let context = options.caller.context().map_err(Failure::Usage)?;
    let call_id = context.call_id().to_owned();

    let started = Instant::now();
    let answer = local.call(name, arguments, context).await;
    let latency_ms = started.elapsed().as_micros() as f64 / 1_000.0;
    match answer {
        Ok(result) => {
            if let Some(path) = &options.output {
                save(&result, path)?;
            }
            let result = result.to_value();
            if options.json {
                output.json(&json!({"ok": true, "result": result, "latency_ms": latency_ms}))?;
            } else if options.output.is_none() {
                output.value(&result)?;
            }
            Ok(())
        }
        Err(error) => {
            let text = error.answer_text(&call_id, options.show_internal_errors);
            if options.json {
                let kind = error.kind().as_str();
                output.json(&json!({"ok": false, "kind": kind, "error": text, "latency_ms": latency_ms}))?;
                return Err(Failure::Silent);
            }
            if error.kind() == ToolErrorKind::Internal && !options.show_internal_errors {
                output.note("what broke inside is shown with --show-internal-errors");
            }
            Err(Failure::Failed(text))
        }
    }
}

/// Writes the bytes of media, or the JSON of anything else.
fn save(result: &ToolOutput, path: &Path) -> Result<(), Failure> {
    let bytes = match result.as_media() {
        Some(media) => media.bytes().to_vec(),
        None => result.clone().into_json().into_bytes(),
    };
    std::fs::write(path, bytes)
        .map_err(|error| Failure::Failed(format!("`{}` cannot be written: {error}", path.display())))
}
