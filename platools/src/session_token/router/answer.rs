//! Responses of the endpoint.

use std::time::Duration;

use axum::Json;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONNECTION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::session_token::SessionToken;

/// The reason for which a request gets no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Method,
    BodyTooLarge,
    /// A header that says who is asking came twice or is unreadable.
    Ambiguous,
    Unauthenticated,
    TooMany(Duration),
    /// The request comes from a page of another origin.
    Foreign,
    Unavailable(Option<Duration>),
    Internal,
}

impl Refusal {
    /// Returns the response; `preflights` says whether `OPTIONS` is allowed.
    pub(super) fn answer(self, preflights: bool) -> Response {
        let (status, error, message) = match self {
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "use POST"),
            Self::BodyTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "this endpoint needs no body")
            }
            Self::Ambiguous => (
                StatusCode::BAD_REQUEST,
                "ambiguous_header",
                "send `Authorization` and each `X-Platos-…` header once, as UTF-8",
            ),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "log in first"),
            Self::TooMany(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests: use the token you have")
            }
            Self::Foreign => (StatusCode::FORBIDDEN, "foreign_origin", "this origin is not allowed"),
            Self::Unavailable(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "no token can be minted now: retry later")
            }
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "no token could be minted"),
        };
        let mut response =
            no_store((status, Json(json!({"error": error, "message": message}))).into_response());
        let headers = response.headers_mut();
        match self {
            Self::Method => {
                let allowed = if preflights { "POST, OPTIONS" } else { "POST" };
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            // Closes the connection instead of reading the rest of the body.
            Self::BodyTooLarge => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::TooMany(wait) | Self::Unavailable(Some(wait)) => {
                headers.insert(RETRY_AFTER, (wait.as_millis().div_ceil(1_000).max(1) as u64).into());
            }
            _ => {}
        }
        response
    }
}

/// Returns the response with a token.
pub(super) fn token(token: &SessionToken) -> Response {
    no_store(Json(token).into_response())
}

/// Returns the response to a CORS preflight request; the CORS headers are added separately.
pub(super) fn preflight() -> Response {
    no_store(StatusCode::NO_CONTENT.into_response())
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
