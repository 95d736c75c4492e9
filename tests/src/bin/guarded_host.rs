//! A host that lets in only whom it knows, by every door: the WebSocket, calls over HTTP, and session tokens
//! for a frontend.
//!
//! Configured as any host, with the secret in a file, and by `GUARD_JWT_SECRET`, with which users' tokens are signed,
//! `GUARD_JWKS_URL`, where the keys of entities' tokens are said to be, and
//! `GUARD_MINT_URL` and `GUARD_MINT_BEARER`, a platform that is asked once for a session token. Prints the address of its HTTP side.

use axum::Router;
use axum::http::request::Parts;
use platools::SecretSource;
use platools::caller::{AuthenticationError, Authenticator as _, Credentials, JwtAuthenticator};
use platools::fallback::HttpFallback;
use platools::prelude::*;
use platools::session_token::{RemoteMint, session_token_router};
use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
use tokio::net::TcpListener;

/// Say who is calling, verified or not.
#[tool]
async fn anybody(identity: Option<Identity>) -> Option<String> {
    identity.map(|identity| identity.subject().to_owned())
}

/// Say which user is calling.
#[tool(auth = "user")]
async fn users(identity: Identity) -> String {
    identity.subject().to_owned()
}

/// Do what support may do.
#[tool(roles = ["support", "billing"])]
async fn support() -> &'static str {
    "done"
}

/// Do what admins may do.
#[tool(auth = "admin")]
async fn admins() -> &'static str {
    "done"
}

/// Whoever says `x-login: USER` is that user.
async fn login(request: Parts) -> Result<Option<SessionClaims>, std::io::Error> {
    let user = request.headers.get("x-login").and_then(|user| user.to_str().ok());
    match user {
        Some("broken") => Err(std::io::Error::other("the login is broken")),
        Some(user) => Ok(Some(SessionClaims::for_user(user))),
        None => Ok(None),
    }
}

/// Breaks at some tokens.
async fn panicking(credentials: Credentials) -> Result<Identity, AuthenticationError> {
    match credentials.entity_token() {
        Some(token) if token.starts_with("panic") => panic!("the authenticator panics"),
        _ => Err(AuthenticationError::NoCredentials),
    }
}

/// Asks a platform for a session token, and says how that went.
async fn ask_for_token(url: String, bearer: String, scope: SessionScope) {
    let mint = RemoteMint::builder(url, SecretSource::text(bearer), scope).build();
    let minted = match mint {
        Ok(mint) => SessionTokens::new(mint).mint(SessionClaims::for_user("usr_1")).await,
        Err(error) => return tracing::warn!("no remote mint: {error} {error:?}"),
    };
    match minted {
        Ok(token) => tracing::info!("minted {token:?}"),
        Err(error) => tracing::warn!("not minted: {error} {error:?}"),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    platools::logging::init();
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let users = JwtAuthenticator::shared_secret(variable("GUARD_JWT_SECRET")?)?.issuer("the guard");
    let entities = JwtAuthenticator::jwks_url(&variable("GUARD_JWKS_URL")?)?.from_entity_token();
    let authenticator = users.or(entities).or(panicking);
    let host = Platools::from_env()?.authenticator(authenticator).strict_access(true).build()?;

    let scope = SessionScope::new("org", "project", "dev", "local");
    let secret = variable("PLATOS_SECRET_FILE")?;
    let tokens = SessionTokens::local(SecretSource::file(secret), scope.clone())?;
    let app = Router::new()
        .nest("/calls", HttpFallback::new(&host.handle()).into_router())
        .merge(session_token_router(tokens, login));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    if let Ok(url) = variable("GUARD_MINT_URL") {
        tokio::spawn(ask_for_token(url, variable("GUARD_MINT_BEARER")?, scope));
    }
    Ok(host.run().await?)
}
