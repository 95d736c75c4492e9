//! The official conformance suite against the server, over HTTP.

use std::fmt::Write as _;
use std::fs;
use std::io::{Write as _, stderr};
use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::{Serving, program};
use crate::interop::node_packages;
use crate::support::{Folder, GUARD};

/// How many of the suite's scenarios are about what the server offers.
const SCENARIOS: usize = 16;

/// Whether a scenario is about what the server offers: tools and messages. Sampling, elicitation, completion, prompts
/// and resources it does not.
fn is_offered(scenario: &str) -> bool {
    match scenario {
        "tools-call-sampling" | "tools-call-elicitation" => false,
        "ping" | "logging-set-level" | "json-schema-2020-12" | "dns-rebinding-protection" => true,
        _ => scenario.starts_with("server-") || scenario.starts_with("tools-"),
    }
}

/// What a run of the suite printed, and whether it was content.
async fn run(mut suite: Command) -> (bool, String) {
    let output = timeout(GUARD, suite.output()).await.expect("in time").unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}

/// The checks of the one scenario whose results are in the folder.
fn checks(results: &str) -> Vec<Value> {
    let mut runs = fs::read_dir(results).unwrap();
    let (run, more) = (runs.next().unwrap().unwrap(), runs.next());
    assert!(more.is_none(), "{more:?}");
    serde_json::from_slice(&fs::read(run.path().join("checks.json")).unwrap()).unwrap()
}

/// One line about a scenario, one for every warning and failure in it, and whether it passed.
fn report(scenario: &str, checks: &[Value]) -> (bool, String) {
    let count = |status: &str| checks.iter().filter(|check| check["status"] == status).count();
    let (passed, failed) = (count("SUCCESS"), count("FAILURE"));
    let mut text = format!("conformance: {scenario}: passed {passed}/{}\n", passed + failed);
    for check in checks {
        let said = |key: &str| check[key].as_str();
        if let Some(status @ ("WARNING" | "FAILURE")) = said("status") {
            let why = said("errorMessage").or(said("description")).unwrap_or_default();
            let _ = writeln!(text, "  {status} {}: {why}", said("id").unwrap_or_default());
        }
    }
    (passed > 0 && failed == 0, text)
}

#[tokio::test]
async fn the_official_suite_passes() {
    let Some(packages) = node_packages("mcp-conformance") else { return };
    let suite = |arguments: &[&str]| {
        let programs = packages.join("node_modules/.bin");
        // Its own Node: it needs a newer one than the other sets.
        let mut command = program(programs.join("node"));
        command.arg(programs.join("conformance")).args(arguments);
        command
    };
    let (is_listed, list) = run(suite(&["list", "--server"])).await;
    assert!(is_listed, "{list}");
    let names = list.lines().filter_map(|line| line.strip_prefix("  - ")?.split(' ').next());
    let scenarios: Vec<_> = names.filter(|name| is_offered(name)).collect();
    assert_eq!(scenarios.len(), SCENARIOS, "{scenarios:?}");

    let serving = Serving::start(&["open"]).await;
    let folder = Folder::new("mcp-conformance");
    let mut failed = String::new();
    for scenario in scenarios {
        let results = folder.path(scenario);
        let (is_content, printed) =
            run(suite(&["server", "--url", &serving.url, "--scenario", scenario, "--output-dir", &results]))
                .await;
        assert!(Path::new(&results).exists(), "{printed}");
        let (passed, text) = report(scenario, &checks(&results));
        // Not `eprintln!`, which is shown only when the test fails.
        write!(stderr(), "{text}").unwrap();
        if !passed || !is_content {
            failed += &printed;
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn a_failed_check_fails_its_scenario_and_a_warning_is_shown() {
    let check = |status: &str| json!({"id": "a", "status": status, "description": "it is so"});
    assert_eq!(report("x", &[check("SUCCESS")]), (true, "conformance: x: passed 1/1\n".to_owned()));
    assert!(!report("x", &[]).0 && !report("x", &[check("INFO")]).0);
    let (passed, text) = report("x", &[check("SUCCESS"), check("WARNING"), check("FAILURE")]);
    assert!(!passed);
    assert_eq!(text.lines().next(), Some("conformance: x: passed 1/2"));
    assert_eq!(text.lines().nth(1), Some("  WARNING a: it is so"));
}
