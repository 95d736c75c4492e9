//! The same tools as a server of the Model Context Protocol (feature `mcp`): for Claude Desktop, Claude Code,
//! Cursor, and whatever else speaks it.
//!
//! ```no_run
//! use platools::mcp::McpServer;
//! use platools::prelude::*;
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
//! The command `serve` of `platools_toolkit::cli` does the same from the command line.
//!
//! | here | in MCP |
//! | --- | --- |
//! | name, description, schemas of a tool | the same; a result that is no object stands in `structuredContent` as `{"result":…}` |
//! | `title`, `readOnlyHint`, `destructiveHint`, `idempotentHint`, `openWorldHint` | `title` and `annotations` |
//! | a result | `content` as text, and `structuredContent` |
//! | [`Media`](crate::Media) | image or audio content, or an embedded resource |
//! | a failed call, wrong arguments too | a result with `isError`, whose text the model reads |
//! | [`Progress`](crate::Progress) | `notifications/progress` for calls with a `progressToken`, `notifications/message` |
//! | [`CancellationToken`](crate::CancellationToken) | cancelled by `notifications/cancelled` |
//! | [`CallContext::traceparent`](crate::CallContext::traceparent) | `traceparent` in `_meta` |
//! | tools that come and go | `notifications/tools/list_changed` |
//!
//! Calls run through the same dispatcher as those from the platform: the same limits, timeouts, access rules and
//! panic isolation. Protocol versions from 2024-11-05 on are spoken. Prompts and resources are not offered.
//!
//! This room is a door: it must not know how a call runs.

mod answer;
mod calls;
mod catalog;
mod error;
mod http;
mod messages;
mod plain;
mod session;
mod stdio;

use std::fmt;
use std::sync::Arc;

pub use self::error::McpError;
pub use self::http::{McpHttp, McpListener};
use self::session::Shared;
use crate::caller::CallContext;
use crate::intake::Door;

/// How many tools one page of `tools/list` has, unless said otherwise.
const PAGE: usize = 1_000;

/// The tools of a host as an MCP server; see the [module](self).
///
/// It takes the tools as they are at each moment: what is inserted, removed or switched off later comes and goes
/// for its clients too.
#[derive(Clone)]
#[must_use = "a server does nothing before `serve_stdio`, `serve_io` or `http`"]
pub struct McpServer {
    door: Door,
    name: String,
    version: String,
    title: Option<String>,
    instructions: Option<String>,
    page: usize,
    caller: CallContext,
}

impl McpServer {
    /// The tools of a host: `McpServer::new(host.door())`, for a [`LocalHost`](crate::LocalHost) or, beside the
    /// platform, a [`HostHandle`](crate::HostHandle); limits count the calls of both.
    pub fn new(door: Door) -> Self {
        Self {
            door,
            name: "platools".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            title: None,
            instructions: None,
            page: PAGE,
            caller: CallContext::builder().build(),
        }
    }

    /// The server's name, as clients show it; `platools` unless said otherwise.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The server's version; that of this crate unless said otherwise.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// A name for people.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// What the model should know about the tools as a whole.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.instructions = Some(instructions.into());
        self
    }

    /// How many tools one page of `tools/list` has; 1 000 unless said otherwise. Zero counts as one.
    pub fn page_size(mut self, tools: usize) -> Self {
        self.page = tools.max(1);
        self
    }

    /// Who every call comes from, unless the request says otherwise: user, agent, tokens, `_context`. Each call gets
    /// an id of its own.
    ///
    /// ```
    /// # use platools::{CallContext, Platools, mcp::McpServer};
    /// # let local = Platools::builder().tools([]).build_local()?;
    /// let caller = CallContext::builder().user_id("usr_7").build();
    /// let server = McpServer::new(local.door()).caller(caller);
    /// # Ok::<(), platools::Error>(())
    /// ```
    pub fn caller(mut self, caller: CallContext) -> Self {
        self.caller = caller;
        self
    }

    fn shared(self) -> Arc<Shared> {
        Arc::new(Shared::new(self))
    }
}

impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpServer")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}
