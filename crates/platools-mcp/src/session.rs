//! One client's session for `rmcp`: the capabilities of the server and the handlers of its requests.
//!
//! Must not know transports: each brings a [`RunCalls`].

// The newest version of the protocol cannot set the level of log messages; older versions can.
#![expect(deprecated, reason = "clients of older versions set a level")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    CallToolRequestMethod, CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest,
    CustomResult, ErrorCode, ErrorData, Implementation, InitializeRequestParams, InitializeResult,
    ListToolsResult, PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig,
    SetLevelRequestParams, SubscriptionFilter, Tool as McpTool,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::call::ToolCall;
use super::reports;
use super::server::ServerState;
use platools::caller::LogLevel;

/// The least severe level of log messages that a client wants. Default: `info`.
#[derive(Debug, Clone)]
pub(crate) struct Level(Arc<Mutex<LogLevel>>);

impl Level {
    /// Returns the least severe level that the client of a call wants. Versions without a handshake name it in the
    /// request.
    pub(crate) fn of(&self, call: &ToolCall) -> Option<LogLevel> {
        if call.is_without_handshake() {
            return call.meta.log_level().map(reports::level);
        }
        Some(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
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

/// Runs the calls that `rmcp` receives.
pub(crate) trait RunCalls: Send + Sync + 'static {
    /// Runs a call and sends log messages of at least `level`.
    ///
    /// # Errors
    /// When the tool is unknown. A failed call is a result.
    fn run(
        &self,
        call: ToolCall,
        level: Option<LogLevel>,
        request: RequestContext<RoleServer>,
    ) -> impl Future<Output = Result<CallToolResult, ErrorData>> + Send;
}

/// For a transport that keeps calls from `rmcp`.
impl RunCalls for () {
    async fn run(
        &self,
        _call: ToolCall,
        _level: Option<LogLevel>,
        _request: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        Err(ErrorData::method_not_found::<CallToolRequestMethod>())
    }
}

/// One client, from its first request to its end.
#[derive(Debug)]
pub(crate) struct Session<C> {
    state: Arc<ServerState>,
    calls: C,
    level: Level,
    /// Set by the first `notifications/initialized`.
    is_ready: AtomicBool,
    ended: CancellationToken,
    _end: DropGuard,
}

impl<C> Session<C> {
    pub(crate) fn new(state: &Arc<ServerState>, calls: C) -> Self {
        let ended = CancellationToken::new();
        let (state, end) = (Arc::clone(state), ended.clone().drop_guard());
        Self { state, calls, level: Level::default(), is_ready: AtomicBool::new(false), ended, _end: end }
    }

    /// Returns the level of log messages, for calls that `rmcp` does not see.
    pub(crate) fn level(&self) -> &Level {
        &self.level
    }
}

impl<C: RunCalls> ServerHandler for Session<C> {
    fn get_info(&self) -> ServerConfig {
        let server = &self.state.server;
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_tool_list_changed().enable_logging().build();
        let mut info = ServerConfig::new(capabilities);
        info.protocol_version = ProtocolVersion::LATEST_WITH_INITIALIZE;
        info.server_info = Implementation::new(&server.name, &server.version);
        info.server_info.title.clone_from(&server.title);
        info.instructions.clone_from(&server.instructions);
        info
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        let result = self.negotiate_initialize(&request)?;
        // The version of the session is the negotiated one.
        let mut client = request;
        client.protocol_version = result.protocol_version.clone();
        context.peer.set_peer_info(client);
        Ok(result)
    }

    fn get_tool(&self, name: &str) -> Option<McpTool> {
        self.state.catalog().get(name).cloned()
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.state.server.until_ready().await;
        let cursor = request.and_then(|request| request.cursor);
        let page = self.state.catalog().page(cursor.as_deref(), self.state.server.page);
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
        let call = ToolCall::new(context.id.clone(), request, context.meta.clone());
        let level = self.level.of(&call);
        self.calls.run(call, level, context).await.map(CallToolResponse::from)
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.level.set(reports::level(request.level));
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
        let mut changes = self.state.changes();
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
        let mut changes = self.state.changes();
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
