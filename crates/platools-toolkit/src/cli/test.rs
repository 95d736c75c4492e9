//! `test`: cases from a file, or one call, with what is expected of it.

use std::path::PathBuf;

use platools::Platools;

use super::Failure;
use super::arguments::Test;
use super::output::{self, Output, WriteError};
use crate::testing::{
    Case, Coverage, DEFAULT_FILE, Expectation, Progress, RunOptions, Suite, SuiteReport, run as run_suite,
};

pub(super) async fn run(platools: Platools, options: Test, output: &Output) -> Result<(), Failure> {
    let local = platools.build_local().map_err(|error| Failure::of_build(&error))?;
    let suite = suite(&options)?;
    if options.coverage {
        let coverage = Coverage::of(&local.tools().registry(), &suite);
        if options.json {
            output.json(&coverage)?;
        } else {
            output.print(&coverage.text(output.layout()))?;
        }
        return Ok(());
    }
    let caller = options.caller.described().map_err(Failure::Usage)?;
    let alone = options.tool.is_some();
    let run = RunOptions::default().caller(caller).fail_fast(options.fail_fast).keep_outputs(alone);
    // On a terminal each case shows as soon as it is done; a report for a program comes whole.
    let is_watched = !options.json && !alone && output.width().is_some();
    let mut shown = Ok(());
    let report = run_suite(&local, &suite, &run, |progress| {
        if let Progress::Finished { report, .. } = progress
            && is_watched
            && shown.is_ok()
        {
            shown = output.print(&report.text(output.layout()));
        }
    })
    .await;
    if let Some(path) = &options.junit {
        let junit = report.junit("platools");
        std::fs::write(path, junit)
            .map_err(|error| Failure::Failed(format!("`{}` cannot be written: {error}", path.display())))?;
    }
    shown?;
    if options.json {
        output.json(&report.to_json())?;
    } else {
        show(&report, alone, is_watched, output)?;
    }
    match report.exit_code() {
        0 => Ok(()),
        _ => Err(Failure::Silent),
    }
}

fn show(report: &SuiteReport, alone: bool, was_watched: bool, output: &Output) -> Result<(), WriteError> {
    let layout = output.layout();
    output.print(&match report.cases.as_slice() {
        [only] if alone => only.text_with_output(layout),
        _ if was_watched => format!("\n{}", report.summary(layout)),
        _ => report.text(layout),
    })
}

/// The cases: one from the command line, or those of a file.
fn suite(options: &Test) -> Result<Suite, Failure> {
    let Some(tool) = &options.tool else {
        let path = options.file.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        let shown = path.display();
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::Usage(format!(
                "the file `{shown}` cannot be read: {error}; name another one with --file, or a tool to call"
            ))
        })?;
        let suite = Suite::from_yaml(&text);
        return suite.map_err(|error| Failure::Usage(format!("the file `{shown}`: {error}")));
    };
    let params = output::read_params(&options.params).map_err(Failure::Usage)?;
    let expectation = match (&options.expect, &options.expect_error) {
        (Some(expected), _) => Expectation::Value(
            serde_json::from_str(expected)
                .map_err(|error| Failure::Usage(format!("--expect: is not JSON: {error}")))?,
        ),
        (None, Some(text)) if text.is_empty() => Expectation::Error,
        (None, Some(text)) => Expectation::ErrorText(text.clone()),
        (None, None) => Expectation::Success,
    };
    let case = Case::new(tool).params_json(&params).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut case = case.expect(expectation);
    if let Some(limit) = options.max_latency {
        case = case.max_latency(limit);
    }
    Ok([case].into_iter().collect())
}
