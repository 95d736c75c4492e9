//! The listener that hands out session tokens, behind the backend's own login or a shared secret.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use platools::session_token::SessionClaims;
use platools::session_token::session_token_router;
use platools_net::client::read_body;
use platools_net::innermost_reason;
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::daemon::{SidecarError, listen};
use super::listening::serve;
use crate::plan::{Fingerprint, Login, SessionTokensPlan};

/// How long the backend's login check may take.
const LOGIN: Duration = Duration::from_secs(10);

/// The most of its answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// The header in which a trusted server names the user.
const USER: &str = "x-platos-user-id";

/// Why it cannot be found out who is logged in. Its text is for the log.
#[derive(Debug, thiserror::Error)]
#[error("the login check {0}")]
struct LoginError(String);

/// What the login check answers with.
#[derive(Deserialize)]
struct LoggedIn {
    user_id: String,
    name: Option<String>,
}

/// The listener, as long as the file has one. Its rules change between two requests; another address is listened on
/// before the old one is left.
#[derive(Debug)]
pub(super) struct Sessions {
    listening: Option<Listening>,
    listeners: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Listening {
    address: SocketAddr,
    made_of: Fingerprint,
    router: watch::Sender<Router>,
    stop: CancellationToken,
}

impl Sessions {
    /// None yet. What will listen is one of `listeners`, and ends with `stop`.
    pub(super) fn new(listeners: &TaskTracker, stop: &CancellationToken) -> Self {
        Self { listening: None, listeners: listeners.clone(), stop: stop.clone() }
    }

    /// Goes over to what a plan says.
    ///
    /// # Errors
    /// When the address cannot be listened on; nothing has changed then.
    pub(super) async fn change(&mut self, plan: Option<SessionTokensPlan>) -> Result<(), SidecarError> {
        let Some(plan) = plan else {
            if let Some(old) = self.listening.take() {
                tracing::info!(address = %old.address, "session tokens are no longer handed out");
                old.stop.cancel();
            }
            return Ok(());
        };
        let (address, made_of) = (plan.listen, plan.fingerprint.clone());
        match &mut self.listening {
            Some(old) if old.made_of == made_of => return Ok(()),
            Some(old) if old.address == address => {
                drop(old.router.send_replace(router(plan)));
                old.made_of = made_of;
                tracing::info!(%address, "session tokens are handed out as the file says now");
                return Ok(());
            }
            _ => {}
        }
        let listener = listen("session_tokens", address).await?;
        let (router, routers) = watch::channel(router(plan));
        let stop = self.stop.child_token();
        self.listeners.spawn(serve(listener, routers, stop.clone(), "session tokens"));
        if let Some(old) = self.listening.replace(Listening { address, made_of, router, stop }) {
            old.stop.cancel();
        }
        Ok(())
    }
}

fn router(plan: SessionTokensPlan) -> Router {
    let SessionTokensPlan { tokens, login, path, allow_origins, .. } = plan;
    let mut router = session_token_router(tokens, move |request: Parts| {
        let login = login.clone();
        async move { login.claims(&request).await }
    });
    if let Some(path) = path {
        router = router.path(path);
    }
    for origin in &allow_origins {
        router = router.allow_origin(origin);
    }
    Router::new().merge(router)
}

impl Login {
    /// For whom a token is minted; `None` when nobody is logged in.
    async fn claims(&self, request: &Parts) -> Result<Option<SessionClaims>, LoginError> {
        match self {
            Self::Shared(secret) => {
                let header = |name| request.headers.get(name).and_then(|value| value.to_str().ok());
                let presented =
                    header(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
                let is_known = presented.is_some_and(|presented| secret.matches(presented));
                Ok(header(USER).filter(|user| is_known && !user.is_empty()).map(SessionClaims::for_user))
            }
            Self::Backend { url, client } => {
                let mut asked = client.get(url.clone()).timeout(LOGIN);
                for name in [AUTHORIZATION, COOKIE] {
                    for value in request.headers.get_all(&name) {
                        asked = asked.header(&name, value);
                    }
                }
                let failed = |error: reqwest::Error| {
                    LoginError(format!("did not answer: {}", innermost_reason(&error)))
                };
                let mut answer = asked.send().await.map_err(failed)?;
                match answer.status().as_u16() {
                    200 => {}
                    401 | 403 => return Ok(None),
                    status => return Err(LoginError(format!("answered {status}, expected 200 or 401"))),
                }
                let body = read_body(&mut answer, MAX_ANSWER).await.map_err(failed)?;
                let body = body.ok_or_else(|| LoginError("answered with more than 64 KiB".to_owned()))?;
                let user: LoggedIn = serde_json::from_slice(&body)
                    .map_err(|_| LoginError("did not answer with {\"user_id\": \"…\"}".to_owned()))?;
                let claims = SessionClaims::for_user(user.user_id);
                Ok(Some(match user.name {
                    Some(name) => claims.name(name),
                    None => claims,
                }))
            }
        }
    }
}
