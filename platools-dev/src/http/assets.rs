//! The playground: files that are part of the program, and the page that carries the token.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::App;
use super::error::ApiError;
use super::extract::Path;

/// The page; [`TOKEN_MARK`] stands where the token goes.
const PAGE: &str = include_str!("../../assets/index.html");
const TOKEN_MARK: &str = "{{token}}";

/// Lists the files under `assets/` that are served, with their media types.
macro_rules! assets {
    ($($media_type:literal: $($name:literal),+;)+) => {
        const ASSETS: &[(&str, &str, &str)] =
            &[$($(($name, $media_type, include_str!(concat!("../../assets/", $name)))),+),+];
    };
}

assets! {
    "image/svg+xml": "icon.svg";
    "text/css; charset=utf-8": "style.css";
    "text/javascript; charset=utf-8": "js/main.js";
}

/// `GET /`
pub(super) async fn page(State(app): State<App>) -> Response {
    let page = PAGE.replace(TOKEN_MARK, &attribute(app.token.expose()));
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

/// `GET /assets/{*path}`
pub(super) async fn asset(Path(path): Path<String>) -> Result<Response, ApiError> {
    let Some((_, media_type, text)) = ASSETS.iter().find(|(name, ..)| *name == path) else {
        return Err(ApiError::not_found("no_such_path", format!("the playground has no file `{path}`")));
    };
    // Another version of the platform may stand at this port tomorrow.
    let cached = HeaderValue::from_static("no-cache");
    let media_type = HeaderValue::from_static(media_type);
    Ok(([(CONTENT_TYPE, media_type), (CACHE_CONTROL, cached)], *text).into_response())
}

/// A text inside of the quotes of an attribute.
fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}
