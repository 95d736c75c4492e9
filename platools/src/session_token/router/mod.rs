//! The endpoint from which a frontend gets its token: `POST /api/platos-session` on the backend's own server.
//!
//! Who the user is, the backend's own login says, from the head of the request. The body is never read, so it
//! cannot choose anything. It must not know how a user logs in, nor how a token is made.

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

/// Where frontends expect the endpoint.
pub const SESSION_TOKEN_PATH: &str = "/api/platos-session";

/// The largest body that a request may announce, in bytes. It is not read either way.
const MAX_BODY: u64 = 4 * 1024;

const MINUTE: Duration = Duration::from_secs(60);

type Authenticated = Result<Option<SessionClaims>, BoxError>;
type Authenticate = dyn Fn(Parts) -> Pin<Box<dyn Future<Output = Authenticated> + Send>> + Send + Sync;
type ClientAddress = dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync;

/// The endpoint `POST /api/platos-session`, to be merged into a backend's own router.
///
/// `authenticate` is the backend's own login: it gets the head of the request, such as its cookies, and says
/// for whom a token is minted, and with what in it. `Ok(None)` means that nobody is logged in (401); an error
/// is logged and answered with 500. There is no default, since without it anyone would get a token for anyone.
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
/// An extractor of axum does as well: `parts.extract::<CurrentUser>().await`, with
/// [`axum::RequestPartsExt`].
///
/// A user gets 30 tokens a minute, an address 120, then 429 with `Retry-After`; see
/// [`per_user`](SessionTokenRouter::per_user) and [`per_address`](SessionTokenRouter::per_address). The address is
/// known only where the server is made with `into_make_service_with_connect_info::<SocketAddr>()`; see
/// [`client_address`](SessionTokenRouter::client_address). Every answer has `Cache-Control: no-store`. Pages of other origins get
/// nothing (403) unless
/// [`allow_origin`](SessionTokenRouter::allow_origin) names them.
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

/// The endpoint with its settings, made by [`session_token_router`]. It becomes an [`axum::Router`] by
/// `Router::merge` or `Router::from`.
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
    /// Another path than [`SESSION_TOKEN_PATH`].
    ///
    /// # Panics
    /// When the router is made and the path does not begin with a slash.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// How many tokens one user gets.
    pub fn per_user(mut self, limit: RateLimit) -> Self {
        self.per_user = limit;
        self
    }

    /// How many requests one address makes, before anybody asks who it is. IPv6 addresses count by their /64.
    pub fn per_address(mut self, limit: RateLimit) -> Self {
        self.per_address = limit;
        self
    }

    /// How the client's address is found. Unless said otherwise it is the peer of the connection, which axum
    /// knows with `into_make_service_with_connect_info::<SocketAddr>()`; without that there is no limit per
    /// address, which the log says once. Behind a proxy every request has the proxy's address: read what the proxy sets, and only what
    /// the proxy sets, since a client can send the same header.
    pub fn client_address(mut self, find: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        self.client_address = Arc::new(find);
        self
    }

    /// Lets pages of this origin, such as `https://app.example`, ask for tokens with the user's cookies.
    /// Only that very origin; there are no patterns.
    ///
    /// # Panics
    /// When the text is not an origin: scheme and host, with a port where it is not the scheme's own, and
    /// nothing behind. A `*` is not one.
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.cors.allow_origin(origin);
        self
    }

    /// Lets pages of the allowed origins send this header beside `Authorization` and `Content-Type`, such as
    /// one against request forgery.
    ///
    /// # Panics
    /// When the text is not a header's name.
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

/// The peer of the connection, where axum was asked to remember it.
fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

struct Endpoint {
    tokens: SessionTokens,
    authenticate: Arc<Authenticate>,
    client_address: Arc<ClientAddress>,
    users: Limit<String>,
    addresses: Limit<IpAddr>,
    /// Whether the log has it that somebody came without an address.
    has_warned: AtomicBool,
    cors: Cors,
}

impl Endpoint {
    async fn answer(&self, request: Request<Body>) -> Response {
        // The body goes here, unread.
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
                "a client's address is not known, so there is no limit per address: make the server with \
                 `into_make_service_with_connect_info::<SocketAddr>()`, or say where the address is with \
                 `client_address`"
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
                tracing::error!(%error, "whether a user is logged in could not be found out");
                return Err(Refusal::Internal);
            }
        };
        let user_id = claims.user_id().to_owned();
        self.users.check(&user_id).map_err(Refusal::TooMany)?;
        self.tokens.mint(claims).await.map_err(|error| {
            // The frontend is told nothing about how the backend is set up.
            tracing::error!(%error, user_id, "no session token was minted");
            if error.is_temporary() { Refusal::Unavailable(error.retry_after()) } else { Refusal::Internal }
        })
    }
}
