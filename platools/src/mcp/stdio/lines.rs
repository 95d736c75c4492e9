//! Messages as lines. What is written together goes out together, and the end of input waits for the answers.

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
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::direct::Direct;
use super::waiting::Waiting;

/// The longest line that is read, in bytes.
const LONGEST: usize = 16 << 20;
/// How many messages wait for the writer; beyond that, answers wait.
const WAITING: usize = 256;
/// How many bytes go out in one write, when that many wait.
const TOGETHER: usize = 64 << 10;

/// One client on a pair of streams.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    /// A line that has not ended yet. It stays here, since a read may be dropped half-way.
    line: Vec<u8>,
    /// Whether the rest of a line that is too long is being skipped.
    skipping: bool,
    phase: Phase,
    direct: Direct,
    output: Option<mpsc::Sender<Vec<u8>>>,
    writer: Option<JoinHandle<()>>,
    waiting: Arc<Waiting>,
    stop: CancellationToken,
    dead: CancellationToken,
    patience: Duration,
}

impl<R> Drop for Lines<R> {
    fn drop(&mut self) {
        // Nobody is left to answer.
        self.waiting.clear();
    }
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing that begins one has come: what is no request has no meaning.
    Silent,
    /// Each request says which version it speaks.
    Inline,
    /// The client has sent `initialize`.
    Handshake,
    /// It has said that it is ready, too.
    Stands,
}

/// What was read.
enum Read {
    Line,
    TooLong,
    End,
}

impl<R: AsyncRead + Send + Unpin> Lines<R> {
    /// Reads until `stop`, cancels `dead` when nothing can be written any more, and waits `patience` for answers.
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
            output: Some(output),
            writer: Some(writer),
            waiting: Arc::default(),
            stop,
            dead,
            patience,
        }
    }

    async fn read(&mut self) -> Read {
        loop {
            let chunk = match self.reader.fill_buf().await {
                Ok([]) => return Read::End,
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

    /// The message of the line that was read, or what to answer instead.
    fn message(&mut self) -> Result<Option<RxJsonRpcMessage<RoleServer>>, Refusal> {
        let line = self.line.trim_ascii();
        if line.is_empty() {
            return Ok(None);
        }
        if self.phase == Phase::Stands
            && let Some(output) = &self.output
            && self.direct.takes(line, &self.waiting, output)
        {
            return Ok(None);
        }
        let message: RxJsonRpcMessage<RoleServer> =
            serde_json::from_slice(line).map_err(|error| Refusal::of(line, &error))?;
        match &message {
            JsonRpcMessage::Request(request) => {
                if self.phase == Phase::Silent {
                    let may_come_first = match &request.request {
                        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => true,
                        ClientRequest::InitializeRequest(_) => {
                            self.phase = Phase::Handshake;
                            true
                        }
                        request => {
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
                            Some(request.id.clone()),
                            "the session has not begun: send `initialize` first",
                        ));
                    }
                }
                // A subscription ends with the connection, and not the other way round.
                if !matches!(request.request, ClientRequest::SubscriptionsListenRequest(_)) {
                    self.waiting.add(request.id.clone());
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
                    self.phase = Phase::Stands;
                }
                _ => {}
            },
            _ => {}
        }
        Ok(Some(message))
    }

    async fn refuse(&mut self, refusal: Refusal) {
        tracing::warn!("an MCP message is refused: {}", refusal.reason);
        // What is not even JSON is not answered: whoever sends that would not understand.
        if let (Some(answer), Some(output)) = (refusal.answer, &self.output) {
            let (id, error) = *answer;
            let _ = output.send(line_of(&TxJsonRpcMessage::<RoleServer>::error(error, id))).await;
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
            let sent = match output {
                Some(output) => output.send(line_of(&message)).await.map_err(|_| io::ErrorKind::BrokenPipe),
                None => Err(io::ErrorKind::NotConnected),
            };
            if let Some(id) = answered {
                waiting.remove(&id);
            }
            sent.map_err(io::Error::from)
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let (stop, dead) = (self.stop.clone(), self.dead.clone());
            let read = tokio::select! {
                biased;
                () = dead.cancelled() => return None,
                () = stop.cancelled() => Read::End,
                read = self.read() => read,
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
                    let answered = timeout(self.patience, self.waiting.empty());
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
                Err(refusal) => self.refuse(refusal).await,
            }
        }
    }

    /// Returns when everything is written.
    async fn close(&mut self) -> Result<(), io::Error> {
        self.waiting.clear();
        drop(self.output.take());
        match self.writer.take() {
            Some(writer) => writer.await.map_err(io::Error::other),
            None => Ok(()),
        }
    }
}

/// A line that is no message.
struct Refusal {
    reason: String,
    /// What is answered, and to which request.
    answer: Option<Box<(Option<RequestId>, ErrorData)>>,
}

impl Refusal {
    fn silent(reason: String) -> Self {
        Self { reason, answer: None }
    }

    fn answered(id: Option<RequestId>, reason: &'static str) -> Self {
        let answer = Box::new((id, ErrorData::invalid_request(reason, None)));
        Self { reason: reason.to_owned(), answer: Some(answer) }
    }

    fn of(line: &[u8], error: &serde_json::Error) -> Self {
        /// As much of a message as it takes to answer it.
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
        // Made of texts and JSON values alone, a message can be written.
        tracing::error!(%error, "a message cannot be written");
        line.clear();
    }
    line.push(b'\n');
    line
}

/// Writes what there is, as much of it as possible at once.
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
