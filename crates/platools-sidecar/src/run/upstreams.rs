//! The MCP servers of a file: started, kept, and their tools put into every entity that has them.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use platools::Tool;
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::host::RunningHost;
use crate::plan::UpstreamPlan;
use platools::run::ToolTable;
use platools_upstream::{ToolChanges, Upstream, UpstreamState, keep_in_step};

/// How long calls of a server that leaves may take; no call takes longer.
const LAST_CALLS: Duration = Duration::from_secs(30);

/// An MCP server that is kept.
#[derive(Debug)]
struct Running {
    plan: UpstreamPlan,
    upstream: Upstream,
    followers: Vec<Follower>,
}

/// Who keeps the tools of an entity in step.
#[derive(Debug)]
struct Follower {
    entity: String,
    leave_off: CancellationToken,
    following: JoinHandle<()>,
}

/// All MCP servers that run.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    running: Vec<Running>,
    /// Those that shall run. One whose predecessor is still leaving waits for that.
    plans: Vec<UpstreamPlan>,
    /// Those that were told to leave, and their names.
    leaving: JoinSet<()>,
    leaving_names: HashMap<Id, String>,
    /// Has those that leave wait for their calls no longer.
    hurry: CancellationToken,
}

/// How one of them is, in words.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct UpstreamView {
    name: String,
    state: &'static str,
    tools: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// The tools of a server, whatever they are when somebody looks.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    plan: UpstreamPlan,
    tools: ToolChanges,
}

impl Shelf {
    /// The server's name in the file.
    pub(crate) fn server(&self) -> &str {
        &self.plan.name
    }

    /// The entities that have them; `None` for all.
    pub(crate) fn entities(&self) -> Option<&[String]> {
        self.plan.entities()
    }

    /// The tools, with what the file says of them.
    pub(crate) fn tools(&self) -> Vec<Tool> {
        self.tools.current().into_iter().map(self.plan.adapt()).collect()
    }
}

impl Upstreams {
    /// Goes over to these servers. The tools of one that changed are gone when this is over; its calls that run may
    /// finish, then it ends and is started anew, and its tools come back once it is up.
    pub(crate) async fn change(&mut self, plans: &[UpstreamPlan]) {
        self.plans = plans.to_vec();
        let (kept, leaving): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|running| plans.iter().any(|plan| plan.fingerprint == running.plan.fingerprint));
        self.running = kept;
        for mut running in leaving {
            running.take_tools_out(|_| true).await;
            let Running { plan, upstream, .. } = running;
            let hurry = self.hurry.clone();
            let leaving = self.leaving.spawn(async move {
                tokio::select! {
                    () = hurry.cancelled() => {}
                    _ = tokio::time::timeout(LAST_CALLS, upstream.idle()) => {}
                }
                upstream.stop().await;
            });
            self.leaving_names.insert(leaving.id(), plan.name);
        }
        self.start_missing();
    }

    /// Starts those that shall run and do not.
    fn start_missing(&mut self) {
        for plan in &self.plans {
            let is_running = self.running.iter().any(|running| running.plan.fingerprint == plan.fingerprint);
            if !is_running && !self.leaving_names.values().any(|name| *name == plan.name) {
                let upstream = Upstream::start(plan.config.clone());
                self.running.push(Running { plan: plan.clone(), upstream, followers: Vec::new() });
            }
        }
    }

    /// Resolves when one that was leaving is gone, and its successor is started; never where none is leaving.
    pub(crate) async fn settled(&mut self) {
        let Some(gone) = self.leaving.join_next_with_id().await else { return std::future::pending().await };
        self.leaving_names.remove(&gone.map_or_else(|error| error.id(), |(id, ())| id));
        self.start_missing();
    }

    /// Has every entity's tools follow; those that do already go on.
    pub(crate) fn follow(&mut self, hosts: &[RunningHost]) {
        for running in &mut self.running {
            for host in hosts {
                let follows = running.followers.iter().any(|follower| follower.entity == host.name);
                if running.plan.belongs_to(&host.name) && !follows {
                    running.keep(&host.name, host.handle.tools().clone());
                }
            }
        }
    }

    /// Takes the tools of servers out of an entity where one of them has a name of `names`, so that a tool of the
    /// file gets it; [`follow`](Self::follow) puts the others back.
    pub(crate) async fn yield_names(&mut self, entity: &str, names: &BTreeSet<&str>) {
        for running in &mut self.running {
            let tools = running.upstream.tools().current();
            if tools.iter().any(|tool| names.contains(tool.name())) {
                running.take_tools_out(|follower| follower.entity == entity).await;
            }
        }
    }

    /// The entity's tools follow no longer, and stay as they are: its host is going.
    pub(crate) fn forget(&mut self, entity: &str) {
        for running in &mut self.running {
            running.followers.retain(|follower| {
                if follower.entity == entity {
                    follower.following.abort();
                }
                follower.entity != entity
            });
        }
    }

    /// Where their tools are to be seen, for somebody who looks later.
    pub(crate) fn shelves(&self) -> Vec<Shelf> {
        let of = |running: &Running| Shelf { plan: running.plan.clone(), tools: running.upstream.tools() };
        self.running.iter().map(of).collect()
    }

    /// How they are.
    pub(crate) fn views(&self) -> Vec<UpstreamView> {
        let view = |running: &Running| {
            let (state, tools, problem) = match running.upstream.state() {
                UpstreamState::Up { tools } => ("up", tools, None),
                UpstreamState::Down { reason, .. } => ("down", 0, Some(reason)),
                UpstreamState::Stopped => ("stopped", 0, None),
                _ => ("starting", 0, None),
            };
            UpstreamView { name: running.plan.name.clone(), state, tools, problem }
        };
        self.running.iter().map(view).collect()
    }

    /// Has the tools of a host in this process follow.
    pub(crate) fn follow_locally(&mut self, host: &platools::LocalHost) {
        for running in &mut self.running {
            running.keep("", host.tools().clone());
        }
    }

    /// Ends all of them, also those that were about to.
    pub(crate) async fn stop(&mut self) {
        self.hurry.cancel();
        self.plans.clear();
        let all = std::mem::take(&mut self.running);
        futures_util::future::join_all(all.into_iter().map(|running| async move {
            running.upstream.stop().await;
            for follower in running.followers {
                // An error means that it was told to leave off before.
                let _ = follower.following.await;
            }
        }))
        .await;
        while self.leaving.join_next().await.is_some() {}
    }
}

impl Running {
    fn keep(&mut self, entity: &str, host: ToolTable) {
        let leave_off = CancellationToken::new();
        let keeping = keep_in_step(self.upstream.tools().until(leave_off.clone()), host, self.plan.adapt());
        let following = tokio::spawn(keeping);
        self.followers.push(Follower { entity: entity.to_owned(), leave_off, following });
    }

    /// Takes the tools out of the entities that are meant; when it is over, their names are free.
    async fn take_tools_out(&mut self, is_meant: impl Fn(&Follower) -> bool) {
        let followers = std::mem::take(&mut self.followers);
        for follower in followers {
            if is_meant(&follower) {
                follower.leave_off.cancel();
                let _ = follower.following.await;
            } else {
                self.followers.push(follower);
            }
        }
    }
}
