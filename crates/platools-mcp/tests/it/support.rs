//! Tools to call, and a client that speaks in lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use platools::caller::LogLevel;
use platools::prelude::*;
use platools::tool::Content;
use platools::{CallContext, LocalHost, Progress, Tool, ToolSpec, tools};
use platools_mcp::{McpError, McpServer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// No exchange of these tests takes that long.
const HANG: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Sum {
    sum: i64,
}

/// Add two whole numbers.
#[tool(register = false, title = "Addition", read_only, idempotent)]
async fn add(a: i64, b: i64) -> Sum {
    Sum { sum: a + b }
}

/// Count the letters of a text.
#[tool(register = false)]
async fn count(text: String) -> usize {
    text.chars().count()
}

/// Say hello.
#[tool(register = false)]
async fn hello(name: String) -> String {
    format!("hello \"{name}\"")
}

/// Draw.
#[tool(register = false)]
async fn draw() -> ToolOutput {
    ToolOutput::content([Content::text("a dot"), Media::png([1]).into()])
}

/// Break.
#[tool(register = false)]
async fn explode() -> String {
    panic!("the password is hunter2")
}

/// Refuse.
#[tool(register = false)]
async fn refuse() -> Result<(), ToolError> {
    Err(ToolError::user("not on a Sunday"))
}

/// Report on the way.
#[tool(register = false)]
async fn crawl(progress: Progress) -> bool {
    for step in 1..=3 {
        progress.report_with(f64::from(step), 3.0, format!("step {step}"));
        progress.log(LogLevel::Info, format!("did {step}"));
        progress.log(LogLevel::Debug, "details");
    }
    progress.is_enabled()
}

/// Tell who is asking.
#[tool(register = false)]
async fn who(ctx: CallContext) -> Value {
    json!({
        "user": ctx.user_id(),
        "source": ctx.source(),
        "trace": ctx.traceparent(),
        "entity_token": ctx.entity_token(),
        "call_id": ctx.call_id(),
    })
}

/// Only for administrators.
#[tool(register = false, roles = ["admin"])]
async fn secret() -> String {
    "42".to_owned()
}

/// Events of the tool `hold`.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) started: Happened,
    pub(crate) cancelled: Happened,
    pub(crate) running: AtomicUsize,
    pub(crate) released: Happened,
}

/// Counts events that no test has waited for yet.
#[derive(Debug)]
pub(crate) struct Happened(pub(crate) Semaphore);

impl Default for Happened {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Happened {
    pub(crate) async fn take(&self, permits: u32) {
        timeout(HANG, self.0.acquire_many(permits)).await.expect("it happens in time").unwrap().forget();
    }
}

struct Running<'a>(&'a Seen);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Wait until the test lets it go, or it is cancelled.
#[tool(register = false)]
async fn hold(seen: State<Seen>, cancel: CancellationToken) -> &'static str {
    seen.running.fetch_add(1, Ordering::SeqCst);
    let _running = Running(&seen);
    seen.started.0.add_permits(1);
    tokio::select! {
        permit = seen.released.0.acquire() => {
            permit.unwrap().forget();
            "let go"
        }
        () = cancel.cancelled() => {
            seen.cancelled.0.add_permits(1);
            "cancelled"
        }
    }
}

pub(crate) struct Bench {
    pub(crate) local: LocalHost,
    pub(crate) seen: Arc<Seen>,
}

pub(crate) fn bench() -> Bench {
    let seen = Arc::<Seen>::default();
    let local = Platools::builder()
        .tools(tools![add, count, hello, draw, explode, refuse, crawl, who, secret, hold])
        .shared_state(Arc::clone(&seen))
        .authenticator(|credentials: platools::caller::Credentials| async move {
            match credentials.user_token() {
                Some("admin-token") => Ok(Identity::new("usr_admin").with_roles(["admin"])),
                Some(_) => Err(platools::caller::AuthenticationError::rejected("unknown")),
                None => Err(platools::caller::AuthenticationError::NoCredentials),
            }
        })
        .build_local()
        .unwrap();
    Bench { local, seen }
}

impl Bench {
    /// Lets `calls` held calls go.
    pub(crate) fn release(&self, calls: usize) {
        self.seen.released.0.add_permits(calls);
    }
}

/// Lets the server read all that was sent: the tests have one thread.
pub(crate) async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Checks that a message is the answer of a held call that was let go.
#[track_caller]
pub(crate) fn assert_let_go(answer: &Value) {
    assert_eq!(answer["result"]["content"][0]["text"], "let go", "{answer}");
}

pub(crate) fn another(name: &str) -> Tool {
    Tool::new(ToolSpec::new(name).description("One more."), |_| async { Ok(ToolOutput::text("more")) })
}

pub(crate) fn initialize(version: &str) -> Value {
    let params = json!({
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    });
    json!({"jsonrpc": "2.0", "id": "init", "method": "initialize", "params": params})
}

/// A client on streams.
pub(crate) struct Client {
    pub(crate) writer: Option<WriteHalf<DuplexStream>>,
    pub(crate) reader: BufReader<ReadHalf<DuplexStream>>,
    pub(crate) serving: JoinHandle<Result<(), McpError>>,
    pub(crate) stop: CancellationToken,
}

impl Client {
    pub(crate) fn new(server: McpServer) -> Self {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (reader, writer) = tokio::io::split(far);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve_io(reader, writer, stop.clone()));
        let (reader, writer) = tokio::io::split(near);
        Self { writer: Some(writer), reader: BufReader::new(reader), serving, stop }
    }

    /// A client whose session has begun.
    pub(crate) async fn begun(server: McpServer) -> Self {
        let mut client = Self::new(server);
        client.send(&initialize("2025-06-18")).await;
        client.next().await;
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        client
    }

    pub(crate) async fn line(&mut self, line: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(line.as_bytes()).await.unwrap();
        writer.write_all(b"\n").await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.line(&message.to_string()).await;
    }

    pub(crate) async fn request(&mut self, id: impl Into<Value>, method: &str, params: Value) {
        let id = id.into();
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
    }

    pub(crate) async fn call(&mut self, id: impl Into<Value>, tool: &str, arguments: Value) {
        self.request(id, "tools/call", json!({"name": tool, "arguments": arguments})).await;
    }

    /// The next message; `None` at the end.
    pub(crate) async fn next_or_end(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = timeout(HANG, self.reader.read_line(&mut line)).await.expect("an answer in time");
        match read.unwrap() {
            0 => None,
            _ => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    pub(crate) async fn next(&mut self) -> Value {
        self.next_or_end().await.expect("an answer")
    }

    /// The result of a call, without what notifications come before.
    pub(crate) async fn result_of(&mut self, tool: &str, arguments: Value) -> Value {
        self.call(1, tool, arguments).await;
        loop {
            let message = self.next().await;
            if message["id"] == 1 {
                return message["result"].clone();
            }
        }
    }

    pub(crate) async fn ended(self) -> Result<(), McpError> {
        timeout(HANG, self.serving).await.expect("it ends in time").unwrap()
    }
}
