//! The endpoint that gives a frontend its token: `POST /api/platos-session` on the backend's own server.
//!
//! The backend's own login determines the user from the head of the request. The body is never read, so it cannot
//! influence the token. This module must not know how a user logs in or how a token is minted.

mod answer;
mod client;
mod cors;
mod error;
mod limit;

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, Request};
use axum::response::Response;
use axum::routing::any;
use futures_util::FutureExt as _;
use platools_net::BodyLimits;
use platools_net::header::ambiguous;

use self::answer::Refusal;
use self::client::Proxies;
use self::cors::Cors;
pub use self::error::RouterError;
use self::limit::{Limit, network};
use super::{SessionClaims, SessionTokens};
use crate::tool::{BoxError, RateLimit};

/// Default path of the endpoint.
pub const SESSION_TOKEN_PATH: &str = "/api/platos-session";

/// Maximum `Content-Length` of a request, in bytes. The body is never read.
const MAX_BODY: usize = 4 * 1024;

const MINUTE: Duration = Duration::from_secs(60);

type Authenticated = Result<Option<SessionClaims>, BoxError>;
type Authenticate = dyn Fn(Parts) -> Pin<Box<dyn Future<Output = Authenticated> + Send>> + Send + Sync;
type IsTrusted = dyn Fn(&Parts) -> bool + Send + Sync;
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
/// `into_make_service_with_connect_info::<SocketAddr>()`; behind a proxy, see
/// [`trust_proxy`](SessionTokenRouter::trust_proxy), and for a server that asks for all of its users
/// [`trust_caller`](SessionTokenRouter::trust_caller). Every response has `Cache-Control: no-store`. Requests from
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
        client_address: None,
        proxies: Proxies::default(),
        is_trusted: None,
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
    client_address: Option<Arc<ClientAddress>>,
    proxies: Proxies,
    is_trusted: Option<Arc<IsTrusted>>,
    per_user: RateLimit,
    per_address: RateLimit,
    cors: Cors,
    path: String,
}

impl SessionTokenRouter {
    /// Sets the path. Default: [`SESSION_TOKEN_PATH`].
    ///
    /// # Errors
    /// If the text is not a path: it begins with a slash and has no query, placeholder or wildcard.
    pub fn path(mut self, path: impl Into<String>) -> Result<Self, RouterError> {
        self.path = path.into();
        if is_path(&self.path) { Ok(self) } else { Err(RouterError::Path { path: self.path }) }
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

    /// Trusts the proxies of this network, such as `10.0.0.0/8` or a single address, to name the client in
    /// `X-Forwarded-For`: the last address there that no trusted proxy has is the client's. Without it, all requests
    /// that come through a proxy share the limit of the proxy's address.
    ///
    /// # Errors
    /// If the text is neither an address nor a network.
    pub fn trust_proxy(mut self, network: &str) -> Result<Self, RouterError> {
        self.proxies.trust(network)?;
        Ok(self)
    }

    /// Exempts requests from the limit per address, such as those of a server that presents a shared secret and asks
    /// for all of its users from one address. The limit per user still applies. `is_trusted` is asked before anything
    /// else of a request, so it has to be quick, and compare secrets in constant time. Requests that it does not trust
    /// count, so that a secret cannot be guessed.
    pub fn trust_caller(mut self, is_trusted: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.is_trusted = Some(Arc::new(is_trusted));
        self
    }

    /// Sets how to find the client's address, instead of [`trust_proxy`](Self::trust_proxy). Default: the peer of the
    /// connection, which axum provides with `into_make_service_with_connect_info::<SocketAddr>()`; without it there is
    /// no limit per address, which is logged once. Make sure that a proxy overwrites the header that is read here,
    /// since clients can send the same header.
    pub fn client_address(mut self, find: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        self.client_address = Some(Arc::new(find));
        self
    }

    /// Allows pages of this origin, such as `https://app.example`, to request tokens with the user's cookies. The
    /// origin must match exactly; patterns are not supported.
    ///
    /// # Errors
    /// If the text is not an origin: `https` or `http` and a host, a port if it is not the scheme's default, and no
    /// path. `*` is not an origin.
    pub fn allow_origin(mut self, origin: &str) -> Result<Self, RouterError> {
        self.cors.allow_origin(origin)?;
        Ok(self)
    }

    /// Allows pages of the allowed origins to send this header in addition to `Authorization` and `Content-Type`, such
    /// as a CSRF token.
    ///
    /// # Errors
    /// If the text is not a header name.
    pub fn allow_header(mut self, name: &str) -> Result<Self, RouterError> {
        self.cors.allow_header(name)?;
        Ok(self)
    }
}

/// Returns whether axum serves exactly this path: it reads braces, and colons and stars at the beginning of a segment,
/// as patterns.
fn is_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@%/".contains(&byte);
    path.starts_with('/') && path.bytes().all(is_plain) && !path.contains("/:")
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
        let SessionTokenRouter { tokens, authenticate, is_trusted, .. } = router;
        let SessionTokenRouter { per_user, per_address, cors, path, .. } = router;
        let proxies = router.proxies;
        let client_address =
            router.client_address.unwrap_or_else(|| Arc::new(move |parts: &Parts| proxies.client(parts)));
        let endpoint = Arc::new(Endpoint {
            tokens,
            authenticate,
            client_address,
            is_trusted,
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

struct Endpoint {
    tokens: SessionTokens,
    authenticate: Arc<Authenticate>,
    client_address: Arc<ClientAddress>,
    is_trusted: Option<Arc<IsTrusted>>,
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
        if !self.is_trusted.as_ref().is_some_and(|is_trusted| is_trusted(&parts)) {
            self.check_address(&parts)?;
        }
        if BodyLimits::new(MAX_BODY).check_announced(&parts.headers).is_err() {
            return Err(Refusal::BodyTooLarge);
        }
        if ambiguous(&parts.headers).is_some() {
            return Err(Refusal::Ambiguous);
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

    fn check_address(&self, parts: &Parts) -> Result<(), Refusal> {
        match (self.client_address)(parts) {
            Some(address) => return self.addresses.check(&network(address)).map_err(Refusal::TooMany),
            None if self.has_warned.swap(true, Ordering::Relaxed) => {}
            None => tracing::warn!(
                "the client's address is unknown, so there is no limit per address: create the server with \
                 `into_make_service_with_connect_info::<SocketAddr>()`, or set `client_address`"
            ),
        }
        Ok(())
    }
}
