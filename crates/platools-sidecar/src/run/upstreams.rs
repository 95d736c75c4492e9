//! The MCP servers of a file: started, kept, changed without losing a call.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::select_all;
use platools::Tool;
use platools::host::StateDir;
use platools_upstream::{
    ToolChanges, Upstream, UpstreamChanges, UpstreamConfig, UpstreamState, forget_unused,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::plan::UpstreamPlan;

/// An MCP server that is kept.
#[derive(Debug)]
struct Running {
    plan: UpstreamPlan,
    upstream: Upstream,
    changes: UpstreamChanges,
    /// Whether its tools are not known yet, after a change that may have taken the tools of others away.
    is_new: bool,
}

/// All MCP servers that run.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    running: Vec<Running>,
    /// Where their tools are remembered.
    state_dir: Option<StateDir>,
    /// Those that the file does not name any more, and whose tools stay until those of the new ones are there.
    held: Vec<Running>,
    /// Until when, at most.
    held_until: Option<Instant>,
    /// Those that end once their calls have.
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
    /// of a section, its name too, changes in place. One that is not in the file any more ends when its calls have; if the
    /// change brings new ones, its tools stay until theirs are there, for `wait` at most.
    pub(crate) fn change(&mut self, plans: &[UpstreamPlan], wait: Duration) {
        let before = self.running.iter().chain(&self.held).map(|running| &running.plan.name);
        let used: Vec<String> = plans.iter().map(|plan| &plan.name).chain(before).cloned().collect();
        let mut old: Vec<Option<Running>> =
            self.running.drain(..).chain(self.held.drain(..)).map(Some).collect();
        // A section that has another name is still the same server, and a server that has another connection is still
        // the same section; the former tells more.
        let fits: [fn(&UpstreamPlan, &UpstreamPlan) -> bool; 3] = [
            |old, new| old.fingerprint == new.fingerprint && old.name == new.name,
            |old, new| old.fingerprint == new.fingerprint,
            |old, new| old.name == new.name,
        ];
        let mut found: Vec<Option<Running>> = plans.iter().map(|_| None).collect();
        for fits in fits {
            for (plan, found) in plans.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
                let mut old = old.iter_mut();
                let old = old.find(|old| old.as_ref().is_some_and(|old| fits(&old.plan, plan)));
                *found = old.and_then(Option::take);
            }
        }
        for (plan, found) in plans.iter().zip(found) {
            let config = self.config(plan);
            let running = match found {
                None => Running::start(plan, config),
                Some(mut running) => {
                    if running.plan.name != plan.name {
                        let (from, to) = (&running.plan.name, &plan.name);
                        tracing::info!(from, to, "the MCP server has another name in the file");
                    }
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
        self.held = old.into_iter().flatten().collect();
        self.held_until = (!self.held.is_empty()).then(|| Instant::now() + wait);
        // Not earlier: a server that has another name now has taken over what was known of it.
        if let Some(directory) = &self.state_dir {
            forget_unused(directory, &used);
        }
        self.tend();
    }

    /// Lets go of the servers whose tools are not needed any more.
    pub(crate) fn tend(&mut self) {
        for running in &mut self.running {
            running.is_new &= running.is_awaited();
        }
        let Some(until) = self.held_until else { return };
        if until > Instant::now() && self.running.iter().any(|running| running.is_new) {
            return;
        }
        self.held_until = None;
        for Running { upstream, .. } in self.held.drain(..) {
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
        let of = |servers: &[Running]| -> Vec<Tool> {
            let servers = servers.iter().filter(|running| running.is_of(entity));
            servers.flat_map(|running| running.upstream.tools().current()).collect()
        };
        let mut tools = of(&self.running);
        for tool in of(&self.held) {
            if !tools.iter().any(|new| new.name() == tool.name()) {
                tools.push(tool);
            }
        }
        tools
    }

    /// The servers of which a first declaration of the tools should wait for: those whose tools are not known for sure,
    /// but for those that are down and whose tools are remembered.
    pub(crate) fn awaited_by(&self, entity: Option<&str>) -> Vec<&str> {
        let is_awaited = |running: &&Running| running.is_of(entity) && running.is_awaited();
        self.running.iter().filter(is_awaited).map(|running| running.plan.name.as_str()).collect()
    }

    /// Says in the log that the tools are declared although servers are missing.
    pub(crate) fn note_absent(&self, entity: Option<&str>) {
        for name in self.awaited_by(entity) {
            let running = self.running.iter().find(|running| running.plan.name == name);
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
        let held = async {
            match self.held_until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = any => {}
            () = held => {}
            Some(_) = self.leaving.join_next() => {}
        }
    }

    /// Where their tools are to be seen, for somebody who looks later.
    pub(crate) fn shelves(&self) -> Vec<Shelf> {
        let of = |running: &Running| Shelf { plan: running.plan.clone(), tools: running.upstream.tools() };
        self.running.iter().chain(&self.held).map(of).collect()
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
        let held = self.held.iter().map(|running| UpstreamView { state: "leaving", ..view(running) });
        self.running.iter().map(view).chain(held).collect()
    }

    /// Ends all of them, also those that were about to.
    pub(crate) async fn stop(&mut self) {
        self.hurry.cancel();
        let all = self.running.drain(..).chain(self.held.drain(..));
        futures_util::future::join_all(all.map(|running| running.upstream.stop())).await;
        while self.leaving.join_next().await.is_some() {}
    }
}

impl Running {
    fn start(plan: &UpstreamPlan, config: UpstreamConfig) -> Self {
        let upstream = Upstream::start(config);
        let changes = upstream.changes();
        Self { plan: plan.clone(), upstream, changes, is_new: true }
    }

    /// Whether an entity has its tools; without an entity, always.
    fn is_of(&self, entity: Option<&str>) -> bool {
        entity.is_none_or(|entity| self.plan.belongs_to(entity))
    }

    /// Whether its tools are not known for sure and may be in a moment, or are not known at all.
    fn is_awaited(&self) -> bool {
        match self.upstream.state() {
            UpstreamState::Up { .. } | UpstreamState::Stopped => false,
            UpstreamState::Down { .. } => !self.upstream.is_known(),
            _ => true,
        }
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
