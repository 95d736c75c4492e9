//! An answer of the double.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

/// A status, headers and a body.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn json(body: &Value) -> Self {
        Self::with(200, "application/json", body.to_string())
    }

    pub(super) fn html(body: String) -> Self {
        Self::with(200, "text/html; charset=utf-8", body)
    }

    /// As `FastAPI` says no.
    pub(super) fn detail(status: u16, detail: impl Into<Value>) -> Self {
        let detail: Value = detail.into();
        Self::with(status, "application/json", json!({"detail": detail}).to_string())
    }

    fn with(status: u16, media_type: &str, body: String) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), media_type.to_owned())],
            body: body.into_bytes(),
        }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain"));
        response
    }
}

/// The answer for a session that does not exist.
pub(super) fn unknown() -> Reply {
    Reply::detail(404, "Session not found")
}

/// The answer for a session or a machine that has ended.
pub(super) fn gone() -> Reply {
    Reply::detail(410, "it is in a terminal state")
}

/// The answer to a body without a required field.
pub(super) fn missing(field: &str) -> Reply {
    Reply::detail(422, json!([{"loc": ["body", field], "msg": "Field required", "type": "missing"}]))
}
