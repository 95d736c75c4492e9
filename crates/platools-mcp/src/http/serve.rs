//! The HTTP server: limits of connections, and a shutdown that answers calls in flight.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::service::TowerToHyperService;
use platools_net::descriptors;
use platools_net::server::HttpServer;
use tokio::net::{TcpListener, lookup_host};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::McpHttp;
use super::endpoint::{Endpoint, PATH};
use crate::McpError;
use crate::server::announce_stop;
use platools::host::Signals;

/// The maximum number of connections, at most half of the descriptors: the others are for what the tools open.
const MAX_CONNECTIONS: usize = 1_024;
/// How long running calls may take after the shutdown began.
const GRACE: Duration = Duration::from_secs(25);
/// How long connections may take to close after that.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A bound MCP server, which answers once [`serve`](Self::serve) is called.
pub struct McpListener {
    listener: TcpListener,
    address: SocketAddr,
    endpoint: Endpoint,
}

impl McpHttp {
    /// Listens on a host, which is a name or an address, and a port; 0 picks a free one. Unless the address is loopback,
    /// clients have to use a host name that [`allow_host`](Self::allow_host) allows.
    ///
    /// # Errors
    /// When listening on the address fails.
    pub async fn bind(self, (host, port): (impl ToString, u16)) -> Result<McpListener, McpError> {
        let host = &*host.to_string();
        let mut shown =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let found = lookup_host((host, port)).await.map(Iterator::collect::<Vec<_>>);
        if let Ok(addresses) = &found {
            shown = addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ");
        }
        let bind_error = |source| McpError::Bind { address: shown.clone(), source };
        let listener = TcpListener::bind(&*found.map_err(bind_error)?).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        Ok(McpListener { listener, address, endpoint: self.endpoint() })
    }
}

impl McpListener {
    /// Returns the bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the endpoint.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Serves until SIGTERM or SIGINT. Then new calls are refused and calls in flight have 25 s to end. A second signal
    /// ends the server at once.
    ///
    /// # Errors
    /// When registering for the signals fails.
    pub async fn serve(self) -> Result<(), McpError> {
        let mut signals = Signals::new().map_err(McpError::Signals)?;
        let stop = CancellationToken::new();
        let door = self.endpoint.door.clone();
        let mut serving = std::pin::pin!(self.serve_until(stop.clone().cancelled_owned()));
        loop {
            tokio::select! {
                () = &mut serving => return Ok(()),
                _ = signals.next() => {
                    if stop.is_cancelled() {
                        return Ok(());
                    }
                    announce_stop(door.in_flight(), GRACE);
                    stop.cancel();
                }
            }
        }
    }

    /// Serves until `stop` is ready and ignores signals. The shutdown is that of [`serve`](Self::serve).
    pub async fn serve_until(self, stop: impl Future<Output = ()>) {
        let Self { listener, endpoint, .. } = self;
        let (answering, closing, end) =
            (endpoint.answering.clone(), endpoint.closing.clone(), endpoint.end.clone());
        let service = TowerToHyperService::new(endpoint.router());
        let server = HttpServer::new(descriptors::share(2, MAX_CONNECTIONS));
        let connections = server.serve(listener, |_client| service.clone(), stop).await;
        closing.cancel();
        answering.close();
        if timeout(GRACE, answering.wait()).await.is_err() {
            tracing::warn!("calls were not answered in time");
        }
        end.cancel();
        connections.close(CLOSE_TIMEOUT).await;
    }
}

impl fmt::Debug for McpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpListener").field("address", &self.address).finish_non_exhaustive()
    }
}
