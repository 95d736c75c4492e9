//! Calls over HTTP beside the WebSocket: one memory of nonces, one shutdown.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use platools::fallback::HttpFallback;
use platools::verify::{Secret, SigningKey};
use platools::{Tool, ToolOutput, ToolSpec};
use platools_dev::{DevPlatform, Event};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::support::{GUARD, Running, builder, connected};

/// An answer: its status, its head and its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends a request on a connection of its own.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = headers.concat();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A server may answer, and close, before it has read everything.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    let answer = timeout(GUARD, exchange).await.expect("in time");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// A call, ready to be sent by either way: the text that is signed is the same.
pub(crate) struct Signed {
    tool: String,
    arguments: String,
    timestamp: String,
    nonce: String,
    signature: String,
}

impl Signed {
    pub(crate) fn new(secret: &Secret, tool: &str, arguments: &str) -> Self {
        let (timestamp, nonce) = (jiff::Timestamp::now().to_string(), format!("{:032x}", fastrand::u128(..)));
        let signature = SigningKey::new(secret).sign_call(&timestamp, Some(&nonce), tool, arguments);
        Self { tool: tool.to_owned(), arguments: arguments.to_owned(), timestamp, nonce, signature }
    }

    /// Sends it over HTTP.
    pub(crate) async fn post(&self, address: SocketAddr, headers: &[(&str, &str)]) -> Answer {
        let Self { tool, arguments, timestamp, nonce, signature } = self;
        let body =
            format!(r#"{{"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#);
        let mut all = vec![
            ("X-Platos-Timestamp", &**timestamp),
            ("X-Platos-Nonce", nonce),
            ("X-Platos-Signature", signature),
        ];
        all.extend(headers);
        request(address, "POST", "/calls", &all, &body).await
    }

    /// The frame that says the same on the WebSocket.
    fn frame(&self, call_id: &str) -> String {
        let Self { tool, arguments, timestamp, nonce, signature } = self;
        let envelope =
            json!({"callId": call_id, "timestamp": timestamp, "nonce": nonce, "signature": signature});
        let arguments = arguments.strip_suffix('}').unwrap();
        format!(
            r#"{{"type":"tool_call","call_id":"{call_id}","tool_name":"{tool}","params":{arguments},"__platos":{envelope}}}}}"#
        )
    }
}

/// The HTTP side of a running host.
pub(crate) async fn serve(host: &Running) -> SocketAddr {
    let app = Router::new().nest("/calls", HttpFallback::new(&host.handle).into_router());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn both_ways() -> (DevPlatform, Running, SocketAddr) {
    let (platform, host) = connected().await;
    let address = serve(&host).await;
    (platform, host, address)
}

#[tokio::test]
async fn a_call_that_came_one_way_is_refused_on_the_other() {
    let (platform, host, address) = both_ways().await;
    let mut events = host.handle.events();
    let call = Signed::new(&platform.secret(), "add", r#"{"a":1,"b":2}"#);
    let answer = call.post(address, &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "3"), "{answer:?}");
    platform.faults().send_text(call.frame("call-1")).unwrap();
    let refused = timeout(GUARD, async {
        loop {
            if let Some(platools::host::HostEvent::CallRefused { reason, .. }) = events.next().await {
                return reason;
            }
        }
    });
    assert_eq!(refused.await.unwrap(), "nonce_replay");

    let call = Signed::new(&platform.secret(), "add", r#"{"a":1,"b":2}"#);
    platform.faults().send_text(call.frame("call-2")).unwrap();
    // The answer to the next call proves that the one before it was taken.
    platform.call("add", json!({"a": 1, "b": 1})).await.unwrap().into_result().unwrap();
    let answer = call.post(address, &[]).await;
    assert!(answer.status == 401 && answer.body.starts_with("nonce_replay: "), "{answer:?}");
}

#[tokio::test]
async fn a_call_that_runs_over_http_and_comes_over_the_socket_is_answered_on_both() {
    let platform = DevPlatform::start().await.unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let handle = Arc::clone(&gate);
    let gated = Tool::new(ToolSpec::new("gated"), move |_| {
        let gate = Arc::clone(&handle);
        async move {
            gate.acquire().await?.forget();
            Ok(ToolOutput::text("once"))
        }
    });
    let host = Running::start(builder(&platform).tool(gated).build().unwrap());
    platform.wait_for_tool("gated").await.unwrap();
    let (address, secret, mut answers) = (serve(&host).await, platform.secret(), platform.events());
    let call = Signed::new(&secret, "gated", r#"{"a":1}"#);
    let over_http = tokio::spawn(async move { call.post(address, &[("X-Platos-Call-Id", "call-1")]).await });
    while host.handle.in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    // The platform asks again, under the same id. The answer to the next call proves that this one was received.
    platform.faults().send_text(Signed::new(&secret, "gated", r#"{"a":1}"#).frame("call-1")).unwrap();
    platform.call("add", json!({"a": 1, "b": 1})).await.unwrap().into_result().unwrap();
    // A second run would wait for ever.
    gate.add_permits(1);
    let answer = over_http.await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, r#""once""#), "{answer:?}");
    let on_the_socket = timeout(GUARD, async {
        loop {
            if let Some(Event::UnexpectedAnswer { frame, .. }) = answers.next().await {
                return frame;
            }
        }
    });
    let frame = on_the_socket.await.expect("an answer on the socket");
    assert!(frame.contains("call-1") && frame.contains("once"), "{frame}");
}

#[tokio::test]
async fn a_call_of_another_scope_is_refused_as_soon_as_the_scope_is_known() {
    let (platform, _host, address) = both_ways().await;
    let call = Signed::new(&platform.secret(), "add", r#"{"a":1,"b":2}"#);
    let answer = call.post(address, &[("X-Platos-Organization-Id", "another")]).await;
    assert!(answer.status == 401 && answer.body.starts_with("scope_mismatch: "), "{answer:?}");
    assert!(answer.body.contains("organizationId"), "{answer:?}");
}

#[tokio::test]
async fn a_shutdown_lets_calls_over_http_finish_and_takes_no_new_ones() {
    let (platform, host, address) = both_ways().await;
    let secret = platform.secret();
    let slow = Signed::new(&secret, "sleep", r#"{"ms":700}"#);
    let slow = tokio::spawn(async move { slow.post(address, &[]).await });
    while host.handle.in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    let handle = host.handle.clone();
    let stopped = tokio::spawn(async move { handle.shutdown().await });
    let refused = timeout(GUARD, async {
        loop {
            let answer = Signed::new(&secret, "add", r#"{"a":1,"b":2}"#).post(address, &[]).await;
            if answer.status != 200 {
                return answer;
            }
        }
    });
    let refused = refused.await.unwrap();
    assert!(refused.status == 503 && refused.body.starts_with("shutting down, retry: "), "{refused:?}");
    assert!(refused.head.to_ascii_lowercase().contains("retry-after: 1"), "{refused:?}");
    assert_eq!(slow.await.unwrap().body, "700");
    timeout(GUARD, stopped).await.unwrap().unwrap();
    host.ended().await.unwrap();
}
