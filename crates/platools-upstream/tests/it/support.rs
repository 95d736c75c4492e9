//! A server with a few tools, over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use platools::prelude::*;
use platools::tool::Content;
use platools::{LocalHost, Media, Platools, Progress, ToolError, ToolOutput, tools};
use platools_mcp::McpServer;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long anything may take before a test fails.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// The bearer token that the servers here require.
pub(crate) const TOKEN: &str = "an-upstream-token-of-tests";

/// Waits for what has to happen.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, future).await.expect("it took a minute")
}

/// Add two whole numbers.
#[tool(register = false, read_only, title = "Adder")]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// Say no.
#[tool(register = false)]
async fn refuse() -> Result<String, ToolError> {
    Err(ToolError::user("there is none today"))
}

/// Draw.
#[tool(register = false)]
async fn draw() -> ToolOutput {
    ToolOutput::content([Content::text("a dot"), Media::png([1, 2]).into()])
}

/// Tell how far it is, and then how many letters were asked for.
#[tool(register = false)]
async fn letters(progress: Progress, count: usize) -> String {
    progress.report_with(1.0, 2.0, "half way");
    "x".repeat(count)
}

/// Tell a variable of the environment.
#[tool(register = false)]
async fn variable(name: String) -> String {
    std::env::var(name).unwrap_or_else(|_| "not set".to_owned())
}

/// Start a program that outlives this one, and tell its process id and this one's.
#[tool(register = false)]
#[expect(clippy::zombie_processes, reason = "that it is left behind is the point")]
async fn fork() -> Vec<u32> {
    let child =
        std::process::Command::new("sleep").arg("1000").stdin(std::process::Stdio::null()).spawn().unwrap();
    vec![std::process::id(), child.id()]
}

/// Never end.
#[tool(register = false)]
async fn linger() -> String {
    std::future::pending().await
}

/// The tools above.
pub(crate) fn local() -> LocalHost {
    Platools::builder()
        .tools(tools![add, refuse, draw, letters, variable, fork, linger])
        .build_local()
        .unwrap()
}

/// A host without tools of its own.
pub(crate) fn empty() -> LocalHost {
    Platools::builder().tools([]).build_local().unwrap()
}

/// Calls a tool of a host.
pub(crate) async fn call(
    host: &LocalHost,
    tool: &str,
    arguments: serde_json::Value,
) -> Result<serde_json::Value, String> {
    let context = platools::CallContext::builder().build();
    let answer = within(host.call(tool, arguments.try_into().unwrap(), context)).await;
    answer.map(|output| output.to_value()).map_err(|error| error.to_string())
}

/// Waits until something is so.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    within(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// The names of a host's tools.
pub(crate) fn names(host: &LocalHost) -> String {
    host.tools().list().iter().map(|tool| tool.name().to_owned()).collect::<Vec<_>>().join(" ")
}

/// A server over HTTP that can be stopped.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(local: &LocalHost) -> Self {
        Self::start_at(local, "127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(local: &LocalHost, address: SocketAddr) -> Self {
        let listener = McpServer::new(local.door())
            .page_size(2)
            .http(TOKEN)
            .unwrap()
            .bind((address.ip(), address.port()))
            .await
            .unwrap();
        let (url, address) = (listener.url(), listener.local_addr());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(listener.serve_until(async {
            let _ = stopped.await;
        }));
        Self { url, address, stop: Some(stop), serving }
    }

    /// Ends it in good order.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.serving.await.unwrap();
    }
}
