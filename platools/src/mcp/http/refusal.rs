//! Responses to requests that go no further.

use ::http::StatusCode;
use ::http::header::{CONTENT_TYPE, HeaderValue};
use axum::body::Body;
use axum::response::Response;
use serde::de::IgnoredAny;
use serde_json::json;

/// A line of text.
pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    let mut response = Response::new(Body::from(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// What is wrong with a body that is no message, as JSON-RPC says it.
pub(super) fn unreadable(body: &[u8]) -> Response {
    let first = body.trim_ascii_start().first();
    let (code, message) = match serde_json::from_slice::<IgnoredAny>(body) {
        Err(error) => (-32700, format!("the body is not JSON: {error}")),
        Ok(_) if first == Some(&b'[') => {
            (-32600, "batches are not taken: send one message a request".to_owned())
        }
        Ok(_) => (-32600, "the body is no JSON-RPC 2.0 request, notification or response".to_owned()),
    };
    let body = json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": message}});
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
