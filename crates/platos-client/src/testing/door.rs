//! The door: TCP, HTTP/1.1, and the upgrade to a WebSocket.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, UPGRADE};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use platools_net::BodyLimits;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;

use super::canned::{CannedAnswer, Greeting};
use super::double::DoubleOptions;
use super::player::To;
use super::record::RecordedRequest;
use super::rest;
use super::socket::Session;
use super::store::Shared;
use super::turns::begin;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// How often a stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How many frames of a stream may wait to be written.
const WAITING: usize = 32;

/// The largest body that is read.
const MAX_BODY: usize = 64 << 20;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("dropped")]
struct Dropped;

#[derive(Clone)]
pub(super) struct Door {
    pub(super) shared: Arc<Shared>,
    pub(super) options: DoubleOptions,
}

impl Door {
    /// Receives whoever comes, until it is cancelled.
    pub(super) async fn receive(self, listener: TcpListener, open: CancellationToken) {
        while let Some(Ok((stream, _))) = open.run_until_cancelled(listener.accept()).await {
            let serve = self.clone().serve(stream);
            tokio::spawn(open.clone().run_until_cancelled_owned(serve));
        }
    }

    async fn serve(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let upgrade: Mutex<Option<Upgrade>> = Mutex::new(None);
        {
            let answer = service_fn(|request| self.answer(request, &upgrade));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            let _ = connection.with_upgrades().await;
        }
        let upgrade = upgrade.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(Upgrade { upgraded, greeting, token, refused }) = upgrade else { return };
        let Ok(upgraded) = upgraded.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        let (number, namespace) = (0, String::new());
        let (shared, options) = (self.shared, self.options);
        let session = Session { shared, options, socket, greeting, token, refused, number, namespace };
        session.serve().await;
    }

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        upgrade: &Mutex<Option<Upgrade>>,
    ) -> Result<Response<Body>, Dropped> {
        let upgraded = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        let body = BodyLimits::new(MAX_BODY).read(body).await.map_err(|_| Dropped)?;
        self.shared.write(|store| store.requests.push(RecordedRequest::new(&parts, &body)));
        if let Some(upgraded) = upgraded {
            return self.upgrade(parts, upgraded, upgrade).await;
        }
        let path = parts.uri.path();
        let canned = self.shared.write(|store| {
            let at = store.canned.iter().position(|(part, _)| path.contains(part.as_str()))?;
            store.canned.remove(at)
        });
        let body = serde_json::from_slice(&body).unwrap_or_default();
        if canned.as_ref().is_none_or(|(_, canned)| canned.after) {
            if canned.is_none()
                && let Some(answer) = self.turn(&parts, &body).await
            {
                return Ok(answer);
            }
            let (status, body) = self.shared.write(|store| rest::answer(&parts, &body, store));
            if canned.is_none() {
                return Ok(json(status, &body));
            }
        }
        match canned {
            Some((_, canned)) => said(canned).await,
            None => Err(Dropped),
        }
    }

    /// A turn that is the answer to a request, if it is asked for.
    async fn turn(&self, parts: &http::request::Parts, body: &Value) -> Option<Response<Body>> {
        let path = parts.uri.path().strip_prefix("/api/v1/agent/")?;
        let segments: Vec<String> = path.split('/').map(rest::decoded).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        if parts.method != http::Method::POST {
            return None;
        }
        let thread_id = match segments[..] {
            ["threads", id, "stream" | "messages"] => id,
            ["agents", _, "messages"] => body["threadId"].as_str().unwrap_or_default(),
            _ => return None,
        };
        if let Err((status, body)) = self.shared.read(|store| rest::authorize(parts, store)) {
            return Some(json(status, &body));
        }
        let run = |to, key| {
            let (player, script) = begin(&self.shared, thread_id, body, key, to);
            let thread = player.thread_id.clone();
            self.shared.write(|store| {
                let turn = tokio::spawn(player.play(script));
                store.running.entry(thread).or_insert_with(|| turn.abort_handle());
                turn
            })
        };
        if segments.last() == Some(&"messages") {
            let answer = run(To::Collect(Vec::new()), None).await.ok()?.answer();
            return Some(json(201, &answer));
        }
        let (out, frames) = mpsc::channel(WAITING);
        drop(run(To::Stream(Some(out)), rest::header(parts, "idempotency-key")));
        let frames = futures_util::stream::unfold(frames, |mut frames| async move {
            let frame = match tokio::time::timeout(HEARTBEAT, frames.recv()).await {
                Ok(frame) => frame?,
                Err(_elapsed) => Bytes::from_static(b"data: {\"type\":\"heartbeat\"}\n\n"),
            };
            Some((Ok::<_, Infallible>(Frame::data(frame)), frames))
        });
        let response = Response::builder().status(201).header(CONTENT_TYPE, "text/event-stream");
        response.body(UnsyncBoxBody::new(StreamBody::new(frames))).ok()
    }

    async fn upgrade(
        &self,
        parts: http::request::Parts,
        upgraded: OnUpgrade,
        upgrade: &Mutex<Option<Upgrade>>,
    ) -> Result<Response<Body>, Dropped> {
        let greeting = self.shared.write(|store| store.greetings.pop_front()).unwrap_or(Greeting::Welcome);
        let refused = self.shared.read(|store| rest::authorize(&parts, store).err());
        match greeting {
            Greeting::Http(canned) => said(canned).await,
            greeting if parts.uri.path() == "/socket.io/" => {
                let token = rest::header(&parts, "x-platos-session-token").map(ToOwned::to_owned);
                let refused = refused.map(|(_, body)| serde_json::json!({"message": body["message"]}));
                let request = Request::from_parts(parts, ());
                let response = create_response_with_body(&request, || full(String::new()));
                let upgraded = Upgrade { upgraded, greeting, token, refused };
                *upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgraded);
                response.map_err(|_| Dropped)
            }
            _ => Ok(json(404, &serde_json::json!({"message": "Cannot find that path"}))),
        }
    }
}

/// A socket to be, and what its upgrade said.
struct Upgrade {
    upgraded: OnUpgrade,
    greeting: Greeting,
    token: Option<String>,
    refused: Option<Value>,
}

fn full(body: String) -> Body {
    Full::from(body).boxed_unsync()
}

fn json(status: u16, body: &serde_json::Value) -> Response<Body> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    response.body(full(body)).unwrap_or_default()
}

async fn said(canned: CannedAnswer) -> Result<Response<Body>, Dropped> {
    tokio::time::sleep(canned.delay).await;
    if canned.drop {
        return Err(Dropped);
    }
    let mut response = Response::builder().status(canned.status);
    for (name, value) in &canned.headers {
        response = response.header(name, value);
    }
    Ok(response.body(full(canned.body)).unwrap_or_default())
}
