//! The door: TCP, TLS, HTTP/1.1, and the upgrade to a WebSocket.
//!
//! After the upgrade [`connection`](crate::connection) takes over; other requests are
//! [`http`](crate::http)'s, if it is switched on.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, UPGRADE};
use axum::http::{Response, StatusCode};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use platools::wire::MAX_FRAME_BYTES;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authenticate::{Credentials, is_socket_path};
use crate::connection;
use crate::http::Http;
use crate::shared::Shared;

/// Time for TLS, and for the head of a request.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// The pause after a connection could not be accepted, for example since no file handles are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One time of being up: from listening to having stopped.
pub(crate) struct Listening {
    /// Ends the accepting of connections.
    pub(crate) accepting: CancellationToken,
    /// Cuts all connections.
    pub(crate) connections: CancellationToken,
    /// The tasks of both.
    pub(crate) tasks: TaskTracker,
}

/// The parts that serve a connection.
#[derive(Clone)]
struct Door {
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
    http: Option<Http>,
    /// When it is cancelled, requests come to an end and none follows.
    stopping: CancellationToken,
}

impl Listening {
    /// Starts to accept connections.
    pub(crate) fn start(
        shared: Arc<Shared>,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        http: Option<Http>,
    ) -> Self {
        let listening = Self {
            accepting: CancellationToken::new(),
            connections: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let door = Door { shared, tls, http, stopping: listening.accepting.clone() };
        let (connections, tasks) = (listening.connections.clone(), listening.tasks.clone());
        let accept = async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let serve = door.clone().serve(stream);
                        tasks.spawn(connections.clone().run_until_cancelled_owned(serve));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        listening.tasks.spawn(listening.accepting.clone().run_until_cancelled_owned(accept));
        listening
    }
}

impl Door {
    async fn serve(self, stream: TcpStream) {
        // Calls are small and waited for.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.speak(stream).await,
            Some(tls) => match timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.speak(stream).await,
                Ok(Err(error)) => tracing::debug!(%error, "no TLS connection came about"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            },
        }
    }

    /// Answers requests, and serves the WebSocket if one of them asks for it.
    async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) {
        let upgrade = Mutex::new(None);
        {
            let answer = service_fn(|request| self.answer(request, &upgrade));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HANDSHAKE_TIME)
                .serve_connection(TokioIo::new(stream), answer)
                .with_upgrades();
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = self.stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "an HTTP connection broke");
            }
        }
        let upgrade = upgrade.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(Upgrade { upgraded, credentials }) = upgrade else { return };
        match upgraded.await {
            Ok(upgraded) => {
                let config = WebSocketConfig::default()
                    .max_message_size(Some(MAX_FRAME_BYTES))
                    .max_frame_size(Some(MAX_FRAME_BYTES));
                let stream = TokioIo::new(upgraded);
                let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
                connection::serve(Arc::clone(&self.shared), socket, credentials).await;
            }
            Err(error) => tracing::debug!(%error, "no WebSocket came about"),
        }
    }

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        upgrade: &Mutex<Option<Upgrade>>,
    ) -> Result<Response<Body>, Infallible> {
        let is_upgrade =
            request.headers().get(UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
        if is_socket_path(request.uri().path()) {
            return Ok(match create_response_with_body(&request, Body::empty) {
                Ok(response) => {
                    let credentials = Credentials::of(request.uri(), request.headers());
                    let upgraded = hyper::upgrade::on(&mut request);
                    *upgrade.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(Upgrade { upgraded, credentials });
                    response
                }
                Err(error) => plain(
                    StatusCode::BAD_REQUEST,
                    format!("tool hosts connect here, with a WebSocket; this request is none: {error}\n"),
                ),
            });
        }
        Ok(match &self.http {
            Some(http) if !is_upgrade => http.answer(request, self.stopping.clone()).await,
            Some(_) => plain(StatusCode::NOT_FOUND, "there is no WebSocket at this path\n".to_owned()),
            None => plain(StatusCode::NOT_FOUND, "there is nothing but /tools/sync here\n".to_owned()),
        })
    }
}

/// A connection on its way to becoming a WebSocket.
struct Upgrade {
    upgraded: OnUpgrade,
    credentials: Credentials,
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, "text/plain; charset=utf-8".parse().expect("a valid header"));
    response
}
