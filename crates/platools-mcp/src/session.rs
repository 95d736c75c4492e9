//! One client's session for `rmcp`: the capabilities of the server and the handlers of its requests.

// The newest version of the protocol cannot set the level of log messages; older versions can.
#![expect(deprecated, reason = "clients of older versions set a level")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorCode, ErrorData,
    Implementation, InitializeRequestParams, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    ServerCapabilities, ServerConfig, SetLevelRequestParams, SubscriptionFilter, Tool as McpTool,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::catalog::Catalog;
use super::{McpServer, calls, messages};
use platools::caller::LogLevel;
use platools::run::ToolChanges;

/// Shared by all sessions of one server.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) server: McpServer,
    changes: ToolChanges,
    /// The catalogue, and the version of the table that it was built from.
    catalog: RwLock<(u64, Arc<Catalog>)>,
}

impl Shared {
    pub(crate) fn new(server: McpServer) -> Self {
        let changes = server.door.tools().changes();
        let version = changes.version();
        let catalog = Arc::new(Catalog::new(&server.door.tools().registry()));
        Self { server, changes, catalog: RwLock::new((version, catalog)) }
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
}

/// The least severe level of log messages that a client wants. Default: `info`.
#[derive(Debug, Clone)]
pub(crate) struct Level(Arc<Mutex<LogLevel>>);

impl Level {
    pub(crate) fn get(&self) -> LogLevel {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, level: LogLevel) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = level;
    }
}

impl Default for Level {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LogLevel::Info)))
    }
}

/// One client, from its first request to its end.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    level: Level,
    /// Set by the first `notifications/initialized`.
    is_ready: AtomicBool,
    ended: CancellationToken,
    _end: DropGuard,
}

impl Session {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let ended = CancellationToken::new();
        let (shared, end) = (Arc::clone(shared), ended.clone().drop_guard());
        Self { shared, level: Level::default(), is_ready: AtomicBool::new(false), ended, _end: end }
    }

    /// Returns the level, shared with calls that bypass `rmcp`.
    pub(crate) fn wanted_level(&self) -> &Level {
        &self.level
    }

    /// Returns the least severe level that the client of this request wants.
    fn level(&self, request: &RequestContext<RoleServer>) -> Option<LogLevel> {
        let by_request = request
            .protocol_version()
            .is_some_and(|version| version.as_str() >= ProtocolVersion::NO_INITIALIZE.as_str());
        if by_request {
            return request.meta.log_level().map(messages::level);
        }
        Some(self.level.get())
    }
}

impl ServerHandler for Session {
    fn get_info(&self) -> ServerConfig {
        let server = &self.shared.server;
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_tool_list_changed().enable_logging().build();
        let mut info = ServerConfig::new(capabilities);
        info.protocol_version = ProtocolVersion::LATEST_WITH_INITIALIZE;
        info.server_info = Implementation::new(&server.name, &server.version);
        info.server_info.title.clone_from(&server.title);
        info.instructions.clone_from(&server.instructions);
        info
    }

    fn get_tool(&self, name: &str) -> Option<McpTool> {
        self.shared.catalog().get(name).cloned()
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.shared.server.until_ready().await;
        let cursor = request.and_then(|request| request.cursor);
        let page = self.shared.catalog().page(cursor.as_deref(), self.shared.server.page);
        let (tools, next) =
            page.map_err(|_| ErrorData::invalid_params("unknown cursor: start again without one", None))?;
        let mut result = ListToolsResult::with_all_items(tools);
        result.next_cursor = next;
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let level = self.level(&context);
        calls::call(&self.shared, request, context, level).await.map(CallToolResponse::from)
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.level.set(messages::level(request.level));
        Ok(())
    }

    /// Answers a request that `rmcp` could not parse.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(unreadable(&request))
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        if self.is_ready.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut changes = self.shared.changes.clone();
        changes.mark_unchanged();
        let ended = self.ended.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    is_open = changes.changed() => if !is_open { return },
                    () = ended.cancelled() => return,
                }
                if context.peer.notify_tool_list_changed().await.is_err() {
                    return;
                }
            }
        });
    }

    fn accepted_subscription_filter(&self, _requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(SubscriptionFilter::builder().tools_list_changed().build())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.shared.changes.clone();
        changes.mark_unchanged();
        loop {
            tokio::select! {
                is_open = changes.changed() => if !is_open { return Ok(()) },
                () = context.cancelled() => return Ok(()),
            }
            if context.accepted().tools_list_changed == Some(true)
                && context.sink().notify_tool_list_changed().await.is_err()
            {
                return Ok(());
            }
        }
    }
}

/// Explains whether the method is unknown or its parameters are invalid.
pub(crate) fn unreadable(request: &CustomRequest) -> ErrorData {
    fn problem<T: DeserializeOwned>(params: &Value) -> String {
        serde_json::from_value::<T>(params.clone()).err().map(|error| error.to_string()).unwrap_or_default()
    }
    let nothing = Value::Object(Map::new());
    let params = request.params.as_ref().unwrap_or(&nothing);
    let problem = match request.method.as_str() {
        "tools/call" => problem::<CallToolRequestParams>(params),
        "tools/list" => problem::<PaginatedRequestParams>(params),
        "logging/setLevel" => problem::<SetLevelRequestParams>(params),
        "initialize" => problem::<InitializeRequestParams>(params),
        method => {
            let shown: String = method.chars().take(100).collect();
            return ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("unknown method: {shown}"), None);
        }
    };
    ErrorData::invalid_params(format!("the parameters of `{}` are wrong: {problem}", request.method), None)
}
