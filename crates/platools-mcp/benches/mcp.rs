//! Calls per second over MCP: this crate's server beside a bare `rmcp` server with the same tool, in one run.
//!
//! `cargo bench -p platools-mcp --bench mcp`. The program starts itself again as each server, so that the
//! streams are real pipes and the two sides share no runtime. Rounds alternate; medians are printed.
#![allow(clippy::unwrap_used, missing_docs, reason = "a program for developers")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use axum::serve::ListenerExt as _;
use platools::prelude::*;
use platools::tools;
use platools_mcp::McpServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::{RequestContext, ServiceExt as _};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, ServerHandler};

const TOKEN: &str = "a-token-for-the-benchmark";
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(1);

/// Add two whole numbers.
#[tool(register = false)]
async fn add(a: i64, b: i64, note: String) -> i64 {
    let _ = note;
    a + b
}

/// The least that a server can do: the arguments typed, the sum as text.
#[derive(Clone)]
struct Bare;

#[derive(Deserialize)]
struct Sum {
    a: i64,
    b: i64,
    #[expect(dead_code, reason = "it is only decoded")]
    note: String,
}

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = serde_json::Value::Object(request.arguments.unwrap_or_default());
        let sum: Sum = serde_json::from_value(arguments)
            .map_err(|error| ErrorData::invalid_params(error.to_string(), None))?;
        let mut result = CallToolResult::success(vec![ContentBlock::text((sum.a + sum.b).to_string())]);
        result.structured_content = Some(serde_json::json!({"result": sum.a + sum.b}));
        Ok(result.into())
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(server) = arguments.iter().find_map(|argument| argument.strip_prefix("--server=")) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        return runtime.unwrap().block_on(serve(server));
    }
    println!("calls a second, medians of {ROUNDS} alternating rounds; one worker thread in each server");
    println!("{:<28}{:>12}{:>12}{:>10}", "", "bare rmcp", "platools", "ratio");
    for window in [1, 16, 64] {
        let (bare, ours) = alternate(|server| Streams::start(server, window), ["bare-stdio", "ours-stdio"]);
        row(&format!("stdio, {window} in flight"), bare, ours);
    }
    for window in [1, 16, 64] {
        let (bare, ours) = alternate(|server| Http::start(server, window), ["bare-http", "ours-http"]);
        row(&format!("HTTP, {window} connections"), bare, ours);
    }
}

fn row(name: &str, bare: f64, ours: f64) {
    println!("{name:<28}{bare:>12.0}{ours:>12.0}{:>10.2}", ours / bare);
}

async fn serve(server: &str) {
    let local = Platools::builder().tools(tools![add]).build_local().unwrap();
    let ours = McpServer::new(local.door());
    match server {
        "ours-stdio" => ours.serve_stdio().await.unwrap(),
        "bare-stdio" => {
            let service = Bare.serve(rmcp::transport::stdio_pipes()).await.unwrap();
            service.waiting().await.unwrap();
        }
        "ours-http" => {
            let listener = ours.http(TOKEN).unwrap().bind(("127.0.0.1", 0)).await.unwrap();
            println!("{}", listener.local_addr());
            listener.serve().await.unwrap();
        }
        "bare-http" => {
            let config = StreamableHttpServerConfig::default();
            let sessions = Arc::new(LocalSessionManager::default());
            let service = StreamableHttpService::new(|| Ok(Bare), sessions, config);
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            println!("{}", listener.local_addr().unwrap());
            // Without this, each answer waits 40 ms for an acknowledgement.
            let listener = listener.tap_io(|connection| {
                let _ = connection.set_nodelay(true);
            });
            axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await.unwrap();
        }
        other => panic!("no server is called {other}"),
    }
}

/// A server that can be driven for a while.
trait Driven {
    /// Calls a second.
    fn round(&mut self, time: Duration) -> f64;
}

fn alternate<D: Driven>(start: impl Fn(&str) -> D, servers: [&str; 2]) -> (f64, f64) {
    let mut running = servers.map(start);
    let mut figures = [Vec::new(), Vec::new()];
    for server in &mut running {
        server.round(ROUND / 4);
    }
    for _ in 0..ROUNDS {
        for (server, figures) in running.iter_mut().zip(&mut figures) {
            figures.push(server.round(ROUND));
        }
    }
    let median = |mut figures: Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let [bare, ours] = figures;
    (median(bare), median(ours))
}

fn child(server: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .arg(format!("--server={server}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

fn call(id: usize) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"add","arguments":{{"a":{id},"b":2,"note":"hi"}}}}}}"#
    )
}

/// A server on pipes, with a window of calls in flight.
struct Streams {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    window: usize,
    next: usize,
}

impl Streams {
    fn start(server: &str, window: usize) -> Self {
        let mut child = child(server);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let input = child.stdin.as_mut().unwrap();
        writeln!(input, "{INITIALIZE}").unwrap();
        lines.read_line(&mut String::new()).unwrap();
        writeln!(input, "{INITIALIZED}").unwrap();
        Self { child, lines, window, next: 1 }
    }
}

impl Driven for Streams {
    fn round(&mut self, time: Duration) -> f64 {
        let input = self.child.stdin.as_mut().unwrap();
        let mut together = String::new();
        let mut ask = |count: usize, next: &mut usize| {
            together.clear();
            for _ in 0..count {
                together.push_str(&call(*next));
                together.push('\n');
                *next += 1;
            }
            input.write_all(together.as_bytes()).unwrap();
        };
        let (started, mut done, mut line) = (Instant::now(), 0, String::new());
        ask(self.window, &mut self.next);
        let mut flying = self.window;
        while flying > 0 {
            // As many as have come are asked for again at once.
            let mut came = 0;
            loop {
                line.clear();
                self.lines.read_line(&mut line).unwrap();
                assert!(line.contains("\"result\""), "{line}");
                came += 1;
                if came == flying || !self.lines.buffer().contains(&b'\n') {
                    break;
                }
            }
            done += came;
            flying -= came;
            if started.elapsed() < time {
                ask(came, &mut self.next);
                flying += came;
            }
        }
        done as f64 / started.elapsed().as_secs_f64()
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A server over HTTP, with a call in flight on each of several connections.
struct Http {
    child: Child,
    address: String,
    session: String,
    connections: Vec<TcpStream>,
}

impl Http {
    fn start(server: &str, window: usize) -> Self {
        let mut child = child(server);
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        let mut first = TcpStream::connect(&address).unwrap();
        let answer = exchange(&mut first, &request(None, INITIALIZE), &mut Vec::new());
        let session = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        let session = session.unwrap().trim().to_owned();
        let initialized = request(Some(&session), INITIALIZED);
        first.write_all(initialized.as_bytes()).unwrap();
        let mut accepted = [0; 1024];
        assert!(first.read(&mut accepted).unwrap() > 0);
        let connections = (0..window).map(|_| {
            let connection = TcpStream::connect(&address).unwrap();
            connection.set_nodelay(true).unwrap();
            connection
        });
        let connections = connections.collect();
        Self { child, address, session, connections }
    }
}

impl Driven for Http {
    fn round(&mut self, time: Duration) -> f64 {
        let (done, barrier) = (AtomicUsize::new(0), Barrier::new(self.connections.len()));
        let started = Instant::now();
        std::thread::scope(|scope| {
            for (index, connection) in self.connections.iter_mut().enumerate() {
                let (done, barrier, session) = (&done, &barrier, &self.session);
                scope.spawn(move || {
                    barrier.wait();
                    let (mut id, mut buffer) = ((index + 1) << 32, Vec::new());
                    while started.elapsed() < time {
                        let answer = exchange(connection, &request(Some(session), &call(id)), &mut buffer);
                        assert!(answer.contains("\"result\""), "{answer}");
                        id += 1;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait(), &self.address);
    }
}

fn request(session: Option<&str>, body: &str) -> String {
    let session = session.map(|session| format!("mcp-session-id: {session}\r\n")).unwrap_or_default();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
         accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n{session}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// One request and the whole of its response, be it in chunks or of a known length.
fn exchange(connection: &mut TcpStream, request: &str, buffer: &mut Vec<u8>) -> String {
    connection.write_all(request.as_bytes()).unwrap();
    buffer.clear();
    let mut chunk = [0; 16 << 10];
    while !is_whole(buffer) {
        let read = connection.read(&mut chunk).unwrap();
        assert!(read > 0, "the server hung up: {}", String::from_utf8_lossy(buffer));
        buffer.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8_lossy(buffer).into_owned()
}

fn is_whole(response: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(response, b"\r\n\r\n") else { return false };
    let head = std::str::from_utf8(&response[..end]).unwrap();
    match head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        Some(length) => response.len() >= end + 4 + length.parse::<usize>().unwrap(),
        None => response.ends_with(b"0\r\n\r\n"),
    }
}
