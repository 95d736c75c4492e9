//! A backend that issues session tokens to its frontend, on this machine and without configuration.
//!
//! ```sh
//! cargo run -p session-tokens
//! ```
//!
//! Open the printed address, log in, and watch a token expire after a minute and be renewed. The login has no password;
//! the rest is what a real backend does. With `PLATOS_ORGANIZATION_ID` and the other variables of
//! `SessionTokens::from_env`, the platform accepts the tokens. `--mint USER` prints one token and exits.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Form, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, serve};
use clap::Parser;
use platools::SecretSource;
use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
use platools::session_token::{UserIdentity, print_token, session_token_router};
use platools::tool::BoxError;
use serde::Deserialize;
use tokio::net::TcpListener;
use uuid::Uuid;

/// A backend that issues session tokens to its frontend.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Listen there instead of on a free port
    #[arg(long, default_value_t = 0, conflicts_with = "mint")]
    port: u16,
    /// Print a token for a user, from the environment, and end
    #[arg(long, value_name = "USER")]
    mint: Option<String>,
}

/// The shortest allowed lifetime, so that a renewal can be seen.
const LIFETIME: Duration = Duration::from_secs(60);

/// The users: id, name and e-mail address.
const USERS: [(&str, &str, &str); 2] =
    [("usr_ada", "Ada Lovelace", "ada@example.com"), ("usr_grace", "Grace Hopper", "grace@example.com")];

/// The logged-in users by session cookie. A real backend has its own session store.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<BTreeMap<String, &'static str>>>);

impl Sessions {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, &'static str>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the user of a request's session cookie.
    fn user(&self, headers: &HeaderMap) -> Option<&'static str> {
        self.with(|sessions| sessions.get(session(headers)?).copied())
    }
}

/// The session cookie of a request.
fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|cookies| cookies.to_str().ok());
    cookies.flat_map(|cookies| cookies.split(';')).find_map(|cookie| cookie.trim().strip_prefix("session="))
}

/// Decides who gets a token, and its claims: the one function that a backend must provide.
fn claims_for(user_id: &str) -> Option<SessionClaims> {
    let (id, name, email) = USERS.into_iter().find(|(id, ..)| *id == user_id)?;
    let identity = UserIdentity::new("email", email).verified(true);
    Some(SessionClaims::for_user(id).lifetime(LIFETIME).name(name).email(email).identity(identity))
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(State(sessions): State<Sessions>, Form(login): Form<Login>) -> Response {
    let Some((user_id, ..)) = USERS.into_iter().find(|(id, ..)| *id == login.user) else {
        return (StatusCode::FORBIDDEN, "there is no such user; go back and choose one\n").into_response();
    };
    let session = Uuid::new_v4().to_string();
    sessions.with(|sessions| sessions.insert(session.clone(), user_id));
    // `Secure` is missing since this runs without TLS; set it where there is TLS.
    let cookie = format!("session={session}; Path=/; HttpOnly; SameSite=Lax");
    ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

async fn logout(State(sessions): State<Sessions>, headers: HeaderMap) -> Response {
    if let Some(session) = session(&headers) {
        sessions.with(|sessions| sessions.remove(session));
    }
    ([(SET_COOKIE, "session=; Path=/; Max-Age=0")], Redirect::to("/")).into_response()
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
                  form-action 'self'; frame-ancestors 'none'";
    ([(CONTENT_SECURITY_POLICY, policy)], Html(include_str!("session-tokens.html")))
}

/// Returns the mint that the environment configures, or one with a random secret.
fn tokens() -> platools::Result<SessionTokens> {
    if std::env::var_os("PLATOS_ORGANIZATION_ID").is_some_and(|id| !id.is_empty()) {
        return Ok(SessionTokens::from_env()?);
    }
    let secret = SecretSource::text(Uuid::new_v4().to_string());
    let scope = SessionScope::new("org_demo", "proj_demo", "env_dev", "session-tokens-example");
    Ok(SessionTokens::local(secret, scope)?)
}

fn app(tokens: SessionTokens) -> Router {
    let sessions = Sessions::default();
    let known = sessions.clone();
    let authenticate = move |request: Parts| {
        let claims = known.user(&request.headers).and_then(claims_for);
        std::future::ready(Ok::<_, BoxError>(claims))
    };
    Router::new()
        .route("/", get(page))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .with_state(sessions)
        .merge(session_token_router(tokens, authenticate))
}

async fn listen(port: u16) -> Result<(), BoxError> {
    let app = app(tokens()?).into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("open http://{}/ and log in; Ctrl+C ends", listener.local_addr()?);
    let ended = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    serve(listener, app).with_graceful_shutdown(ended).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    platools::logging::init();
    let done = match options.mint {
        None => listen(options.port).await,
        Some(user) => {
            let lookup = |variable: &str| std::env::var(variable).ok();
            print_token(&user, lookup, &mut std::io::stdout()).await.map_err(Into::into)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("session-tokens: {error}");
            ExitCode::FAILURE
        }
    }
}
