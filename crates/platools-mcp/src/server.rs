//! The server and what it says about itself. Must not know transports.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared as SharedFuture};
use platools::CallContext;
use platools::intake::Door;
use platools::tool::format_duration;

use crate::session::Shared;

/// The default number of tools on a page of `tools/list`.
const PAGE: usize = 1_000;

/// An MCP server for the tools of a host; see the [crate](crate).
///
/// Clients always see the current tools: inserting, removing or disabling a tool of the host notifies them.
#[derive(Clone)]
#[must_use = "a server does nothing before `serve_stdio`, `serve_io` or `http`"]
pub struct McpServer {
    pub(crate) door: Door,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) title: Option<String>,
    pub(crate) instructions: Option<String>,
    pub(crate) page: usize,
    pub(crate) caller: CallContext,
    ready: Option<SharedFuture<BoxFuture<'static, ()>>>,
}

impl McpServer {
    /// Creates a server that calls tools through `door`, which is `host.door()` of a
    /// [`LocalHost`](platools::LocalHost) or of a [`HostHandle`](platools::HostHandle). With the latter, limits count the
    /// calls of the platform and of MCP clients together.
    pub fn new(door: Door) -> Self {
        Self {
            door,
            name: "platools".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            title: None,
            instructions: None,
            page: PAGE,
            caller: CallContext::builder().build(),
            ready: None,
        }
    }

    /// Sets the server's name, which clients show. Default: `platools`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the server's version. Default: the version of this crate.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets a human-readable name.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the instructions: what the model should know about the tools as a whole.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.instructions = Some(instructions.into());
        self
    }

    /// Sets the number of tools on a page of `tools/list`. Default: 1 000. Zero counts as one.
    pub fn page_size(mut self, tools: usize) -> Self {
        self.page = tools.max(1);
        self
    }

    /// Sets the caller of every call: user, agent, tokens, `_context`. Headers of a request override its tokens. Each
    /// call gets an id of its own.
    ///
    /// ```
    /// # use platools::{CallContext, Platools};
    /// # use platools_mcp::McpServer;
    /// # let local = Platools::builder().tools([]).build_local()?;
    /// let caller = CallContext::builder().user_id("usr_7").build();
    /// let server = McpServer::new(local.door()).caller(caller);
    /// # Ok::<(), platools::Error>(())
    /// ```
    pub fn caller(mut self, caller: CallContext) -> Self {
        self.caller = caller;
        self
    }

    /// Holds back `tools/list`, and calls of tools that are not known, until `ready` resolves, for a host whose tools
    /// come in its first moments. `ready` must resolve within the time that clients wait, which is a minute for most.
    pub fn ready(mut self, ready: impl Future<Output = ()> + Send + 'static) -> Self {
        self.ready = Some(ready.boxed().shared());
        self
    }

    /// Resolves when the tools are all there.
    pub(crate) async fn until_ready(&self) {
        if let Some(ready) = &self.ready {
            ready.clone().await;
        }
    }

    pub(crate) fn shared(self) -> Arc<Shared> {
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

/// Logs that a signal stops a server in which so many calls run, which have so much time.
pub(crate) fn announce_stop(running: usize, time: Duration) {
    let calls = match running {
        0 => return tracing::info!("stopping"),
        1 => "1 call is running".to_owned(),
        running => format!("{running} calls are running"),
    };
    let time = format_duration(time);
    tracing::info!("stopping: {calls} and may take {time} at most; a second Ctrl-C stops at once");
}
