//! `schema`: one tool's declaration.

use platools::Platools;
use serde_json::{Value, json};

use super::arguments::Schema;
use super::output::Output;
use super::{Failure, unknown_tool};

pub(super) fn run(platools: Platools, options: &Schema, output: &Output) -> Result<(), Failure> {
    let local = platools.build_local().map_err(|error| Failure::of_build(&error))?;
    let registry = local.tools().registry();
    let tool = registry.get(&options.tool).ok_or_else(|| unknown_tool(&options.tool, registry.iter()))?;
    let spec = tool.spec();
    if options.input {
        output.json(&*spec.input_schema)?;
    } else if options.output {
        output.json(spec.output_schema.as_deref().unwrap_or(&Value::Null))?;
    } else {
        // The seven members of protocol §3.
        output.json(&json!({
            "name": spec.name,
            "description": spec.description,
            "input_schema": *spec.input_schema,
            "output_schema": spec.output_schema.as_deref(),
            "auth": spec.auth.as_str(),
            "roles": spec.roles,
            "annotations": spec.annotations,
        }))?;
    }
    Ok(())
}
