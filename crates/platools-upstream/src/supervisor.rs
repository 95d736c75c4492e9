//! An upstream that is kept: connected, asked for its tools, and connected again when it went away.
//!
//! Its tools stay declared while it is down: a call is answered at once and says when the upstream is tried again.
//! Declaring them away and back with every crash would make agents lose them, and the platform's list flap.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use platools::{Progress, Tool, ToolCall, ToolError, ToolResult};
use platools_net::Backoff;
use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Source, UpstreamConfig};
use crate::link::{Caller, Link};
use crate::remote::Remote;
use crate::stdio::StdioTransport;
use crate::tools::{Taken, ToolChanges};
use crate::{UpstreamError, http};

/// After how long a connection counts as one that holds, so that the next wait is the shortest again.
const STABLE: Duration = Duration::from_secs(30);

/// How long a list of tools is good for at least, whatever a server says.
const BETWEEN: Duration = Duration::from_secs(1);

/// How often a server at a URL is looked at while calls wait for it.
const GLANCE: Duration = Duration::from_secs(3);

/// How an upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpstreamState {
    /// It was not reached yet.
    Starting,
    /// Its tools can be called.
    Up {
        /// How many tools are taken from it.
        tools: usize,
    },
    /// It is not there.
    Down {
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_at: std::time::Instant,
    },
    /// It was told to stop.
    Stopped,
}

/// An upstream MCP server, kept for as long as this exists.
///
/// ```no_run
/// use platools::Platools;
/// use platools_upstream::{ServerProgram, Upstream, UpstreamConfig, keep_in_step};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let host = Platools::builder().tools([]).build_local()?;
/// let config = UpstreamConfig::program("files", ServerProgram::new("mcp-server-filesystem").arg("/srv/files"));
/// let upstream = Upstream::start(config);
/// tokio::spawn(keep_in_step(upstream.tools(), host.tools().clone(), |tool| tool));
/// upstream.up().await;
/// // … and at the end:
/// upstream.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct Upstream {
    shared: Arc<Shared>,
    tools: watch::Receiver<Vec<Tool>>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

/// What the upstream's task and its tools share.
pub(crate) struct Shared {
    config: UpstreamConfig,
    state: watch::Sender<UpstreamState>,
    /// Calls tools, while the upstream is up.
    caller: Mutex<Option<Caller>>,
    /// A call found that the connection may be gone.
    suspected: Notify,
}

impl Upstream {
    /// Connects, and keeps connecting. Has to be called within a tokio runtime.
    pub fn start(config: UpstreamConfig) -> Self {
        let shared = Arc::new(Shared {
            config,
            state: watch::Sender::new(UpstreamState::Starting),
            caller: Mutex::default(),
            suspected: Notify::new(),
        });
        let stop = CancellationToken::new();
        // The task alone has the sender: tools live on in hosts, and those who follow have to learn of the end.
        let (sender, tools) = watch::channel(Vec::new());
        let running = tokio::spawn(run(Arc::clone(&shared), sender, stop.clone()));
        Self { shared, tools, stop, running }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.config.name
    }

    /// How it is at the moment.
    pub fn state(&self) -> UpstreamState {
        self.shared.state.borrow().clone()
    }

    /// Resolves once the first attempt has an outcome, and says it.
    pub async fn first_outcome(&self) -> UpstreamState {
        self.when(|state| *state != UpstreamState::Starting).await
    }

    /// Resolves when it is up, or told to stop.
    pub async fn up(&self) -> UpstreamState {
        self.when(|state| matches!(state, UpstreamState::Up { .. } | UpstreamState::Stopped)).await
    }

    /// Resolves when it is not up.
    pub async fn down(&self) -> UpstreamState {
        self.when(|state| matches!(state, UpstreamState::Down { .. } | UpstreamState::Stopped)).await
    }

    async fn when(&self, wanted: impl FnMut(&UpstreamState) -> bool) -> UpstreamState {
        let mut state = self.shared.state.subscribe();
        let found = state.wait_for(wanted).await;
        found.map_or(UpstreamState::Stopped, |state| state.clone())
    }

    /// Its tools, now and whenever they change.
    pub fn tools(&self) -> ToolChanges {
        ToolChanges::new(self.tools.clone())
    }

    /// Resolves when no call of its tools waits for an answer.
    pub async fn idle(&self) {
        if let Some(caller) = self.shared.caller() {
            caller.idle().await;
        }
    }

    /// Ends the connection, and the program with all that it started. Its tools answer that it was stopped.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let _ = (&mut self.running).await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

async fn run(shared: Arc<Shared>, tools: watch::Sender<Vec<Tool>>, stop: CancellationToken) {
    let config = &shared.config;
    let name = config.name.as_str();
    let mut taken = Taken::new(tools);
    let mut failures = 0_u32;
    let backoff = Backoff::new(config.first_wait, config.longest_wait).jitter(0.5..=1.0);
    loop {
        let reason = tokio::select! {
            () = stop.cancelled() => break,
            outcome = open(config) => match outcome {
                Err(error) => error.to_string(),
                Ok((link, specs)) => {
                    let since = Instant::now();
                    shared.set_caller(Some(link.caller().clone()));
                    let count = shared.publish(&mut taken, specs);
                    tracing::info!(upstream = name, tools = count, "the MCP server is up");
                    let reason = shared.serve(&link, &mut taken, &stop).await;
                    shared.set_caller(None);
                    link.close().await;
                    if since.elapsed() >= STABLE {
                        failures = 0;
                    }
                    match reason {
                        Some(reason) => reason,
                        None => break,
                    }
                }
            },
        };
        let wait = backoff.wait(failures);
        failures = failures.saturating_add(1);
        tracing::warn!(upstream = name, reason, wait_ms = wait.as_millis(), "the MCP server is down");
        let retry_at = std::time::Instant::now() + wait;
        shared.state.send_replace(UpstreamState::Down { reason, retry_at });
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
    }
    shared.set_caller(None);
    shared.state.send_replace(UpstreamState::Stopped);
}

/// A connection, and the tools that there are.
async fn open(config: &UpstreamConfig) -> Result<(Link, Vec<platools::ToolSpec>), UpstreamError> {
    let (time, max_result) = (config.start_timeout, config.max_result);
    let link = match &config.source {
        Source::Program(program) => {
            let transport = StdioTransport::start(&config.name, program, config.max_message());
            let transport = transport.map_err(|error| UpstreamError::Start {
                program: program.program.display().to_string(),
                problem: error.to_string(),
            })?;
            Link::open(transport, time, max_result).await?
        }
        Source::Url { url, bearer, client } => {
            let url = http::endpoint(url, bearer.is_some())?;
            let client = client.clone().map_or_else(|| http::client(&url), Ok)?;
            let transport = http::transport(client, &url, bearer.as_ref(), config.max_message());
            Link::open(transport, time, max_result).await?
        }
    };
    match link.caller().list(time).await {
        Ok(specs) => Ok((link, specs)),
        Err(error) => {
            link.close().await;
            Err(error)
        }
    }
}

impl Shared {
    fn caller(&self) -> Option<Caller> {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_caller(&self, caller: Option<Caller>) {
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = caller;
    }

    /// Keeps the tools in step until the connection is gone, and says why it is; `None` when it was told to stop.
    async fn serve(
        self: &Arc<Self>,
        link: &Link,
        taken: &mut Taken,
        stop: &CancellationToken,
    ) -> Option<String> {
        let by_url = matches!(self.config.source, Source::Url { .. });
        let ended = if by_url { "the connection ended" } else { "its process ended" };
        let mut looked = Instant::now();
        loop {
            // A server that says so again and again is asked no more often than that.
            let rested = looked + BETWEEN.min(self.config.look);
            let glance = GLANCE.min(self.config.look);
            tokio::select! {
                () = stop.cancelled() => return None,
                () = link.ended() => return Some(ended.to_owned()),
                () = async { link.changed().await; tokio::time::sleep_until(rested).await } => {}
                () = self.suspected.notified() => {}
                () = tokio::time::sleep(glance), if by_url => {
                    // Nobody says that a server far away is gone, least of all to those who wait for its answer.
                    if !link.caller().is_busy() && looked.elapsed() < self.config.look {
                        continue;
                    }
                }
            }
            looked = Instant::now();
            // Whatever the reason to look was, the list tells whether the server is there, too.
            let listed = tokio::select! {
                () = stop.cancelled() => return None,
                listed = link.caller().list(self.config.start_timeout) => listed,
            };
            match listed {
                Ok(specs) => drop(self.publish(taken, specs)),
                Err(UpstreamError::Closed) => return Some(ended.to_owned()),
                Err(error) if error.is_of_the_connection() => return Some(error.to_string()),
                Err(error) => {
                    tracing::warn!(upstream = self.config.name, %error, "the tools cannot be listed; the old ones stay");
                }
            }
        }
    }

    /// Makes tools of what the server declares, and tells those who follow if something is new.
    fn publish(self: &Arc<Self>, taken: &mut Taken, specs: Vec<platools::ToolSpec>) -> usize {
        let count = taken.take(&self.config, specs, |remote, spec| {
            let (shared, about) = (Arc::clone(self), Arc::clone(self));
            let remote = Arc::new(Remote::new(remote));
            let declared = spec.input_schema.clone();
            let tool = Tool::new(spec, move |call| {
                let (shared, remote) = (Arc::clone(&shared), Arc::clone(&remote));
                let schema = remote.schema(&declared, &shared.config.name);
                let checked =
                    schema.map_or_else(|| call.arguments.parse(), |schema| schema.check(&call.arguments));
                async move { shared.call(&remote.name, checked?, &call).await }
            });
            tool.down_while(move || about.down_reason())
        });
        self.state.send_if_modified(|state| {
            let up = UpstreamState::Up { tools: count };
            let changes = *state != up;
            *state = up;
            changes
        });
        count
    }

    /// Why its tools are down, while they are.
    fn down_reason(&self) -> Option<String> {
        let name = &self.config.name;
        match &*self.state.borrow() {
            UpstreamState::Down { reason, .. } => Some(format!("the MCP server `{name}` is down ({reason})")),
            UpstreamState::Stopped => Some(format!("the MCP server `{name}` was stopped")),
            UpstreamState::Starting | UpstreamState::Up { .. } => None,
        }
    }

    async fn call(&self, tool: &str, arguments: Map<String, Value>, call: &ToolCall) -> ToolResult {
        let Some(caller) = self.caller() else { return Err(self.absent()) };
        let progress = call.extract::<Progress>()?;
        caller.call(tool, arguments, progress).await.unwrap_or_else(|error| {
            if error.is_of_the_connection() {
                self.suspected.notify_one();
            }
            Err(error.into_tool_error(&self.config.name))
        })
    }

    /// What a call is answered while there is no connection.
    fn absent(&self) -> ToolError {
        let name = &self.config.name;
        match &*self.state.borrow() {
            UpstreamState::Down { reason, retry_at } => {
                let wait = retry_at.saturating_duration_since(std::time::Instant::now());
                let seconds = wait.as_secs() + 1;
                let text = format!(
                    "the MCP server `{name}` is down ({reason}); it is tried again in about {seconds} s"
                );
                ToolError::user(text).with_retry_after(wait)
            }
            UpstreamState::Stopped => ToolError::user(format_args!("the MCP server `{name}` was stopped")),
            UpstreamState::Starting | UpstreamState::Up { .. } => {
                let text = format!("the MCP server `{name}` is being connected: call again in a moment");
                ToolError::user(text).with_retry_after(Duration::from_secs(1))
            }
        }
    }
}
