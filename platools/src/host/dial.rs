//! Opens the WebSocket for a URL.

use std::sync::Arc;

use http::HeaderValue;
use http::header::{AUTHORIZATION, USER_AGENT};
use platools_net::dial::{self, Connection, WebSocket};
use platools_net::{Proxy, descriptors};
use rustls::ClientConfig;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error as SocketError;

use super::ending::Ending;
use crate::verify::Secret;
use crate::wire::{ConnectUrl, MAX_FRAME_BYTES};

/// Opens the WebSocket. The platform checks the secret only afterwards.
pub(super) async fn dial(
    url: &ConnectUrl,
    tls: Option<&Arc<ClientConfig>>,
    proxy: Option<&Proxy>,
    secret: &Secret,
) -> Result<WebSocket, Ending> {
    let connection = reach(url, tls, proxy).await?;
    upgrade(url, connection, secret).await
}

/// Opens the TCP connection, with TLS and through a proxy if configured. Sends the platform no request yet.
pub(super) async fn reach(
    url: &ConnectUrl,
    tls: Option<&Arc<ClientConfig>>,
    proxy: Option<&Proxy>,
) -> Result<Connection, Ending> {
    // Where everything else is used up, the platform must be reachable again.
    let _descriptors = descriptors::lend();
    let connected = dial::connect(&url.host(), url.port(), tls, proxy).await;
    connected.map_err(|error| Ending::Lost(error.to_string()))
}

/// Upgrades a connection to a WebSocket.
pub(super) async fn upgrade(
    url: &ConnectUrl,
    connection: Connection,
    secret: &Secret,
) -> Result<WebSocket, Ending> {
    let lost = |error: SocketError| {
        // A TLS server answers a plain request with bytes that are no HTTP.
        let advice = match error {
            SocketError::Protocol(_) | SocketError::HttpFormat(_) if !url.is_tls() => {
                "; if the server speaks TLS, begin the URL with `wss://`"
            }
            _ => "",
        };
        Ending::Lost(format!("no WebSocket with {}:{}: {error}{advice}", url.host(), url.port()))
    };
    let mut request = url.as_str().into_client_request().map_err(lost)?;
    let bearer = secret
        .bearer()
        .map_err(|_| Ending::Lost("the secret has characters that a header cannot hold".to_owned()))?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(platools_net::USER_AGENT));

    match dial::upgrade(request, connection, MAX_FRAME_BYTES).await {
        Ok(socket) => Ok(socket),
        // The platform upgrades first and refuses afterwards: this came from something in between, perhaps for a while.
        Err(SocketError::Http(response)) if matches!(response.status().as_u16(), 401 | 403) => {
            Err(Ending::UpgradeRefused(format!(
                "{}:{} answered with HTTP {} instead of a WebSocket. Platos does not refuse a secret in this way: \
                 look for a firewall, a proxy or another server at this address, and check the path of the URL",
                url.host(),
                url.port(),
                response.status()
            )))
        }
        Err(SocketError::Http(response)) => Err(Ending::Lost(format!(
            "{}:{} answered with HTTP {} instead of a WebSocket; check the path of the URL",
            url.host(),
            url.port(),
            response.status()
        ))),
        Err(error) => Err(lost(error)),
    }
}
