//! Calls over HTTP, for a platform that cannot reach the host over its WebSocket (tool-sync §6).
//!
//! A router for the backend's own HTTP server: it verifies a request by its headers and body, and hands
//! the call to the host's one dispatcher. It must not know how a call runs.

mod answer;
mod headers;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::timeout;

use self::answer::{plain, refused};
use crate::host::{HostHandle, HttpCall};
use crate::protocol::MAX_FRAME_BYTES;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Answers signed calls that come as `POST` requests.
///
/// The same secret, replay guard, limits and tools as on the WebSocket: a call that was received over one
/// way is refused on the other. A request runs to its end even when its client goes away.
///
/// | status | when |
/// | --- | --- |
/// | 200 | the result, as JSON |
/// | 400 | the request or the arguments cannot be read |
/// | 401 | the call is not verified; the text starts with the reason |
/// | 403 | `denied` |
/// | 404 | there is no such tool |
/// | 405 | not a `POST` |
/// | 408 | the body took longer than 30 s |
/// | 409 | a call of this id is running or was answered |
/// | 413 | the body is too large |
/// | 422 | the tool failed, with its own text |
/// | 429, 503 | `rate limited`; `overloaded` or shutting down. `Retry-After` says when to try again, in seconds |
/// | 500 | internal; the cause is in the log, under the call's id |
/// | 504 | timed out |
///
/// Everything but 200 is plain text, the same as on the WebSocket. Put it behind TLS: the headers carry the
/// user's token, and the ids in them are not signed.
///
/// ```no_run
/// use platools::http::HttpFallback;
/// use platools::prelude::*;
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let host = Platools::from_env()?.build()?;
///     let app = axum::Router::new().nest("/platos/calls", HttpFallback::new(&host.handle()).into_router());
///     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
///     tokio::spawn(async move { axum::serve(listener, app).await });
///     Ok(host.run().await?)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct HttpFallback {
    host: HostHandle,
    body_limit: usize,
}

impl HttpFallback {
    /// Calls for this host. It takes them whether or not it is connected.
    pub fn new(host: &HostHandle) -> Self {
        Self { host: host.clone(), body_limit: MAX_FRAME_BYTES }
    }

    /// The most that a body may have, in bytes; 10 MiB unless said otherwise.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// The router, with one route at its root. Nest it where the platform's callback URL points.
    pub fn into_router(self) -> Router {
        Router::new().route("/", post(take)).with_state(Arc::new(self))
    }
}

async fn take(State(fallback): State<Arc<HttpFallback>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let declared = parts.headers.get(http::header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let limit = fallback.body_limit;
    let too_large = || plain(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {limit} bytes"));
    if declared.is_some_and(|length| length > limit as u64) {
        return too_large();
    }
    let body = match timeout(BODY_TIME, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return too_large(),
        Ok(Err(_)) => return plain(StatusCode::BAD_REQUEST, "the body ended too early".to_owned()),
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the body took too long".to_owned()),
    };
    let Ok(body) = std::str::from_utf8(&body) else {
        return plain(StatusCode::BAD_REQUEST, "the body is not UTF-8".to_owned());
    };
    let (envelope, traceparent) = match headers::read(&parts.headers) {
        Ok(read) => read,
        Err(repeated) => {
            return plain(StatusCode::BAD_REQUEST, format!("the header `{repeated}` stands there twice"));
        }
    };
    match fallback.host.begin_http_call(HttpCall { envelope, body, traceparent }) {
        // A task of its own, so that the call goes on when the client does not wait for it.
        Ok(call) => tokio::spawn(call).await.map_or_else(
            |_| plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error".to_owned()),
            answer::of,
        ),
        Err(refusal) => refused(&refusal),
    }
}

#[cfg(test)]
mod tests;
