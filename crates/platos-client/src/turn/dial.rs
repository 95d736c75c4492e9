//! From the base URL to an open WebSocket.

use std::time::Duration;

use http::HeaderMap;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error as SocketError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::refusal::{Failure, STREAM};
use crate::client::PlatosClient;
use crate::error::{ErrorResponse, ProtocolError};
use crate::http::{Issued, retry_after};

/// How long one address of a host may take to answer.
const EACH_ADDRESS: Duration = Duration::from_secs(4);

/// A byte stream that a WebSocket runs over.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Bytes for T {}

/// An open WebSocket, encrypted or not.
pub(super) type Socket = WebSocketStream<Box<dyn Bytes>>;

/// Opens the socket, with the credentials on the upgrade.
pub(super) async fn dial(client: &PlatosClient, issued: &Issued) -> Result<Socket, Failure> {
    let config = &client.shared.config;
    let (host, port) = (config.base.host(), config.base.port());
    let stream = timeout(config.connect_timeout, reach(client, &host, port)).await;
    let stream = stream.unwrap_or_else(|_elapsed| Err(std::io::ErrorKind::TimedOut.into()));
    let stream = stream.map_err(|error| Failure::lost(format!("no connection to {host}:{port}: {error}")))?;
    upgrade(client, issued, stream).await
}

async fn reach(client: &PlatosClient, host: &str, port: u16) -> std::io::Result<Box<dyn Bytes>> {
    let stream = connect(host, port).await?;
    // What is sent is small and complete; waiting for more to send would only delay it.
    stream.set_nodelay(true)?;
    if !client.shared.config.base.is_encrypted() {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
    Ok(Box::new(client.shared.tls.connect(name, stream).await?))
}

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

async fn upgrade(client: &PlatosClient, issued: &Issued, stream: Box<dyn Bytes>) -> Result<Socket, Failure> {
    let config = &client.shared.config;
    let request = config.base.socket().as_str().into_client_request();
    let mut request = request.map_err(|error| {
        Failure::fatal(ProtocolError::new(STREAM, format!("no request can be made: {error}")))
    })?;
    request.headers_mut().extend(client.headers(issued));
    let bytes = config.limits.event_bytes;
    // The frame around an event needs a little room.
    let bytes = Some(bytes.saturating_add(1_024));
    let limits = WebSocketConfig::default().max_message_size(bytes).max_frame_size(bytes);
    match tokio_tungstenite::client_async_with_config(request, stream, Some(limits)).await {
        Ok((socket, _response)) => Ok(socket),
        Err(SocketError::Http(response)) => {
            let (parts, body) = response.into_parts();
            Err(refused(client, issued, parts.status.as_u16(), &parts.headers, body.as_deref()))
        }
        Err(error) => Err(Failure::lost(format!("no WebSocket with the platform: {error}"))),
    }
}

fn refused(
    client: &PlatosClient,
    issued: &Issued,
    status: u16,
    headers: &HeaderMap,
    body: Option<&[u8]>,
) -> Failure {
    let body = String::from_utf8_lossy(body.unwrap_or_default()).into_owned();
    if (200..300).contains(&status) {
        let problem =
            "the platform answered the upgrade with a page instead of a WebSocket: check the base URL";
        let error = ProtocolError { status: Some(status), ..ProtocolError::new(STREAM, problem) };
        return Failure::fatal(error);
    }
    let body = client.mask(issued).apply(body);
    Failure::from(ErrorResponse::new(STREAM, Some(status), &body, retry_after(headers)))
}
