//! The page of one browser: opened with a link, and known from then on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::Body;

/// The body of a request to open the playground.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum Opening {
    /// The key of a link, which works once.
    Link(String),
    /// The API token.
    Token(String),
}

#[derive(Serialize, ToSchema)]
struct Opened {
    key: String,
}

/// Open the playground in a browser
#[utoipa::path(
    post,
    path = "/api/v1/page",
    operation_id = "openPage",
    request_body = inline(Opening),
    responses(
        (
            status = 200,
            description = "It is open: the cookie is set, and `key` goes into `X-Platools-Page` of further requests",
            body = inline(Opened),
            headers(("Set-Cookie" = String))
        ),
        (status = 401)
    )
)]
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
    let opened = Opened { key: app.browsers.page_key().expose().to_owned() };
    Ok(([(SET_COOKIE, app.browsers.set_cookie())], Json(opened)).into_response())
}

/// Whether a page is open
#[utoipa::path(
    get,
    path = "/api/v1/page",
    operation_id = "checkPage",
    responses((status = 204, description = "It is"))
)]
pub(in crate::http) async fn check() -> StatusCode {
    StatusCode::NO_CONTENT
}
