//! Over HTTP: who gets in, what a request may be, and how it ends.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use platools::CancellationToken;
use platools_mcp::{McpError, McpServer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::support::{Bench, assert_let_go, bench, initialize, settle};

const TOKEN: &str = "a-token-of-24-characters";
const HANG: Duration = Duration::from_secs(20);

fn router(bench: &Bench) -> Router {
    McpServer::new(bench.local.door()).http(TOKEN).unwrap().into_router()
}

fn request(method: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri("/mcp");
    let usual = [
        ("host", "127.0.0.1:3001"),
        ("authorization", "Bearer a-token-of-24-characters"),
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
    ];
    for (name, value) in usual {
        if !headers.iter().any(|(other, _)| *other == name) {
            request = request.header(name, value);
        }
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

async fn send(router: &Router, request: Request<Body>) -> Response<Body> {
    router.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    let body = timeout(HANG, response.into_body().collect()).await.expect("a whole body in time");
    String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap()
}

/// Sends a request and returns the last message of the response.
async fn reply(router: &Router, request: Request<Body>) -> Value {
    message(send(router, request).await).await
}

/// Returns the last message of a stream.
async fn message(response: Response<Body>) -> Value {
    let text = text(response).await;
    let data =
        text.lines().filter_map(|line| line.strip_prefix("data:")).rfind(|data| !data.trim().is_empty());
    serde_json::from_str(data.unwrap_or(&text)).unwrap()
}

async fn begin(router: &Router) -> String {
    let response = send(router, request("POST", &[], initialize("2025-06-18").to_string())).await;
    assert_eq!(response.status(), StatusCode::OK);
    let session = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    assert_eq!(message(response).await["result"]["protocolVersion"], "2025-06-18");
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let response = send(router, request("POST", &[("mcp-session-id", &session)], initialized)).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    session
}

/// The address of the server, and its shutdown.
struct Listening {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Listening {
    async fn start(bench: &Bench) -> Self {
        let http = McpServer::new(bench.local.door()).http(TOKEN).unwrap();
        let listener = http.bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr();
        assert_eq!(listener.url(), format!("http://{address}/mcp"));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(listener.serve_until(stop.clone().cancelled_owned()));
        Self { address, stop, serving }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Connects and begins a session.
    async fn begin(&self) -> (TcpStream, String) {
        let mut connection = self.connect().await;
        let begun = exchange(&mut connection, None, &initialize("2025-06-18")).await;
        let session = begun.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        (connection, session.unwrap().to_owned())
    }

    async fn ended(self) {
        timeout(HANG, self.serving).await.expect("it ends in time").unwrap();
        assert!(TcpStream::connect(self.address).await.is_err());
    }
}

fn call(session: &str, more: &[(&str, &str)], tool: &str, arguments: &Value) -> Request<Body> {
    let params = json!({"name": tool, "arguments": arguments});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let headers: Vec<_> = [("mcp-session-id", session)].into_iter().chain(more.iter().copied()).collect();
    request("POST", &headers, body.to_string())
}

#[tokio::test]
async fn a_session_begins_calls_and_ends() {
    let bench = bench();
    let router = router(&bench);
    let session = begin(&router).await;
    let answer = reply(&router, call(&session, &[], "add", &json!({"a": 1, "b": 2}))).await;
    assert_eq!(answer["result"]["structuredContent"], json!({"sum": 3}));
    let token = [("x-platos-entity-token", "entity-token")];
    let answer = reply(&router, call(&session, &token, "who", &json!({}))).await;
    assert_eq!(answer["result"]["structuredContent"]["entity_token"], "entity-token");
    let token = [("x-platos-user-token", "admin-token")];
    let answer = reply(&router, call(&session, &token, "secret", &json!({}))).await;
    assert_eq!(answer["result"]["content"][0]["text"], "42");

    let ended = send(&router, request("DELETE", &[("mcp-session-id", &session)], "")).await;
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    let gone = send(&router, call(&session, &[], "add", &json!({"a": 1, "b": 2}))).await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        send(&router, call("never-seen", &[], "add", &json!({}))).await.status(),
        StatusCode::NOT_FOUND
    );
}

fn kind(response: &Response<Body>) -> &str {
    response.headers()["content-type"].to_str().unwrap()
}

#[tokio::test]
async fn what_ends_at_once_is_answered_with_json_and_the_rest_with_a_stream() {
    let bench = bench();
    let router = router(&bench);
    let session = begin(&router).await;
    // The first call of a session is a stream, so that the session is known to be in use.
    let sum = json!({"a": 1, "b": 2});
    let first = send(&router, call(&session, &[], "add", &sum)).await;
    assert_eq!(kind(&first), "text/event-stream");
    let first = message(first).await;
    let second = send(&router, call(&session, &[], "add", &sum)).await;
    assert_eq!(kind(&second), "application/json");
    assert_eq!(message(second).await, first);
    for tool in ["refuse", "draw"] {
        let answer = send(&router, call(&session, &[], tool, &json!({}))).await;
        assert_eq!(kind(&answer), "application/json");
        let answer = message(answer).await;
        assert_eq!(answer["result"]["isError"], tool == "refuse", "{answer}");
    }

    let slow = send(&router, call(&session, &[], "hold", &json!({}))).await;
    assert_eq!(kind(&slow), "text/event-stream");
    bench.release(1);
    assert_let_go(&message(slow).await);
    // Reports come on the session's own stream.
    let mut session_stream =
        send(&router, request("GET", &[("mcp-session-id", &session)], "")).await.into_body();
    let reporting = send(&router, call(&session, &[], "crawl", &json!({}))).await;
    assert_eq!(kind(&reporting), "text/event-stream");
    assert_eq!(message(reporting).await["result"]["structuredContent"], json!({"result": false}));
    let mut reports = String::new();
    while !reports.contains("did 3") {
        let frame = timeout(HANG, session_stream.frame()).await.expect("a report in time").unwrap().unwrap();
        reports.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
    assert_eq!(reports.matches("notifications/message").count(), 3, "{reports}");
    assert!(reports.contains("did 1") && !reports.contains("details"), "{reports}");
    // The header `Accept` is checked in either case.
    let picky = send(&router, call(&session, &[("accept", "application/json")], "add", &sum)).await;
    assert_eq!(picky.status(), StatusCode::NOT_ACCEPTABLE);
    drop(picky);
    let never = [("accept", "application/json;q=0, text/event-stream")];
    assert_eq!(send(&router, call(&session, &never, "add", &sum)).await.status(), StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn a_cancelled_call_ends_however_long_it_has_been_running() {
    let bench = bench();
    let router = router(&bench);
    let session = begin(&router).await;
    reply(&router, call(&session, &[], "add", &json!({"a": 1, "b": 2}))).await;
    for is_streamed in [false, true] {
        let held = call(&session, &[], "hold", &json!({}));
        let mut response = tokio::spawn({
            let router = router.clone();
            async move { send(&router, held).await }
        });
        bench.seen.started.take(1).await;
        let streamed = if is_streamed { Some((&mut response).await.unwrap()) } else { None };
        let params = json!({"requestId": 1});
        let body = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
        let cancelled = request("POST", &[("mcp-session-id", &session)], body.to_string());
        assert_eq!(send(&router, cancelled).await.status(), StatusCode::ACCEPTED);
        bench.seen.cancelled.take(1).await;
        text(match streamed {
            Some(response) => response,
            None => response.await.unwrap(),
        })
        .await;
        assert_eq!(bench.seen.running.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn the_newest_version_needs_no_session() {
    let bench = bench();
    let router = router(&bench);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({"name": "add", "arguments": {"a": 1, "b": 2}, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "add")];
    let answer = reply(&router, request("POST", &headers, body)).await;
    assert_eq!(answer["result"]["structuredContent"], json!({"sum": 3}), "{answer}");
}

#[tokio::test]
async fn without_the_token_nobody_gets_in() {
    let bench = bench();
    let router = router(&bench);
    let body = || initialize("2025-06-18").to_string();
    for wrong in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer a-token-of-24-characters2",
        "Basic a-token-of-24-characters",
        "a-token-of-24-characters",
    ] {
        for method in ["POST", "GET", "DELETE"] {
            let response = send(&router, request(method, &[("authorization", wrong)], body())).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{method} {wrong:?}");
            assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"mcp\"");
        }
    }
    let twice = [("authorization", "Bearer a-token-of-24-characters"), ("authorization", "Bearer wrong")];
    assert_eq!(send(&router, request("POST", &twice, body())).await.status(), StatusCode::UNAUTHORIZED);
    let lower = [("authorization", "bearer a-token-of-24-characters")];
    assert_eq!(send(&router, request("POST", &lower, body())).await.status(), StatusCode::OK);
}

#[test]
fn a_token_that_is_easily_guessed_is_refused() {
    let bench = bench();
    for token in ["", "short", "with a space in it, long", "with\na line break, long"] {
        let refused = McpServer::new(bench.local.door()).http(token);
        assert!(matches!(refused, Err(McpError::Token { .. })), "{token:?}");
    }
    let shown = format!("{:?}", McpServer::new(bench.local.door()).http(TOKEN).unwrap());
    assert!(!shown.contains(TOKEN), "{shown}");
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_kept_out() {
    let bench = bench();
    let router = router(&bench);
    let body = || initialize("2025-06-18").to_string();
    let status =
        async |headers: &[(&str, &str)]| send(&router, request("POST", headers, body())).await.status();
    for host in
        ["evil.example", "evil.example:3001", "127.0.0.1.evil.example", "localhost@evil.example", "x y"]
    {
        assert_eq!(status(&[("host", host)]).await, StatusCode::FORBIDDEN, "{host}");
    }
    for host in ["localhost", "LOCALHOST:3001", "[::1]:3001", "127.0.0.1"] {
        assert_eq!(status(&[("host", host)]).await, StatusCode::OK, "{host}");
    }
    for origin in
        ["http://evil.example", "null", "https://localhost.evil.example", "file://", "chrome-extension://a"]
    {
        assert_eq!(status(&[("origin", origin)]).await, StatusCode::FORBIDDEN, "{origin}");
    }
    for origin in ["http://localhost:6274", "http://127.0.0.1", "https://[::1]:1"] {
        assert_eq!(status(&[("origin", origin)]).await, StatusCode::OK, "{origin}");
    }
}

#[tokio::test]
async fn allowed_hosts_and_origins_get_in_and_browsers_are_told() {
    let bench = bench();
    let http = McpServer::new(bench.local.door()).http(TOKEN).unwrap();
    let router = http.allow_host("tools.internal").allow_origin("https://inspector.example").into_router();
    let asked =
        [("host", "tools.internal:80"), ("origin", "https://inspector.example"), ("authorization", "")];
    let preflight = send(&router, request("OPTIONS", &asked, "")).await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "https://inspector.example");
    let headers = [("host", "tools.internal:80"), ("origin", "https://inspector.example")];
    let begun = send(&router, request("POST", &headers, initialize("2025-06-18").to_string())).await;
    assert_eq!(begun.status(), StatusCode::OK);
    assert!(begun.headers()["access-control-expose-headers"].to_str().unwrap().contains("Mcp-Session-Id"));
}

#[tokio::test]
async fn bodies_that_are_no_message_are_refused_in_words() {
    let bench = bench();
    let router = router(&bench);
    let cases = [
        ("not json", -32700, "not JSON"),
        ("", -32700, "not JSON"),
        ("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600, "batches"),
        ("{\"id\":1}", -32600, "JSON-RPC"),
    ];
    for (body, code, words) in cases {
        let response = send(&router, request("POST", &[], body)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
        let error = message(response).await["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    }
    let body = initialize("2025-06-18").to_string();
    let plain = send(&router, request("POST", &[("content-type", "text/plain")], body.clone())).await;
    assert_eq!(plain.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let picky = send(&router, request("POST", &[("accept", "application/json")], body)).await;
    assert_eq!(picky.status(), StatusCode::NOT_ACCEPTABLE);
    drop(picky);
    assert_eq!(send(&router, request("PUT", &[], "")).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let before = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    assert_eq!(send(&router, request("POST", &[], before)).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_too_large_whether_or_not_it_says_so() {
    let bench = bench();
    let router = router(&bench);
    let large = || vec![b' '; 10_000_000];
    let announced = send(&router, request("POST", &[("content-length", "10000000")], large())).await;
    assert_eq!(announced.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(announced.headers()["connection"], "close");
    let chunks = futures_util::stream::iter((0..10).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1_000_000])));
    let streamed = send(&router, request("POST", &[], Body::from_stream(chunks))).await;
    assert_eq!(streamed.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_connection_outlives_a_refusal_that_is_made_before_the_body_is_there() {
    let bench = bench();
    let listening = Listening::start(&bench).await;
    let mut connection = listening.connect().await;
    let body = initialize("2025-06-18").to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer wrong\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    for _ in 0..3 {
        connection.write_all(head.as_bytes()).await.unwrap();
        // Some clients send the rest only then.
        settle().await;
        connection.write_all(body.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"this server's token") {
            let read = timeout(HANG, connection.read_buf(&mut answer)).await.expect("in time").unwrap();
            assert!(read > 0, "the server hung up: {}", String::from_utf8_lossy(&answer));
        }
        assert!(answer.starts_with(b"HTTP/1.1 401 "), "{}", String::from_utf8_lossy(&answer));
    }
    exchange(&mut connection, None, &initialize("2025-06-18")).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_without_the_whole_body_is_the_last_answer_and_says_so() {
    let bench = bench();
    let router = router(&bench);
    let endless = || Body::from_stream(futures_util::stream::pending::<std::io::Result<Vec<u8>>>());
    let long = Body::from(vec![b' '; 1 << 20]);
    for (header, body, status) in [
        (("authorization", "Bearer wrong"), endless(), StatusCode::UNAUTHORIZED),
        (("origin", "https://evil.example"), long, StatusCode::FORBIDDEN),
        (("accept", "*/*"), endless(), StatusCode::REQUEST_TIMEOUT),
    ] {
        let response = send(&router, request("POST", &[header], body)).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["connection"], "close", "{status}");
    }
    let response = send(&router, request("POST", &[("authorization", "Bearer wrong")], "{}")).await;
    assert_eq!(response.headers().get("connection"), None, "all of it was read");
    let asking = [("authorization", "Bearer wrong"), ("expect", "100-continue")];
    let response = send(&router, request("POST", &asking, "{}")).await;
    assert_eq!(response.headers()["connection"], "close", "it is not asked to send it");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stays_away_loses_its_calls() {
    let bench = bench();
    let router = router(&bench);
    let session = begin(&router).await;
    let response = send(&router, call(&session, &[], "hold", &json!({}))).await;
    bench.seen.started.take(1).await;
    drop(response);
    bench.seen.cancelled.0.acquire().await.unwrap().forget();
    settle().await;
    assert_eq!(bench.seen.running.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_end_of_the_server_answers_what_is_in_flight_and_refuses_the_rest() {
    let bench = bench();
    let listening = Listening::start(&bench).await;
    let (mut connection, session) = listening.begin().await;
    let params = json!({"name": "hold", "arguments": {}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let calling = tokio::spawn(async move { exchange(&mut connection, Some(&session), &call).await });
    bench.seen.started.take(1).await;
    listening.stop.cancel();
    settle().await;
    bench.release(1);
    let answer = calling.await.unwrap();
    assert!(answer.contains("let go"), "{answer}");
    listening.ended().await;
}

#[tokio::test]
async fn a_request_whose_body_comes_too_late_for_the_end_is_told_so() {
    let bench = bench();
    let listening = Listening::start(&bench).await;
    let (mut connection, session) = listening.begin().await;
    // Twice: the first one is a stream.
    let params = json!({"name": "add", "arguments": {"a": 1, "b": 2}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    exchange(&mut connection, Some(&session), &call).await;
    let body = call.to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\nexpect: 100-continue\r\n\
         accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
         mcp-session-id: {session}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The server says that it waits for the body.
    while !answer.ends_with(b"\r\n\r\n") {
        timeout(HANG, connection.read_buf(&mut answer)).await.expect("an answer in time").unwrap();
    }
    assert!(answer.starts_with(b"HTTP/1.1 100 "));
    listening.stop.cancel();
    while TcpStream::connect(listening.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    connection.write_all(body.as_bytes()).await.unwrap();
    answer.clear();
    timeout(HANG, connection.read_to_end(&mut answer)).await.expect("it answers in time").unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    listening.ended().await;
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let bench = bench();
    let listening = Listening::start(&bench).await;
    let flood = "x-flood: 1\r\n".repeat(5_000);
    let mut connection = listening.connect().await;
    let head = format!("POST /mcp HTTP/1.1\r\nhost: {}\r\n{flood}\r\n", listening.address);
    // The server may close before all of it is written.
    let _ = connection.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(HANG, connection.read_to_end(&mut answer)).await.expect("it answers in time");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_with_what_to_do() {
    let bench = bench();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = McpServer::new(bench.local.door()).http(TOKEN).unwrap().bind(("127.0.0.1", port)).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains("choose another port"), "{text}");
}

/// One request on a connection, with all of its chunked response.
async fn exchange(connection: &mut TcpStream, session: Option<&str>, message: &Value) -> String {
    let body = message.to_string();
    let session = session.map(|session| format!("mcp-session-id: {session}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
         accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n{session}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"0\r\n\r\n") {
        let read = timeout(HANG, connection.read_buf(&mut answer)).await.expect("an answer in time").unwrap();
        assert!(read > 0, "the server hung up: {}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}

fn numbered(session: &str, id: &Value, method: &str, params: &Value) -> Request<Body> {
    let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    request("POST", &[("mcp-session-id", session)], body.to_string())
}

#[tokio::test]
async fn an_id_that_another_request_of_the_session_has_is_refused() {
    let bench = bench();
    let router = router(&bench);
    let (session, other) = (begin(&router).await, begin(&router).await);
    let hold = json!({"name": "hold", "arguments": {}});
    let add = json!({"name": "add", "arguments": {"a": 1, "b": 2}});
    // `rmcp` starts the first call of a session, and one with a token for progress; others are started before it sees
    // them.
    let with_token = json!({"name": "hold", "arguments": {}, "_meta": {"progressToken": "p"}});
    for first in [&hold, &hold, &with_token] {
        let kept = send(&router, numbered(&session, &json!(7), "tools/call", first)).await;
        bench.seen.started.take(1).await;
        for (method, params) in
            [("tools/call", &add), ("tools/call", &with_token), ("tools/list", &json!({}))]
        {
            let refused = send(&router, numbered(&session, &json!(7), method, params)).await;
            assert_eq!((refused.status(), kind(&refused)), (StatusCode::BAD_REQUEST, "application/json"));
            let refused = message(refused).await;
            assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(7), &json!(-32600)), "{refused}");
            assert!(refused["error"]["message"].as_str().unwrap().contains("another request with this id"));
        }
        for (session, id) in [(&session, json!("7")), (&session, json!(8)), (&other, json!(7))] {
            let answer = reply(&router, numbered(session, &id, "tools/call", &add)).await;
            assert_eq!((&answer["id"], &answer["result"]["structuredContent"]), (&id, &json!({"sum": 3})));
        }
        bench.release(1);
        let answer = message(kept).await;
        assert_eq!(answer["id"], 7);
        assert_let_go(&answer);
    }
    // Nobody reads the answer, and the call runs on: its id is taken all the same.
    drop(send(&router, numbered(&session, &json!(7), "tools/call", &with_token)).await);
    bench.seen.started.take(1).await;
    let again = || send(&router, numbered(&session, &json!(7), "tools/call", &add));
    assert_eq!(again().await.status(), StatusCode::BAD_REQUEST);
    bench.release(1);
    let free = async {
        while again().await.status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    timeout(HANG, free).await.expect("the id is free once the call has ended");
}

#[tokio::test]
async fn a_header_that_names_the_caller_twice_is_refused() {
    let bench = bench();
    let router = router(&bench);
    let session = begin(&router).await;
    for name in ["x-platos-user-token", "x-platos-entity-token"] {
        let twice = [(name, "admin-token"), (name, "another-token")];
        let refused = send(&router, call(&session, &twice, "who", &json!({}))).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        let text = text(refused).await;
        assert!(text.contains(&format!("the header `{name}` came more than once")), "{text}");
        assert!(!text.contains("admin"), "{text}");
    }
    let mut unreadable = call(&session, &[], "who", &json!({}));
    let value = axum::http::HeaderValue::from_bytes(b"admin\xff").unwrap();
    unreadable.headers_mut().insert("x-platos-user-token", value);
    assert_eq!(send(&router, unreadable).await.status(), StatusCode::BAD_REQUEST);
}
