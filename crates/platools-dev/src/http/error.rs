//! Errors of the API: `{"error":{"code":"…","message":"…"}}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::error::DevError;
use serde::Serialize;
use utoipa::ToSchema;

/// An error of the API: a code for programs, a message for people.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// The body of an error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorBody {
    #[schema(inline)]
    error: Details,
}

#[derive(Serialize, ToSchema)]
struct Details {
    /// For programs, such as `not_connected`.
    code: &'static str,
    /// For people.
    message: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }
}

impl From<DevError> for ApiError {
    fn from(error: DevError) -> Self {
        let (status, code) = match &error {
            DevError::UnknownEntity(_) => (StatusCode::NOT_FOUND, "unknown_entity"),
            DevError::NotConnected(_) => (StatusCode::CONFLICT, "not_connected"),
            DevError::NotAnObject(_) => (StatusCode::BAD_REQUEST, "not_an_object"),
            DevError::NothingToReplay(_) => (StatusCode::CONFLICT, "nothing_to_replay"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        let message = match error {
            // Their own texts speak to those who write Rust.
            DevError::NotConnected(key) => format!("no host is connected as {key}: start one"),
            DevError::UnknownEntity(key) => {
                format!("there is no {key}: /api/v1/entities lists the entities and their environments")
            }
            other => other.to_string(),
        };
        Self::new(status, code, message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, code, message } = self;
        (status, Json(ErrorBody { error: Details { code, message } })).into_response()
    }
}
