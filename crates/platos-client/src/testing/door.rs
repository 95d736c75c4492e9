//! The door: TCP, HTTP/1.1, and the upgrade to a WebSocket.

use std::sync::{Arc, Mutex, PoisonError};

use http::header::{CONTENT_TYPE, UPGRADE};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use platools_net::BodyLimits;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;

use super::canned::{CannedAnswer, Greeting};
use super::double::DoubleOptions;
use super::record::RecordedRequest;
use super::rest;
use super::socket::Session;
use super::store::Shared;

type Body = Full<Bytes>;

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
        let upgrade: Mutex<Option<(OnUpgrade, Greeting)>> = Mutex::new(None);
        {
            let answer = service_fn(|request| self.answer(request, &upgrade));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            let _ = connection.with_upgrades().await;
        }
        let upgrade = upgrade.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some((upgraded, greeting)) = upgrade else { return };
        let Ok(upgraded) = upgraded.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        let session = Session { shared: self.shared, options: self.options, socket, greeting };
        session.serve().await;
    }

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        upgrade: &Mutex<Option<(OnUpgrade, Greeting)>>,
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

    async fn upgrade(
        &self,
        parts: http::request::Parts,
        upgraded: OnUpgrade,
        upgrade: &Mutex<Option<(OnUpgrade, Greeting)>>,
    ) -> Result<Response<Body>, Dropped> {
        let greeting = self.shared.write(|store| store.greetings.pop_front()).unwrap_or(Greeting::Welcome);
        let refused = self.shared.read(|store| rest::authorize(&parts, store).err());
        match (greeting, refused) {
            (Greeting::Http(canned), _) => said(canned).await,
            (Greeting::Welcome, Some((status, body))) => Ok(json(status, &body)),
            (greeting, _) if parts.uri.path() == "/socket.io/" => {
                let request = Request::from_parts(parts, ());
                let response = create_response_with_body(&request, Body::default).map_err(|_| Dropped)?;
                *upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some((upgraded, greeting));
                Ok(response)
            }
            _ => Ok(json(404, &serde_json::json!({"message": "Cannot find that path"}))),
        }
    }
}

fn json(status: u16, body: &serde_json::Value) -> Response<Body> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    response.body(body.into()).unwrap_or_default()
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
    Ok(response.body(canned.body.into()).unwrap_or_default())
}
