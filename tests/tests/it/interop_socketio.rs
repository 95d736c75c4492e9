//! Our client on a server of the real Socket.IO, which pings every 300 ms and waits 1 s for the answer.

use std::process::Stdio;
use std::time::Duration;

use platos_client::{
    AgentEvent, Decision, Error, NewMessage, PlatosClient, ReconnectPolicy, StreamLimits, TurnStream,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::interop::{node_packages, script};

const GUARD: Duration = Duration::from_secs(60);

/// How often a reply is looked for.
const POLL: Duration = Duration::from_millis(50);

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
        let limits = limits.poll_interval(POLL);
        let waits = ReconnectPolicy::default().first_wait(Duration::from_millis(20));
        let builder = PlatosClient::builder(&self.url).reconnect(waits).stream_limits(limits);
        let builder = builder.session_token("good.session.token");
        let fresh = |_| async { Ok::<_, Error>("another.session.token".to_owned()) };
        builder.on_token_refresh(fresh).build().unwrap()
    }

    fn send(&self, message: &str) -> TurnStream {
        self.client(StreamLimits::default()).threads().send("thr_1", to_agent(message))
    }
}

/// What the server gets of a message.
fn sent(message: &str) -> Value {
    json!({"message": message, "agentId": "agt_1", "threadId": "thr_1", "idempotencyKey": "key-1"})
}

fn to_agent(message: &str) -> NewMessage {
    NewMessage::new(message).agent("agt_1").idempotency_key("key-1")
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
    assert_eq!(server.said("message").await, sent("slow"));
    assert_eq!(server.said("disconnected").await, "client namespace disconnect");
}

#[tokio::test]
async fn a_thread_that_is_renamed_meanwhile_says_so() {
    let Some(server) = Server::start(&[]).await else { return };
    let (mut turn, mut kinds, mut title) = (server.send("named"), Vec::new(), None);
    while let Some(event) = timeout(GUARD, turn.next()).await.expect("the stream ends") {
        let event = event.unwrap();
        kinds.push(event.kind().to_owned());
        if let AgentEvent::ThreadRenamed(renamed) = event {
            title = renamed.title;
        }
    }
    assert_eq!(kinds, ["connected", "thread.renamed", "done"]);
    assert_eq!(title.as_deref(), Some("That of thr_1"));
}

#[tokio::test]
async fn a_broken_connection_is_made_again_and_the_reply_found() {
    let Some(mut server) = Server::start(&[]).await else { return };
    let (text, connected) = read(server.send("drop")).await.unwrap();
    assert_eq!((text.as_str(), connected), ("a b c d ", 2));
    assert_eq!(server.said("message").await, sent("drop"));
    assert_eq!(server.said("disconnected").await, "transport close");
    assert_eq!(server.said("join_thread").await, json!({"threadId": "thr_1"}));
    // The reply may be found before another socket is open.
    assert_eq!(read(server.send("kick")).await.unwrap().0, "a d ");
    // A session is refused after the namespace is connected, and over in the middle of a turn.
    assert_eq!(read(server.send("expire")).await.unwrap().0, "a d ");
}

#[tokio::test]
async fn approvals_are_decided_over_the_socket() {
    let Some(mut server) = Server::start(&[]).await else { return };
    let turn = server.send("ask").run(|approval| async move {
        assert_eq!(approval.wish(), Some("delete it"));
        Decision::approve().because("why not")
    });
    assert_eq!(timeout(GUARD, turn).await.unwrap().unwrap().text, "approved");
    let decision = json!({"approvalId": "apr_1", "approved": true, "comment": "why not"});
    assert_eq!(server.said("approval_response").await, decision);
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
    let turn = server.client(limits).threads().send("thr_1", to_agent("flood"));
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
    let error = read(stranger.threads().send("thr_1", to_agent("slow"))).await.unwrap_err();
    assert!(
        matches!(error, Error::Auth { .. }) && error.to_string().contains("Invalid or expired"),
        "{error:?}"
    );
    let good = server.url.clone();
    let refreshed = PlatosClient::builder(good).session_token("bad.session.token");
    let refreshed = refreshed.on_token_refresh(|_| async { Ok::<_, Error>("good.session.token".to_owned()) });
    let refreshed = refreshed.stream_limits(StreamLimits::default().poll_interval(POLL)).build().unwrap();
    assert_eq!(read(refreshed.threads().send("thr_1", to_agent("drop"))).await.unwrap().0, "a b c d ");

    let elsewhere =
        PlatosClient::builder(&server.url).session_token("t").socket_namespace("/nowhere").build().unwrap();
    let error = read(elsewhere.threads().send("thr_1", to_agent("slow"))).await.unwrap_err();
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
