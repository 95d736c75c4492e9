//! A suite of cases for a backend with state and an authenticator, run as its tests would run it.

use std::collections::BTreeMap;
use std::time::Duration;

use platools::caller::{AuthenticationError, Credentials};
use platools::{Identity, LocalHost, Platools, State, ToolError, tool, tools};
use platools_toolkit::Layout;
use platools_toolkit::doctor::{Options, Rule, examine};
use platools_toolkit::testing::{Progress, RunOptions, Suite, run};
use serde_json::{Value, json};

type Orders = BTreeMap<&'static str, &'static str>;

/// Look up one order by id.
#[tool(register = false, auth = "user", read_only)]
fn lookup_order(
    orders: State<Orders>,
    /// The order to look up, such as `ord-1042`.
    order_id: String,
) -> Result<BTreeMap<&'static str, String>, String> {
    let status = orders.get(order_id.as_str()).ok_or(format!("there is no order {order_id}"))?;
    Ok([("id", order_id), ("status", (*status).to_owned())].into())
}

/// Cancel an order by its id, unless it has shipped.
#[tool(register = false, auth = "user", roles = ["support", "admin"], destructive)]
async fn cancel_order(
    identity: Identity,
    orders: State<Orders>,
    /// The order to cancel, such as `ord-1042`.
    order_id: String,
) -> Result<String, String> {
    tokio::task::yield_now().await;
    match orders.get(order_id.as_str()).copied() {
        Some("open") => Ok(format!("cancelled by {}", identity.subject())),
        Some(status) => Err(format!("order {order_id} is {status}")),
        None => Err(format!("there is no order {order_id}")),
    }
}

/// Wait for longer than anybody should.
#[tool(register = false, timeout = "20ms")]
async fn wait_for_ever() -> bool {
    std::future::pending().await
}

/// Count the stock of the whole warehouse.
#[tool(register = false)]
fn count_stock() -> Result<u32, ToolError> {
    Err(ToolError::internal("the warehouse is closed"))
}

/// Panic for a reason of its own.
#[tool(register = false)]
async fn fall_over() -> bool {
    panic!("over")
}

fn backend() -> LocalHost {
    let sessions = |credentials: Credentials| async move {
        match credentials.user_token() {
            None => Err(AuthenticationError::NoCredentials),
            Some("session of usr_1") => Ok(Identity::new("usr_1").with_role("support")),
            Some(_) => Err(AuthenticationError::rejected("the session is over")),
        }
    };
    Platools::builder()
        .tools(tools![lookup_order, cancel_order, wait_for_ever, count_stock, fall_over])
        .state(Orders::from([("ord-1", "open"), ("ord-2", "shipped")]))
        .authenticator(sessions)
        .build_local()
        .unwrap()
}

const GOOD: &str = "
x-support: &support {user_id: usr_7, roles: [support]}

tests:
  - name: an order that exists
    tool: lookup_order
    params: {order_id: ord-1}
    context: *support
    expect: {status: open}
    max_latency_ms: 60000
  - name: an order that does not
    tool: lookup_order
    params: {order_id: ord-9}
    context: *support
    expect_error: there is no order ord-9
  - name: nobody
    tool: lookup_order
    params: {order_id: ord-1}
    expect_error: 'denied: needs a verified user'
  - name: support cancels
    tool: cancel_order
    params: {order_id: ord-1}
    context: *support
    expect: cancelled by usr_7
  - name: a session, by the authenticator
    tool: cancel_order
    params: {order_id: ord-1}
    context: {user_token: session of usr_1}
    expect: cancelled by usr_1
  - name: a session that is over
    tool: cancel_order
    params: {order_id: ord-1}
    context: {user_token: another s3cret}
    expect_error: the session is over
  - name: a viewer
    tool: cancel_order
    params: {order_id: ord-1}
    context: {roles: [viewer]}
    expect_error: needs one of the roles
  - name: too late
    tool: cancel_order
    params: {order_id: ord-2}
    context: *support
    expect_error: is shipped
  - name: the timeout of the tool holds
    tool: wait_for_ever
    expect_error: timed out after 20 ms
  - tool: count_stock
    expect_error: the warehouse is closed
  - tool: fall_over
    expect_error: 'panicked: over'
";

#[tokio::test]
async fn a_backend_is_tested_with_its_own_rules() {
    let suite = Suite::from_yaml(GOOD).unwrap();
    let mut finished = 0;
    let report = run(&backend(), &suite, &RunOptions::default(), |progress| {
        finished += usize::from(matches!(progress, Progress::Finished { .. }));
    })
    .await;
    assert_eq!(report.failed(), 0, "{}", report.text(Layout::default()));
    assert_eq!((report.passed(), finished, report.exit_code()), (11, 11, 0));
    assert_eq!(report.coverage.untested().count(), 0);
    let latency = report.latency_by_tool()["wait_for_ever"];
    assert!(latency.p50 >= Duration::from_millis(20), "{latency:?}");
}

#[tokio::test]
async fn failures_reach_every_report_and_no_token_does() {
    let worse = GOOD
        .replace("{status: open}", "{status: shipped}")
        .replace("expect_error: the session is over", "expect_success: true");
    let suite = Suite::from_yaml(&worse).unwrap();
    let report = run(&backend(), &suite, &RunOptions::default(), |_| {}).await;
    assert_eq!((report.failed(), report.exit_code()), (2, 1));
    let reports = [report.text(Layout::default()), report.to_json().to_string(), report.junit("suite")];
    for text in &reports {
        for part in ["expected", "shipped", "the session is over", "an order that exists"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("s3cret"), "{text}");
    }
    let json: Value = serde_json::from_str(&reports[1]).unwrap();
    assert_eq!(json["cases"][0]["output"], json!({"id": "ord-1", "status": "open"}));
}

#[test]
fn the_doctor_knows_from_the_host_who_enforces_access() {
    let host = backend();
    let report = examine(&host.tools().registry(), &Options::of_host(&host));
    assert_eq!((report.findings.len(), report.allowed), (0, 0), "{}", report.text(Layout::default()));

    let open = Platools::builder().tools(tools![lookup_order]).state(Orders::new()).build_local().unwrap();
    let report = examine(&open.tools().registry(), &Options::of_host(&open));
    let found: Vec<_> = report.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(found, [Rule::UnenforcedAccess]);
    let allowed = Options::of_host(&open).allow(Rule::UnenforcedAccess.in_tool("lookup_order"));
    assert!(examine(&open.tools().registry(), &allowed).findings.is_empty());
}
