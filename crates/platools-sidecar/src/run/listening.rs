//! A listener whose router may change between two requests.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Serves until `stop`, each request by the router of its time. `what` is for the log.
pub(super) async fn serve(
    listener: TcpListener,
    routers: watch::Receiver<Router>,
    stop: CancellationToken,
    what: &'static str,
) {
    let current = Router::new().fallback(move |request: Request| {
        let router = routers.borrow().clone();
        router.oneshot(request)
    });
    let service = current.into_make_service_with_connect_info::<SocketAddr>();
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "the listener for {what} ended");
    }
}
