//! MCP over HTTP ("Streamable HTTP"): the endpoint, its access rules and its server.
//!
//! `rmcp` implements sessions and their streams. This module adds access checks and limits, cancels calls whose client
//! is gone, answers calls in flight at shutdown, and answers short calls with plain JSON.

mod calls;
mod endpoint;
mod guard;
mod presence;
mod refusal;
mod requests;
mod running;
mod serve;

use std::collections::BTreeSet;
use std::fmt;

use axum::Router;

use self::endpoint::Endpoint;
use self::guard::Guard;
pub use self::serve::McpListener;
use super::{McpError, McpServer};

/// The default limit of a request's body, in bytes.
const BODY_LIMIT: usize = 4 << 20;
/// The shortest token, in characters.
const MIN_TOKEN: usize = 16;
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
        if token.len() < MIN_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(McpError::Token { min: MIN_TOKEN });
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
        let guard = Guard::new(&self.token, self.hosts, self.origins);
        Endpoint::new(self.server, guard, self.body_limit)
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
