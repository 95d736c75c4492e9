//! Responses to refused requests.

use std::time::Duration;

use ::http::StatusCode;
use ::http::header::{CONNECTION, CONTENT_TYPE, EXPECT, HeaderValue};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use platools_net::BodyLimits;
use rmcp::model::RequestId;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// How much of an unwanted body is read, in bytes: more than a client's first message has.
const DISCARD_LIMIT: usize = 64 << 10;
/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// Creates a response of plain text.
pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    let mut response = Response::new(Body::from(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Prepares the response to a request that is refused before its body is read. An unread body ends the connection, and
/// the next request on it would be lost. So a short body is read; otherwise the response closes the connection.
pub(super) async fn before(request: Request, response: Response) -> Response {
    // A client that waits for `100 Continue` is not told to go on.
    let asks = request.headers().contains_key(EXPECT);
    if asks {
        return last(response);
    }
    let read = BodyLimits::new(DISCARD_LIMIT).time(DISCARD_TIME).read(request.into_body()).await;
    if read.is_ok() { response } else { last(response) }
}

/// Marks the response as the last one on its connection.
pub(super) fn last(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Creates the JSON-RPC error for a request whose id another one has that is not answered yet.
pub(super) fn duplicate(id: &RequestId) -> Response {
    let message = "another request with this id has no answer yet: give each an id of its own";
    error(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32600, "message": message}}))
}

/// Creates the JSON-RPC error for a body that is no message.
pub(super) fn unreadable(body: &[u8]) -> Response {
    let first = body.trim_ascii_start().first();
    let (code, message) = match serde_json::from_slice::<IgnoredAny>(body) {
        Err(error) => (-32700, format!("the body is not JSON: {error}")),
        Ok(_) if first == Some(&b'[') => {
            (-32600, "batches are not taken: send one message a request".to_owned())
        }
        Ok(_) => (-32600, "the body is no JSON-RPC 2.0 request, notification or response".to_owned()),
    };
    error(&json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": message}}))
}

fn error(body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
