//! The page of one browser: opened with a link, and known from then on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use crate::http::App;
use crate::http::error::ApiError;
use crate::http::extract::Body;

/// The body of a request to open the playground: the key of a link, or the API token.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum Opening {
    /// The key of a link.
    Link(String),
    /// The API token.
    Token(String),
}

/// `POST /api/v1/page`
pub(in crate::http) async fn open(
    State(app): State<App>,
    Body(opening): Body<Opening>,
) -> Result<Response, ApiError> {
    let refuse = |code, message| Err(ApiError::new(StatusCode::UNAUTHORIZED, code, message));
    match opening {
        Opening::Link(key) if !app.browsers.take_link(&key) => {
            return refuse(
                "link_used",
                "this link was opened before, or is of an earlier run of the platform: enter the API token that \
                 the platform showed when it started",
            );
        }
        Opening::Token(token) if !app.token.matches(&token) => {
            return refuse(
                "token_wrong",
                "this is not the API token of this run of the platform: copy the one that it shows now",
            );
        }
        Opening::Link(_) | Opening::Token(_) => {}
    }
    let key = Json(json!({"key": app.browsers.page_key().expose()}));
    Ok(([(SET_COOKIE, app.browsers.set_cookie())], key).into_response())
}

/// `GET /api/v1/page`
pub(in crate::http) async fn check() -> StatusCode {
    StatusCode::NO_CONTENT
}
