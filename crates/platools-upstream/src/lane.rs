//! One way to a server, kept: connected, asked for its tools, and connected again when it went away.
//!
//! Must not know which tools are taken from the server, nor what they are called here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use platools::{Progress, ToolCall, ToolError, ToolResult, ToolSpec};
use platools_net::Backoff;
use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::config::{Source, UpstreamConfig};
use crate::link::{Caller, Link};
use crate::name::Name;
use crate::ration::Ration;
use crate::stdio::StdioTransport;
use crate::{UpstreamError, http};

/// After how long a connection counts as one that holds, so that the next wait is the shortest again.
const STABLE: Duration = Duration::from_secs(30);

/// How long a list of tools is good for at least, whatever a server says.
const MIN_LIST_INTERVAL: Duration = Duration::from_secs(1);

/// How often a server at a URL is looked at while calls wait for it.
const BUSY_PING_INTERVAL: Duration = Duration::from_secs(3);

/// How often a program that has nothing to do is asked for a sign of life, and how long it may take.
const PING: Duration = Duration::from_secs(10);
const PING_TIME: Duration = Duration::from_secs(10);

/// How many pings in a row it may miss.
const MAX_MISSED_PINGS: u32 = 2;

/// How long the calls of a lane that leaves may take. No call takes longer.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The state of a lane.
#[derive(Debug, Clone)]
pub(crate) enum LaneState {
    /// The server was not reached yet.
    Starting,
    /// The server declares these tools.
    Up(Arc<Vec<ToolSpec>>),
    /// The server cannot be reached, and is tried again.
    Down { reason: String, retry_at: std::time::Instant },
    /// The lane was told to stop.
    Stopped,
}

/// A kept connection to a server.
pub(crate) struct Lane {
    config: Arc<UpstreamConfig>,
    name: Name,
    state: watch::Sender<LaneState>,
    /// Calls tools, while the server is up.
    caller: Mutex<Option<Caller>>,
    /// A call found that the connection may be gone.
    suspected: Notify,
    /// The calls that entered.
    calls: TaskTracker,
    stop: CancellationToken,
    /// Cancelled when nothing of the connection is left.
    gone: CancellationToken,
}

impl Lane {
    /// Connects, and keeps connecting. Needs a tokio runtime.
    pub(crate) fn start(config: Arc<UpstreamConfig>, name: Name) -> Arc<Self> {
        let lane = Arc::new(Self {
            config,
            name,
            state: watch::Sender::new(LaneState::Starting),
            caller: Mutex::default(),
            suspected: Notify::new(),
            calls: TaskTracker::new(),
            stop: CancellationToken::new(),
            gone: CancellationToken::new(),
        });
        let gone = lane.gone.clone().drop_guard();
        let running = Arc::clone(&lane);
        tokio::spawn(async move {
            let _gone = gone;
            running.run().await;
        });
        lane
    }

    pub(crate) fn config(&self) -> &UpstreamConfig {
        &self.config
    }

    pub(crate) fn state(&self) -> LaneState {
        self.state.borrow().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<LaneState> {
        self.state.subscribe()
    }

    /// Counts a call for as long as the token exists. [`leave`](Self::leave) waits for it.
    pub(crate) fn enter(&self) -> TaskTrackerToken {
        self.calls.token()
    }

    /// Ends the connection once its calls are over.
    pub(crate) async fn leave(&self) {
        self.calls.close();
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, self.calls.wait()).await;
        self.end().await;
    }

    /// Ends the connection, and the program with all that it started.
    pub(crate) async fn end(&self) {
        self.stop.cancel();
        self.gone.cancelled().await;
    }

    async fn run(&self) {
        let config = &*self.config;
        let name = &self.name;
        let mut failures = 0_u32;
        let logged = Arc::new(Ration::new());
        let backoff = Backoff::new(config.first_wait, config.longest_wait).jitter(0.5..=1.0);
        loop {
            let reason = tokio::select! {
                () = self.stop.cancelled() => break,
                outcome = open(config, name, &logged) => match outcome {
                    Err(error) => error.to_string(),
                    Ok((link, specs)) => {
                        let since = Instant::now();
                        self.set_caller(Some(link.caller().clone()));
                        tracing::info!(upstream = %name, tools = specs.len(), "the MCP server is up");
                        self.state.send_replace(LaneState::Up(Arc::new(specs)));
                        let reason = self.serve(&link).await;
                        self.set_caller(None);
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
            tracing::warn!(upstream = %name, reason, wait_ms = wait.as_millis(), "the MCP server is down");
            let retry_at = std::time::Instant::now() + wait;
            self.state.send_replace(LaneState::Down { reason, retry_at });
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.set_caller(None);
        self.state.send_replace(LaneState::Stopped);
    }

    fn caller(&self) -> Option<Caller> {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_caller(&self, caller: Option<Caller>) {
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = caller;
    }

    /// Asks for the tools again and again until the connection is gone, and says why it is; `None` when it was told to
    /// stop.
    async fn serve(&self, link: &Link) -> Option<String> {
        let by_url = matches!(self.config.source, Source::Url { .. });
        let ended = if by_url { "the connection ended" } else { "its process ended" };
        let mut looked = Instant::now();
        // A program that is stopped keeps its pipes open: nothing else tells.
        let ping_time = PING_TIME.min(self.config.start_timeout);
        let mut missed = 0;
        loop {
            // A server that says so again and again is asked no more often than that.
            let rested = looked + MIN_LIST_INTERVAL.min(self.config.look);
            let glance = BUSY_PING_INTERVAL.min(self.config.look);
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = link.ended() => return Some(ended.to_owned()),
                () = async { link.changed().await; tokio::time::sleep_until(rested).await } => {}
                () = self.suspected.notified() => {}
                is_idle = wants_ping(link, PING.min(self.config.look), missed > 0), if !by_url => {
                    // Many servers do one thing at a time, and answer nothing while they do it.
                    if is_idle && link.caller().is_busy() {
                        continue;
                    }
                    let answers = tokio::select! {
                        () = self.stop.cancelled() => return None,
                        () = link.ended() => return Some(ended.to_owned()),
                        answers = link.caller().answers_ping(ping_time) => answers,
                    };
                    missed = if answers { 0 } else { missed + 1 };
                    if missed == MAX_MISSED_PINGS {
                        return Some("its process does not answer".to_owned());
                    }
                    continue;
                }
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
                () = self.stop.cancelled() => return None,
                listed = link.caller().list(self.config.start_timeout) => listed,
            };
            match listed {
                Ok(specs) => drop(self.state.send_replace(LaneState::Up(Arc::new(specs)))),
                Err(UpstreamError::Closed) => return Some(ended.to_owned()),
                Err(error) if error.is_of_the_connection() => return Some(error.to_string()),
                Err(error) => {
                    tracing::warn!(upstream = %self.name, %error, "the tools cannot be listed; the old ones stay");
                }
            }
        }
    }

    /// Why the tools are down, while they are.
    pub(crate) fn down_reason(&self) -> Option<String> {
        let name = &self.name;
        match &*self.state.borrow() {
            LaneState::Down { reason, .. } => Some(format!("the MCP server `{name}` is down ({reason})")),
            LaneState::Stopped => Some(format!("the MCP server `{name}` was stopped")),
            LaneState::Starting | LaneState::Up(_) => None,
        }
    }

    /// Calls a tool by the server's name for it.
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        call: &ToolCall,
    ) -> ToolResult {
        let Some(caller) = self.caller() else { return Err(self.absent()) };
        let progress = call.extract::<Progress>()?;
        caller.call(tool, arguments, progress).await.unwrap_or_else(|error| {
            if error.is_of_the_connection() {
                self.suspected.notify_one();
            }
            Err(error.into_tool_error(&self.name.get()))
        })
    }

    /// Creates the error of a call while there is no connection.
    fn absent(&self) -> ToolError {
        let name = &self.name;
        match &*self.state.borrow() {
            LaneState::Down { reason, retry_at } => {
                let wait = retry_at.saturating_duration_since(std::time::Instant::now());
                let seconds = wait.as_secs() + 1;
                let text = format!(
                    "the MCP server `{name}` is down ({reason}); it is tried again in about {seconds} s"
                );
                ToolError::user(text).with_retry_after(wait)
            }
            LaneState::Stopped => ToolError::user(format_args!("the MCP server `{name}` was stopped")),
            LaneState::Starting | LaneState::Up(_) => {
                let text = format!("the MCP server `{name}` is being connected: call again in a moment");
                ToolError::user(text).with_retry_after(Duration::from_secs(1))
            }
        }
    }
}

/// Resolves when it is time for a ping: at once when one was missed, when a call was given up, or after a while; whether it
/// was the last of these.
async fn wants_ping(link: &Link, pause: Duration, at_once: bool) -> bool {
    if at_once {
        return false;
    }
    tokio::select! {
        () = link.abandoned() => false,
        () = tokio::time::sleep(pause) => true,
    }
}

/// A connection, and the tools that there are. `logged` is what a program may have in the log.
async fn open(
    config: &UpstreamConfig,
    name: &Name,
    logged: &Arc<Ration>,
) -> Result<(Link, Vec<ToolSpec>), UpstreamError> {
    let (time, max_result) = (config.start_timeout, config.max_result);
    let link = match &config.source {
        Source::Program(program) => {
            let transport = StdioTransport::start(name, program, config.max_message(), logged);
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
