//! Extractors whose rejections are errors of the API.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use platools_net::body::{BODY_TIME, BodyError, BodyLimits};
use serde::de::DeserializeOwned;

use super::app::{App, MAX_BODY_BYTES};
use super::error::ApiError;

/// A body of JSON. Anything that a form of a page could send is refused.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "the body must be JSON: send it with `Content-Type: application/json`",
            ));
        }
        let body = whole(request).await?;
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            ApiError::bad_request("invalid_body", format!("the body is not what is expected here: {error}"))
        })
    }
}

/// The bytes of a body, once all of them came.
async fn whole(request: Request) -> Result<Vec<u8>, ApiError> {
    let (parts, body) = request.into_parts();
    let read = BodyLimits::new(MAX_BODY_BYTES).read_request(&parts.headers, body).await;
    read.map_err(|error| match error {
        BodyError::TooLarge { limit } => {
            let message = format!("the body is too large: at most {limit} bytes");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
        }
        BodyError::TooSlow => {
            let message =
                format!("the body did not come to its end within {} s: send it again", BODY_TIME.as_secs());
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message)
        }
        BodyError::Broken(_) => {
            ApiError::bad_request("unreadable", "the body could not be read to its end: send it again")
        }
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The parts of a path.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, app).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(rejection) => Err(ApiError::bad_request("invalid_path", rejection.body_text())),
        }
    }
}

/// The parameters behind a path.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match axum::extract::Query::from_request_parts(parts, app).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(ApiError::bad_request("invalid_query", rejection.body_text())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use axum::response::IntoResponse as _;
    use futures_util::stream::{self, StreamExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_without_an_end_is_not_waited_for() {
        let begun = stream::once(async { Ok::<_, Infallible>("{\"tool\":") });
        let body = Body::from_stream(begun.chain(stream::pending()));
        let refused = whole(Request::new(body)).await.unwrap_err();
        assert_eq!(refused.into_response().status(), StatusCode::REQUEST_TIMEOUT);
    }
}
