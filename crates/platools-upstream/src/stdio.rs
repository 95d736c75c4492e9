//! Messages of a server's process, one a line. A line that is too long is not kept; the call it would have answered
//! is, so that it fails at once instead of waiting for its time to pass.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{ErrorCode, ErrorData, RequestId, ServerJsonRpcMessage};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::ChildStdin;
use tokio::sync::{Mutex, mpsc};

use crate::child::ServerProcess;
use crate::config::ServerProgram;
use crate::error::{TOO_LARGE, shorten};
use crate::name::Name;
use crate::ration::Ration;

/// How many messages wait to be handled.
const WAITING: usize = 64;

/// How long messages of a process that has ended are waited for.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(250);

/// How much of a line that is too long is looked at on each side, in bytes.
const EDGE: usize = 256;

/// A server's process as a transport.
pub(crate) struct StdioTransport {
    process: ServerProcess,
    input: Arc<Mutex<Option<ChildStdin>>>,
    messages: mpsc::Receiver<ServerJsonRpcMessage>,
}

impl StdioTransport {
    /// Starts the server. Lines of more than `max_line` bytes are not kept. `logged` is what it may have in the log.
    pub(crate) fn start(
        name: &Name,
        program: &ServerProgram,
        max_line: usize,
        logged: &Arc<Ration>,
    ) -> io::Result<Self> {
        let (process, stdin, stdout) = ServerProcess::start(name, program, logged)?;
        let (sender, messages) = mpsc::channel(WAITING);
        let lines = Lines { from: BufReader::new(stdout), max: max_line };
        tokio::spawn(read(name.clone(), lines, sender, Arc::clone(logged)));
        Ok(Self { process, input: Arc::new(Mutex::new(Some(stdin))), messages })
    }
}

impl Transport<RoleClient> for StdioTransport {
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let input = Arc::clone(&self.input);
        async move {
            let mut line = serde_json::to_vec(&item)?;
            line.push(b'\n');
            let mut input = input.lock().await;
            let input = input.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            input.write_all(&line).await?;
            input.flush().await
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        tokio::select! {
            // What was said before the end is heard.
            biased;
            message = self.messages.recv() => message,
            () = self.process.exited() => {
                // Something that it started may hold its output open for ever.
                tokio::time::timeout(DRAIN_TIMEOUT, self.messages.recv()).await.ok().flatten()
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        // A write that hangs holds the lock; the process is ended all the same.
        if let Ok(mut input) = self.input.try_lock() {
            drop(input.take());
        }
        self.process.end().await.map(drop)
    }
}

/// Reads messages until the server closes its output.
async fn read(
    name: Name,
    mut lines: Lines<impl AsyncBufRead + Unpin>,
    to: mpsc::Sender<ServerJsonRpcMessage>,
    ration: Arc<Ration>,
) {
    while let Some(line) = lines.next().await {
        let message = match line {
            Line::Whole(bytes) if bytes.trim_ascii().is_empty() => continue,
            Line::Whole(bytes) => {
                let Ok(message) = serde_json::from_slice(&bytes) else {
                    let Some(dropped) = ration.take() else { continue };
                    let text = shorten(&String::from_utf8_lossy(&bytes[..bytes.len().min(EDGE)]));
                    tracing::warn!(
                        upstream = %name,
                        dropped,
                        "on its standard output stands what is no message: {text}"
                    );
                    continue;
                };
                message
            }
            Line::TooLong { head, tail } => {
                if let Some(dropped) = ration.take() {
                    let limit = lines.max;
                    tracing::warn!(upstream = %name, limit, dropped, "a message is too long, it is not taken");
                }
                let Some(id) = id(&head, &tail) else { continue };
                let data = Some(lines.max.into());
                let error = ErrorData::new(ErrorCode(TOO_LARGE), "the answer is too long", data);
                ServerJsonRpcMessage::error(error, Some(id))
            }
        };
        if to.send(message).await.is_err() {
            return;
        }
    }
}

enum Line {
    Whole(Vec<u8>),
    TooLong { head: Vec<u8>, tail: Vec<u8> },
}

/// Lines of bounded length.
struct Lines<R> {
    from: R,
    max: usize,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    async fn next(&mut self) -> Option<Line> {
        let mut line = Vec::new();
        let mut head: Option<Vec<u8>> = None;
        loop {
            let available = self.from.fill_buf().await.ok()?;
            if available.is_empty() {
                // A message that does not end is none.
                return None;
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let piece = &available[..end.unwrap_or(available.len())];
            line.extend_from_slice(piece);
            let consumed = piece.len() + usize::from(end.is_some());
            self.from.consume(consumed);
            if line.len() > self.max || head.is_some() {
                head.get_or_insert_with(|| line[..line.len().min(EDGE)].to_vec());
                let rest = line.len().saturating_sub(EDGE);
                line.drain(..rest);
            }
            if end.is_some() {
                return Some(match head {
                    None => Line::Whole(line),
                    Some(head) => Line::TooLong { head, tail: line },
                });
            }
        }
    }
}

/// The id of a message of which only the edges are known: a member of the object itself, so before anything nested
/// begins, or behind all of it.
fn id(head: &[u8], tail: &[u8]) -> Option<RequestId> {
    let number = |text: &str| {
        let digits: String = text.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<i64>().ok().map(RequestId::Number)
    };
    let head = String::from_utf8_lossy(head);
    let flat = head.strip_prefix('{').map_or("", |rest| rest.split(['{', '[']).next().unwrap_or_default());
    if let Some((_, rest)) = flat.split_once("\"id\":") {
        return number(rest);
    }
    let tail = String::from_utf8_lossy(tail);
    let flat = tail
        .trim_end()
        .strip_suffix('}')
        .map_or("", |rest| rest.rsplit(['}', ']']).next().unwrap_or_default());
    // Requests here have numbers; a quote would be the end of a text that looks like a member.
    let (before, rest) = flat.rsplit_once("\"id\":")?;
    (before.matches('"').count() % 2 == 0 || before.trim_end().ends_with(',')).then(|| number(rest))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_on_either_edge_and_not_inside() {
        for (head, tail, expected) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"co"#, r#"x"}]}}"#, Some(7)),
            (r#"{"result":{"id":3,"content":[{"#, r#""text"}]},"jsonrpc":"2.0","id":12}"#, Some(12)),
            (r#"{"result":{"content":"#, r#"xx"}]},"id": 12,"jsonrpc":"2.0"}"#, Some(12)),
            (r#"{"result":{"id":3,"#, r#""id":4}}"#, None),
            ("garbage", "garbage", None),
        ] {
            assert_eq!(
                id(head.as_bytes(), tail.as_bytes()),
                expected.map(RequestId::Number),
                "{head} {tail}"
            );
        }
    }

    #[tokio::test]
    async fn lines_that_are_too_long_are_skipped_and_the_next_is_whole() {
        let text = format!("short\n{}END\nnext\nunfinished", "x".repeat(100_000));
        let mut lines = Lines { from: BufReader::with_capacity(1_000, text.as_bytes()), max: 10_000 };
        assert!(matches!(lines.next().await, Some(Line::Whole(line)) if line == b"short"));
        let Some(Line::TooLong { head, tail }) = lines.next().await else { panic!("it is too long") };
        assert!(head.starts_with(b"xxx") && head.len() == EDGE && tail.ends_with(b"xEND"));
        assert!(matches!(lines.next().await, Some(Line::Whole(line)) if line == b"next"));
        assert!(lines.next().await.is_none());
    }
}
