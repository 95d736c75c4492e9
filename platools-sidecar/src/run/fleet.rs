//! All entities: from one plan to the next, without losing a call.

use platools::HostState;

use super::Upstreams;
use super::host::{self, RunningHost};
use crate::config::Problem;
use crate::plan::{Plan, PlannedTool};

/// The entities that run, and what they run by.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) hosts: Vec<RunningHost>,
    pub(crate) upstreams: Upstreams,
    pub(crate) plan: Plan,
}

/// The tools of one entity.
pub(crate) fn tools_of<'p>(plan: &'p Plan, entity: &str) -> Vec<&'p PlannedTool> {
    plan.tools.iter().filter(|planned| planned.belongs_to(entity)).collect()
}

/// Whether every host of a plan could run.
///
/// # Errors
/// Why not.
pub(crate) fn check(plan: &Plan) -> Result<(), Vec<Problem>> {
    let problems: Vec<Problem> = plan
        .entities
        .iter()
        .filter_map(|entity| {
            let checked = host::check(entity, &tools_of(plan, &entity.name), plan.authenticator.as_ref());
            checked.err().map(|problem| Problem::of_file(format!("entity `{}`: {problem}", entity.name)))
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

impl Fleet {
    /// Connects all entities of a plan.
    ///
    /// # Errors
    /// Why one of them cannot be.
    pub(crate) async fn start(plan: Plan) -> Result<Self, String> {
        let hosts = plan.entities.iter().map(|entity| {
            RunningHost::start(entity, &tools_of(&plan, &entity.name), plan.authenticator.as_ref())
        });
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        let mut upstreams = Upstreams::default();
        upstreams.change(&plan.upstreams).await;
        upstreams.follow(&hosts);
        Ok(Self { hosts, upstreams, plan })
    }

    /// Whether every entity is connected and registered.
    pub(crate) fn is_ready(&self) -> bool {
        !self.hosts.is_empty() && self.hosts.iter().all(RunningHost::is_ready)
    }

    /// Whether all have given up.
    pub(crate) fn has_ended(&self) -> bool {
        self.hosts.iter().all(RunningHost::has_ended)
    }

    /// The state in a few words.
    pub(crate) fn status(&self) -> String {
        let ready = self.hosts.iter().filter(|host| host.is_ready()).count();
        let states = self.hosts.iter().map(|host| match host.handle.state() {
            HostState::Active if !host.is_ready() => format!("{}: registering", host.name),
            state => format!("{}: {state}", host.name),
        });
        format!("{ready} of {} entities ready ({})", self.hosts.len(), states.collect::<Vec<_>>().join(", "))
    }

    /// Goes over to another plan, which was checked. Tools change at once; an entity whose connection changed is
    /// drained and connected anew; one that is new or had given up is connected.
    pub(crate) async fn change(&mut self, plan: Plan) -> Result<(), String> {
        let mut problems = Vec::new();
        // First, so that a name that a server had is free for a tool of the file.
        self.upstreams.change(&plan.upstreams).await;
        let mut kept = Vec::new();
        let mut leaving = Vec::new();
        for mut host in std::mem::take(&mut self.hosts) {
            let entity = plan.entities.iter().find(|entity| entity.name == host.name);
            match entity {
                Some(entity) if host.fits(entity, plan.authenticator.as_ref()) => {
                    match host.change_tools(&tools_of(&plan, &entity.name)) {
                        Ok(changes) => tracing::info!(
                            entity = host.name,
                            added = changes.added,
                            changed = changes.changed,
                            removed = changes.removed,
                            "the tools are those of the file"
                        ),
                        Err(problem) => problems.push(format!("entity `{}`: {problem}", host.name)),
                    }
                    kept.push(host);
                }
                _ => {
                    self.upstreams.forget(&host.name);
                    leaving.push(host);
                }
            }
        }
        self.hosts = kept;
        stop_all(leaving).await;
        for entity in &plan.entities {
            if self.hosts.iter().any(|host| host.name == entity.name) {
                continue;
            }
            let tools = tools_of(&plan, &entity.name);
            match RunningHost::start(entity, &tools, plan.authenticator.as_ref()) {
                Ok(host) => self.hosts.push(host),
                Err(problem) => problems.push(format!("entity `{}`: {problem}", entity.name)),
            }
        }
        self.upstreams.follow(&self.hosts);
        self.plan = plan;
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    /// Ends all of them in order, at the same time.
    pub(crate) async fn stop(&mut self) {
        let hosts = std::mem::take(&mut self.hosts);
        for host in &hosts {
            // The tools stay until the end: calls of them are still running.
            self.upstreams.forget(&host.name);
        }
        stop_all(hosts).await;
        self.upstreams.stop().await;
    }
}

async fn stop_all(hosts: Vec<RunningHost>) {
    let stopped = futures_util::future::join_all(hosts.into_iter().map(|host| async {
        let name = host.name.clone();
        (name, host.stop().await)
    }));
    for (entity, outcome) in stopped.await {
        match outcome {
            Ok(()) => tracing::info!(entity, "stopped"),
            Err(problem) => tracing::error!(entity, problem, "ended"),
        }
    }
}
