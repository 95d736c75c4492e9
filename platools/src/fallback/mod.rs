//! Calls over HTTP, for a platform that cannot reach the host over its WebSocket (tool-sync §6).
//!
//! A router for the backend's own HTTP server: it verifies a request by its headers and body, and hands
//! the call to the host's one dispatcher. It must not know how a call runs.

mod answer;
mod body;
mod headers;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;

use self::answer::{plain, refused, too_many};
use self::body::{Bodies, Trouble};
use crate::host::{HostHandle, HttpAnswer, HttpCall};
use crate::wire::MAX_FRAME_BYTES;

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
/// | 429 | `rate limited`. `Retry-After` says when to try again, in seconds |
/// | 503 | `overloaded`, shutting down, or more than 64 MiB of bodies are arriving; with `Retry-After` too |
/// | 500 | internal; the cause is in the log, under the call's id |
/// | 504 | timed out |
///
/// Everything but 200 is plain text, the same as on the WebSocket. Put it behind TLS: the headers carry the
/// user's token, and the ids in them are not signed.
///
/// ```no_run
/// use platools::fallback::HttpFallback;
/// use std::future::IntoFuture as _;
///
/// use platools::host::HostState;
/// use platools::prelude::*;
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let host = Platools::from_env()?.build()?;
///     let handle = host.handle();
///     let app = axum::Router::new().nest("/platos/calls", HttpFallback::new(&handle).into_router());
///     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
///     // The server goes after the host, so that every answer is written.
///     let stopped = async move {
///         handle.wait_for(HostState::Stopped).await;
///     };
///     let server = axum::serve(listener, app).with_graceful_shutdown(stopped).into_future();
///     let (ran, served) = tokio::join!(host.run(), server);
///     ran?;
///     Ok(served?)
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
        let door = Door { bodies: Bodies::new(self.body_limit), host: self.host };
        Router::new().route("/", post(take)).with_state(door)
    }
}

#[derive(Clone)]
struct Door {
    host: HostHandle,
    bodies: Bodies,
}

async fn take(State(door): State<Door>, request: Request<Body>) -> Response {
    match begin(&door, request).await {
        // A task of its own, so that the call goes on when the client does not wait for it.
        Ok(call) => tokio::spawn(call).await.map_or_else(
            |_| plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error".to_owned()),
            answer::of,
        ),
        Err(response) => response,
    }
}

/// Reads and verifies a request. Afterwards its body is gone, and with it its share of the budget.
async fn begin(
    door: &Door,
    request: Request<Body>,
) -> Result<impl Future<Output = HttpAnswer> + Send + use<>, Response> {
    let refuse = |status, text: &str| plain(status, text.to_owned());
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(http::header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    let body = door.bodies.read(body, announced).await.map_err(|trouble| match trouble {
        Trouble::TooLarge(limit) => {
            refuse(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body has more than {limit} bytes"))
        }
        Trouble::TooMany => too_many(),
        Trouble::TooSlow => refuse(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
        Trouble::Broken => refuse(StatusCode::BAD_REQUEST, "the body ended too early"),
    })?;
    let text = std::str::from_utf8(&body.bytes)
        .map_err(|_| refuse(StatusCode::BAD_REQUEST, "the body is not UTF-8"))?;
    let (envelope, traceparent) = headers::read(&parts.headers).map_err(|repeated| {
        refuse(StatusCode::BAD_REQUEST, &format!("the header `{repeated}` stands there twice"))
    })?;
    let call = HttpCall { envelope, body: text, traceparent };
    door.host.begin_http_call(call).map_err(|refusal| refused(&refusal))
}

#[cfg(test)]
mod tests;
