//! The API, one module a resource.

pub(super) mod calls;
pub(super) mod entities;
pub(super) mod events;
pub(super) mod faults;
pub(super) mod health;
pub(super) mod history;
pub(super) mod page;
pub(super) mod secrets;
#[cfg_attr(not(feature = "session-tokens"), path = "session_tokens_off.rs")]
pub(super) mod session_tokens;
pub(super) mod tools;

use axum::http::{Method, StatusCode, Uri};

use super::error::ApiError;

/// The user that a session token names.
#[cfg_attr(not(feature = "session-tokens"), allow(dead_code, reason = "there are no session tokens"))]
pub(super) struct Caller {
    user: String,
    user_token: Option<String>,
    /// The agent that the token is bound to.
    agent: Option<String>,
}

/// The answer where nothing is.
pub(super) async fn not_found(uri: Uri) -> ApiError {
    let path = uri.path();
    ApiError::not_found(
        "no_such_path",
        format!("there is nothing at {path}: see /api/v1/openapi.json for what there is"),
    )
}

/// The answer to a method that a path does not have.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    let path = uri.path();
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no_such_method",
        format!("{path} has no {method}: see /api/v1/openapi.json for what it has"),
    )
}
