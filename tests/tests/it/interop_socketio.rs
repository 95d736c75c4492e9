//! Our client on a server of the real Socket.IO, which pings every 300 ms and waits 1 s for the answer.

use std::process::Stdio;
use std::time::Duration;

use platos_client::{AgentEvent, Error, PlatosClient, ReconnectPolicy, StreamLimits, TurnStream};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::interop::{node_packages, script};

const GUARD: Duration = Duration::from_secs(60);

struct Server {
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
    _process: Child,
}

impl Server {
    /// `None` when the package is not installed.
    async fn start(options: &[&str]) -> Option<Self> {
        let packages = node_packages("socketio")?;
        let mut process = Command::new("node")
            .arg(script("socketio_server.mjs"))
            .arg(packages)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut server = Self { lines, url: String::new(), _process: process };
        server.url = format!("http://127.0.0.1:{}", server.said("port").await);
        Some(server)
    }

    /// What the server says next about something.
    async fn said(&mut self, about: &str) -> Value {
        loop {
            let line = timeout(GUARD, self.lines.next_line()).await.expect("the server says something");
            let mut line: Value = serde_json::from_str(&line.unwrap().expect("the server lives")).unwrap();
            if let Some(said) = line.get_mut(about) {
                return said.take();
            }
        }
    }

    fn client(&self, limits: StreamLimits) -> PlatosClient {
        let waits = ReconnectPolicy::default().first_wait(Duration::from_millis(20));
        let builder = PlatosClient::builder(&self.url).reconnect(waits).stream_limits(limits);
        builder.session_token("good.session.token").build().unwrap()
    }

    fn send(&self, message: &str) -> TurnStream {
        self.client(StreamLimits::default()).threads().send("thr_1", message)
    }
}

/// The text of a turn, and how often it was connected.
async fn read(mut turn: TurnStream) -> Result<(String, usize), Error> {
    let (mut text, mut connected) = (String::new(), 0);
    while let Some(event) = timeout(GUARD, turn.next()).await.expect("the stream ends") {
        match event? {
            AgentEvent::Token(token) => text.push_str(&token.text),
            AgentEvent::Connected => connected += 1,
            _ => {}
        }
    }
    Ok((text, connected))
}

#[tokio::test]
async fn a_turn_outlasts_the_ping_timeout_and_ends_in_order() {
    let Some(mut server) = Server::start(&[]).await else { return };
    let (text, connected) = read(server.send("slow")).await.unwrap();
    assert_eq!((text.as_str(), connected), ("one two three four", 1));
    assert_eq!(server.said("message").await, json!({"message": "slow", "threadId": "thr_1"}));
    assert_eq!(server.said("disconnected").await, "client namespace disconnect");
}

#[tokio::test]
async fn a_broken_connection_is_made_again_and_the_turn_resumed() {
    let Some(mut server) = Server::start(&[]).await else { return };
    let (text, connected) = read(server.send("drop")).await.unwrap();
    assert_eq!((text.as_str(), connected), ("a b c d ", 2));
    assert_eq!(server.said("disconnected").await, "transport close");
    assert_eq!(server.said("resume_stream").await, json!({"threadId": "thr_1"}));
    let (text, connected) = read(server.send("kick")).await.unwrap();
    assert_eq!((text.as_str(), connected), ("a d ", 2));
}

#[tokio::test]
async fn a_server_that_remembers_sessions_resumes_exactly_where_it_was() {
    let Some(mut server) = Server::start(&["recovery"]).await else { return };
    let (text, connected) = read(server.send("alike")).await.unwrap();
    assert_eq!((text.as_str(), connected), ("ha ha ha ha ha ", 2));
    assert_eq!(server.said("recovered").await, json!(false));
    assert_eq!(server.said("recovered").await, json!(true));
}

#[tokio::test]
async fn a_slow_reader_keeps_the_connection_for_longer_than_the_ping_timeout() {
    let Some(mut server) = Server::start(&[]).await else { return };
    let limits = StreamLimits::default().waiting_events(16);
    let turn = server.client(limits).threads().send("thr_1", "flood");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (text, connected) = read(turn).await.unwrap();
    let in_order = text.split_whitespace().map(|number| number.parse::<u32>().unwrap()).eq(0..3_000);
    assert!(in_order && connected == 1, "{} bytes over {connected} connections", text.len());
    assert_eq!(server.said("disconnected").await, "client namespace disconnect");
}

#[tokio::test]
async fn acknowledgements_refusals_and_binary_packets_are_understood() {
    let Some(mut server) = Server::start(&[]).await else { return };
    assert_eq!(read(server.send("asked")).await.unwrap().0, "acknowledged");
    assert_eq!(server.said("acknowledged").await, Value::Null);

    let error = read(server.send("binary")).await.unwrap_err();
    assert!(matches!(error, Error::Protocol(_)) && error.to_string().contains("a binary packet"), "{error}");

    let stranger = PlatosClient::builder(&server.url).session_token("bad.session.token").build().unwrap();
    let error = read(stranger.threads().send("thr_1", "slow")).await.unwrap_err();
    assert!(matches!(error, Error::Auth { .. }) && error.status() == Some(401), "{error:?}");
    let good = server.url.clone();
    let refreshed = PlatosClient::builder(good).session_token("bad.session.token");
    let refreshed = refreshed.on_token_refresh(|_| async { Ok::<_, Error>("good.session.token".to_owned()) });
    assert_eq!(read(refreshed.build().unwrap().threads().send("thr_1", "drop")).await.unwrap().0, "a b c d ");

    let elsewhere =
        PlatosClient::builder(&server.url).session_token("t").socket_namespace("/nowhere").build().unwrap();
    let error = read(elsewhere.threads().send("thr_1", "slow")).await.unwrap_err();
    assert!(error.to_string().contains("check `socket_namespace`"), "{error}");
}

#[tokio::test]
async fn a_dropped_stream_is_stopped_and_left_in_order() {
    let Some(mut server) = Server::start(&[]).await else { return };
    let mut turn = server.send("slow");
    while !matches!(turn.next().await, Some(Ok(AgentEvent::Token(_)))) {}
    drop(turn);
    assert_eq!(server.said("stop").await, json!({"threadId": "thr_1"}));
    assert_eq!(server.said("disconnected").await, "client namespace disconnect");
}
