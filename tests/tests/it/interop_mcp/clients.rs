//! The official clients. What they see has to be the same, whichever of them it is, on streams and over HTTP, in
//! each version of the protocol.

use std::path::Path;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{SERVER, Serving, Written, program};
use crate::interop::{node_packages, python, script};
use crate::support::GUARD;

/// The oldest version, the last one with a handshake, and the newest one, which has none.
const OLDEST: &str = "2024-11-05";
const HANDSHAKE: &str = "2025-11-25";
const NEWEST: &str = "2026-07-28";

/// `None` when it is not installed, as below.
fn python_client() -> Option<Command> {
    let mut command = program(python("mcp")?);
    // It warns of what the newest version of the protocol does not have any more, and older ones do.
    command.args(["-W", "ignore"]).arg(script("mcp_client.py"));
    Some(command)
}

fn typescript_client() -> Option<Command> {
    let packages = node_packages("mcp-typescript")?;
    let mut command = program(Path::new("node"));
    command.arg(script("mcp_client.mjs")).arg(packages);
    Some(command)
}

/// A client that runs.
struct Running {
    process: Child,
    output: Written,
    /// Its own, and that of the server that it started.
    log: Written,
}

impl Running {
    fn start(mut client: Command, todo: &str, way: &str, version: &str, target: &str) -> Self {
        let mut process = client.args([todo, way, version, target]).spawn().unwrap();
        let output = Written::by(process.stdout.take().unwrap());
        let log = Written::by(process.stderr.take().unwrap());
        Self { process, output, log }
    }

    /// Waits for its end, and returns what it saw, and the log.
    async fn report(self) -> (Value, String) {
        let Self { mut process, output, log } = self;
        let (output, log) = (output.end().await, log.end().await);
        let status = timeout(GUARD, process.wait()).await.expect("in time").unwrap();
        assert!(status.success(), "{status}: {output}{log}");
        (serde_json::from_str(&output).unwrap(), log)
    }
}

/// What every client has to see.
fn expected(version: &str) -> Value {
    let order = json!({
        "id": "ord-1042",
        "lines": [{"article": "naïve ☕ 🚀", "pieces": 3}],
        "note": null,
    });
    let folder = |depth: u8, within: Value| json!({"name": format!("folder {depth}"), "folders": within});
    let integer = json!({"type": "integer"});
    json!({
        "version": version,
        "server": ["mcp-server", "1.2.3"],
        "instructions": "Call what you like.",
        "pages": [7, 7, 7, 7, 1],
        "tools": [
            "account", "add", "climb", "explode", "fail_inside", "folders", "hold", "insert_tool", "journal",
            "json_schema_2020_12_tool", "length", "lines", "lookup_order", "meet", "note", "print",
            "remove_tool", "speak", "test_audio_content", "test_embedded_resource", "test_error_handling",
            "test_image_content", "test_multiple_content_types", "test_reconnection", "test_simple_text",
            "test_tool_with_logging", "test_tool_with_progress", "wait", "whoami",
        ],
        "bad cursor": [-32602, "unknown cursor: start again without one"],
        "add": {
            "description": "Add two whole numbers.",
            "annotations": {"title": "Addition", "readOnlyHint": true, "idempotentHint": true},
            "inputSchema": {
                "type": "object",
                "properties": {"a": integer, "b": integer},
                "required": ["a", "b"],
                "additionalProperties": false,
            },
        },
        "structured": {
            "add": {"result": 5},
            "lookup_order": order,
            "folders": {"result": [folder(0, json!([])), folder(1, json!([folder(0, json!([]))]))]},
        },
        "parts": [
            ["text", "Multiple content types test:"],
            ["image", "image/png", 69],
            ["resource", "test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#],
            ["audio", "audio/wav", 44],
            ["resource", "test://embedded-resource", "text/plain", "This is an embedded resource content."],
        ],
        // 5 MB in one result, and every line of it; 2 MB in one argument.
        "large": [true, true],
        "large argument": "1000000",
        "tool": "!there is no order ord-7",
        "unknown": [-32602, "unknown tool: lookup_ordr (did you mean `lookup_order`?)"],
        "arguments": "!invalid arguments: `a`: expected an integer, got the string \"two\"; `b` is missing, \
                      expected an integer; `c` is not an argument (accepted: `a`, `b`)",
        "panic": "!internal error (call ",
        "inside": "!internal error (call ",
        "print": "read 0 bytes",
        "no user": "!denied: needs a verified user, and the call carries no user token",
        "steps": [[0.0, 100.0, "begun"], [50.0, 100.0, null], [100.0, 100.0, null]],
        "quiet": [["warning", "speak", "Warning"], ["error", "speak", "Error"]],
        "loud": ["debug", "info", "warning", "error"],
        "cancelled": ["steps seen", "held begun", "held cancelled"],
        // A hundred calls, each of which ended only when all were there.
        "met": true,
        // A tool came, was called, went, and was refused.
        "changes": [true, "hello", "true", false, -32602],
        "who": {
            "subject": null,
            "source": "mcp_client",
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "entity_token": null,
        },
        "account": "usr_7",
        "stranger": "!denied: the user token was refused: the token is no user's",
    })
}

/// What HTTP requests that should not be made are answered.
fn refusals() -> Value {
    json!({
        "wrong token": [401, "Bearer realm=\"mcp\""],
        "client with the wrong token is let in": false,
        "foreign origin": 403,
        "foreign host": 403,
        "begun": 200,
        "ended": 204,
        "old session": 404,
        "no session's": 404,
    })
}

/// Whether two values are the same, if `1` and `1.0` are: languages write numbers as they like.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        _ => one == other,
    }
}

fn compare(report: &Value, expected: &Value) {
    let (report, expected) = (report.as_object().unwrap(), expected.as_object().unwrap());
    for (part, expected) in expected {
        let seen = report.get(part).unwrap_or(&Value::Null);
        assert!(alike(seen, expected), "{part}: {expected} is expected, not {seen}");
    }
    assert_eq!(report.len(), expected.len(), "{:?}", report.keys());
}

async fn drive_stdio(client: Option<Command>, version: &str) {
    let Some(client) = client else { return };
    let (report, log) = Running::start(client, "drive", "stdio", version, SERVER).report().await;
    compare(&report, &expected(version));
    // What the tool `print` printed.
    assert!(log.contains("\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n"), "{log}");
    assert!(log.contains("and a line that does not end"), "{log}");
}

async fn drive_http(client: Option<Command>, version: &str) {
    let Some(client) = client else { return };
    let serving = Serving::start(&["http", "7"]).await;
    let (report, log) = Running::start(client, "drive", "http", version, &serving.url).report().await;
    let mut expected = expected(version);
    expected["http"] = refusals();
    compare(&report, &expected);
    assert!(log.is_empty(), "the client complains: {log}");
}

/// Kills a client whose call runs, and returns once no process of its is left.
async fn kill(client: Command, way: &str, version: &str, target: &str) -> String {
    let Running { mut process, mut output, log } = Running::start(client, "hold", way, version, target);
    output.until("running").await;
    process.kill().await.unwrap();
    log.end().await
}

/// Its server is left without a client, and has to end.
async fn kill_stdio(client: Option<Command>, version: &str) {
    let Some(client) = client else { return };
    let log = kill(client, "stdio", version, SERVER).await;
    assert!(log.contains("held begun") && log.contains("held cancelled"), "{log}");
    assert!(log.contains("served to the end"), "{log}");
}

/// The server lives on, and does not wait for long for a client that does not come back.
async fn kill_http(client: Option<Command>, version: &str) {
    let Some(client) = client else { return };
    let mut serving = Serving::start(&["http"]).await;
    kill(client, "http", version, &serving.url).await;
    serving.log.until("held cancelled").await;
}

#[tokio::test]
async fn the_python_client_over_stdio_sees_what_is_expected() {
    join_all([OLDEST, HANDSHAKE, NEWEST].map(|version| drive_stdio(python_client(), version))).await;
}

#[tokio::test]
async fn the_python_client_over_http_sees_what_is_expected() {
    join_all([OLDEST, HANDSHAKE, NEWEST].map(|version| drive_http(python_client(), version))).await;
}

#[tokio::test]
async fn the_typescript_client_over_stdio_sees_what_is_expected() {
    join_all([OLDEST, HANDSHAKE].map(|version| drive_stdio(typescript_client(), version))).await;
}

#[tokio::test]
async fn the_typescript_client_over_http_sees_what_is_expected() {
    join_all([OLDEST, HANDSHAKE].map(|version| drive_http(typescript_client(), version))).await;
}

#[tokio::test]
async fn a_client_that_is_killed_leaves_no_process_and_no_call_behind() {
    tokio::join!(
        kill_stdio(python_client(), HANDSHAKE),
        kill_stdio(python_client(), NEWEST),
        kill_stdio(typescript_client(), HANDSHAKE),
    );
}

#[tokio::test]
async fn a_client_that_is_killed_leaves_no_call_behind_over_http() {
    tokio::join!(
        kill_http(python_client(), HANDSHAKE),
        kill_http(python_client(), NEWEST),
        kill_http(typescript_client(), HANDSHAKE),
    );
}

#[tokio::test]
async fn a_client_that_ends_the_input_gets_all_of_twenty_answers() {
    let Some(client) = typescript_client() else { return };
    let (answers, _) = Running::start(client, "end", "stdio", HANDSHAKE, SERVER).report().await;
    let numbers: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(answers, json!(numbers));
}
