//! MCP over a pair of streams, one message per line: standard input and output, or any other pair.

mod calls;
mod lines;
mod requests;
mod rmcp_end;
mod session;
mod streams;

use std::future::Future;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::server::announce_stop;
use super::{McpError, McpServer};
use platools::host::Signals;

impl McpServer {
    /// Serves the client that started this program, on standard input and output, until the end of input, SIGTERM or
    /// SIGINT. Calls in flight then are answered first, within the call timeout. When the client closes its end of
    /// the output, the server and its calls end at once; a second signal does the same.
    ///
    /// Standard output is reserved for the protocol: output of tools goes to standard error, and their input is empty.
    /// On systems other than Unix, a tool that prints breaks the protocol.
    ///
    /// # Errors
    /// When the streams or signals cannot be used, or a task of the server ends unexpectedly.
    pub async fn serve_stdio(self) -> Result<(), McpError> {
        let mut signals = Signals::new().map_err(McpError::Signals)?;
        let streams = streams::take().map_err(McpError::Stdio)?;
        let stop = CancellationToken::new();
        let (reader, writer, gone) = streams;
        let door = self.door.clone();
        let mut serving = std::pin::pin!(serve(self, reader, writer, gone, stop.clone()));
        loop {
            tokio::select! {
                result = &mut serving => return result,
                _ = signals.next() => {
                    if stop.is_cancelled() {
                        return Ok(());
                    }
                    announce_stop(door.in_flight(), door.call_timeout());
                    stop.cancel();
                }
            }
        }
    }

    /// Serves one client on any pair of streams until the end of input or until `stop` is cancelled. Calls in flight
    /// then are answered first, within the call timeout.
    ///
    /// # Errors
    /// When a task of the server ends unexpectedly.
    ///
    /// ```
    /// # use platools::{CancellationToken, Platools};
    /// # use platools_mcp::McpServer;
    /// use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let local = Platools::builder().tools([]).build_local()?;
    /// let (client, server) = tokio::io::duplex(4096);
    /// let (reader, writer) = tokio::io::split(server);
    /// let serving = tokio::spawn(McpServer::new(local.door()).serve_io(reader, writer, CancellationToken::new()));
    ///
    /// let (answers, mut requests) = tokio::io::split(client);
    /// requests.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").await?;
    /// let mut answer = String::new();
    /// BufReader::new(answers).read_line(&mut answer).await?;
    /// assert_eq!(answer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
    /// # drop(requests);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn serve_io<R, W>(self, reader: R, writer: W, stop: CancellationToken) -> Result<(), McpError>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        serve(self, reader, writer, std::future::pending(), stop).await
    }
}

/// Serves until the end of input, until `stop`, or until the client is `gone`.
async fn serve<R, W>(
    server: McpServer,
    reader: R,
    writer: W,
    gone: impl Future<Output = ()>,
    stop: CancellationToken,
) -> Result<(), McpError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let dead = CancellationToken::new();
    // A task of its own, so that it is on the same threads as the calls.
    let serving = tokio::spawn(session::serve(server, reader, writer, stop, dead.clone()));
    let mut serving = AbortOnDropHandle::new(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = gone => {
            dead.cancel();
            serving.await
        }
    };
    ended.unwrap_or_else(|error| Err(McpError::Broken(error.to_string())))
}
