//! One connection to an MCP server: the handshake, lists, and calls that can be watched and taken back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use platools::{Progress, ToolResult, ToolSpec};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelledNotificationParam, ClientConfig, ClientRequest,
    Implementation, JsonObject, PaginatedRequestParams, PingRequest, ProgressNotificationParam,
    ProgressToken, RequestId, ServerResult,
};
use rmcp::service::{
    NotificationContext, Peer, PeerRequestOptions, RunningServiceCancellationToken, ServiceError,
    serve_client,
};
use rmcp::transport::Transport;
use rmcp::{ClientHandler, RoleClient};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{UpstreamError, convert};

/// The most tools that one server may declare; more pages than that are not asked for.
const MAX_TOOLS: usize = 10_000;

/// How long a connection's end may take, with what it sends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The receivers of the progress of running calls.
type Listeners = Arc<Mutex<HashMap<ProgressToken, Progress>>>;

/// The notifications of the server.
#[derive(Clone, Default)]
struct Notifications {
    listeners: Listeners,
    /// Held while a request goes out, so that its listener is there before a report can be.
    sending: Arc<tokio::sync::Mutex<()>>,
    /// The server's tools are others now.
    changed: Arc<Notify>,
    /// How many calls wait for their answer.
    running: Arc<AtomicUsize>,
    /// A call was given up without an answer.
    abandoned: Arc<Notify>,
}

impl Notifications {
    fn listeners(&self) -> MutexGuard<'_, HashMap<ProgressToken, Progress>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientHandler for Notifications {
    fn get_info(&self) -> ClientConfig {
        let mut config = ClientConfig::default();
        config.client_info = Implementation::new("platools-sidecar", env!("CARGO_PKG_VERSION"));
        config
    }

    async fn on_progress(&self, report: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        drop(self.sending.lock().await);
        let listener = self.listeners().get(&report.progress_token).cloned();
        match (listener, report.message) {
            (None, _) => {}
            (Some(listener), None) => listener.report(report.progress, report.total),
            (Some(listener), Some(message)) => listener.report_with(report.progress, report.total, message),
        }
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}

/// An open connection.
pub(crate) struct Link {
    end: RunningServiceCancellationToken,
    running: JoinHandle<()>,
    /// Cancelled when nothing can be asked any more.
    ended: CancellationToken,
    caller: Caller,
}

/// Calls tools over a connection. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Caller {
    peer: Peer<RoleClient>,
    ears: Notifications,
    /// The most bytes that an answer may have.
    max_result: usize,
}

impl Link {
    /// Shakes hands within `time`.
    pub(crate) async fn open<T>(
        transport: T,
        time: Duration,
        max_result: usize,
    ) -> Result<Self, UpstreamError>
    where
        T: Transport<RoleClient> + 'static,
    {
        let ears = Notifications::default();
        let opening = serve_client(ears.clone(), transport);
        let opened = tokio::time::timeout(time, opening).await;
        let service = opened.map_err(|_| UpstreamError::Timeout(time))??;
        let caller = Caller { peer: service.peer().clone(), ears, max_result };
        let (end, ended) = (service.cancellation_token(), CancellationToken::new());
        let guard = ended.clone().drop_guard();
        let running = tokio::spawn(async move {
            let _ended = guard;
            let _ = service.waiting().await;
        });
        Ok(Self { end, running, ended, caller })
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Resolves when the server says that its tools are others now.
    pub(crate) async fn changed(&self) {
        self.caller.ears.changed.notified().await;
    }

    /// Resolves when a call was given up without an answer.
    pub(crate) async fn abandoned(&self) {
        self.caller.ears.abandoned.notified().await;
    }

    /// Resolves when the connection is gone.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Closes the connection, and the transport with it.
    pub(crate) async fn close(mut self) {
        self.end.cancel();
        if tokio::time::timeout(CLOSE_TIMEOUT, &mut self.running).await.is_err() {
            self.running.abort();
        }
    }
}

impl Caller {
    /// Returns whether calls wait for their answer.
    pub(crate) fn is_busy(&self) -> bool {
        self.ears.running.load(Ordering::Relaxed) > 0
    }

    /// Returns whether the server answers a ping within `time`; an error is an answer.
    pub(crate) async fn answers_ping(&self, time: Duration) -> bool {
        let ping = self.peer.send_request(ClientRequest::PingRequest(PingRequest::default()));
        tokio::time::timeout(time, ping).await.is_ok()
    }

    /// All tools that the server declares, within `time`.
    pub(crate) async fn list(&self, time: Duration) -> Result<Vec<ToolSpec>, UpstreamError> {
        let pages = async {
            let mut tools = Vec::new();
            let mut cursor = None;
            loop {
                let params = PaginatedRequestParams::default().with_cursor(cursor.clone());
                let page = self.peer.list_tools(Some(params)).await?;
                let is_last =
                    page.tools.is_empty() || page.next_cursor.is_none() || page.next_cursor == cursor;
                tools.extend(page.tools.into_iter().map(convert::spec));
                cursor = page.next_cursor;
                if is_last || tools.len() > MAX_TOOLS {
                    tools.truncate(MAX_TOOLS);
                    return Ok(tools);
                }
            }
        };
        tokio::time::timeout(time, pages).await.unwrap_or(Err(UpstreamError::Timeout(time)))
    }

    /// Calls a tool. Dropped before its end, it tells the server that nobody waits any more.
    ///
    /// # Errors
    /// When there is no answer. A tool that fails is an answer.
    pub(crate) async fn call(
        &self,
        name: &str,
        arguments: JsonObject,
        progress: Progress,
    ) -> Result<ToolResult, UpstreamError> {
        let params = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let options = PeerRequestOptions::no_options();
        let sending = self.ears.sending.lock().await;
        let handle = self.peer.send_request_with_option(request, options).await?;
        let mut call =
            Call { caller: self, id: Some(handle.id.clone()), token: handle.progress_token.clone() };
        self.ears.running.fetch_add(1, Ordering::Relaxed);
        if progress.is_enabled() {
            self.ears.listeners().insert(call.token.clone(), progress);
        }
        drop(sending);
        let answer = handle.await_response().await;
        call.id = None;
        match answer {
            Ok(ServerResult::CallToolResult(result)) => {
                let bytes = size(&result);
                if bytes > self.max_result {
                    return Err(UpstreamError::TooLarge { limit: self.max_result });
                }
                Ok(convert::answer(result))
            }
            Ok(_) => Err(ServiceError::UnexpectedResponse.into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The bytes of a result as JSON, counted and not kept.
fn size(result: &impl serde::Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    let _ = serde_json::to_writer(&mut count, result);
    count.0
}

/// A call that runs. Its end, however it comes, cleans up.
struct Call<'a> {
    caller: &'a Caller,
    /// The request, while the server works at it.
    id: Option<RequestId>,
    token: ProgressToken,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.caller.ears.running.fetch_sub(1, Ordering::Relaxed);
        self.caller.ears.listeners().remove(&self.token);
        let Some(id) = self.id.take() else { return };
        self.caller.ears.abandoned.notify_one();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let peer = self.caller.peer.clone();
        runtime.spawn(async move {
            let params =
                CancelledNotificationParam::new(Some(id), Some("nobody waits for the answer".to_owned()));
            let _ = peer.notify_cancelled(params).await;
        });
    }
}
