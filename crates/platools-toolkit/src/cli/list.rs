//! `list`: the tools.

#[cfg(feature = "mcp")]
use platools::LocalHost;
use platools::{Platools, Tool, ToolSpec};
use serde_json::{Value, json};

use super::Failure;
use super::arguments::List;
use super::output::{Output, ToolLine};

pub(super) fn run(platools: Platools, options: &List, output: &Output) -> Result<(), Failure> {
    let local = platools.build_local().map_err(|error| Failure::of_build(&error))?;
    let wanted = options.search.as_deref().unwrap_or_default().to_lowercase();
    let words: Vec<&str> = wanted.split_whitespace().collect();
    let registry = local.tools().registry();
    let tools: Vec<&Tool> = registry.iter().filter(|tool| matches(tool.spec(), &words)).collect();
    if options.json {
        let tools: Vec<Value> = tools.iter().map(|tool| described(tool)).collect();
        output.json(&tools)?;
        return Ok(());
    }
    if tools.is_empty() {
        output.note(if registry.is_empty() {
            "no tools are registered; tools of a crate that nothing refers to are not linked"
        } else {
            "no tool has these words in its name, description or category"
        });
    }
    let lines: Vec<_> = tools.iter().map(|tool| line(tool.spec())).collect();
    Ok(output.tools(&lines)?)
}

/// Prints the tools that a host has now.
#[cfg(feature = "mcp")]
pub(super) fn print(local: &LocalHost, output: &Output) -> Result<(), Failure> {
    let tools = local.tools().list();
    let lines: Vec<_> = tools.iter().map(|tool| line(tool.spec())).collect();
    Ok(output.tools(&lines)?)
}

/// Returns whether each of the words, which are lower-case, occurs in the tool.
fn matches(spec: &ToolSpec, words: &[&str]) -> bool {
    let category = spec.annotations.get("category").and_then(Value::as_str).unwrap_or_default();
    let texts = [&spec.name, &spec.description, category].map(str::to_lowercase);
    words.iter().all(|word| texts.iter().any(|text| text.contains(word)))
}

fn line(spec: &ToolSpec) -> ToolLine<'_> {
    ToolLine {
        name: &spec.name,
        auth: spec.auth.as_str(),
        roles: &spec.roles,
        description: &spec.description,
    }
}

/// Returns the declaration and the limits of a tool as JSON.
fn described(tool: &Tool) -> Value {
    let spec = tool.spec();
    json!({
        "name": spec.name,
        "description": spec.description,
        "auth": spec.auth.as_str(),
        "roles": spec.roles,
        "annotations": spec.annotations,
        "timeout_ms": spec.timeout.map(|timeout| timeout.as_millis() as u64),
        "rate_limit": spec.rate_limit.map(|limit| limit.to_string()),
        "concurrency": spec.concurrency,
        "blocking": tool.is_blocking(),
        "location": spec.location.map(|location| location.to_string()),
        "input_schema": *spec.input_schema,
        "output_schema": spec.output_schema.as_deref(),
    })
}
