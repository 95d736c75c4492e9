//! A desktop's Chrome: a real one that the test started, behind the address of the desktop.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::{Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::machine::Chrome;
use super::reply::Reply;
use super::world::Shared;

/// The most of a handshake's answer that is read.
const MAX_HEAD: usize = 16 << 10;

const NO_BROWSER: &str = "this double has no browser that answers: give it one by `FakePlatoBuilder::chrome`";

/// `/json/version` and its like, with addresses that lead back here.
pub(super) async fn answer(shared: &Shared, job: &str, path: &[&str]) -> Reply {
    let Some((address, base)) = browser(shared, job) else { return Reply::detail(502, NO_BROWSER) };
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let path = path.join("/");
        let request = format!("GET /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        // It does not always hang up when it has said that it would.
        loop {
            let mut chunk = [0; 4096];
            let length = stream.read(&mut chunk).await?;
            answer.extend_from_slice(&chunk[..length]);
            if length == 0 || body(&answer).is_some() {
                return Ok::<_, std::io::Error>(answer);
            }
        }
    };
    let Ok(answer) = asked.await else { return Reply::detail(502, "the browser does not answer") };
    let Some(mut document) = body(&answer) else { return Reply::detail(502, "the browser answers nonsense") };
    if let Some(url) = document.get_mut("webSocketDebuggerUrl")
        && let Some(path) = url.as_str().and_then(|url| url.split_once("/devtools/")).map(|(_, path)| path)
    {
        let base = base.replacen("http", "ws", 1);
        *url = Value::from(format!("{base}/_desktop/{job}/9224/devtools/{path}"));
    }
    Reply::json(&document)
}

/// The JSON behind the head, when all of it is there.
fn body(answer: &[u8]) -> Option<Value> {
    let start = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    serde_json::from_slice(&answer[start..]).ok()
}

/// Connects a WebSocket to the browser.
pub(super) async fn upgrade(shared: &Shared, mut request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let ["_desktop", job, rest @ ..] = &parts[..] else { return refuse("no such WebSocket") };
    let devtools = rest.strip_prefix(&["9224"]).unwrap_or(rest).join("/");
    let Some((address, _)) = browser(shared, job) else { return refuse(NO_BROWSER) };
    let upgraded = hyper::upgrade::on(&mut request);
    let mut head = format!("GET /{devtools} HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in request.headers().iter().filter(|(name, _)| **name != HOST && *name != "origin") {
        let value = value.to_str().unwrap_or_default();
        head.extend([name.as_str(), ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    let connected = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") && answer.len() < MAX_HEAD {
            answer.push(stream.read_u8().await?);
        }
        Ok::<_, std::io::Error>((stream, String::from_utf8_lossy(&answer).into_owned()))
    };
    let Ok((stream, answer)) = connected.await else { return refuse("the browser does not answer") };
    if !answer.starts_with("HTTP/1.1 101") {
        return refuse("the browser does not want to");
    }
    tokio::spawn(relay(upgraded, stream));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in answer.lines().skip(1).filter_map(|line| line.split_once(": ")) {
        if let (Ok(name), Ok(value)) = (name.parse::<axum::http::HeaderName>(), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn relay(upgraded: OnUpgrade, mut stream: TcpStream) {
    if let Ok(upgraded) = upgraded.await {
        // Either side may hang up as it likes.
        let _ = copy_bidirectional(&mut TokioIo::new(upgraded), &mut stream).await;
    }
}

fn browser(shared: &Shared, job: &str) -> Option<(SocketAddr, String)> {
    shared.with(|world| {
        if world.running(job)?.machine.chrome != Chrome::Up {
            return None;
        }
        Some((world.chrome.as_ref()?.parse().ok()?, world.base.clone()))
    })
}

fn refuse(reason: &str) -> Response<Body> {
    Reply::detail(502, reason).into_response()
}
