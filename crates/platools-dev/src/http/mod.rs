//! The platform's HTTP side: the playground page and the API behind it.
//!
//! It sits on the same parts as the Rust API, and knows nothing about sockets: requests are handed in by
//! [`accept`](crate::accept). Every request passes [`guard`] first; what is listed in [`routes`] is all
//! there is.

mod api;
mod app;
mod assets;
mod authorities;
mod browsers;
mod error;
mod extract;
mod guard;
mod header;
mod openapi;
mod routes;
mod time;
mod view;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use axum::middleware::{from_fn, from_fn_with_state};
use hyper::body::Incoming;
use platools::verify::Secret;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use self::app::{App, Inner, Stopping};
pub(crate) use self::authorities::Authorities;
use self::browsers::Browsers;
use crate::error::DevError;
use crate::shared::Shared;

/// The HTTP side of one platform.
#[derive(Clone)]
pub(crate) struct Http {
    app: App,
    router: Router,
}

impl Http {
    /// # Errors
    /// When the system has no random bytes to give.
    pub(crate) fn new(
        shared: Arc<Shared>,
        base_url: Arc<str>,
        token: Secret,
        allowed: Authorities,
    ) -> Result<Self, DevError> {
        let browsers = Browsers::new(allowed.port(), allowed.is_secure())?;
        let app = Arc::new(Inner { shared, base_url, token, browsers, allowed });
        let router = routes::router(&app)
            .fallback(api::not_found)
            .method_not_allowed_fallback(api::method_not_allowed)
            .layer(from_fn_with_state(Arc::clone(&app), guard::from_here))
            .layer(from_fn(guard::harden))
            .with_state(Arc::clone(&app));
        Ok(Self { app, router })
    }

    /// A new key that opens the page in one browser, once.
    ///
    /// # Errors
    /// When the system has no random bytes to give.
    pub(crate) fn new_link(&self) -> Result<Secret, DevError> {
        self.app.browsers.new_link()
    }

    /// Answers one request. What streams ends when `stopping` is cancelled.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        stopping: CancellationToken,
    ) -> Response<Body> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Stopping(stopping));
        let answered: Result<_, Infallible> = self.router.clone().call(request).await;
        answered.unwrap_or_else(|never| match never {})
    }
}
