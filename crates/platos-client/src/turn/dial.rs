//! From the base URL to an open WebSocket.

use std::time::SystemTime;

use http::HeaderMap;
use platools_net::dial::{self, Connection, WebSocket};
use platools_net::retry_after;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error as SocketError;

use super::refusal::{Failure, STREAM};
use crate::client::PlatosClient;
use crate::error::{ErrorResponse, ProtocolError};
use crate::http::Issued;

/// Opens the socket, with the credentials on the upgrade.
pub(super) async fn dial(client: &PlatosClient, issued: &Issued) -> Result<WebSocket, Failure> {
    let config = &client.shared.config;
    let (host, port) = (config.base.host(), config.base.port());
    let tls = config.base.is_encrypted().then_some(&client.shared.tls);
    let proxy = config.proxy.for_url(&config.base.socket());
    let proxy = proxy.map_err(|error| Failure::fatal(ProtocolError::new(STREAM, error.to_string())))?;
    match timeout(config.connect_timeout, dial::connect(&host, port, tls, proxy)).await {
        Ok(Ok(connection)) => upgrade(client, issued, connection).await,
        Ok(Err(error)) => Err(Failure::lost(error.to_string())),
        Err(_elapsed) => Err(Failure::lost(format!("cannot connect to {host}:{port}: timed out"))),
    }
}

async fn upgrade(
    client: &PlatosClient,
    issued: &Issued,
    connection: Connection,
) -> Result<WebSocket, Failure> {
    let config = &client.shared.config;
    let request = config.base.socket().as_str().into_client_request();
    let mut request = request.map_err(|error| {
        Failure::fatal(ProtocolError::new(STREAM, format!("no request can be made: {error}")))
    })?;
    request.headers_mut().extend(client.headers(issued));
    // The frame around an event needs a little room.
    let max_message = config.limits.event_bytes.saturating_add(1_024);
    match dial::upgrade(request, connection, max_message).await {
        Ok(socket) => Ok(socket),
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
    let wait = retry_after(headers, SystemTime::now());
    Failure::from(ErrorResponse::new(STREAM, Some(status), &body, wait))
}
