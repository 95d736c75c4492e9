//! Serves the tools of a [`platools`] host over the Model Context Protocol, for Claude Desktop, Claude Code, Cursor and
//! other MCP clients.
//!
//! ```no_run
//! use platools::prelude::*;
//! use platools_mcp::McpServer;
//!
//! /// Add two whole numbers.
//! #[tool]
//! async fn add(a: i64, b: i64) -> i64 {
//!     a + b
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let local = Platools::builder().build_local()?;
//!     McpServer::new(local.door()).name("calculator").serve_stdio().await?;
//!     Ok(())
//! }
//! ```
//!
//! [`McpServer::serve_stdio`] serves the client that started the program, [`McpServer::serve_io`] any pair of streams,
//! and [`McpServer::http`] clients that reach the program over HTTP. The command `serve` of `platools_toolkit::cli`
//! does the same from the command line.
//!
//! | `platools` | MCP |
//! | --- | --- |
//! | name, description, schemas of a tool | the same; in `structuredContent`, a result other than an object is wrapped as `{"result":…}` |
//! | `title`, `readOnlyHint`, `destructiveHint`, `idempotentHint`, `openWorldHint` | `title` and `annotations` |
//! | a result | `content` as text, and `structuredContent` |
//! | [`Media`](platools::Media) | image or audio content, or an embedded resource |
//! | a failed call, invalid arguments included | a result with `isError`, whose text the model reads |
//! | [`Progress`](platools::Progress) | `notifications/progress` for calls with a `progressToken`, `notifications/message` |
//! | [`CancellationToken`](platools::CancellationToken) | cancelled by `notifications/cancelled` |
//! | [`CallContext::traceparent`](platools::CallContext::traceparent) | `traceparent` in `_meta` |
//! | changes of the table of tools | `notifications/tools/list_changed` |
//!
//! Calls enter through a [`Door`](platools::intake::Door), so limits, timeouts, access rules and panic isolation are the
//! same as for calls of the platform. Protocol versions 2024-11-05 to 2026-07-28 are supported. Prompts and resources
//! are not offered.
//!
//! | file | contents |
//! | --- | --- |
//! | `server` | the server, its settings, and the state that sessions share |
//! | `catalog` | the tools in the form of MCP, with pages |
//! | `call`, `reports`, `answer` | one call: the request, its reports, its answer |
//! | `session` | one client's session, for `rmcp` |
//! | `stdio` | streams: one message per line |
//! | `http` | Streamable HTTP: access, sessions, the server |
//! | `error` | the errors |
//!
//! Each transport has one route for calls. On streams, a loop of this crate reads every message: it runs calls, and
//! hands all else on to `rmcp`, whose requests to the client and their answers pass through it, too. Over HTTP, a call
//! is answered with JSON if it ends at once, and otherwise goes on as a stream of `rmcp`.
//!
//! The crate uses the public API of `platools` only. It must not know how a call runs. `rmcp` implements the protocol;
//! none of its types is public here.

mod answer;
mod call;
mod catalog;
mod error;
mod http;
mod reports;
mod server;
mod session;
mod stdio;

pub use self::error::McpError;
pub use self::http::{McpHttp, McpListener};
pub use self::server::McpServer;

/// Compiles the examples of the pages as documentation tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/mcp.md")]
    struct Mcp;
}
