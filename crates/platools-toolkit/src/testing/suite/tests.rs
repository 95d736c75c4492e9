//! Files that are read, and files that are refused with their place.

use serde_json::json;

use super::*;

fn case(yaml: &str) -> Case {
    let indented = yaml.replace('\n', "\n    ");
    let suite = Suite::from_yaml(&format!("tests:\n  - tool: lookup\n    {indented}\n")).unwrap();
    suite.cases()[0].clone()
}

fn error(yaml: &str) -> String {
    Suite::from_yaml(yaml).unwrap_err().to_string()
}

#[test]
fn every_key_is_read() {
    let suite = Suite::from_yaml(
        r"
x-shared: &order {order_id: ord-1, lines: [1, 2.5, null, true], 7: seven}
tests:
  - name: known
    tool: lookup
    params: *order
    expect: {status: open}
    max_latency_ms: 1.5
    context:
      user_id: 7
      agent_id: ag
      thread_id: th
      entity_token: e
      roles: [support, admin]
      context: {user.plan: pro}
    x-ticket: 42
  - tool: lookup
    expect_error: there is no order
    context: {user_token: u}
",
    )
    .unwrap();
    let [known, unknown] = suite.cases() else { panic!("{suite:?}") };
    assert_eq!((known.name.as_deref(), known.tool.as_str(), known.line), (Some("known"), "lookup", Some(4)));
    assert_eq!(
        Value::Object(known.params.clone()),
        json!({"order_id": "ord-1", "lines": [1, 2.5, null, true], "7": "seven"})
    );
    assert_eq!(known.expectation, Expectation::Value(json!({"status": "open"})));
    assert_eq!(known.max_latency, Some(Duration::from_micros(1_500)));
    let caller = Caller::default().user_id("7").agent_id("ag").thread_id("th").entity_token("e");
    assert_eq!(known.caller, caller.roles(["support", "admin"]).context("user.plan", "pro"));
    assert_eq!(unknown.expectation, Expectation::ErrorText("there is no order".to_owned()));
    assert_eq!(unknown.caller, Caller::default().user_token("u"));
}

#[test]
fn outcomes_are_expected_in_as_many_ways_as_in_python() {
    for (yaml, expectation) in [
        ("", Expectation::Success),
        ("params:", Expectation::Success),
        ("expect_success: true", Expectation::Success),
        ("expect_error: false", Expectation::Success),
        ("expect_success: true\nexpect_error: false", Expectation::Success),
        ("expect_success: false", Expectation::Error),
        ("expect_error: true", Expectation::Error),
        ("expect_success: false\nexpect_error: true", Expectation::Error),
        ("expect_error: yes", Expectation::Error),
        ("expect_error: 'yes'", Expectation::ErrorText("yes".to_owned())),
        ("expect_success: off", Expectation::Error),
        ("expect_success: false\nexpect_error: no stock", Expectation::ErrorText("no stock".to_owned())),
        ("expect: null", Expectation::Value(Value::Null)),
        ("expect_success: true\nexpect: [1]", Expectation::Value(json!([1]))),
    ] {
        assert_eq!(case(yaml).expectation, expectation, "{yaml}");
    }
}

#[test]
fn a_mistake_is_told_with_its_line_and_case() {
    for (case, expected) in [
        (
            "expect_eror: true",
            "line 4, column 5: case 2 (`lookup`): there is no key `expect_eror`, did you mean `expect_error`?; known: `name`",
        ),
        (
            "params: [1]",
            "line 4, column 13: case 2 (`lookup`): `params` takes a mapping such as `{order_id: ord-1042}`, got a list",
        ),
        (
            "expect_success: 3",
            "line 4, column 21: case 2 (`lookup`): `expect_success` takes `true` or `false`, got a number",
        ),
        (
            "expect_error: [x]",
            "`expect_error` takes `true`, `false`, or a part of the error's text, got a list",
        ),
        ("expect_error: ''", "or a part of the error's text, got an empty text"),
        ("max_latency_ms: 0", "`max_latency_ms` takes a number of milliseconds above 0, got a number"),
        ("max_latency_ms: fast", "`max_latency_ms` takes a number of milliseconds above 0, got a text"),
        (
            "{expect_success: true, expect_error: true}",
            "`expect_success` and `expect_error` contradict each other",
        ),
        (
            "{expect_success: true, expect_error: x}",
            "`expect_success` and `expect_error` contradict each other",
        ),
        ("{expect_success: false, expect_error: false}", "neither success nor an error is expected"),
        ("{expect: 1, expect_error: true}", "`expect` is about a result, and an error is expected"),
        ("{expect: 1, expect_success: false}", "`expect` is about a result, and an error is expected"),
        ("context: [usr_1]", "`context` takes a mapping such as `{user_id: usr_1}`, got a list"),
        ("context: {userid: a}", "in `context`, there is no key `userid`, did you mean `user_id`?"),
        ("context: {roles: support}", "`roles` of `context` takes a list such as `[support]`, got a text"),
        ("context: {roles: [[]]}", "`roles` of `context` takes a list of texts"),
        ("context: {user_token: [s3cret]}", "`user_token` of `context` takes some text, got a list"),
        ("context: {user_token: t, roles: []}", "`roles` make a verified user and `user_token` asks"),
        ("params: {a: .nan}", "line 4"),
        ("params: {a: 1, a: 2}", "line 4"),
    ] {
        let (line, flow) = match case.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            Some(inner) => (format!("  - {{tool: lookup, {inner}}}"), true),
            None => (format!("  - tool: lookup\n    {case}"), false),
        };
        let message = error(&format!("tests:\n  - tool: first\n{line}\n"));
        assert!(message.contains(expected), "{case}: {message}");
        assert!(message.starts_with(if flow { "line 3, " } else { "line 4, " }), "{case}: {message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
}

#[test]
fn a_file_of_another_form_is_refused() {
    for (yaml, expected) in [
        (" \n", "the file is empty: there is no `tests:`"),
        ("# nothing", "the file is empty: there is no `tests:`"),
        ("- tool: a", "a mapping with `tests:`, a list of cases"),
        ("{}", "there is no `tests:`, a list of cases"),
        ("test: []", "line 1, column 1: there is no key `test`, did you mean `tests`?"),
        ("tests: {tool: a}", "a list of cases, such as `- tool: lookup_order`"),
        ("tests:", "a list of cases, such as `- tool: lookup_order`"),
        ("tests:\n  - a", "a case, such as `- tool: lookup_order`"),
        ("tests:\n  - name: a", "line 2, column 5: case 1: there is no `tool`"),
        ("tests:\n  - tool: [a]", "case 1: `tool` takes some text, got a list"),
        ("tests: [", "line 1"),
        ("tests:\n\t- tool: a", "line 2"),
    ] {
        let message = error(yaml);
        assert!(message.contains(expected), "{yaml:?}: {message}");
    }
    assert_eq!(Suite::from_yaml("tests: []").unwrap(), Suite::default());
}

#[test]
fn debug_shows_no_token() {
    let shown =
        format!("{:?}", case("context: {user_token: s3cret, entity_token: s3cret, context: {a: s3cret}}"));
    assert!(shown.contains("user_token") && !shown.contains("s3cret"), "{shown}");
}
