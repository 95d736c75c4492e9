//! From a call's end to an HTTP answer.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use crate::host::{HttpAnswer, HttpRefusal};
use crate::tool::ToolErrorKind;

/// When a call that found no place may come again.
const SOON: Duration = Duration::from_secs(1);

/// The answer to a call that ran, or was refused its place.
pub(super) fn of(answer: HttpAnswer) -> Response {
    match answer {
        HttpAnswer::Result(json) => respond(StatusCode::OK, "application/json", json, None),
        HttpAnswer::Error { kind, text, retry_after } => failed(kind, text, retry_after),
    }
}

/// The answer to a call that was not taken.
pub(super) fn refused(refusal: &HttpRefusal) -> Response {
    let text = refusal.to_string();
    match refusal {
        HttpRefusal::NotVerified(_) => plain(StatusCode::UNAUTHORIZED, text),
        HttpRefusal::NotReadable(_) => plain(StatusCode::BAD_REQUEST, text),
        HttpRefusal::Known => plain(StatusCode::CONFLICT, text),
        HttpRefusal::ShuttingDown => {
            respond(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", text, Some(SOON))
        }
        HttpRefusal::NotAdmitted(error) => failed(error.kind(), text, error.retry_after()),
    }
}

fn failed(kind: ToolErrorKind, text: String, retry_after: Option<Duration>) -> Response {
    let (status, retry_after) = match kind {
        ToolErrorKind::InvalidArguments => (StatusCode::BAD_REQUEST, None),
        ToolErrorKind::Denied => (StatusCode::FORBIDDEN, None),
        ToolErrorKind::NotFound => (StatusCode::NOT_FOUND, None),
        ToolErrorKind::Failed => (StatusCode::UNPROCESSABLE_ENTITY, None),
        ToolErrorKind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, Some(retry_after.unwrap_or(SOON))),
        ToolErrorKind::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, Some(retry_after.unwrap_or(SOON))),
        ToolErrorKind::TimedOut => (StatusCode::GATEWAY_TIMEOUT, None),
        ToolErrorKind::Internal | ToolErrorKind::Cancelled => (StatusCode::INTERNAL_SERVER_ERROR, None),
    };
    respond(status, "text/plain; charset=utf-8", text, retry_after)
}

/// The answer when too much arrives at once.
pub(super) fn too_many() -> Response {
    let text = "too much is arriving at once, retry".to_owned();
    respond(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", text, Some(SOON))
}

/// A text for a person or a model.
pub(super) fn plain(status: StatusCode, text: String) -> Response {
    respond(status, "text/plain; charset=utf-8", text, None)
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: String,
    retry_after: Option<Duration>,
) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(wait) = retry_after {
        // Whole seconds, rounded up, so that a retry at that time is not too early.
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1_000).max(1) as u64));
    }
    response
}
