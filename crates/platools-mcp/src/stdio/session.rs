//! One client on streams, from its first line to its end: calls run here, all else goes through `rmcp`.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    ClientNotification, ClientRequest, ErrorData, GetMeta as _, JsonRpcMessage, JsonRpcRequest,
    ProtocolVersion, RequestId, RequestMetaObject, ServerJsonRpcMessage,
};
use rmcp::service::{QuitReason, RxJsonRpcMessage, serve_directly_with_ct};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::calls::{Calls, incomplete};
use super::lines::{Lines, MAX_LINE, Output, Read, line_of, write};
use super::requests::Requests;
use super::rmcp_end::RmcpEnd;
use crate::call::ToolCall;
use crate::server::ServerState;
use crate::session::{Session, unreadable};
use crate::{McpError, McpServer};

/// How long writing an answer may take after the call has timed out.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long cancelled calls may take to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
/// How many messages may wait for `rmcp`.
const MAX_QUEUED: usize = 64;

/// Serves one client until the end of input or `stop`, and answers its requests then. Ends at once with `dead`, which is
/// cancelled when the client reads no more answers.
pub(super) async fn serve<R, W>(
    server: McpServer,
    reader: R,
    writer: W,
    stop: CancellationToken,
    dead: CancellationToken,
) -> Result<(), McpError>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let patience = server.door.call_timeout() + WRITE_TIMEOUT;
    let state = ServerState::new(server);
    let (output, writing) = write(writer, dead.clone());
    let mut writing = tokio::spawn(writing);
    let requests = Arc::<Requests>::default();
    let session = Session::new(&state, ());
    let level = session.level().clone();
    let (others, input) = mpsc::channel(MAX_QUEUED);
    let end = RmcpEnd { input, output: output.clone(), requests: Arc::clone(&requests) };
    let service = serve_directly_with_ct(session, end, None, dead.child_token());
    let calls = Calls {
        state,
        level,
        requests: Arc::clone(&requests),
        output: output.clone(),
        tasks: TaskTracker::new(),
    };
    let mut dispatcher =
        Dispatcher { phase: Phase::Silent, requests: Arc::clone(&requests), calls: Arc::new(calls), others };

    let mut lines = Lines::new(reader);
    let deadline = tokio::select! {
        biased;
        () = dead.cancelled() => Instant::now(),
        refused = dispatcher.run(&mut lines, &output, &stop) => {
            let deadline = Instant::now() + patience;
            let answered = timeout_at(deadline, async {
                if let Some(refused) = refused {
                    let _ = output.send(refused).await;
                }
                requests.empty().await;
            });
            tokio::select! {
                answered = answered => if answered.is_err() {
                    tracing::warn!("calls were not answered in time");
                },
                () = dead.cancelled() => {}
            }
            deadline
        }
    };
    let tasks = dispatcher.calls.tasks.clone();
    // Cancels the calls that are left; they hear of it before the program may end.
    drop((dispatcher, output));
    service.cancellation_token().cancel();
    tasks.close();
    let soon = Instant::now() + CANCEL_TIMEOUT;
    let deadline = if dead.is_cancelled() { soon } else { deadline.max(soon) };
    let (ended, _) =
        tokio::join!(timeout_at(deadline, service.waiting()), timeout_at(deadline, tasks.wait()));
    if timeout_at(deadline, &mut writing).await.is_err() && !dead.is_cancelled() {
        tracing::warn!("the client does not read its answers");
        dead.cancel();
    }
    match ended {
        Ok(Ok(QuitReason::JoinError(error)) | Err(error)) => Err(McpError::Broken(error.to_string())),
        _ => Ok(()),
    }
}

/// The phase of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Only requests that begin the session are accepted.
    Silent,
    /// Each request names its protocol version; there is no handshake.
    Inline,
    /// The client has sent `initialize`, which must be answered before anything else.
    Opening,
    /// `initialize` has been answered.
    Begun,
}

/// Decides where each message goes.
struct Dispatcher {
    phase: Phase,
    requests: Arc<Requests>,
    calls: Arc<Calls>,
    /// Messages for `rmcp`.
    others: mpsc::Sender<RxJsonRpcMessage<RoleServer>>,
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        // No answers can be sent any more.
        self.requests.clear();
    }
}

impl Dispatcher {
    /// Reads until the end of input or `stop`. Returns the answer to a refused message if it is not sent yet.
    async fn run<R: AsyncRead + Unpin>(
        &mut self,
        lines: &mut Lines<R>,
        output: &Output,
        stop: &CancellationToken,
    ) -> Option<Vec<u8>> {
        let mut unsent: Option<Vec<u8>> = None;
        loop {
            let read = tokio::select! {
                biased;
                () = stop.cancelled() => return unsent,
                read = async {
                    if unsent.is_some()
                        && let Ok(place) = output.reserve().await
                        && let Some(answer) = unsent.take()
                    {
                        place.send(answer);
                    }
                    if self.phase == Phase::Opening {
                        self.requests.empty().await;
                        self.phase = Phase::Begun;
                    }
                    self.requests.room().await;
                    lines.next().await
                } => read,
            };
            let taken = match read {
                Read::Line(line) => self.take(line).await,
                Read::TooLong => Err(Refusal::silent(format!("a line has more than {MAX_LINE} bytes"))),
                Read::End => return unsent,
            };
            if let Err(Refusal { reason, answer }) = taken {
                tracing::warn!("an MCP message is refused: {reason}");
                // Text that is not JSON is not answered: its sender would not understand.
                unsent = answer.map(|answer| {
                    let (id, error) = *answer;
                    line_of(&ServerJsonRpcMessage::error(error, id))
                });
            }
        }
    }

    /// Runs the call in `line`, or hands the message on to `rmcp`.
    async fn take(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if line.is_empty() {
            return Ok(());
        }
        if let Some(call) = ToolCall::read(line) {
            return self.call(call);
        }
        let message = match serde_json::from_slice(line).map_err(|error| Refusal::of(line, &error))? {
            // A form that the fast reader does not know.
            JsonRpcMessage::Request(JsonRpcRequest {
                id,
                request: ClientRequest::CallToolRequest(mut call),
                ..
            }) => {
                let meta = call.extensions.remove::<RequestMetaObject>().unwrap_or_default();
                return self.call(ToolCall::new(id, call.params, meta));
            }
            message => message,
        };
        match &message {
            JsonRpcMessage::Request(request) => self.admit_other(request)?,
            _ if self.phase == Phase::Silent => {
                tracing::debug!("a message before the first request is left out");
                return Ok(());
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.requests.remove(id);
                }
            }
            _ => {}
        }
        // It receives until the session ends.
        let _ = self.others.send(message).await;
        Ok(())
    }

    fn call(&mut self, call: ToolCall) -> Result<(), Refusal> {
        self.admit(&call.id, &call.meta)?;
        let cancelled = self.requests.add_call(&call.id).ok_or_else(|| Refusal::duplicate(&call.id))?;
        self.calls.start(call, cancelled);
        Ok(())
    }

    /// Admits a request that `rmcp` answers.
    fn admit_other(&mut self, message: &JsonRpcRequest<ClientRequest>) -> Result<(), Refusal> {
        let JsonRpcRequest { id, request, .. } = message;
        match request {
            ClientRequest::InitializeRequest(_) => {
                if self.phase == Phase::Silent {
                    self.phase = Phase::Opening;
                }
            }
            ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_)
                if self.phase == Phase::Silent => {}
            ClientRequest::CustomRequest(custom)
                if self.phase == Phase::Silent && custom.method == "initialize" =>
            {
                return Err(Refusal::with(Some(id.clone()), unreadable(custom)));
            }
            request => self.admit(id, request.get_meta())?,
        }
        // A subscription lasts as long as the connection, so the end of input does not wait for it.
        let is_subscription = matches!(request, ClientRequest::SubscriptionsListenRequest(_));
        if !is_subscription && !self.requests.add(id) {
            return Err(Refusal::duplicate(id));
        }
        Ok(())
    }

    /// Admits a request with this metadata. Without a handshake, each request has to name its version.
    fn admit(&mut self, id: &RequestId, meta: &RequestMetaObject) -> Result<(), Refusal> {
        if matches!(self.phase, Phase::Opening | Phase::Begun) {
            return Ok(());
        }
        let missing = meta.missing_required_keys(&ProtocolVersion::NO_INITIALIZE);
        if missing.is_empty() {
            self.phase = Phase::Inline;
            return Ok(());
        }
        Err(match self.phase {
            Phase::Inline => Refusal::with(Some(id.clone()), incomplete(&missing)),
            _ => Refusal::answered(Some(id.clone()), "the session has not begun: send `initialize` first"),
        })
    }
}

/// The refusal of a line that is no valid message.
struct Refusal {
    reason: String,
    /// The request and the error to answer it with.
    answer: Option<Box<(Option<RequestId>, ErrorData)>>,
}

impl Refusal {
    fn silent(reason: String) -> Self {
        Self { reason, answer: None }
    }

    fn answered(id: Option<RequestId>, reason: &'static str) -> Self {
        Self::with(id, ErrorData::invalid_request(reason, None))
    }

    fn with(id: Option<RequestId>, error: ErrorData) -> Self {
        Self { reason: error.message.to_string(), answer: Some(Box::new((id, error))) }
    }

    fn duplicate(id: &RequestId) -> Self {
        let reason = "another request with this id has no answer yet: give each an id of its own";
        Self::answered(Some(id.clone()), reason)
    }

    fn of(line: &[u8], error: &serde_json::Error) -> Self {
        /// The part of a message that is needed to answer it.
        #[derive(Deserialize)]
        struct Known {
            #[serde(default)]
            id: Option<RequestId>,
        }
        if serde_json::from_slice::<IgnoredAny>(line).is_err() {
            return Self::silent(format!("it is not JSON: {error}"));
        }
        let reason = match line.first() {
            Some(b'[') => "batches are not taken: send one message a line",
            _ => "it is not a JSON-RPC 2.0 request, notification or response",
        };
        let id = serde_json::from_slice::<Known>(line).ok().and_then(|known| known.id);
        Self::answered(id, reason)
    }
}
