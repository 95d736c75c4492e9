//! The MCP server, as a process of its own: under its official clients, under the official conformance suite, and
//! on bare pipes.

mod clients;
mod conformance;
mod pipes;

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use super::support::{self, GUARD};

/// What is served; see its own description.
const SERVER: &str = env!("CARGO_BIN_EXE_mcp-server");
/// The bearer token of the server over HTTP.
const TOKEN: &str = "7c1f1f3a5b9d4e0c8a62";

/// A program whose log says what happens in handlers, and which does not outlive the test.
fn program(path: impl AsRef<Path>) -> Command {
    let path = path.as_ref().to_str().unwrap();
    let variables = [("RUST_LOG", "mcp_server=debug"), ("MCP_SERVER_TOKEN", TOKEN)];
    let mut command = Command::from(support::program(path, &variables));
    command.stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The server over HTTP.
struct Serving {
    url: String,
    log: Written,
    _output: Written,
    _process: Child,
}

impl Serving {
    /// Starts it with the arguments, and waits until it listens.
    async fn start(arguments: &[&str]) -> Self {
        let mut process = program(SERVER).args(arguments).spawn().unwrap();
        let mut output = Written::by(process.stdout.take().unwrap());
        let log = Written::by(process.stderr.take().unwrap());
        let url = output.until("\n").await.trim_end().to_owned();
        Self { url, log, _output: output, _process: process }
    }
}

/// What is written to a stream, as it comes.
struct Written(watch::Receiver<String>);

impl Written {
    fn by(stream: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let (written, seen) = watch::channel(String::new());
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                written.send_modify(|written| written.push_str(&String::from_utf8_lossy(&line)));
                line.clear();
            }
        });
        Self(seen)
    }

    /// Waits until `text` was written, and returns all until then.
    async fn until(&mut self, text: &str) -> String {
        let wait = self.0.wait_for(|written| written.contains(text));
        let seen = timeout(GUARD, wait).await.is_ok_and(|seen| seen.is_ok());
        let written = self.0.borrow().clone();
        assert!(seen, "{text:?} is not written, but {written:?}");
        written
    }

    /// Waits until no process is left that could write, and returns all.
    async fn end(mut self) -> String {
        let ended = timeout(GUARD, async { while self.0.changed().await.is_ok() {} }).await;
        assert!(ended.is_ok(), "somebody is left who can write, after {:?}", *self.0.borrow());
        self.0.borrow().clone()
    }
}
