//! From a URL to an open WebSocket.

use std::time::Duration;

use http::HeaderValue;
use http::header::{AUTHORIZATION, USER_AGENT};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error as SocketError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::ending::Ending;
use super::tls::TlsConnector;
use crate::verify::Secret;
use crate::wire::{ConnectUrl, MAX_FRAME_BYTES};

/// How much is read at once. The library zeroes as much before each read, so that more makes a single call slower.
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// What this library calls itself.
const AGENT: &str = concat!("platools-rust/", env!("CARGO_PKG_VERSION"));

/// How long one address of a host may take to answer.
const EACH_ADDRESS: Duration = Duration::from_secs(4);

/// A byte stream that a WebSocket runs over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open WebSocket, encrypted or not.
pub(super) type Socket = WebSocketStream<Box<dyn Stream>>;

/// Tries one address of the host after the other, each for a few seconds, so that one that swallows packets
/// leaves time for the others.
async fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut failure = std::io::Error::other("the name has no address");
    for address in tokio::net::lookup_host((host, port)).await? {
        match timeout(EACH_ADDRESS, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = error,
            Err(_elapsed) => failure = std::io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failure)
}

/// Opens the socket. It is open before the platform looks at the secret.
pub(super) async fn dial(
    url: &ConnectUrl,
    tls: Option<&TlsConnector>,
    secret: &Secret,
) -> Result<Socket, Ending> {
    let stream = reach(url, tls).await?;
    upgrade(url, stream, secret).await
}

fn lost(what: &str, url: &ConnectUrl, error: &dyn std::fmt::Display) -> Ending {
    Ending::Lost(format!("{what} {}:{}: {error}", url.host(), url.port()))
}

/// Opens the byte stream, with TLS if the URL asks for it. Nothing is sent over it yet.
pub(super) async fn reach(url: &ConnectUrl, tls: Option<&TlsConnector>) -> Result<Box<dyn Stream>, Ending> {
    let host = url.host();
    let stream = connect(&host, url.port()).await.map_err(|error| lost("cannot connect to", url, &error))?;
    // Answers are small and batched already; waiting for more to send would only delay them.
    stream.set_nodelay(true).map_err(|error| lost("cannot set up the connection to", url, &error))?;
    match tls {
        Some(tls) => {
            let encrypted = tls.connect(&host, stream).await;
            Ok(Box::new(encrypted.map_err(|error| lost("no TLS with", url, &error))?))
        }
        None => Ok(Box::new(stream)),
    }
}

/// Makes a byte stream a WebSocket.
pub(super) async fn upgrade(
    url: &ConnectUrl,
    stream: Box<dyn Stream>,
    secret: &Secret,
) -> Result<Socket, Ending> {
    let request = url.as_str().into_client_request();
    let mut request = request.map_err(|error| lost("no request for", url, &error))?;
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", secret.expose()))
        .map_err(|_| Ending::Lost("the secret cannot go into a header".to_owned()))?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, bearer);
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));

    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES));
    match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _response)) => Ok(socket),
        Err(SocketError::Http(response)) if matches!(response.status().as_u16(), 401 | 403) => {
            Err(Ending::SecretRefused)
        }
        Err(SocketError::Http(response)) => Err(Ending::Lost(format!(
            "{}:{} answered with HTTP {} instead of a WebSocket; check the path of the URL",
            url.host(),
            url.port(),
            response.status()
        ))),
        Err(error) => Err(lost("no WebSocket with", url, &error)),
    }
}
