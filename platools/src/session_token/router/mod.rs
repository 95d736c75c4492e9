//! The endpoint that gives a frontend its token: `POST /api/platos-session` on the backend's own server.
//!
//! The backend's own login determines the user from the head of the request. The body is never read, so it cannot
//! influence the token. This module must not know how a user logs in or how a token is minted.

mod answer;
mod cors;
mod limit;

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::http::{Method, Request};
use axum::response::Response;
use axum::routing::any;
use futures_util::FutureExt as _;

use self::answer::Refusal;
use self::cors::Cors;
use self::limit::{Limit, network};
use super::{SessionClaims, SessionTokens};
use crate::tool::{BoxError, RateLimit};

/// Default path of the endpoint.
pub const SESSION_TOKEN_PATH: &str = "/api/platos-session";

/// Maximum `Content-Length` of a request, in bytes. The body is never read.
const MAX_BODY: u64 = 4 * 1024;

const MINUTE: Duration = Duration::from_secs(60);

type Authenticated = Result<Option<SessionClaims>, BoxError>;
type Authenticate = dyn Fn(Parts) -> Pin<Box<dyn Future<Output = Authenticated> + Send>> + Send + Sync;
type ClientAddress = dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync;

/// Returns the endpoint `POST /api/platos-session`, to merge into a backend's own router.
///
/// `authenticate` is the backend's own login: it receives the head of the request, such as its cookies, and returns the
/// claims of the token. `Ok(None)` means that no user is logged in (401); an error is logged and answered with 500.
/// There is no default, since without authentication anyone would get a token for anyone.
///
/// ```
/// use axum::Router;
/// use axum::http::request::Parts;
/// use platools::session_token::session_token_router;
/// use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
/// use platools::SecretSource;
///
/// /// The user whom the session cookie belongs to.
/// async fn authenticate(request: Parts) -> Result<Option<SessionClaims>, std::io::Error> {
///     let cookie = request.headers.get("cookie").and_then(|cookie| cookie.to_str().ok());
///     // Here a backend looks the session up in its own store.
///     let user_id = cookie.filter(|cookie| *cookie == "session=4f1b").map(|_| "usr_7");
///     Ok(user_id.map(SessionClaims::for_user))
/// }
///
/// # fn main() -> platools::Result<()> {
/// # let secret = SecretSource::text("b7f1c2d3e4f5a6978899aabbccddeeff");
/// let tokens = SessionTokens::local(secret, SessionScope::new("org_1", "proj_1", "env_1", "orders"))?;
/// let app: Router = Router::new().merge(session_token_router(tokens, authenticate));
/// # Ok(())
/// # }
/// ```
///
/// Extractors of axum work too: `parts.extract::<CurrentUser>().await`, with [`axum::RequestPartsExt`].
///
/// Requests are limited to 30 per minute and user and 120 per minute and address, then answered with 429 and
/// `Retry-After`; see [`per_user`](SessionTokenRouter::per_user) and
/// [`per_address`](SessionTokenRouter::per_address). The address is known only if the server is created with
/// `into_make_service_with_connect_info::<SocketAddr>()`; see
/// [`client_address`](SessionTokenRouter::client_address). Every response has `Cache-Control: no-store`. Requests from
/// pages of other origins are rejected (403) unless [`allow_origin`](SessionTokenRouter::allow_origin) allows them.
pub fn session_token_router<A, F, E>(tokens: SessionTokens, authenticate: A) -> SessionTokenRouter
where
    A: Fn(Parts) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Option<SessionClaims>, E>> + Send + 'static,
    E: Into<BoxError>,
{
    let authenticate = move |parts: Parts| {
        let authenticated = authenticate(parts);
        let authenticated = async move { authenticated.await.map_err(Into::into) };
        Box::pin(authenticated) as Pin<Box<dyn Future<Output = Authenticated> + Send>>
    };
    SessionTokenRouter {
        tokens,
        authenticate: Arc::new(authenticate),
        client_address: Arc::new(peer),
        per_user: RateLimit::per(30, MINUTE),
        per_address: RateLimit::per(120, MINUTE),
        cors: Cors::default(),
        path: SESSION_TOKEN_PATH.to_owned(),
    }
}

/// The endpoint with its settings, created by [`session_token_router`]. `Router::merge` or `Router::from` converts it
/// to an [`axum::Router`].
#[derive(Clone)]
#[must_use = "it does nothing until it is merged into a router"]
pub struct SessionTokenRouter {
    tokens: SessionTokens,
    authenticate: Arc<Authenticate>,
    client_address: Arc<ClientAddress>,
    per_user: RateLimit,
    per_address: RateLimit,
    cors: Cors,
    path: String,
}

impl SessionTokenRouter {
    /// Sets the path. Default: [`SESSION_TOKEN_PATH`].
    ///
    /// # Panics
    /// When the router is created, if the path does not begin with a slash.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the rate limit per user.
    pub fn per_user(mut self, limit: RateLimit) -> Self {
        self.per_user = limit;
        self
    }

    /// Sets the rate limit per address, checked before authentication. IPv6 addresses are counted by their /64.
    pub fn per_address(mut self, limit: RateLimit) -> Self {
        self.per_address = limit;
        self
    }

    /// Sets how to find the client's address. Default: the peer of the connection, which axum provides with
    /// `into_make_service_with_connect_info::<SocketAddr>()`; without it there is no limit per address, which is logged
    /// once. Behind a proxy, every request has the proxy's address: read the header that the proxy sets, and make sure
    /// that the proxy overwrites it, since clients can send the same header.
    pub fn client_address(mut self, find: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        self.client_address = Arc::new(find);
        self
    }

    /// Allows pages of this origin, such as `https://app.example`, to request tokens with the user's cookies. The
    /// origin must match exactly; patterns are not supported.
    ///
    /// # Panics
    /// If the text is not an origin: scheme and host, a port if it is not the scheme's default, and no path. `*` is not
    /// an origin.
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.cors.allow_origin(origin);
        self
    }

    /// Allows pages of the allowed origins to send this header in addition to `Authorization` and `Content-Type`, such
    /// as a CSRF token.
    ///
    /// # Panics
    /// If the text is not a header name.
    pub fn allow_header(mut self, name: &str) -> Self {
        self.cors.allow_header(name);
        self
    }
}

impl fmt::Debug for SessionTokenRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTokenRouter")
            .field("path", &self.path)
            .field("per_user", &self.per_user)
            .field("per_address", &self.per_address)
            .field("cors", &self.cors)
            .finish_non_exhaustive()
    }
}

impl<S: Clone + Send + Sync + 'static> From<SessionTokenRouter> for Router<S> {
    fn from(router: SessionTokenRouter) -> Self {
        let SessionTokenRouter { tokens, authenticate, client_address, per_user, per_address, cors, path } =
            router;
        let endpoint = Arc::new(Endpoint {
            tokens,
            authenticate,
            client_address,
            users: Limit::new(per_user),
            addresses: Limit::new(per_address),
            has_warned: AtomicBool::new(false),
            cors,
        });
        let handler = move |request: Request<Body>| {
            let endpoint = Arc::clone(&endpoint);
            async move { endpoint.answer(request).await }
        };
        Router::new().route(&path, any(handler))
    }
}

/// Returns the peer of the connection, if axum provides it.
fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

struct Endpoint {
    tokens: SessionTokens,
    authenticate: Arc<Authenticate>,
    client_address: Arc<ClientAddress>,
    users: Limit<String>,
    addresses: Limit<IpAddr>,
    /// Whether a request without an address was already logged.
    has_warned: AtomicBool,
    cors: Cors,
}

impl Endpoint {
    async fn answer(&self, request: Request<Body>) -> Response {
        // Drops the body unread.
        let (parts, _) = request.into_parts();
        let origin = self.cors.allowed(&parts.headers);
        let mut response = if parts.method == Method::OPTIONS && self.cors.is_configured() {
            answer::preflight()
        } else {
            match self.mint(parts).await {
                Ok(token) => answer::token(&token),
                Err(refusal) => refusal.answer(self.cors.is_configured()),
            }
        };
        self.cors.mark(response.headers_mut(), origin);
        response
    }

    async fn mint(&self, parts: Parts) -> Result<super::SessionToken, Refusal> {
        if parts.method != Method::POST {
            return Err(Refusal::Method);
        }
        if self.cors.is_foreign(&parts.headers) {
            return Err(Refusal::Foreign);
        }
        match (self.client_address)(&parts) {
            Some(address) => self.addresses.check(&network(address)).map_err(Refusal::TooMany)?,
            None if self.has_warned.swap(true, Ordering::Relaxed) => {}
            None => tracing::warn!(
                "the client's address is unknown, so there is no limit per address: create the server with \
                 `into_make_service_with_connect_info::<SocketAddr>()`, or set `client_address`"
            ),
        }
        let announced = parts.headers.get(CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > MAX_BODY) {
            return Err(Refusal::BodyTooLarge);
        }
        let asked = async { (self.authenticate)(parts).await };
        let claims = match AssertUnwindSafe(asked).catch_unwind().await {
            Ok(Ok(Some(claims))) => claims,
            Ok(Ok(None)) => return Err(Refusal::Unauthenticated),
            Err(_panic) => {
                tracing::error!("the login panicked");
                return Err(Refusal::Internal);
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the login failed");
                return Err(Refusal::Internal);
            }
        };
        let user_id = claims.user_id().to_owned();
        self.users.check(&user_id).map_err(Refusal::TooMany)?;
        self.tokens.mint(claims).await.map_err(|error| {
            // The response reveals nothing about the backend's configuration.
            tracing::error!(%error, user_id, "minting a session token failed");
            if error.is_temporary() { Refusal::Unavailable(error.retry_after()) } else { Refusal::Internal }
        })
    }
}
