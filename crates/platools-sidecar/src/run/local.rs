//! The tools of a file in this process, without a platform.

use std::future::Future;
use std::sync::Arc;

use platools::{LocalHost, Platools};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::documents::Documents;
use super::reader::{Read, Reader};
use super::tools::Assortment;
use super::{ConfigFile, SidecarError, Upstreams, open_state_dir};
use crate::config::ConfigError;
use crate::plan::{Plan, PlannedTool};
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
    pub(crate) fn start(file: ConfigFile, plan: Plan) -> Result<Self, SidecarError> {
        let failed = |problem: String| SidecarError::Host(problem);
        let is_empty = plan.tools.is_empty() && plan.upstreams.is_empty() && plan.documents.is_empty();
        let tools = plan.tools.iter().map(|planned| planned.tool.clone());
        let mut platools = Platools::builder().limits(plan.limits.clone()).tools(tools);
        if let Some(plan) = &plan.authenticator {
            platools = platools.shared_authenticator(Arc::clone(&plan.authenticator));
        }
        let traces = Traces::start(plan.traces.as_ref()).map_err(failed)?;
        let host = platools.build_local().map_err(|error| failed(error.to_string()))?;
        let state_dir = open_state_dir(&plan.running).map_err(failed)?;
        let mut upstreams = Upstreams::new(state_dir.clone());
        upstreams.change(&plan.upstreams, plan.running.mcp_wait());
        let mut documents = Documents::new(file.remotes().clone(), state_dir);
        documents.change(&plan.documents);
        let tools = Assortment::new(host.tools().clone(), &plan.tools);
        let (stop, (is_ready, ready)) = (CancellationToken::new(), watch::channel(false));
        let wait = Instant::now() + plan.running.mcp_wait();
        let follower =
            Follower { file: Reader::new(file), plan, documents, upstreams, tools, is_ready, until: wait };
        let following = tokio::spawn(follower.run(stop.clone()));
        Ok(Self { host, ready, following, stop: stop.drop_guard(), traces, is_empty })
    }

    /// What runs the tools.
    pub fn host(&self) -> &LocalHost {
        &self.host
    }

    /// Returns whether the file has no tools: none of its own, and no MCP server or document that brings some.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Resolves when the tools of all MCP servers and documents of the file are there, or when the time of
    /// `[sidecar] mcp_wait` is over.
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

/// Keeps the table in step with the servers, and with the documents that servers have.
struct Follower {
    file: Reader,
    plan: Plan,
    documents: Documents,
    upstreams: Upstreams,
    tools: Assortment,
    is_ready: watch::Sender<bool>,
    /// When it counts as ready, whatever is missing.
    until: Instant,
}

impl Follower {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            self.tools.change_servers(&self.upstreams.tools_of(None));
            let waits = !*self.is_ready.borrow();
            let is_complete =
                self.upstreams.awaited_by(None).is_empty() && self.plan.awaited_documents(None).is_empty();
            if waits && (is_complete || self.until <= Instant::now()) {
                self.upstreams.note_absent(None);
                self.plan.note_absent_documents(None);
                self.is_ready.send_replace(true);
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.upstreams.changed() => {}
                () = self.documents.changed() => self.file.read_documents(),
                read = self.file.next() => if let Read::Plan(plan, _) = read {
                    self.go_over(*plan);
                },
                () = sleep_until(self.until), if waits => {}
            }
        }
        self.upstreams.stop().await;
    }

    /// Goes over to a plan with other documents; the rest of it is the same.
    fn go_over(&mut self, plan: Result<Plan, ConfigError>) {
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) => {
                tracing::error!(%error, "a document that changed is not in use as it is now");
                return;
            }
        };
        let tools: Vec<&PlannedTool> = plan.tools.iter().collect();
        if let Err(error) = self.tools.change(&tools, &self.upstreams.tools_of(None)) {
            tracing::error!(error, "a document that changed is not in use as it is now");
            return;
        }
        self.documents.change(&plan.documents);
        self.plan = plan;
    }
}
