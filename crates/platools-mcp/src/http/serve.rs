//! The HTTP server: limits of connections, and a shutdown that answers calls in flight.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, ToSocketAddrs, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Endpoint, McpHttp, PATH};
use crate::McpError;
use platools::host::Signals;

/// How long the headers of a request may take to arrive.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// The maximum number of headers of a request.
const HEADERS: usize = 100;
/// The maximum size of the headers of a request, in bytes.
const HEADER_BYTES: usize = 64 << 10;
/// The maximum number of connections; more wait.
const CONNECTIONS: usize = 1_024;
/// How long running calls may take after the shutdown began.
const GRACE: Duration = Duration::from_secs(25);
/// How long connections may take to close after that.
const CLOSING: Duration = Duration::from_secs(2);

/// A bound MCP server, which answers once [`serve`](Self::serve) is called.
pub struct McpListener {
    listener: TcpListener,
    address: SocketAddr,
    endpoint: Endpoint,
}

impl McpHttp {
    /// Listens on an address; port 0 picks a free port. Unless the address is loopback, clients have to use a host name
    /// that [`allow_host`](Self::allow_host) allows.
    ///
    /// # Errors
    /// When listening on the address fails.
    pub async fn bind(self, address: impl ToSocketAddrs + fmt::Debug) -> Result<McpListener, McpError> {
        let mut shown = format!("{address:?}");
        let found = lookup_host(address).await.map(Iterator::collect::<Vec<_>>);
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
        let mut serving = std::pin::pin!(self.serve_until(stop.clone().cancelled_owned()));
        loop {
            tokio::select! {
                () = &mut serving => return Ok(()),
                () = signals.next() => {
                    if stop.is_cancelled() {
                        return Ok(());
                    }
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
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, connection) = tokio::select! {
                (place, accepted) = accepted => match accepted {
                    Ok((connection, _)) => (place, connection),
                    Err(error) => {
                        tracing::warn!(%error, "a connection cannot be accepted");
                        // Most likely out of file descriptors: other connections have to close first.
                        sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                () = &mut stop => break,
            };
            let _ = connection.set_nodelay(true);
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIME)
                .max_headers(HEADERS)
                .max_buf_size(HEADER_BYTES)
                .serve_connection(TokioIo::new(connection), service.clone());
            let served = graceful.watch(served);
            tokio::spawn(async move {
                let _place = place;
                if let Err(error) = served.await {
                    tracing::debug!(%error, "a connection broke");
                }
            });
        }
        drop(listener);
        closing.cancel();
        answering.close();
        if timeout(GRACE, answering.wait()).await.is_err() {
            tracing::warn!("calls were not answered in time");
        }
        end.cancel();
        let _ = timeout(CLOSING, graceful.shutdown()).await;
    }
}

impl fmt::Debug for McpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpListener").field("address", &self.address).finish_non_exhaustive()
    }
}
