//! Calls over HTTP, for when the platform cannot reach the host over its WebSocket (protocol §6).
//!
//! A router for the backend's own HTTP server. The headers and the body of a request go to the host's intake, like a
//! frame of the WebSocket, and the answer becomes the response. This room must not know how a call is verified or run.

mod answer;
mod body;
mod headers;

use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use platools_net::BodyError;
use tokio::time::Instant;

use self::answer::{plain, refused, too_many};
use self::body::{Bodies, Trouble};
use crate::host::{HostHandle, RequestAnswer, Shared, SignedRequest};
use crate::intake::{Arrival, Incoming, Received, Refused};
use crate::run::Admitted;
use crate::verify::Refusal;
use crate::wire::{MAX_FRAME_BYTES, RawEnvelope};

/// The pause between two readings of the secret because a signature is wrong.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Answers signed calls that come as `POST` requests.
///
/// It shares the secret, replay guard, limits and tools with the WebSocket: a call that was received over one is
/// rejected on the other. A call runs to its end even if the client disconnects.
///
/// | status | when |
/// | --- | --- |
/// | 200 | the result, as JSON |
/// | 400 | the request or the arguments are invalid |
/// | 401 | verification failed; the text starts with the reason |
/// | 403 | `denied` |
/// | 404 | `unknown tool` |
/// | 405 | not a `POST` |
/// | 408 | the body took longer than 30 s, or came more slowly than 32 KiB/s after the first 3 s |
/// | 409 | a call with this id is running or was answered, or the id is that of a call with other arguments |
/// | 413 | the body is too large |
/// | 422 | the tool failed; the text is its error |
/// | 429 | `rate limited`, `overloaded`, or more than 64 MiB of bodies are arriving, of which 16 MiB are for small ones. `Retry-After` says when to try again, in
/// whole seconds |
/// | 503 | the tool is unavailable, or the host is shutting down; with `Retry-After` |
/// | 500 | internal error; the log has the cause, with the call's id |
/// | 504 | `timed out` |
///
/// All responses except 200 are plain text, with the error texts of the WebSocket; the platform passes them on to the
/// model. The platform calls the URL in [`HostConfig::callback_url`](crate::HostConfig::callback_url). Serve it over TLS: the headers carry
/// the user's token, and the ids in them are not signed.
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
///     // Or PLATOS_CALLBACK_URL.
///     let host = Platools::from_env()?.callback_url("https://tools.example/platos/calls").build()?;
///     let handle = host.handle();
///     let app = axum::Router::new().nest("/platos/calls", HttpFallback::new(&handle).into_router());
///     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
///     // The server stops after the host, so that every answer is sent.
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
    /// Creates a fallback for this host. It accepts calls whether or not the host is connected.
    pub fn new(host: &HostHandle) -> Self {
        Self { host: host.clone(), body_limit: MAX_FRAME_BYTES }
    }

    /// Sets the maximum size of a body, in bytes. Default: 10 MiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Returns the router, with one route at its root. Nest it at the path of the platform's callback URL.
    pub fn into_router(self) -> Router {
        let bodies = Bodies::new(self.body_limit);
        let route = Route { bodies, host: self.host };
        Router::new().route("/", post(take)).with_state(route)
    }
}

#[derive(Clone)]
struct Route {
    host: HostHandle,
    bodies: Bodies,
}

async fn take(State(route): State<Route>, request: Request<Body>) -> Response {
    match receive(&route, request).await {
        Ok(call) => run_apart(Arc::clone(route.host.shared()), call).await,
        Err(response) => response,
    }
}

/// Runs a call in a task of its own, so that it goes on when the client does not wait for it.
async fn run_apart(shared: Arc<Shared>, call: Admitted) -> Response {
    tokio::spawn(async move { shared.run_over_http(call).await }).await.map_or_else(
        |_| plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error, see the log of the host".to_owned()),
        answer::of,
    )
}

/// Reads a request and receives its call. Afterwards its body is gone, and with it its share of the budget.
async fn receive(route: &Route, request: Request<Body>) -> Result<Admitted, Response> {
    let refuse = |status, text: &str| plain(status, text.to_owned());
    let (parts, body) = request.into_parts();
    let (envelope, traceparent) = headers::read(&parts.headers)
        .map_err(|repeated| refuse(StatusCode::BAD_REQUEST, &format!("duplicate header `{repeated}`")))?;
    let call_id = envelope.call_id.as_deref().unwrap_or_default().to_owned();
    let shared = route.host.shared();
    // A request that cannot be genuine takes no room.
    if let Err(refusal) = shared.intake.verifier().check_headers(&envelope, SystemTime::now()) {
        let refusal = Refused::Verification(refusal);
        shared.note_refusal(&call_id, None, refusal.reason());
        return Err(refused(&refusal));
    }
    let body = route.bodies.read(&parts.headers, body).await.map_err(|trouble| match trouble {
        Trouble::Body(BodyError::TooLarge { limit }) => refuse(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("the call has more than {limit} bytes: shorten its arguments"),
        ),
        Trouble::TooMany => too_many(),
        Trouble::Body(BodyError::TooSlow) => {
            refuse(StatusCode::REQUEST_TIMEOUT, "the call took too long to arrive, retry")
        }
        Trouble::Body(BodyError::Broken(_)) => {
            refuse(StatusCode::BAD_REQUEST, "the call arrived incomplete, retry")
        }
    })?;
    let text = std::str::from_utf8(&body.bytes).map_err(|_| {
        refuse(StatusCode::BAD_REQUEST, "the call is not UTF-8: send the signed text as UTF-8")
    })?;
    // Nonces and call ids are known where the connection is.
    if shared.may_be_led_elsewhere() {
        if let Err(refusal) = check_signature(shared, &envelope, text) {
            let refusal = Refused::Verification(refusal);
            shared.note_refusal(&call_id, None, refusal.reason());
            return Err(refused(&refusal));
        }
        let forwarded = shared.forward(SignedRequest {
            envelope: envelope.to_envelope().to_json(),
            body: text.to_owned(),
            traceparent: traceparent.clone(),
        });
        if let Some(forwarded) = forwarded {
            return Err(answer::of_another(forwarded.await));
        }
    }
    let call = Incoming::Request { envelope, body: text, traceparent };
    admitted(shared, &call_id, receive_verified(shared, &call)).map_err(|response| *response)
}

/// Returns the call, or the response to one that does not run.
fn admitted(shared: &Shared, call_id: &str, received: Received) -> Result<Admitted, Box<Response>> {
    let (reason, response) = match received {
        Received::Run(call) => return Ok(call),
        // The id is not signed, so an existing answer must not be returned here.
        Received::Running | Received::Answered(_) => {
            let text = "this call is running or was answered already: send a new call under a new id";
            ("known_call_id", plain(StatusCode::CONFLICT, text.to_owned()))
        }
        Received::Refused(refusal) => (refusal.reason(), refused(&refusal)),
    };
    shared.note_refusal(call_id, None, reason);
    Err(Box::new(response))
}

/// Receives and runs a call that came over HTTP to another process.
pub(crate) async fn receive_for_another(shared: &Arc<Shared>, call: SignedRequest) -> RequestAnswer {
    let SignedRequest { envelope, body, traceparent } = call;
    let envelope = RawEnvelope::parse(&envelope);
    let call_id = envelope.call_id.as_deref().unwrap_or_default().to_owned();
    let call = Incoming::Request { envelope, body: &body, traceparent };
    let response = match admitted(shared, &call_id, receive_verified(shared, &call)) {
        Ok(call) => run_apart(Arc::clone(shared), call).await,
        Err(response) => *response,
    };
    answer::for_another(response).await
}

/// Checks the signature of a call that another process receives; once more with another secret, like
/// [`receive_verified`].
fn check_signature(shared: &Shared, envelope: &RawEnvelope<'_>, body: &str) -> Result<(), Refusal> {
    let check = || shared.intake.verifier().check_request(envelope, body, SystemTime::now());
    match check() {
        Err(Refusal::SignatureMismatch) if read_secret(shared) => check(),
        checked => checked,
    }
}

/// Receives a call; once more with another secret, if that is why it was refused.
fn receive_verified(shared: &Shared, call: &Incoming<'_, '_>) -> Received {
    let scope = shared.scope.read().unwrap_or_else(PoisonError::into_inner).clone();
    let arrival = Arrival { at: Instant::now(), wall: SystemTime::now(), scope: &scope };
    match shared.intake.receive(call, arrival) {
        Received::Refused(Refused::Verification(Refusal::SignatureMismatch)) if read_secret(shared) => {
            shared.intake.receive(call, arrival)
        }
        received => received,
    }
}

/// Reads the secret again, unless that was done a moment ago or may take long: it may have been rotated, and the
/// WebSocket, which would say so, may be the connection that is broken. Returns whether another try makes sense.
fn read_secret(shared: &Shared) -> bool {
    let mut last = shared.secret_read.lock().unwrap_or_else(PoisonError::into_inner);
    if shared.secret.is_slow() || last.is_some_and(|last| last.elapsed() < READ_AGAIN) {
        return false;
    }
    *last = Some(Instant::now());
    match shared.secret.load() {
        Ok(secret) => {
            shared.intake.verifier().replace_secret(&secret);
            true
        }
        Err(error) => {
            tracing::warn!("the secret cannot be read again: {error}");
            false
        }
    }
}

#[cfg(test)]
mod tests;
