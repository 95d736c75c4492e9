//! The endpoint: each request passes the guard, then is a call that starts here or goes to `rmcp`.

use std::convert::Infallible;
use std::sync::Arc;

use ::http::{HeaderValue, Method, StatusCode, header};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use platools::intake::Door;
use platools_net::header::ambiguous;
use platools_net::server::HeldBody;
use platools_net::{BodyError, BodyLimits};
use rmcp::transport::streamable_http_server::session::SessionManager as _;
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, SessionConfig};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::calls::{Calls, MAX_SESSIONS, Outcome, SESSION_IDLE, Streamed, is_json};
use super::guard::{self, Guard};
use super::presence::{Exchange, Presences};
use super::refusal::{before, duplicate, last, plain, unreadable};
use super::requests::HeldId;
use crate::McpServer;
use crate::server::ServerState;
use crate::session::Session;

/// The path of the endpoint.
pub(super) const PATH: &str = "/mcp";

/// A response body that keeps its exchange open until it is written or dropped.
type Attended =
    HeldBody<BoxBody<Bytes, Infallible>, (Option<Exchange>, Option<TaskTrackerToken>, Option<HeldId>)>;

/// The endpoint: every request goes through [`answer`](Self::answer).
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) door: Door,
    service: StreamableHttpService<Session<Streamed>, LocalSessionManager>,
    calls: Arc<Calls>,
    sessions: Arc<LocalSessionManager>,
    guard: Arc<Guard>,
    body_limit: usize,
    presences: Presences,
    /// Tracks requests whose answers are not written yet.
    pub(super) answering: TaskTracker,
    /// Cancelled when new requests are refused.
    pub(super) closing: CancellationToken,
    /// Cancelled when sessions and streams must end.
    pub(super) end: CancellationToken,
}

impl Endpoint {
    pub(super) fn new(server: McpServer, guard: Guard, body_limit: usize) -> Self {
        let end = CancellationToken::new();
        let config = StreamableHttpServerConfig::default()
            // The guard has checked host and origin already.
            .disable_allowed_hosts()
            .with_max_request_body_bytes(body_limit)
            .with_cancellation_token(end.clone());
        let door = server.door.clone();
        let state = ServerState::new(server);
        let mut sessions = LocalSessionManager::default();
        let mut session = SessionConfig::default();
        session.keep_alive = Some(SESSION_IDLE);
        sessions.session_config = session;
        let sessions = Arc::new(sessions);
        let calls = Arc::new(Calls::new(Arc::clone(&state), Arc::clone(&sessions)));
        let session = move || Ok(Session::new(&state, Streamed(Arc::clone(&state))));
        let service = StreamableHttpService::new(session, Arc::clone(&sessions), config);
        Self {
            door,
            service,
            calls,
            sessions,
            guard: Arc::new(guard),
            body_limit,
            presences: Presences::default(),
            answering: TaskTracker::new(),
            closing: CancellationToken::new(),
            end,
        }
    }

    pub(super) fn router(self) -> Router {
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
        let (mut request, mut held) = (Request::from_parts(parts, Full::new(body.clone())), None);
        let (exchange, answering) = (self.exchange(&request), self.answering.token());
        // The shutdown either waits for this request or has begun while the body arrived.
        if self.closing.is_cancelled() {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down");
        }
        if let Some(exchange) = &exchange {
            match self.calls.take(request.headers(), &body, exchange.presence()).await {
                Outcome::Passed(id) => held = id,
                Outcome::Duplicate(id) => return duplicate(&id),
                Outcome::Answered(answer) => {
                    let body = Attended::new(Full::new(answer).boxed(), (None, Some(answering), None));
                    let mut response = Response::new(Body::new(body));
                    let json = HeaderValue::from_static("application/json");
                    response.headers_mut().insert(header::CONTENT_TYPE, json);
                    return response;
                }
                Outcome::Started(call, id) => {
                    request.extensions_mut().insert(call);
                    held = Some(id);
                }
            }
        }
        let is_json = is_json(request.headers());
        let response = self.pass(request, exchange, Some(answering), held).await;
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
            if open.len() < MAX_SESSIONS {
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
        held: Option<HeldId>,
    ) -> Response {
        if let Some(exchange) = &exchange {
            request.extensions_mut().insert(exchange.presence());
        }
        // `rmcp` goes on with a request whose response is not read any more.
        if let Some(held) = &held {
            request.extensions_mut().insert(held.clone());
        }
        let response = self.service.handle(request).await;
        response.map(|body| Body::new(Attended::new(body, (exchange, answering, held))))
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
