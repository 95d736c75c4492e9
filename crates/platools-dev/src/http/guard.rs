//! Access control: a request has to be meant for this platform, and to carry the token or come from a page that was
//! opened with a link.
//!
//! A browser sends requests to this port on behalf of any page that it shows. `Host` reveals DNS rebinding, `Origin` and
//! `Sec-Fetch-Site` name the page, and other pages know neither the token nor the key of ours. Each check would do; all
//! are made.

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::app::App;
use super::browsers::PAGE_KEY;
use super::error::ApiError;
use super::header::single;

/// The content security policy: a page loads its own scripts, styles and images, and asks this API.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      media-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Lets through what was meant for this platform and comes from no other page than its own.
pub(super) async fn from_here(State(app): State<App>, request: Request, next: Next) -> Response {
    match app.allowed.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Lets through what carries the token, or comes from a page that was opened with a link.
pub(super) async fn with_token(State(app): State<App>, request: Request, next: Next) -> Response {
    let refuse = |code, message| {
        let error = ApiError::new(StatusCode::UNAUTHORIZED, code, message);
        ([(WWW_AUTHENTICATE, "Bearer")], error).into_response()
    };
    match presented_token(request.headers()) {
        Some(token) if app.token.matches(token) => next.run(request).await,
        Some(_) => refuse(
            "token_wrong",
            "this is not the API token of this run of the platform: copy the one that the platform shows now",
        ),
        None if app.browsers.know(request.headers()) => next.run(request).await,
        None if request.headers().contains_key(&PAGE_KEY) => refuse(
            "page_unknown",
            "this page is of an earlier run of the platform, or of another browser: open the link that the \
             platform printed when it started",
        ),
        None => refuse(
            "token_missing",
            "send the API token as `Authorization: Bearer …` or `X-Platools-Token: …`; the platform shows it \
             when it starts",
        ),
    }
}

fn presented_token(headers: &HeaderMap) -> Option<&str> {
    let bearer = || {
        let (scheme, token) = single(headers, &AUTHORIZATION)?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    };
    single(headers, &HeaderName::from_static("x-platools-token")).or_else(bearer)
}

/// Tells browsers to keep what they get to themselves.
pub(super) async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
