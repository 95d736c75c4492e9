//! The MCP servers of a file: started, kept, changed without losing a call.

use std::collections::BTreeMap;

use futures_util::future::select_all;
use platools::Tool;
use platools::host::StateDir;
use platools_upstream::{ToolChanges, Upstream, UpstreamChanges, UpstreamConfig, UpstreamState};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::plan::UpstreamPlan;

/// An MCP server that is kept.
#[derive(Debug)]
struct Running {
    plan: UpstreamPlan,
    upstream: Upstream,
    changes: UpstreamChanges,
}

/// All MCP servers that run.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    running: Vec<Running>,
    /// Where their tools are remembered.
    state_dir: Option<StateDir>,
    /// Those that the file does not name any more.
    leaving: JoinSet<()>,
    /// Has those that leave wait for their calls no longer.
    hurry: CancellationToken,
}

/// The state of one of them, in words.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct UpstreamView {
    name: String,
    state: &'static str,
    /// How many tools are declared, whatever the state.
    tools: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// The connection by a changed section, until it is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement: Option<ReplacementView>,
    /// The tools that wait to be accepted, and what changed in each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    withheld: BTreeMap<String, String>,
}

#[derive(Debug, Clone, serde::Serialize)]
struct ReplacementView {
    state: &'static str,
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
        self.tools.current()
    }
}

impl Upstreams {
    /// None yet. Their tools are remembered in the state directory, where there is one.
    pub(crate) fn new(state_dir: Option<StateDir>) -> Self {
        Self { state_dir, ..Self::default() }
    }

    /// Goes over to these servers. One whose connection changed serves its calls until the new one is up; everything else
    /// of a section changes in place. One that is not named any more ends when its calls have.
    pub(crate) fn change(&mut self, plans: &[UpstreamPlan]) {
        let mut old = std::mem::take(&mut self.running);
        for plan in plans {
            let config = self.config(plan);
            let running = match old.iter().position(|running| running.plan.name == plan.name) {
                None => Running::start(plan, config),
                Some(index) => {
                    let mut running = old.swap_remove(index);
                    if running.plan.fingerprint == plan.fingerprint {
                        running.upstream.apply(config);
                    } else {
                        running.upstream.switch_to(config);
                    }
                    running.plan = plan.clone();
                    running
                }
            };
            self.running.push(running);
        }
        for Running { upstream, .. } in old {
            let hurry = self.hurry.clone();
            self.leaving.spawn(async move {
                tokio::select! {
                    () = hurry.cancelled() => {}
                    () = upstream.idle() => {}
                }
                upstream.stop().await;
            });
        }
    }

    fn config(&self, plan: &UpstreamPlan) -> UpstreamConfig {
        let config = plan.config.clone();
        match &self.state_dir {
            Some(directory) => config.remember_in(directory.clone()),
            None => config,
        }
    }

    /// The tools that an entity has of all servers at the moment; without an entity, all tools.
    pub(crate) fn tools_of(&self, entity: Option<&str>) -> Vec<Tool> {
        let belongs = |running: &&Running| entity.is_none_or(|entity| running.plan.belongs_to(entity));
        self.running.iter().filter(belongs).flat_map(|running| running.upstream.tools().current()).collect()
    }

    /// The servers of which a first declaration of the tools should wait for: those whose tools are not known for sure,
    /// but for those that are down and whose tools are remembered.
    pub(crate) fn awaited_by(&self, entity: Option<&str>) -> Vec<&str> {
        let is_awaited = |running: &&Running| {
            entity.is_none_or(|entity| running.plan.belongs_to(entity))
                && match running.upstream.state() {
                    UpstreamState::Up { .. } | UpstreamState::Stopped => false,
                    UpstreamState::Down { .. } => !running.upstream.is_known(),
                    _ => true,
                }
        };
        self.running.iter().filter(is_awaited).map(|running| running.upstream.name()).collect()
    }

    /// Says in the log that the tools are declared although servers are missing.
    pub(crate) fn note_absent(&self, entity: Option<&str>) {
        for name in self.awaited_by(entity) {
            let running = self.running.iter().find(|running| running.upstream.name() == name);
            if running.is_some_and(|running| running.upstream.is_known()) {
                tracing::warn!(
                    upstream = name,
                    entity,
                    "the MCP server is not up yet: its tools are declared as they were last"
                );
            } else {
                tracing::warn!(
                    upstream = name,
                    entity,
                    "the MCP server is not up yet and its tools are not known: they are declared once it is up"
                );
            }
        }
    }

    /// Resolves when the tools or the state of one of them may have changed.
    pub(crate) async fn changed(&mut self) {
        let changes = self.running.iter_mut().map(|running| {
            Box::pin(async {
                if !running.changes.changed().await {
                    std::future::pending::<()>().await;
                }
            })
        });
        let changes: Vec<_> = changes.collect();
        let any = async {
            if changes.is_empty() {
                std::future::pending::<()>().await;
            }
            select_all(changes).await;
        };
        tokio::select! {
            () = any => {}
            Some(_) = self.leaving.join_next() => {}
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
            let (state, problem) = described(running.upstream.state());
            let replacement = running.upstream.replacement().map(|state| {
                let (state, problem) = described(state);
                ReplacementView { state, problem }
            });
            let tools = running.upstream.tools().current().len();
            let withheld =
                running.upstream.withheld().into_iter().map(|tool| (tool.name.clone(), tool.to_string()));
            let (name, withheld) = (running.plan.name.clone(), withheld.collect());
            UpstreamView { name, state, tools, problem, replacement, withheld }
        };
        self.running.iter().map(view).collect()
    }

    /// Ends all of them, also those that were about to.
    pub(crate) async fn stop(&mut self) {
        self.hurry.cancel();
        let all = std::mem::take(&mut self.running);
        futures_util::future::join_all(all.into_iter().map(|running| running.upstream.stop())).await;
        while self.leaving.join_next().await.is_some() {}
    }
}

impl Running {
    fn start(plan: &UpstreamPlan, config: UpstreamConfig) -> Self {
        let upstream = Upstream::start(config);
        let changes = upstream.changes();
        Self { plan: plan.clone(), upstream, changes }
    }
}

fn described(state: UpstreamState) -> (&'static str, Option<String>) {
    match state {
        UpstreamState::Up { .. } => ("up", None),
        UpstreamState::Down { reason, .. } => ("down", Some(reason)),
        UpstreamState::Stopped => ("stopped", None),
        _ => ("starting", None),
    }
}
