//! MCP over HTTP ("Streamable HTTP"): the endpoint, its access rules and its server.
//!
//! `rmcp` implements sessions and their streams. This module adds access checks and limits, cancels calls whose client
//! is gone, answers calls in flight at shutdown, and answers short calls with plain JSON.

mod guard;
mod presence;
mod quick;
mod refusal;
mod serve;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http_body_util::{BodyExt as _, Full};
use platools::intake::Door;
use platools_net::header::ambiguous;
use platools_net::{BodyError, BodyLimits};
use rmcp::transport::streamable_http_server::session::SessionManager as _;
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, SessionConfig};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use self::guard::Guard;
pub(crate) use self::presence::Presence;
use self::presence::{Attended, Exchange, Presences};
use self::quick::{Known, Outcome, Quick, is_json};
use self::refusal::{before, duplicate, last, plain, unreadable};
pub use self::serve::McpListener;
use super::session::Session;
use super::{McpError, McpServer};
use ::http::{HeaderValue, Method, StatusCode, header};

/// The path of the endpoint.
const PATH: &str = "/mcp";
/// The default limit of a request's body, in bytes.
const BODY_LIMIT: usize = 4 << 20;
/// The shortest token, in characters.
const SHORTEST_TOKEN: usize = 16;
/// The maximum number of sessions.
const SESSIONS: usize = 1_024;
/// How long a session lasts without a message.
const IDLE: Duration = Duration::from_secs(3_600);

/// An [`McpServer`] over HTTP at `/mcp`, created by [`McpServer::http`].
///
/// | status | when |
/// | --- | --- |
/// | 400 | the body is no JSON-RPC message, the session header is missing, or a header that names the caller came twice |
/// | 401 | the token is missing or wrong; with `WWW-Authenticate` |
/// | 403 | `Host` or `Origin` is not an allowed one |
/// | 404 | the session is unknown or has ended: begin a new one |
/// | 406, 415 | the header `Accept` or `Content-Type` does not follow the protocol |
/// | 408, 413 | the body took longer than 30 s, or is too large |
/// | 503 | too many sessions with connected clients, or the server is shutting down |
///
/// Only loopback values of `Host` and `Origin` are accepted, and those that [`allow_host`](Self::allow_host) and
/// [`allow_origin`](Self::allow_origin) add. `X-Platos-Entity-Token` and `X-Platos-User-Token` become the tokens of the
/// call's context. A request with the id of another one of its session that is not answered yet is refused. When a client has been gone for ten seconds, its running calls are cancelled. A call that ends within
/// 25 ms and without reports is answered with JSON; any other with a stream of events, which the client can resume.
#[derive(Clone)]
#[must_use = "it does nothing before `bind` or `into_router`"]
pub struct McpHttp {
    server: McpServer,
    token: String,
    body_limit: usize,
    hosts: BTreeSet<String>,
    origins: BTreeSet<String>,
}

impl McpServer {
    /// Prepares the server for HTTP. Every request has to present `token` as its bearer token.
    ///
    /// # Errors
    /// When the token has fewer than 16 characters, or characters other than visible ASCII.
    ///
    /// ```no_run
    /// # use platools::Platools;
    /// # use platools_mcp::McpServer;
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let local = Platools::builder().build_local()?;
    /// let token = std::env::var("PLATOOLS_SERVE_TOKEN")?;
    /// let listener = McpServer::new(local.door()).http(token)?.bind(("127.0.0.1", 3001)).await?;
    /// println!("MCP at {}", listener.url());
    /// listener.serve().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn http(self, token: impl Into<String>) -> Result<McpHttp, McpError> {
        let token = token.into();
        if token.len() < SHORTEST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(McpError::Token { min: SHORTEST_TOKEN });
        }
        let (hosts, origins) = Default::default();
        Ok(McpHttp { server: self, token, body_limit: BODY_LIMIT, hosts, origins })
    }
}

impl McpHttp {
    /// Allows another host name of the server, such as `tools.internal`, with or without a port.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.insert(host.into());
        self
    }

    /// Allows pages of another origin to use the server from a browser, such as `https://inspector.example`.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.insert(origin.into());
        self
    }

    /// Sets the limit of a request's body, in bytes. Default: 4 MiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Returns a router with the route `/mcp`, for a server of your own; [`bind`](Self::bind) has one built in.
    pub fn into_router(self) -> Router {
        self.endpoint().router()
    }

    fn endpoint(self) -> Endpoint {
        let end = CancellationToken::new();
        let config = StreamableHttpServerConfig::default()
            // The guard has checked host and origin already.
            .disable_allowed_hosts()
            .with_max_request_body_bytes(self.body_limit)
            .with_cancellation_token(end.clone());
        let guard = Guard::new(&self.token, self.hosts, self.origins);
        let door = self.server.door.clone();
        let shared = self.server.shared();
        let mut sessions = LocalSessionManager::default();
        let mut session = SessionConfig::default();
        session.keep_alive = Some(IDLE);
        sessions.session_config = session;
        let sessions = Arc::new(sessions);
        let quick = Arc::new(Quick::new(Arc::clone(&shared), Arc::clone(&sessions)));
        let service =
            StreamableHttpService::new(move || Ok(Session::new(&shared)), Arc::clone(&sessions), config);
        Endpoint {
            door,
            service,
            quick,
            sessions,
            guard: Arc::new(guard),
            body_limit: self.body_limit,
            presences: Presences::default(),
            answering: TaskTracker::new(),
            closing: CancellationToken::new(),
            end,
        }
    }
}

impl fmt::Debug for McpHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpHttp")
            .field("server", &self.server)
            .field("body_limit", &self.body_limit)
            .field("hosts", &self.hosts)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

/// The endpoint: every request goes through [`answer`](Self::answer).
#[derive(Clone)]
struct Endpoint {
    door: Door,
    service: StreamableHttpService<Session, LocalSessionManager>,
    quick: Arc<Quick>,
    sessions: Arc<LocalSessionManager>,
    guard: Arc<Guard>,
    body_limit: usize,
    presences: Presences,
    /// Tracks requests whose answers are not written yet.
    answering: TaskTracker,
    /// Cancelled when new requests are refused.
    closing: CancellationToken,
    /// Cancelled when sessions and streams must end.
    end: CancellationToken,
}

impl Endpoint {
    fn router(self) -> Router {
        Router::new().route(PATH, any(enter)).with_state(self)
    }

    async fn answer(&self, request: Request) -> Response {
        if request.method() != Method::POST {
            let ends = request.method() == Method::DELETE;
            let exchange = self.exchange(&request);
            let mut response = self.pass(request.map(|_| Full::default()), exchange, None, None).await;
            // The session has ended by now; clients complain of 202.
            if ends && response.status() == StatusCode::ACCEPTED {
                *response.status_mut() = StatusCode::NO_CONTENT;
            }
            return response;
        }
        if self.closing.is_cancelled() {
            let response = plain(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down");
            return before(request, response).await;
        }
        let begins = !request.headers().contains_key("mcp-session-id");
        if begins && !self.has_room().await {
            let text = "there are too many sessions: try again later";
            return before(request, plain(StatusCode::SERVICE_UNAVAILABLE, text)).await;
        }
        let (parts, body) = request.into_parts();
        let body = match BodyLimits::new(self.body_limit).read_request(&parts.headers, body).await {
            Ok(body) => Bytes::from(body),
            Err(BodyError::TooLarge { limit }) => {
                let text = format!("the body has more than {limit} bytes");
                return last(plain(StatusCode::PAYLOAD_TOO_LARGE, text));
            }
            Err(BodyError::TooSlow) => {
                return last(plain(StatusCode::REQUEST_TIMEOUT, "the body took too long"));
            }
            Err(BodyError::Broken(_)) => return plain(StatusCode::BAD_REQUEST, "the body ended too early"),
        };
        let (mut request, mut known) = (Request::from_parts(parts, Full::new(body.clone())), None);
        let (exchange, answering) = (self.exchange(&request), self.answering.token());
        // The shutdown either waits for this request or has begun while the body arrived.
        if self.closing.is_cancelled() {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down");
        }
        if let Some(exchange) = &exchange {
            match self.quick.take(request.headers(), &body, exchange.presence()).await {
                Outcome::Passed(id) => known = id,
                Outcome::Duplicate(id) => return duplicate(&id),
                Outcome::Answered(answer) => {
                    let body = Attended::new(Full::new(answer).boxed(), (None, Some(answering), None));
                    let mut response = Response::new(Body::new(body));
                    let json = HeaderValue::from_static("application/json");
                    response.headers_mut().insert(header::CONTENT_TYPE, json);
                    return response;
                }
                Outcome::Begun(call, id) => {
                    request.extensions_mut().insert(call);
                    known = Some(id);
                }
            }
        }
        let is_json = is_json(request.headers());
        let response = self.pass(request, exchange, Some(answering), known).await;
        // `rmcp` answers 415 for a body that it cannot read, too.
        if is_json && response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            return unreadable(&body);
        }
        response
    }

    /// Returns whether there is room for another session, if need be by closing one whose client has been away for
    /// long: few clients end their sessions.
    async fn has_room(&self) -> bool {
        let away = {
            let open = self.sessions.sessions.read().await;
            if open.len() < SESSIONS {
                return true;
            }
            self.presences.longest_away(|session| open.contains_key(session))
        };
        let Some(session) = away else { return false };
        tracing::debug!("a session without a client makes room for another one");
        self.sessions.close_session(&session.into()).await.is_ok()
    }

    /// Opens the exchange of a request that has a session.
    fn exchange<B>(&self, request: &Request<B>) -> Option<Exchange> {
        let session = request.headers().get("mcp-session-id").and_then(|id| id.to_str().ok());
        session.map(|session| self.presences.attend(session))
    }

    async fn pass(
        &self,
        mut request: Request<Full<Bytes>>,
        exchange: Option<Exchange>,
        answering: Option<TaskTrackerToken>,
        known: Option<Known>,
    ) -> Response {
        if let Some(exchange) = &exchange {
            request.extensions_mut().insert(exchange.presence());
        }
        // `rmcp` goes on with a request whose response is not read any more.
        if let Some(known) = &known {
            request.extensions_mut().insert(known.clone());
        }
        let response = self.service.handle(request).await;
        response.map(|body| Body::new(Attended::new(body, (exchange, answering, known))))
    }
}

async fn enter(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let origin = match endpoint.guard.check(&request) {
        Ok(origin) => origin,
        Err(response) => return before(request, *response).await,
    };
    if let Some(problem) = ambiguous(request.headers()) {
        return before(request, plain(StatusCode::BAD_REQUEST, problem)).await;
    }
    let mut response = match request.method() {
        &Method::OPTIONS => plain(StatusCode::NO_CONTENT, ""),
        _ => endpoint.answer(request).await,
    };
    if let Some(origin) = origin {
        guard::share(&mut response, origin);
    }
    response
}
