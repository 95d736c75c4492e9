//! Turns the outcome of a call into an HTTP response, as the platform takes it (protocol §6).
//!
//! The platform takes the JSON of a 200 as the result itself, and the text of every other status reaches the model.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use crate::host::RequestAnswer;
use crate::intake::{Failure, Refused};
use crate::tool::ToolErrorKind;

/// The `Retry-After` of responses without a more specific time.
const DEFAULT_RETRY: Duration = Duration::from_secs(1);

/// Creates the response to a call that ran.
pub(super) fn of(outcome: Result<String, Failure>) -> Response {
    match outcome {
        Ok(json) => respond(StatusCode::OK, "application/json", json, None),
        Err(failure) => failed(failure.kind(), failure.text().to_owned(), failure.retry_after()),
    }
}

/// Creates the response to a rejected call.
pub(super) fn refused(refused: &Refused) -> Response {
    let text = refused.to_string();
    match refused {
        Refused::Verification(_) => plain(StatusCode::UNAUTHORIZED, text),
        Refused::Body(_) => plain(StatusCode::BAD_REQUEST, text),
        Refused::IdOfAnother | Refused::AnswerEvicted => plain(StatusCode::CONFLICT, text),
        Refused::ShuttingDown => failed(ToolErrorKind::Unavailable, text, None),
        Refused::Admission(error) => failed(error.kind(), text, error.retry_after()),
    }
}

fn failed(kind: ToolErrorKind, text: String, retry_after: Option<Duration>) -> Response {
    let (status, retry_after) = match kind {
        ToolErrorKind::InvalidArguments => (StatusCode::BAD_REQUEST, None),
        ToolErrorKind::Denied => (StatusCode::FORBIDDEN, None),
        ToolErrorKind::NotFound => (StatusCode::NOT_FOUND, None),
        ToolErrorKind::Failed => (StatusCode::UNPROCESSABLE_ENTITY, None),
        // The one status whose `Retry-After` the platform passes on.
        ToolErrorKind::RateLimited | ToolErrorKind::Overloaded => {
            (StatusCode::TOO_MANY_REQUESTS, Some(retry_after.unwrap_or(DEFAULT_RETRY)))
        }
        ToolErrorKind::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, Some(retry_after.unwrap_or(DEFAULT_RETRY)))
        }
        ToolErrorKind::TimedOut => (StatusCode::GATEWAY_TIMEOUT, None),
        ToolErrorKind::Internal | ToolErrorKind::Cancelled => (StatusCode::INTERNAL_SERVER_ERROR, None),
    };
    respond(status, "text/plain; charset=utf-8", text, retry_after)
}

/// The response of another process, which received the call.
pub(super) fn of_another(answer: RequestAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type =
        if status == StatusCode::OK { "application/json" } else { "text/plain; charset=utf-8" };
    respond(status, content_type, answer.body, answer.retry_after.map(Duration::from_secs))
}

/// The response as it travels to the process whose client waits for it.
pub(super) async fn for_another(response: Response) -> RequestAnswer {
    let (head, body) = response.into_parts();
    let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    // It is a text of this module, so it can be read and is UTF-8.
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let body = String::from_utf8(body.into()).unwrap_or_default();
    RequestAnswer { status: head.status.as_u16(), retry_after, body }
}

/// Creates the response for an exhausted body budget.
pub(super) fn too_many() -> Response {
    let text = "overloaded: too many calls are arriving, retry".to_owned();
    respond(StatusCode::TOO_MANY_REQUESTS, "text/plain; charset=utf-8", text, Some(DEFAULT_RETRY))
}

/// Creates a plain-text response.
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
