//! Suites that are run, and the reports about them.

use std::time::Duration;

use platools::caller::{AuthenticationError, Credentials};
use platools::{CallContext, Identity, LocalHost, Platools, ToolError, tool, tools};
use serde_json::json;

use super::*;
use crate::Layout;

/// Look up one order by id.
#[tool(register = false)]
async fn lookup(order_id: String) -> Result<serde_json::Value, String> {
    match order_id.as_str() {
        "ord-1" => Ok(json!({"id": order_id, "status": "open", "lines": [{"pieces": 2}]})),
        _ => Err(format!("there is no order {order_id}")),
    }
}

/// Say who is calling.
#[tool(register = false)]
async fn whoami(ctx: CallContext) -> serde_json::Value {
    json!({
        "user": ctx.user_id(), "agent": ctx.agent_id(), "token": ctx.user_token(), "call": ctx.call_id(),
        "source": ctx.source(), "plan": ctx.context().get("plan"),
    })
}

/// Do what only support may do.
#[tool(register = false, roles = ["support"], auth = "user")]
async fn support(identity: Identity) -> String {
    identity.subject().to_owned()
}

/// Break inside.
#[tool(register = false)]
async fn broken() -> Result<(), ToolError> {
    Err(ToolError::internal("the disk is full"))
}

/// Hold the thread, in an async function.
#[tool(register = false)]
async fn stall() {
    std::thread::sleep(Duration::from_millis(60));
}

/// Hold a thread of its own.
#[tool(register = false)]
fn block() {
    std::thread::sleep(Duration::from_millis(60));
}

/// Return more than the platform passes on.
#[tool(register = false)]
async fn huge() -> String {
    "x".repeat(300 << 10)
}

fn host() -> LocalHost {
    let tools = tools![lookup, whoami, support, broken, stall, block, huge];
    let nobody =
        |_: Credentials| async { Err::<Identity, _>(AuthenticationError::rejected("nobody gets in")) };
    Platools::builder().tools(tools).authenticator(nobody).build_local().unwrap()
}

async fn report_of(yaml: &str, options: &RunOptions) -> SuiteReport {
    run(&host(), &Suite::from_yaml(yaml).unwrap(), options, |_| {}).await
}

/// Returns the failures of the cases of a file.
async fn failures(yaml: &str) -> Vec<Vec<String>> {
    let report = report_of(yaml, &RunOptions::default()).await;
    report.cases.iter().map(|case| case.outcome.failures().to_vec()).collect()
}

#[tokio::test]
async fn what_is_expected_passes() {
    let yaml = "
tests:
  - {tool: lookup, params: {order_id: ord-1}}
  - {tool: lookup, params: {order_id: ord-1}, expect: {status: open, lines: [{}]}}
  - {tool: lookup, params: {order_id: x}, expect_error: true}
  - {tool: lookup, params: {order_id: x}, expect_error: there is no order x}
  - {tool: lookup, params: {orderId: x}, expect_error: 'did you mean `order_id`'}
  - {tool: broken, expect_error: 'internal error: the disk is full'}
  - {tool: stall, max_latency_ms: 60000, expect: null}
";
    assert_eq!(failures(yaml).await, vec![Vec::<String>::new(); 7]);
}

#[tokio::test]
async fn what_is_not_expected_fails_and_says_why() {
    let yaml = "
tests:
  - {tool: lookup, params: {order_id: x}}
  - {tool: lookup, params: {order_id: ord-1}, expect: {status: shipped, lines: [{pieces: 3}]}}
  - {tool: lookup, params: {order_id: ord-1}, expect_error: true}
  - {tool: lookup, params: {order_id: ord-1}, expect_error: no order}
  - {tool: lookup, params: {order_id: x}, expect_error: expired}
  - {tool: lokup, expect_error: true}
  - {tool: lookup, params: {order_id: x}, expect: 1}
";
    let expected: [&[&str]; 7] = [
        &["there is no order x"],
        &["`status`: expected \"shipped\", got \"open\"", "`lines[0].pieces`: expected 3, got 2"],
        &["expected error but tool succeeded"],
        &["expected an error with \"no order\" but tool succeeded"],
        &["expected an error with \"expired\", got: there is no order x"],
        &["there is no tool `lokup`, did you mean `lookup`?"],
        &["there is no order x"],
    ];
    assert_eq!(failures(yaml).await, expected);
}

#[tokio::test]
async fn a_call_that_is_too_slow_fails() {
    let failures = failures("tests: [{tool: stall, max_latency_ms: 1}]").await;
    assert!(failures[0][0].ends_with(" ms, and at most 1 ms are allowed"), "{failures:?}");
}

#[tokio::test]
async fn calls_come_from_whom_the_case_says() {
    let caller =
        Caller::default().user_id("usr_run").user_token("t").context("plan", "free").roles(["support"]);
    let options = RunOptions::default().caller(caller).keep_outputs(true);
    let yaml = "
tests:
  - {tool: whoami}
  - {tool: whoami, context: {user_id: usr_case, agent_id: ag, context: {plan: pro}}}
  - {tool: support}
  - {tool: support, context: {roles: [viewer]}}
  - {tool: support, context: {user_token: another}}
";
    let report = report_of(yaml, &options).await;
    let outputs: Vec<_> = report.cases.iter().map(|case| case.output.clone().unwrap_or_default()).collect();
    assert_eq!(
        outputs[0],
        json!({"user": "usr_run", "agent": "local", "token": "t", "call": "test-1", "source": "test", "plan": "free"})
    );
    assert_eq!(
        outputs[1],
        json!({"user": "usr_case", "agent": "ag", "token": "t", "call": "test-2", "source": "test", "plan": "pro"})
    );
    assert_eq!(outputs[2], "usr_run");
    let error = |index: usize| report.cases[index].error.clone().unwrap_or_default();
    assert!(error(3).contains("needs the role `support`"), "{}", error(3));
    assert!(error(4).contains("nobody gets in"), "{}", error(4));
}

#[tokio::test]
async fn what_delays_others_or_is_cut_is_noted() {
    let yaml = "tests: [{tool: stall}, {tool: block}, {tool: huge}, {tool: lookup, expect_error: true}]";
    let report = report_of(yaml, &RunOptions::default().long_poll(Duration::from_millis(50))).await;
    let notes = |index: usize| report.cases[index].notes.join(" ");
    assert!(notes(0).contains("held its thread for"), "{}", notes(0));
    assert!(
        !notes(1).contains("held its thread"),
        "a blocking function has a thread of its own: {}",
        notes(1)
    );
    assert!(notes(2).contains("the result has 301 KiB"), "{}", notes(2));
    assert_eq!(report.exit_code(), 0);
    let patient = RunOptions::default().long_poll(Duration::from_secs(60));
    assert_eq!(report_of("tests: [{tool: stall}]", &patient).await.cases[0].notes, [""; 0]);
}

#[tokio::test]
async fn progress_is_told_and_the_first_failure_can_end_the_run() {
    let suite = Suite::from_yaml("tests: [{tool: lookup}, {tool: broken}, {tool: whoami}]").unwrap();
    for (fail_fast, expected) in
        [(false, "0- 0failed 1- 1failed 2- 2passed"), (true, "0- 0failed 1skipped 2skipped")]
    {
        let mut told = Vec::new();
        let report = run(&host(), &suite, &RunOptions::default().fail_fast(fail_fast), |progress| {
            told.push(match progress {
                Progress::Started { index, total: 3, case } if case.tool == suite.cases()[index].tool => {
                    format!("{index}-")
                }
                Progress::Finished { index, report, .. } => format!("{index}{}", report.outcome.as_str()),
                other @ Progress::Started { .. } => format!("{other:?}"),
            });
        })
        .await;
        assert_eq!(told.join(" "), expected);
        assert_eq!((report.cases.len(), report.exit_code()), (3, 1));
    }
}

#[tokio::test]
async fn a_single_case_shows_its_result() {
    let case = Case::new("lookup").params_json(r#"{"order_id": "ord-1"}"#).unwrap();
    let report = run(&host(), &case.into(), &RunOptions::default().keep_outputs(true), |_| {}).await;
    let text = report.cases[0].text_with_output(Layout::default());
    let (first, second) = text.split_once('\n').unwrap();
    assert!(first.starts_with("  ✓ lookup (") && first.ends_with("ms)"), "{first}");
    assert_eq!(second, "  output: {\"id\":\"ord-1\",\"status\":\"open\",\"lines\":[{\"pieces\":2}]}\n");

    let refused = Case::new("lookup").params_json("[1]").unwrap_err().to_string();
    assert!(refused.contains("must be a JSON object"), "{refused}");
    assert!(Case::new("lookup").params_json("{").is_err());
}

/// A report with latencies that are the same in every run.
async fn fixed() -> SuiteReport {
    let yaml = "
tests:
  - {name: known, tool: lookup, params: {order_id: ord-1}, expect: {status: open}}
  - {name: \"<b> & \\e[1m\", tool: lookup, params: {order_id: ord-1}, expect: {id: ord-2, status: shipped}}
  - {tool: broken}
  - {tool: whoami}
";
    let mut report = report_of(yaml, &RunOptions::default()).await;
    report.cases[0].notes.push("something worth knowing".to_owned());
    report.cases[3].outcome = Outcome::Skipped;
    for (index, case) in report.cases.iter_mut().enumerate() {
        case.latency = Duration::from_micros(1_250 * index as u64 + 250);
    }
    report
}

#[tokio::test]
async fn the_report_for_people() {
    let report = fixed().await;
    insta::assert_snapshot!("text", report.text(Layout::default()));
    let narrow = Layout { colour: true, width: Some(50) };
    insta::assert_snapshot!("text_narrow_and_coloured", report.text(narrow).replace('\u{1b}', "ESC"));
    insta::assert_snapshot!("coverage", report.coverage.text(Layout::default()));
}

#[tokio::test]
async fn the_report_for_programs() {
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&fixed().await).unwrap());
}

#[tokio::test]
async fn the_report_for_build_servers() {
    let xml = fixed().await.junit("orders & more.yaml");
    insta::assert_snapshot!("junit", xml);
    // It is XML that a reader takes, and the names survive.
    let mut reader = quick_xml::Reader::from_str(&xml);
    let mut names = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Eof => break,
            quick_xml::events::Event::Start(start) if start.name().as_ref() == "testcase" => {
                let name = start.try_get_attribute("name").unwrap().unwrap();
                names.push(name.normalized_value(quick_xml::XmlVersion::Implicit1_0).unwrap().into_owned());
            }
            _ => {}
        }
    }
    assert_eq!(names[1], "<b> & \u{fffd}[1m");
}
