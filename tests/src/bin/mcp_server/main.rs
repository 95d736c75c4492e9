//! An MCP server with a known set of tools, for the official clients and the official conformance suite.
//!
//! ```text
//! mcp-server stdio [PAGE_SIZE]   on standard input and output
//! mcp-server http [PAGE_SIZE]    over HTTP, for whoever has the token in MCP_SERVER_TOKEN
//! mcp-server open                the same without a token, as the conformance suite needs it
//! ```
//!
//! Over HTTP, the first line of standard output is the URL. With `MCP_SERVER_USER_TOKEN`, every call comes from the
//! user whose token that is. Logs go to standard error as `RUST_LOG` says.
//!
//! The library has no server without a token; the one here is reached through a layer that adds it.

mod journal;
mod shapes;
mod suite;
mod ways;

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn};
use platools::caller::{AuthenticationError, Credentials};
use platools::prelude::*;
use platools::{Limits, LocalHost, Platools};
use platools_mcp::{McpHttp, McpServer};
use tokio::net::TcpListener;

use self::journal::Journal;

/// The host itself, for tools that change its tools.
type Itself = Arc<OnceLock<LocalHost>>;

/// Longer than any test: what ends a call has to be what the test does.
const CALL_TIMEOUT: Duration = Duration::from_secs(3_600);

/// Knows users by tokens such as `user-usr_7`.
async fn users(credentials: Credentials) -> Result<Identity, AuthenticationError> {
    let token = credentials.user_token().ok_or(AuthenticationError::NoCredentials)?;
    match token.strip_prefix("user-") {
        Some(subject) => Ok(Identity::new(subject)),
        None => Err(AuthenticationError::rejected("the token is no user's")),
    }
}

/// Serves with a token that clients need not send.
async fn serve_open(http: McpHttp, token: &str) -> Result<(), Box<dyn Error>> {
    let value = HeaderValue::from_str(&format!("Bearer {token}"))?;
    let with_token = move |mut request: Request, next: Next| {
        request.headers_mut().insert(header::AUTHORIZATION, value.clone());
        next.run(request)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/mcp", listener.local_addr()?);
    Ok(axum::serve(listener, http.into_router().layer(from_fn(with_token))).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    platools::logging::init();
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_default();
    let page = arguments.next().map_or(Ok(1_000), |page| page.parse());
    let page = page.map_err(|_| "say as a whole number how many tools a page has")?;

    let mut limits = Limits::default();
    limits.call_timeout = CALL_TIMEOUT;
    let itself = Itself::default();
    let host = Platools::builder()
        .authenticator(users)
        .limits(limits)
        .state(Arc::clone(&itself))
        .state(Journal::default())
        .tool(suite::json_schema_2020_12())
        .build_local()?;
    let host = itself.get_or_init(|| host);
    let mut caller = CallContext::builder();
    if let Ok(token) = std::env::var("MCP_SERVER_USER_TOKEN") {
        caller = caller.user_token(token);
    }
    let server = McpServer::new(host.door())
        .name("mcp-server")
        .version("1.2.3")
        .title("A server for tests")
        .instructions("Call what you like.")
        .page_size(page)
        .caller(caller.build());
    match way.as_str() {
        "stdio" => server.serve_stdio().await?,
        "http" => {
            let token = std::env::var("MCP_SERVER_TOKEN").map_err(|_| "set MCP_SERVER_TOKEN")?;
            let listener = server.http(token)?.bind(("127.0.0.1", 0)).await?;
            println!("{}", listener.url());
            listener.serve().await?;
        }
        "open" => {
            let token = format!("{:032x}", fastrand::u128(..));
            serve_open(server.http(token.as_str())?, &token).await?;
        }
        _ => return Err("say how to serve: stdio, http or open".into()),
    }
    tracing::info!("served to the end");
    Ok(())
}
