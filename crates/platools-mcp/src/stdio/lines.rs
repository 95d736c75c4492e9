//! A transport of one message per line. Writes are batched, and the end of input waits for the answers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    ClientNotification, ClientRequest, ErrorData, GetMeta as _, JsonRpcMessage, ProtocolVersion, RequestId,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::direct::Direct;
use super::waiting::Waiting;
use crate::session::unreadable;

/// The longest accepted line, in bytes.
const LONGEST: usize = 16 << 20;
/// How many messages may wait for the writer; beyond that, senders wait.
const WAITING: usize = 256;
/// The target size of one write, in bytes.
const TOGETHER: usize = 64 << 10;

/// One client on a pair of streams.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    /// The incomplete line. It is kept here because a read may be dropped half-way.
    line: Vec<u8>,
    /// Set while the rest of an overlong line is skipped.
    skipping: bool,
    phase: Phase,
    direct: Direct,
    /// The answer to an invalid line, until there is room for it. Kept here for the same reason as `line`.
    unsent: Option<Vec<u8>>,
    output: Option<mpsc::Sender<Vec<u8>>>,
    writer: Option<JoinHandle<()>>,
    waiting: Arc<Waiting>,
    stop: CancellationToken,
    dead: CancellationToken,
    patience: Duration,
    /// The deadline for answers, set when reading ends.
    deadline: Option<Instant>,
}

impl<R> Drop for Lines<R> {
    fn drop(&mut self) {
        // No answers can be sent any more.
        self.waiting.clear();
    }
}

/// The phase of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The session has not begun: only requests that begin one are accepted.
    Silent,
    /// Each request names its protocol version; there is no handshake.
    Inline,
    /// The client has sent `initialize`.
    Handshake,
    /// The client has sent `notifications/initialized`.
    Initialized,
}

/// The outcome of a read.
enum Read {
    Line,
    TooLong,
    End,
}

impl<R: AsyncRead + Send + Unpin> Lines<R> {
    /// Creates a transport that reads until `stop`, cancels `dead` when writing fails, and waits `patience` for answers.
    pub(super) fn new<W: AsyncWrite + Send + Unpin + 'static>(
        reader: R,
        writer: W,
        direct: Direct,
        stop: CancellationToken,
        dead: CancellationToken,
        patience: Duration,
    ) -> Self {
        let (output, lines) = mpsc::channel(WAITING);
        let writer = tokio::spawn(write(writer, lines, dead.clone()));
        Self {
            reader: BufReader::with_capacity(TOGETHER, reader),
            line: Vec::new(),
            skipping: false,
            phase: Phase::Silent,
            direct,
            unsent: None,
            output: Some(output),
            writer: Some(writer),
            waiting: Arc::default(),
            stop,
            dead,
            patience,
            deadline: None,
        }
    }

    fn deadline(&mut self) -> Instant {
        *self.deadline.get_or_insert_with(|| Instant::now() + self.patience)
    }

    async fn read(&mut self) -> Read {
        loop {
            let chunk = match self.reader.fill_buf().await {
                // The last line may lack its line break.
                Ok([]) if self.line.is_empty() => return Read::End,
                Ok([]) => return Read::Line,
                Ok(chunk) => chunk,
                Err(error) => {
                    tracing::warn!(%error, "the input cannot be read any more");
                    return Read::End;
                }
            };
            let end = memchr::memchr(b'\n', chunk);
            let taken = end.map_or(chunk.len(), |end| end + 1);
            let fits = self.line.len() + taken <= LONGEST;
            if !self.skipping && fits {
                self.line.extend_from_slice(&chunk[..taken]);
            }
            self.reader.consume(taken);
            if self.skipping {
                self.skipping = end.is_none();
            } else if !fits {
                self.skipping = end.is_none();
                return Read::TooLong;
            } else if end.is_some() {
                return Read::Line;
            }
        }
    }

    /// Parses the line that was read, unless it is a call that is run directly.
    fn message(&mut self) -> Result<Option<RxJsonRpcMessage<RoleServer>>, Refusal> {
        let line = self.line.trim_ascii();
        if line.is_empty() {
            return Ok(None);
        }
        if self.phase == Phase::Initialized
            && let Some(output) = &self.output
            && self.direct.takes(line, &self.waiting, output)
        {
            return Ok(None);
        }
        let message: RxJsonRpcMessage<RoleServer> =
            serde_json::from_slice(line).map_err(|error| Refusal::of(line, &error))?;
        match &message {
            JsonRpcMessage::Request(request) => {
                let id = request.id.clone();
                if self.phase == Phase::Silent {
                    let may_come_first = match &request.request {
                        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => true,
                        ClientRequest::InitializeRequest(_) => {
                            self.phase = Phase::Handshake;
                            true
                        }
                        request => {
                            if let ClientRequest::CustomRequest(custom) = request
                                && custom.method == "initialize"
                            {
                                return Err(Refusal::with(Some(id), unreadable(custom)));
                            }
                            let meta = request.get_meta();
                            let is_inline =
                                meta.missing_required_keys(&ProtocolVersion::NO_INITIALIZE).is_empty();
                            if is_inline {
                                self.phase = Phase::Inline;
                            }
                            is_inline
                        }
                    };
                    if !may_come_first {
                        return Err(Refusal::answered(
                            Some(id),
                            "the session has not begun: send `initialize` first",
                        ));
                    }
                }
                // A subscription lasts as long as the connection, so the end of input does not wait for it.
                let is_subscription = matches!(request.request, ClientRequest::SubscriptionsListenRequest(_));
                if !is_subscription && !self.waiting.add(&id) {
                    let reason = "another request with this id has no answer yet: give each an id of its own";
                    return Err(Refusal::answered(Some(id), reason));
                }
            }
            _ if self.phase == Phase::Silent => {
                tracing::debug!("a message before the first request is left out");
                return Ok(None);
            }
            JsonRpcMessage::Notification(notification) => match &notification.notification {
                ClientNotification::CancelledNotification(cancelled) => {
                    if let Some(id) = &cancelled.params.request_id {
                        self.waiting.remove(id);
                    }
                }
                ClientNotification::InitializedNotification(_) if self.phase == Phase::Handshake => {
                    self.phase = Phase::Initialized;
                }
                _ => {}
            },
            _ => {}
        }
        Ok(Some(message))
    }

    fn refuse(&mut self, refusal: Refusal) {
        tracing::warn!("an MCP message is refused: {}", refusal.reason);
        // Text that is not JSON is not answered: its sender would not understand.
        self.unsent = refusal.answer.map(|answer| {
            let (id, error) = *answer;
            line_of(&TxJsonRpcMessage::<RoleServer>::error(error, id))
        });
    }

    /// Sends the answer to the previous line, if it was refused.
    async fn answer_refused(&mut self) {
        if self.unsent.is_some()
            && let Some(output) = &self.output
            && let Ok(place) = output.reserve().await
            && let Some(answer) = self.unsent.take()
        {
            place.send(answer);
        }
    }
}

impl<R: AsyncRead + Send + Unpin + 'static> Transport<RoleServer> for Lines<R> {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let output = self.output.clone();
        let waiting = Arc::clone(&self.waiting);
        async move {
            let answered = match &message {
                JsonRpcMessage::Response(response) => Some(response.id.clone()),
                JsonRpcMessage::Error(error) => error.id.clone(),
                _ => None,
            };
            let line = line_of(&message);
            let place = match &output {
                Some(output) => output.reserve().await.map_err(|_| io::ErrorKind::BrokenPipe),
                None => Err(io::ErrorKind::NotConnected),
            };
            // Before the client can read the answer, and use the id again.
            if let Some(id) = answered {
                waiting.remove(&id);
            }
            place?.send(line);
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let (stop, dead) = (self.stop.clone(), self.dead.clone());
            let read = tokio::select! {
                biased;
                () = dead.cancelled() => return None,
                () = stop.cancelled() => Read::End,
                read = async {
                    self.answer_refused().await;
                    self.waiting.room().await;
                    self.read().await
                } => read,
            };
            let message = match read {
                Read::Line => {
                    let message = self.message();
                    self.line.clear();
                    message
                }
                Read::TooLong => {
                    self.line = Vec::new();
                    Err(Refusal::silent(format!("a line has more than {LONGEST} bytes")))
                }
                Read::End => {
                    let answered = timeout_at(self.deadline(), async {
                        self.answer_refused().await;
                        self.waiting.empty().await;
                    });
                    tokio::select! {
                        answered = answered => if answered.is_err() {
                            tracing::warn!("calls were not answered in time");
                        },
                        () = dead.cancelled() => {}
                    }
                    return None;
                }
            };
            match message {
                Ok(Some(message)) => return Some(message),
                Ok(None) => {}
                Err(refusal) => self.refuse(refusal),
            }
        }
    }

    /// Waits until everything is written or the deadline has passed.
    async fn close(&mut self) -> Result<(), io::Error> {
        self.waiting.clear();
        drop(self.output.take());
        let Some(writer) = self.writer.take() else { return Ok(()) };
        if let Ok(written) = timeout_at(self.deadline(), writer).await {
            return written.map_err(io::Error::other);
        }
        tracing::warn!("the client does not read its answers");
        self.dead.cancel();
        Ok(())
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

    fn of(line: &[u8], error: &serde_json::Error) -> Self {
        /// The part of a message that is needed to answer it.
        #[derive(Deserialize)]
        struct Known {
            #[serde(default)]
            id: Option<RequestId>,
        }
        if serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err() {
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

pub(super) fn line_of(message: &TxJsonRpcMessage<RoleServer>) -> Vec<u8> {
    let mut line = Vec::with_capacity(256);
    if let Err(error) = serde_json::to_writer(&mut line, message) {
        // Texts and JSON values can always be written.
        tracing::error!(%error, "a message cannot be written");
        line.clear();
    }
    line.push(b'\n');
    line
}

/// Writes lines, as many as possible at once.
async fn write<W: AsyncWrite + Unpin>(
    mut writer: W,
    mut lines: mpsc::Receiver<Vec<u8>>,
    dead: CancellationToken,
) {
    let mut together = Vec::new();
    while let Some(line) = lines.recv().await {
        together.extend_from_slice(&line);
        while together.len() < TOGETHER
            && let Ok(line) = lines.try_recv()
        {
            together.extend_from_slice(&line);
        }
        let written = async {
            writer.write_all(&together).await?;
            writer.flush().await
        };
        let written = tokio::select! {
            written = written => written,
            () = dead.cancelled() => return,
        };
        if let Err(error) = written {
            tracing::debug!(%error, "the client does not read any more");
            dead.cancel();
            return;
        }
        together.clear();
        together.shrink_to(TOGETHER);
    }
    let _ = writer.shutdown().await;
}
