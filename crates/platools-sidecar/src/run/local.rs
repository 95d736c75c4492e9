//! The tools of a file in this process, without a platform.

use std::future::Future;

use platools::{LocalHost, Platools};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::tools::Assortment;
use super::{SidecarError, Upstreams, open_state_dir};
use crate::plan::Plan;
use crate::traces::Traces;

/// The tools of a file in this process, without a platform: for an MCP server of them, and for tests.
///
/// What it refers to runs for as long as this exists.
#[derive(Debug)]
pub struct Local {
    host: LocalHost,
    ready: watch::Receiver<bool>,
    following: JoinHandle<()>,
    stop: DropGuard,
    traces: Traces,
    is_empty: bool,
}

impl Local {
    pub(crate) fn start(plan: Plan) -> Result<Self, SidecarError> {
        let failed = |problem: String| SidecarError::Host(problem);
        let is_empty = plan.tools.is_empty() && plan.upstreams.is_empty();
        let tools = plan.tools.iter().map(|planned| planned.tool.clone());
        let mut platools = Platools::builder().limits(plan.limits).tools(tools);
        if let Some(plan) = plan.authenticator {
            platools = platools.shared_authenticator(plan.authenticator);
        }
        let traces = Traces::start(plan.traces.as_ref()).map_err(failed)?;
        let host = platools.build_local().map_err(|error| failed(error.to_string()))?;
        let mut upstreams = Upstreams::new(open_state_dir(&plan.running).map_err(failed)?);
        upstreams.change(&plan.upstreams, plan.running.mcp_wait());
        let tools = Assortment::new(host.tools().clone(), &plan.tools);
        let (stop, (is_ready, ready)) = (CancellationToken::new(), watch::channel(false));
        let wait = Instant::now() + plan.running.mcp_wait();
        let following = tokio::spawn(follow(upstreams, tools, is_ready, wait, stop.clone()));
        Ok(Self { host, ready, following, stop: stop.drop_guard(), traces, is_empty })
    }

    /// What runs the tools.
    pub fn host(&self) -> &LocalHost {
        &self.host
    }

    /// Returns whether the file has no tools: none of its own, and no MCP server that brings some.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Resolves when the tools of all MCP servers of the file are there, or when the time of `[sidecar] mcp_wait` is over.
    pub fn ready(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut ready = self.ready.clone();
        async move {
            // An error means that it was stopped.
            let _ = ready.wait_for(|is_ready| *is_ready).await;
        }
    }

    /// Logs lines for people at `level`, and hands the spans of calls to the collector of the file's `[traces]`;
    /// `RUST_LOG` wins over the level. Does nothing when the program has a subscriber already.
    pub fn init_logging(&self, level: &str) {
        super::init_logging(level, self.traces.layer());
    }

    /// Ends the MCP servers that it started, and sends the spans that are left.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.following.await;
        self.traces.end().await;
    }
}

/// Keeps the table in step with the servers.
async fn follow(
    mut upstreams: Upstreams,
    mut tools: Assortment,
    is_ready: watch::Sender<bool>,
    until: Instant,
    stop: CancellationToken,
) {
    loop {
        tools.change_servers(&upstreams.tools_of(None));
        let waits = !*is_ready.borrow();
        if waits && (upstreams.awaited_by(None).is_empty() || until <= Instant::now()) {
            upstreams.note_absent(None);
            is_ready.send_replace(true);
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = upstreams.changed() => {}
            () = sleep_until(until), if waits => {}
        }
    }
    upstreams.stop().await;
}
