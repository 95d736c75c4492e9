//! The admin listener: probes, figures, and a look inside. Nothing can be changed there.
//!
//! Nobody logs in, so it listens on this machine unless told otherwise; and a page in a browser, which could reach it
//! there under a name of its own, is turned away by the name.

use std::sync::OnceLock;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use platools_net::policy::{is_loopback_address, is_loopback_host};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::listener;
use super::view::View;

/// The bounds of latencies, in seconds: from a local program to the longest call.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 30.0];

/// The recorder of this process; `None` where the program has another one.
fn recorder() -> Option<&'static PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
                .and_then(PrometheusBuilder::install_recorder)
                .inspect_err(|error| tracing::warn!(%error, "/metrics has nothing"))
                .ok()
        })
        .as_ref()
}

/// Counts from now on; what was counted before is lost.
pub(super) fn record() {
    recorder();
    metrics::describe_counter!(
        "platools_sidecar_retries_total",
        "Requests to backends that were tried again, by entity."
    );
    metrics::describe_counter!(
        "platools_sidecar_document_fetches_total",
        "Requests for documents of servers, by document and outcome."
    );
    metrics::describe_counter!("platools_sidecar_reloads_total", "Reloads of the file, by their outcome.");
}

/// Tidies up what the figures keep; to be done now and then.
pub(super) fn upkeep() {
    if let Some(recorder) = recorder() {
        recorder.run_upkeep();
    }
}

/// Serves until `stop`.
pub(super) async fn serve(listener: TcpListener, view: View, stop: CancellationToken) {
    let is_local = listener.local_addr().is_ok_and(|address| is_loopback_address(address.ip()));
    let router = router(view, is_local);
    listener::serve(listener, move || router.clone(), stop).await;
}

fn router(view: View, is_local: bool) -> Router {
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/tools", get(|State(view): State<View>| async move { Json(view.tools()) }))
        .route("/state", get(|State(view): State<View>| async move { Json(view.state()) }))
        .with_state(view);
    if is_local { router.layer(middleware::from_fn(only_by_address)) } else { router }
}

async fn readyz(State(view): State<View>) -> Response {
    let status = if view.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(view.readiness())).into_response()
}

async fn metrics() -> Response {
    match recorder() {
        Some(recorder) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder.render())
                .into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Turns away whoever asks under a name: a page that had its name point here.
async fn only_by_address(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_none_or(is_this_machine) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "ask for 127.0.0.1 or localhost\n").into_response()
    }
}

fn is_this_machine(host: &str) -> bool {
    host.parse::<Authority>().is_ok_and(|authority| is_loopback_host(authority.host()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_let_in() {
        for host in ["127.0.0.1:8700", "127.0.0.1", "localhost:8700", "LOCALHOST", "[::1]:8700", "[::1]"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["evil.example", "evil.example:8700", "127.0.0.1.evil.example", "10.0.0.1:8700", ""] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
