//! The door of one's own, as its first lines show it.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside of a test function")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

#[test]
fn calls_that_come_in_as_lines_are_answered_as_lines() {
    let command = &mut Command::new(env!("CARGO_BIN_EXE_door"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for line in [
        r#"{"id": 1, "user": "usr_7", "tool": "greet", "arguments": {"name": "Ada"}}"#,
        r#"{"id": 2, "user": "usr_7", "tool": "great", "arguments": {}}"#,
        r#"{"id": 3, "user": "usr_7", "tool": "greet", "arguments": {"nam": "Ada"}}"#,
        "not a call",
    ] {
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answer = |id: i32| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(answer(1), &json!({"id": 1, "result": "Hello Ada, says usr_7."}));
    assert_eq!(answer(2), &json!({"id": 2, "error": "unknown tool: great"}));
    let wrong = answer(3)["error"].as_str().unwrap();
    assert!(wrong.starts_with("invalid arguments: ") && wrong.contains("did you mean `name`?"), "{wrong}");
    assert!(
        answers.iter().any(|answer| answer["error"].as_str().unwrap_or_default().starts_with("not a call: "))
    );
}
