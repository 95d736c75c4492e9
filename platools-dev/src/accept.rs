//! The door: TCP, TLS, and the upgrade to a WebSocket.
//!
//! Whatever comes after the upgrade is [`connection`](crate::connection)'s. Other requests on the same
//! port would be answered here.

use std::sync::Arc;
use std::time::Duration;

use platools::protocol::MAX_FRAME_BYTES;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authenticate::{Credentials, is_socket_path};
use crate::connection;
use crate::state::Shared;

/// How long a client may take for TLS and the upgrade.
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

impl Listening {
    /// Starts to accept connections.
    pub(crate) fn start(shared: Arc<Shared>, listener: TcpListener, tls: Option<TlsAcceptor>) -> Self {
        let listening = Self {
            accepting: CancellationToken::new(),
            connections: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (connections, tasks) = (listening.connections.clone(), listening.tasks.clone());
        let accept = async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let serve = serve(Arc::clone(&shared), stream, tls.clone());
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

async fn serve(shared: Arc<Shared>, stream: TcpStream, tls: Option<TlsAcceptor>) {
    // Calls are small and waited for.
    let _ = stream.set_nodelay(true);
    match tls {
        None => upgrade(shared, stream).await,
        Some(tls) => match timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
            Ok(Ok(stream)) => upgrade(shared, stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "no TLS connection came about"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(shared: Arc<Shared>, stream: S) {
    match timeout(HANDSHAKE_TIME, handshake(stream)).await {
        Ok(Ok((socket, credentials))) => connection::serve(shared, socket, credentials).await,
        Ok(Err(problem)) => tracing::debug!(problem, "no WebSocket came about"),
        Err(_) => tracing::debug!("a WebSocket handshake took too long"),
    }
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
) -> Result<(WebSocketStream<S>, Credentials), String> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES));
    let mut credentials = Credentials::default();
    // The signature is the WebSocket library's.
    #[allow(clippy::result_large_err)]
    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        if is_socket_path(request.uri().path()) {
            credentials = Credentials::of(request.uri(), request.headers());
            Ok(response)
        } else {
            let mut not_found = ErrorResponse::new(Some("there is no WebSocket at this path".to_owned()));
            *not_found.status_mut() = StatusCode::NOT_FOUND;
            Err(not_found)
        }
    };
    let socket = tokio_tungstenite::accept_hdr_async_with_config(stream, look, Some(config))
        .await
        .map_err(|error| error.to_string())?;
    Ok((socket, credentials))
}
