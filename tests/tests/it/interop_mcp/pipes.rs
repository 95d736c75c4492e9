//! Lines on real pipes, without a client's library in between.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::process::ExitStatus;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::{SERVER, Written, program};
use crate::support::{Folder, GUARD};

/// A session's first two messages, as lines.
fn handshake() -> String {
    let client = json!({"name": "pipes", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    let initialize = json!({"jsonrpc": "2.0", "id": "begin", "method": "initialize", "params": params});
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    format!("{initialize}\n{initialized}\n")
}

/// A call, as a line.
fn call(id: u32, tool: &str, arguments: &Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}))
}

/// The server, and the client's end of its pipes.
struct Session {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    log: Written,
}

impl Session {
    /// A session that has begun.
    async fn begin() -> Self {
        let mut server = program(SERVER);
        let mut process = server.arg("stdio").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        let log = Written::by(process.stderr.take().unwrap());
        let mut session = Self { process, input, output, log };
        session.send(&handshake()).await;
        assert_eq!(session.next().await.unwrap()["id"], "begin");
        session
    }

    async fn send(&mut self, lines: &str) {
        self.input.as_mut().unwrap().write_all(lines.as_bytes()).await.unwrap();
    }

    /// The next message; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = timeout(GUARD, self.output.read_line(&mut line)).await.expect("in time").unwrap();
        // Each line of the output is a message, or this panics.
        (read > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    /// The texts of the next answers, by the ids of their calls.
    async fn answers(&mut self, count: usize) -> BTreeMap<u64, String> {
        let mut answers = BTreeMap::new();
        while answers.len() < count {
            let message = self.next().await.expect("an answer");
            if let Some(id) = message["id"].as_u64() {
                let text = message["result"]["content"][0]["text"].as_str().unwrap().to_owned();
                assert_eq!(answers.insert(id, text), None, "{message}");
            }
        }
        answers
    }

    /// Waits for the end of the process, and returns its log.
    async fn ended(mut self) -> (ExitStatus, String) {
        let status = timeout(GUARD, self.process.wait()).await.expect("in time").unwrap();
        (status, self.log.end().await)
    }
}

#[tokio::test]
async fn what_tools_print_lands_in_the_log_and_harms_nothing() {
    let mut session = Session::begin().await;
    let calls: Vec<_> = (0..20).map(|id| call(id, "print", &json!({}))).collect();
    session.send(&calls.concat()).await;
    session.send(&call(20, "add", &json!({"a": 2, "b": 3}))).await;
    let answers = session.answers(21).await;
    assert_eq!(answers[&20], "5");
    assert!(answers.iter().all(|(id, text)| *id == 20 || text == "read 0 bytes"), "{answers:?}");
    drop(session.input.take());
    assert_eq!(session.next().await, None);
    let (status, log) = session.ended().await;
    assert!(status.success());
    assert_eq!(log.matches(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).count(), 20, "{log}");
    assert_eq!(log.matches("and a line that does not end").count(), 20, "{log}");
}

#[tokio::test]
async fn the_end_of_input_with_twenty_calls_in_flight_loses_none() {
    let mut session = Session::begin().await;
    // Some take their time, the last of them more than the MCP library would wait; some do not fit into a pipe.
    let calls: Vec<_> = (0..20)
        .map(|id| match id % 2 {
            0 => call(id, "wait", &json!({"ms": if id == 18 { 6_000 } else { 300 }, "number": id})),
            _ => call(id, "lines", &json!({"count": 20_000 + id})),
        })
        .collect();
    session.send(&calls.concat()).await;
    drop(session.input.take());
    let answers = session.answers(20).await;
    for (id, text) in answers {
        match id % 2 {
            0 => assert_eq!(text, id.to_string()),
            _ => assert_eq!(text.lines().count() as u64, 20_000 + id),
        }
    }
    assert_eq!(session.next().await, None);
    let (status, log) = session.ended().await;
    assert!(status.success(), "{log}");
}

/// Waits until the server is gone, and returns its log. `before` are calls before one that does not end.
async fn killed(before: &str) -> String {
    let requests = handshake() + before + &call(1_000, "hold", &json!({"name": "held"}));
    let (from_server, output) = io::pipe().unwrap();
    let (input, to_server) = io::pipe().unwrap();
    let mut server = program(SERVER).arg("stdio").stdin(input).stdout(output).spawn().unwrap();
    let mut log = Written::by(server.stderr.take().unwrap());
    // A client that sends, reads nothing, and has both ends; nobody else has them.
    let mut client = program("sh")
        .args(["-c", "printf %s \"$0\"; exec sleep 1000"])
        .arg(requests)
        .stdin(from_server)
        .stdout(to_server)
        .spawn()
        .unwrap();
    log.until("held begun").await;
    client.kill().await.unwrap();
    let log = log.end().await;
    assert!(timeout(GUARD, server.wait()).await.expect("in time").unwrap().success(), "{log}");
    log
}

#[tokio::test]
async fn a_client_that_is_killed_leaves_no_process_behind_and_its_call_hears_of_it() {
    let log = killed("").await;
    assert!(log.contains("held cancelled"), "{log}");
}

#[tokio::test]
async fn so_does_one_that_had_not_read_its_answers() {
    let log = killed(&call(1, "lines", &json!({"count": 100_000}))).await;
    assert!(log.contains("held cancelled"), "{log}");
}

#[tokio::test]
async fn a_client_that_does_not_read_any_more_is_gone_although_it_could_send() {
    let mut session = Session::begin().await;
    session.send(&call(1, "hold", &json!({"name": "held"}))).await;
    session.log.until("held begun").await;
    let Session { mut process, input, output, log } = session;
    drop(output);
    let log = log.end().await;
    assert!(log.contains("held cancelled"), "{log}");
    assert!(process.wait().await.unwrap().success());
    drop(input);
}

#[tokio::test]
async fn a_service_manager_that_ends_the_server_waits_for_its_answers() {
    let mut session = Session::begin().await;
    session.send(&call(1, "wait", &json!({"ms": 300, "number": 7}))).await;
    session.log.until("7 begun").await;
    let process = session.process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().await.unwrap().success());
    assert_eq!(session.answers(1).await[&1], "7");
    assert_eq!(session.next().await, None);
    let (status, log) = session.ended().await;
    assert!(status.success(), "{log}");
}

#[tokio::test]
async fn files_do_as_well_as_pipes() {
    let folder = Folder::new("mcp-files");
    let calls: Vec<_> = (0..20).map(|id| call(id, "add", &json!({"a": id, "b": 1}))).collect();
    let input = folder.file("requests", &(handshake() + &calls.concat()));
    let output = File::create(folder.path("answers")).unwrap();
    let mut server =
        program(SERVER).arg("stdio").stdin(File::open(input).unwrap()).stdout(output).spawn().unwrap();
    assert!(timeout(GUARD, server.wait()).await.expect("in time").unwrap().success());
    let answers = fs::read_to_string(folder.path("answers")).unwrap();
    let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sums = answers.iter().filter_map(|answer| {
        let sum = answer["result"]["structuredContent"]["result"].as_u64()?;
        Some((answer["id"].as_u64()?, sum))
    });
    let expected: BTreeMap<_, _> = (0..20).map(|id| (id, id + 1)).collect();
    assert_eq!(sums.collect::<BTreeMap<_, _>>(), expected);
}
