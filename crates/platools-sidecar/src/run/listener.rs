//! The sidecar's own listeners: one server loop, and bounds that leave descriptors for everything else.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use platools_net::descriptors;
use platools_net::server::HttpServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::daemon::SidecarError;

/// The most connections of a listener, and an eighth of the descriptors at most: most are for what the tools open.
const CONNECTIONS: usize = 1_024;

/// How long a request may take until its answer is read: a call over HTTP has 30 s to arrive and 28 s to run.
const REQUEST: Duration = Duration::from_secs(60);

/// How long requests that are being answered may take at the end.
const CLOSING: Duration = Duration::from_secs(1);

/// Listens on an address.
pub(super) async fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, SidecarError> {
    let listener = TcpListener::bind(address).await.map_err(|error| SidecarError::Listen {
        key,
        address,
        problem: error.to_string(),
    })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening for {key}");
    }
    Ok(listener)
}

/// Serves until `stop`, each request by the router of its time. Requests know their client.
pub(super) async fn serve(
    listener: TcpListener,
    router: impl Fn() -> Router + Clone + Send + Sync + 'static,
    stop: CancellationToken,
) {
    let service = |client: SocketAddr| {
        let router = router.clone();
        service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(client));
            router().oneshot(request.map(Body::new))
        })
    };
    let server = HttpServer::new(descriptors::share(8, CONNECTIONS)).request_time(REQUEST);
    server.serve(listener, service, stop.cancelled()).await.close(CLOSING).await;
}
