//! `doctor`: what keeps agents from finding, understanding or calling the tools.

use platools::Platools;

use super::Failure;
use super::arguments::Doctor;
use super::output::Output;
use crate::doctor::{Allowance, Options, examine};

pub(super) fn run(platools: Platools, options: &Doctor, output: &Output) -> Result<(), Failure> {
    let local = platools.build_local().map_err(|error| Failure::of_build(&error))?;
    let mut known = Options::of_host(&local);
    if !options.role.is_empty() {
        known = known.roles_in_use(&options.role);
    }
    if !options.agent_tool.is_empty() {
        known = known.agent_tools(&options.agent_tool);
    }
    for allowance in &options.allow {
        let allowance = allowance.parse::<Allowance>();
        known = known.allow(allowance.map_err(|error| Failure::Usage(format!("--allow: {error}")))?);
    }
    let report = examine(&local.tools().registry(), &known);
    if options.json {
        output.json(&report.to_json())?;
    } else {
        output.print(&report.text(output.layout()))?;
    }
    if report.has_errors() { Err(Failure::Silent) } else { Ok(()) }
}
