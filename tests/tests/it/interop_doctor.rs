//! The doctor and the test runner of the real Python package, on the same tools and the same file as ours.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use platools::tool::Registry;
use platools::{Platools, Tool, ToolOutput, ToolSpec, tool, tools};
use platools_toolkit::doctor::{Options, Report, Rule, Severity, examine};
use platools_toolkit::testing::{DEFAULT_FILE, RunOptions, Suite, run};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::interop::{python, script};

/// Runs the package's doctor in one of the ways that the script knows.
fn ask(python: &Path, how: &str, asked: &Value) -> Value {
    let mut program = Command::new(python);
    let program =
        program.arg(script("platools_doctor.py")).arg(how).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut program = program.spawn().expect("the interpreter starts");
    program.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success(), "the program failed; it says why above");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

#[expect(clippy::needless_pass_by_value, reason = "the schemas are written where it is called")]
fn spec(name: &str, parameters: Value, returned: Value) -> ToolSpec {
    let required: Vec<_> = parameters.as_object().unwrap().keys().cloned().collect();
    ToolSpec::new(name)
        .description(format!("What only {name} does, in some detail."))
        .input_schema(json!({"type": "object", "properties": parameters, "required": required}))
        .output_schema(json!({"type": "object", "properties": returned}))
}

/// Tools that break each rule that both packages have.
fn ill() -> Vec<ToolSpec> {
    let marked = |mark: bool| json!({"type": "string", "description": "The one that is meant.", "x-user-providable": mark});
    let many: serde_json::Map<_, _> =
        ('a'..='k').map(|letter| (letter.to_string(), text("One of a great many."))).collect();
    let mut broad = spec("broad", Value::Object(many), json!({"done": {"type": "boolean"}}));
    Arc::make_mut(&mut broad.input_schema)["required"] = json!([]);
    vec![
        spec(
            "archive_workspace",
            json!({"admin_id": marked(false)}),
            json!({"archived": {"type": "boolean"}}),
        ),
        spec(
            "rename_workspace",
            json!({"workspace_id": marked(true)}),
            json!({"renamed": {"type": "boolean"}}),
        ),
        spec("merge_pages", json!({"split_id": marked(false)}), json!({"page_id": {"type": "string"}})),
        spec("split_page", json!({"page_id": marked(false)}), json!({"split_id": {"type": "string"}})),
        spec(
            "find_author",
            json!({"pages": marked(true)}),
            json!({"author": {"type": "string"}, "born": {"type": "integer"}}),
        ),
        spec("find_reader", json!({"pages": marked(true)}), json!({"author": {"type": "string"}})),
        spec(
            "write_to",
            json!({"author": text("Who gets it."), "born": text("The year of birth.")}),
            json!({"sent": {"type": "boolean"}}),
        )
        .roles(["support", "archivist"]),
        spec("get_page", json!({"title": marked(true)}), json!({"text": {"type": "string"}}))
            .description("Gets."),
        spec(
            "list_pages",
            json!({"title": {"type": "string", "description": "Title", "x-user-providable": true}}),
            json!({}),
        )
        .output_schema(None),
        broad,
        spec("purge_cache", json!({}), json!({"purged": {"type": "integer"}})).destructive(true),
    ]
}

/// What was found, by the codes that both packages have.
fn codes(report: &Value) -> BTreeSet<String> {
    let lists = ["errors", "warnings", "info"].iter().flat_map(|list| report[list].as_array().unwrap());
    let line = |finding: &Value| {
        format!("{} {} {}", finding["code"], finding["tool"], finding["param"]).replace('"', "")
    };
    lists.map(line).collect()
}

fn registry(specs: impl IntoIterator<Item = ToolSpec>) -> Registry {
    let mut registry = Registry::new();
    registry
        .extend(specs.into_iter().map(|spec| Tool::new(spec, |_| async { Ok(ToolOutput::null()) })))
        .unwrap();
    registry
}

fn diagnosis(specs: impl IntoIterator<Item = ToolSpec>) -> Report {
    // The other package does not know what the platform shows of a tool.
    let options = Options::new()
        .roles_in_use(["support"])
        .agent_tools(["broad", "get_page"])
        .allow(Rule::UnexplainedParams.everywhere());
    examine(&registry(specs), &options)
}

#[test]
fn both_doctors_find_the_same_where_their_rules_are_the_same() {
    let Some(python) = python("platools") else { return };
    let tools: Vec<_> = ill()
        .into_iter()
        .map(|spec| {
            json!({
                "name": spec.name, "description": spec.description, "roles": spec.roles,
                "input_schema": spec.input_schema, "output_schema": spec.output_schema,
                "annotations": spec.annotations,
            })
        })
        .collect();
    let asked = json!({"tools": tools, "roles_in_use": ["support"], "agent_tools": ["broad", "get_page"]});
    let theirs = codes(&ask(&python, "analyze", &asked));
    let ours = codes(&diagnosis(ill()).to_json());
    assert_eq!(theirs, ours);

    let rules: BTreeSet<_> = ours.iter().filter_map(|line| line.split(' ').next()).collect();
    for rule in Rule::ALL.iter().take_while(|rule| **rule != Rule::RejectedSchema) {
        assert!(rules.contains(rule.code()), "{rule} is compared: {ours:?}");
    }
}

#[test]
fn the_python_package_s_own_example_is_no_error_here() {
    let Some(python) = python("platools") else { return };
    let said = ask(&python, "readme", &Value::Null);
    let keys = ["name", "description", "input_schema", "output_schema"].map(|key| said[key].clone());
    let [Value::String(name), Value::String(description), input, output] = keys else { panic!("{said}") };
    let theirs = json!({
        "name": name, "description": description, "input_schema": input, "output_schema": output,
        "roles": [], "annotations": {},
    });
    let theirs =
        ask(&python, "analyze", &json!({"tools": [theirs], "roles_in_use": [], "agent_tools": [name]}));
    assert_eq!(theirs["errors"].as_array().unwrap().len(), 2, "{theirs}");

    let spec = ToolSpec::new(name).description(description).input_schema(input).output_schema(output);
    let report = examine(&registry([spec]), &Options::new());
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.severity, finding.rule)).collect();
    assert_eq!(
        found,
        [(Severity::Warning, Rule::UnreachableParam), (Severity::Info, Rule::UnexplainedParams)],
        "{report:?}"
    );
}

#[derive(Serialize, JsonSchema)]
struct RefundResult {
    refund_id: String,
    amount: usize,
}

/// Process a refund for an order.
#[tool(register = false)]
fn process_refund(
    /// The order ID to refund.
    order_id: &str,
    /// Reason for the refund, surfaced in the audit log.
    reason: &str,
) -> RefundResult {
    RefundResult { refund_id: format!("ref-{order_id}"), amount: reason.len() }
}

/// Divide a number by another.
#[tool(register = false)]
async fn divide(dividend: i64, divisor: i64) -> Result<i64, String> {
    dividend.checked_div(divisor).ok_or("nothing can be divided by 0".to_owned())
}

/// Give back what came, as it came.
#[tool(register = false)]
fn echo(value: Value) -> Value {
    value
}

/// Fail unless the switch is on.
#[tool(register = false)]
fn is_true(switch: bool) -> Result<bool, String> {
    if switch { Ok(switch) } else { Err("the switch is off".to_owned()) }
}

/// The lines of the package's report, each without its time and its reason: `✓ divide`.
fn outcomes(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let of_cases = text.lines().filter(|line| line.starts_with("  ✓") || line.starts_with("  ✗"));
    of_cases.map(|line| line.split(" (").next().unwrap_or_default().trim().to_owned()).collect()
}

#[tokio::test]
async fn one_file_has_the_same_outcome_in_both_packages() {
    let Some(python) = python("platools") else { return };
    let file = script(DEFAULT_FILE);
    let program = python.with_file_name("platools");
    let run_theirs = |more: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["test", "--module", "platools_tools", "--file"]).arg(&file).args(more);
        command.env("PYTHONPATH", script("")).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap()
    };
    let theirs = run_theirs(&[]);

    let suite = Suite::from_yaml(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let tools = tools![process_refund, divide, echo, is_true];
    let local = Platools::builder().tools(tools).build_local().unwrap();
    let ours = run(&local, &suite, &RunOptions::default(), |_| {}).await;
    let lines = ours.cases.iter().map(|case| {
        let marker = if case.outcome.is_passed() { "✓" } else { "✗" };
        format!("{marker} {}", case.tool)
    });
    assert_eq!(outcomes(&theirs), lines.collect::<Vec<_>>(), "{ours:?}");
    assert_eq!(theirs.status.code(), Some(i32::from(ours.exit_code())));
    assert_eq!((ours.passed(), ours.failed()), (10, 4), "{ours:?}");

    let coverage = run_theirs(&["--coverage"]);
    let theirs = String::from_utf8(coverage.stdout).unwrap();
    assert_eq!(theirs, ours.coverage.text(platools_toolkit::Layout::default()));
}
