//! The server of the endpoint: connections within limits, and an end that answers what was asked.

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

use super::{Door, McpHttp, PATH};
use crate::host::Signals;
use crate::mcp::McpError;

/// How long the headers of a request may take.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// How many headers a request may have.
const HEADERS: usize = 100;
/// What the headers of a request may take, in bytes.
const HEADER_BYTES: usize = 64 << 10;
/// How many connections there are at the same time; more wait.
const CONNECTIONS: usize = 1_024;
/// How long running calls may take once the server shuts down.
const GRACE: Duration = Duration::from_secs(25);
/// How long connections may take to close after that.
const CLOSING: Duration = Duration::from_secs(2);

/// A server that listens, and answers once it is told to [`serve`](Self::serve).
pub struct McpListener {
    listener: TcpListener,
    address: SocketAddr,
    door: Door,
}

impl McpHttp {
    /// Listens on an address; port 0 takes any that is free. On another address than loopback, clients have to
    /// name a host that [`allow_host`](Self::allow_host) allows.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(self, address: impl ToSocketAddrs + fmt::Debug) -> Result<McpListener, McpError> {
        let mut shown = format!("{address:?}");
        let found = lookup_host(address).await.map(Iterator::collect::<Vec<_>>);
        if let Ok(addresses) = &found {
            shown = addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ");
        }
        let bind_error = |source| McpError::Bind { address: shown.clone(), source };
        let listener = TcpListener::bind(&*found.map_err(bind_error)?).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        Ok(McpListener { listener, address, door: self.door() })
    }
}

impl McpListener {
    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint's URL.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Serves until SIGTERM or SIGINT. Calls in flight then are answered within 25 s, new ones are refused. A second
    /// signal ends it without waiting.
    ///
    /// # Errors
    /// When signals cannot be heard.
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

    /// The same, but deaf to signals: until `stop` is ready.
    pub async fn serve_until(self, stop: impl Future<Output = ()>) {
        let Self { listener, door, .. } = self;
        let (answering, closing, end) = (door.answering.clone(), door.closing.clone(), door.end.clone());
        let service = TowerToHyperService::new(door.router());
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
                        // Out of descriptors, most likely: others have to close first.
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
