//! Lines of a pair of streams: one message per line.
//!
//! Must not know what a message means.

use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The longest accepted line, in bytes.
pub(super) const MAX_LINE: usize = 16 << 20;
/// How many lines may wait for the writer; beyond that, senders wait.
const MAX_QUEUED: usize = 256;
/// The target size of one write, in bytes.
const WRITE_SIZE: usize = 64 << 10;

/// The lines to write.
pub(super) type Output = mpsc::Sender<Vec<u8>>;

/// Reads lines.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    /// The line. It is kept here because a read may be dropped half-way.
    line: Vec<u8>,
    /// Set once `line` has been returned.
    is_taken: bool,
    /// Set while the rest of an overlong line is skipped.
    skipping: bool,
}

/// The outcome of a read.
pub(super) enum Read<'a> {
    Line(&'a [u8]),
    TooLong,
    End,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        let reader = BufReader::with_capacity(WRITE_SIZE, reader);
        Self { reader, line: Vec::new(), is_taken: false, skipping: false }
    }

    /// Reads the next line. May be dropped half-way.
    pub(super) async fn next(&mut self) -> Read<'_> {
        if std::mem::take(&mut self.is_taken) {
            self.line.clear();
        }
        loop {
            let chunk = match self.reader.fill_buf().await {
                Ok([]) if self.line.is_empty() => return Read::End,
                // The last line may lack its line break.
                Ok([]) => break,
                Ok(chunk) => chunk,
                Err(error) => {
                    tracing::warn!(%error, "the input cannot be read any more");
                    return Read::End;
                }
            };
            let end = memchr::memchr(b'\n', chunk);
            let taken = end.map_or(chunk.len(), |end| end + 1);
            let fits = self.line.len() + taken <= MAX_LINE;
            if !self.skipping && fits {
                self.line.extend_from_slice(&chunk[..taken]);
            }
            self.reader.consume(taken);
            if self.skipping {
                self.skipping = end.is_none();
            } else if !fits {
                self.skipping = end.is_none();
                self.line = Vec::new();
                return Read::TooLong;
            } else if end.is_some() {
                break;
            }
        }
        self.is_taken = true;
        Read::Line(self.line.trim_ascii())
    }
}

/// Writes a message as a line.
pub(super) fn line_of(message: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::with_capacity(256);
    if let Err(error) = serde_json::to_writer(&mut line, message) {
        // Texts and JSON values can always be written.
        tracing::error!(%error, "a message cannot be written");
        line.clear();
    }
    line.push(b'\n');
    line
}

/// Writes lines until all senders are gone, as many as possible at once. Cancels `dead` when writing fails, and ends
/// when something else cancels it.
pub(super) fn write<W>(writer: W, dead: CancellationToken) -> (Output, impl Future<Output = ()> + Send)
where
    W: AsyncWrite + Send + Unpin,
{
    let (output, lines) = mpsc::channel(MAX_QUEUED);
    (output, write_all(writer, lines, dead))
}

async fn write_all<W: AsyncWrite + Unpin>(
    mut writer: W,
    mut lines: mpsc::Receiver<Vec<u8>>,
    dead: CancellationToken,
) {
    let mut together = Vec::new();
    while let Some(line) = lines.recv().await {
        together.extend_from_slice(&line);
        while together.len() < WRITE_SIZE
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
        together.shrink_to(WRITE_SIZE);
    }
    let _ = writer.shutdown().await;
}
