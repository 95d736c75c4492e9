//! The MCP servers of a file: started, kept, and their tools put into every entity that has them.

use tokio::task::JoinHandle;

use super::host::RunningHost;
use crate::plan::UpstreamPlan;
use crate::upstream::{ToolShelf, Upstream, UpstreamState, keep_in_step};

/// An MCP server that is kept.
#[derive(Debug)]
struct Running {
    plan: UpstreamPlan,
    upstream: Upstream,
    /// Those who keep an entity's tools in step, with the entity that they do it for.
    followers: Vec<(String, JoinHandle<()>)>,
}

/// All MCP servers that run.
#[derive(Debug, Default)]
pub(crate) struct Upstreams(Vec<Running>);

/// How one of them is, in words.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct UpstreamView {
    name: String,
    state: &'static str,
    tools: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Upstreams {
    /// Goes over to these servers. One that changed is ended and started anew; its tools come back once it is up.
    pub(crate) async fn change(&mut self, plans: &[UpstreamPlan]) {
        let (kept, leaving): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|running| plans.iter().any(|plan| plan.fingerprint == running.plan.fingerprint));
        self.0 = kept;
        stop_all(leaving).await;
        for plan in plans {
            if !self.0.iter().any(|running| running.plan.fingerprint == plan.fingerprint) {
                let upstream = Upstream::start(plan.config.clone());
                self.0.push(Running { plan: plan.clone(), upstream, followers: Vec::new() });
            }
        }
    }

    /// Has every entity's tools follow; those that do already go on.
    pub(crate) fn follow(&mut self, hosts: &[RunningHost]) {
        for running in &mut self.0 {
            for host in hosts.iter().filter(|host| running.plan.belongs_to(&host.name)) {
                if !running.followers.iter().any(|(entity, _)| *entity == host.name) {
                    let follower = running.keep(host.handle.clone());
                    running.followers.push((host.name.clone(), follower));
                }
            }
        }
    }

    /// The entity's tools follow no longer: its host is going.
    pub(crate) fn forget(&mut self, entity: &str) {
        for running in &mut self.0 {
            running.followers.retain(|(name, follower)| {
                if name == entity {
                    follower.abort();
                }
                name != entity
            });
        }
    }

    /// How they are.
    pub(crate) fn views(&self) -> Vec<UpstreamView> {
        let view = |running: &Running| {
            let (state, tools, problem) = match running.upstream.state() {
                UpstreamState::Up { tools } => ("up", tools, None),
                UpstreamState::Down { reason, .. } => ("down", 0, Some(reason)),
                UpstreamState::Stopped => ("stopped", 0, None),
                UpstreamState::Starting => ("starting", 0, None),
            };
            UpstreamView { name: running.plan.name.clone(), state, tools, problem }
        };
        self.0.iter().map(view).collect()
    }

    /// Has the tools of a host in this process follow.
    pub(crate) fn follow_locally(&mut self, host: &platools::LocalHost) {
        for running in &mut self.0 {
            let follower = running.keep(host.clone());
            running.followers.push((String::new(), follower));
        }
    }

    /// Ends all of them.
    pub(crate) async fn stop(&mut self) {
        stop_all(std::mem::take(&mut self.0)).await;
    }
}

impl Running {
    fn keep(&self, host: impl ToolShelf) -> JoinHandle<()> {
        tokio::spawn(keep_in_step(self.upstream.tools(), host, self.plan.adapt()))
    }
}

/// Ends servers; once their followers are done, no entity has their tools.
async fn stop_all(all: Vec<Running>) {
    futures_util::future::join_all(all.into_iter().map(|running| async move {
        running.upstream.stop().await;
        for (_, follower) in running.followers {
            // An error means that it was told to leave off before.
            let _ = follower.await;
        }
    }))
    .await;
}
