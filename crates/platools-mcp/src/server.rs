//! The server: its settings, and the state that all of its sessions share. Must not know transports.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use platools::CallContext;
use platools::intake::Door;
use platools::run::ToolChanges;
use platools::tool::format_duration;
use rmcp::model::ErrorData;

use super::catalog::{Catalog, Structure};

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
    ready: Option<Shared<BoxFuture<'static, ()>>>,
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

/// The state that all sessions of a server share.
#[derive(Debug)]
pub(crate) struct ServerState {
    pub(crate) server: McpServer,
    changes: ToolChanges,
    /// The catalogue, and the version of the table that it was built from.
    catalog: RwLock<(u64, Arc<Catalog>)>,
}

impl ServerState {
    pub(crate) fn new(server: McpServer) -> Arc<Self> {
        let changes = server.door.tools().changes();
        let version = changes.version();
        let catalog = Arc::new(Catalog::new(&server.door.tools().registry()));
        Arc::new(Self { server, changes, catalog: RwLock::new((version, catalog)) })
    }

    /// Returns the current tools.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        let version = self.changes.version();
        {
            let known = self.catalog.read().unwrap_or_else(PoisonError::into_inner);
            if known.0 == version {
                return Arc::clone(&known.1);
            }
        }
        // Read after the version: at worst it is newer, and is built once more.
        let catalog = Arc::new(Catalog::new(&self.server.door.tools().registry()));
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = (version, Arc::clone(&catalog));
        catalog
    }

    /// Returns how results of the tool are structured, if need be after the first tools have come.
    ///
    /// # Errors
    /// When the tool is unknown.
    pub(crate) async fn structure(&self, tool: &str) -> Result<Structure, ErrorData> {
        if let Some(structure) = self.catalog().structure(tool) {
            return Ok(structure);
        }
        self.server.until_ready().await;
        let catalog = self.catalog();
        catalog.structure(tool).ok_or_else(|| catalog.unknown(tool))
    }

    /// Returns a receiver of the changes of the tools from now on.
    pub(crate) fn changes(&self) -> ToolChanges {
        let mut changes = self.changes.clone();
        changes.mark_unchanged();
        changes
    }
}

/// Logs that a signal stops the server: the number of running calls, and the time that they have to end.
pub(crate) fn announce_stop(running: usize, time: Duration) {
    let calls = match running {
        0 => return tracing::info!("stopping"),
        1 => "1 call is running".to_owned(),
        running => format!("{running} calls are running"),
    };
    let time = format_duration(time);
    tracing::info!("stopping: {calls} and may take {time} at most; a second Ctrl-C stops at once");
}
