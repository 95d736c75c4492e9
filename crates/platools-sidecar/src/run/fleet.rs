//! All entities: from one plan to the next, without losing a call.
//!
//! A change is over at once. What it told to leave leaves beside the rest, and whoever keeps a fleet has to ask for
//! [`Fleet::settled`] again and again, which connects what could not be before.

use std::collections::{BTreeSet, HashMap};

use platools::HostHandle;
use platools::host::HostState;
use tokio::task::{Id, JoinSet};

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
    /// Entities that are being drained; each says how it ended.
    draining: JoinSet<Result<(), String>>,
    drained: HashMap<Id, Draining>,
}

/// An entity whose calls may finish before it is gone.
#[derive(Debug)]
pub(crate) struct Draining {
    pub(crate) name: String,
    pub(crate) handle: HostHandle,
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
        Ok(Self { hosts, upstreams, plan, draining: JoinSet::new(), drained: HashMap::new() })
    }

    /// Whether every entity is connected and registered.
    pub(crate) fn is_ready(&self) -> bool {
        !self.hosts.is_empty()
            && self.hosts.len() == self.plan.entities.len()
            && self.hosts.iter().all(RunningHost::is_ready)
    }

    /// Ends the stand-by of the entities that another process has superseded: they evict it.
    pub(crate) fn take_over(&self) {
        let taking: Vec<&str> =
            self.hosts.iter().filter(|host| host.handle.take_over()).map(|host| host.name.as_str()).collect();
        if taking.is_empty() {
            tracing::info!("SIGUSR1: no entity stands by, so there is nothing to take over");
        } else {
            tracing::info!(entities = taking.join(", "), "SIGUSR1: taking over");
        }
    }

    /// Whether all have given up.
    pub(crate) fn has_ended(&self) -> bool {
        self.drained.is_empty() && self.hosts.iter().all(RunningHost::has_ended)
    }

    /// The entities that are being drained.
    pub(crate) fn draining(&self) -> impl Iterator<Item = &Draining> {
        self.drained.values()
    }

    /// The state in a few words.
    pub(crate) fn status(&self) -> String {
        let ready = self.hosts.iter().filter(|host| host.is_ready()).count();
        let states = self.hosts.iter().map(|host| match host.handle.state() {
            HostState::Active if !host.is_ready() => format!("{}: registering", host.name),
            state => format!("{}: {state}", host.name),
        });
        let draining = self.draining().map(|leaving| format!("{}: draining", leaving.name));
        let states: Vec<String> = states.chain(draining).collect();
        format!("{ready} of {} entities ready ({})", self.plan.entities.len(), states.join(", "))
    }

    /// Goes over to another plan, which was checked. Tools change at once; an entity whose connection changed is
    /// drained beside the others, and connected anew once that is over; one that is new or had given up is connected.
    ///
    /// # Errors
    /// What of the plan could not be done; the rest is.
    pub(crate) async fn change(&mut self, plan: Plan) -> Result<(), String> {
        let mut problems = Vec::new();
        // First, so that a name that a server had is free for a tool of the file.
        self.upstreams.change(&plan.upstreams).await;
        for mut host in std::mem::take(&mut self.hosts) {
            let entity = plan.entities.iter().find(|entity| entity.name == host.name);
            match entity {
                Some(entity) if host.fits(entity, plan.authenticator.as_ref()) => {
                    if let Err(problem) = self.change_tools(&mut host, &plan).await {
                        problems.push(format!("entity `{}`: {problem}", host.name));
                    }
                    self.hosts.push(host);
                }
                _ => {
                    tracing::info!(
                        entity = host.name,
                        "the connection is another one now, or gone: draining"
                    );
                    self.drain(host);
                }
            }
        }
        self.plan = plan;
        problems.extend(self.connect_missing());
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    /// Changes an entity's tools to those of a plan; a name that a server's tool has goes to the file's.
    async fn change_tools(&mut self, host: &mut RunningHost, plan: &Plan) -> Result<(), String> {
        let tools = tools_of(plan, &host.name);
        let names: BTreeSet<&str> = host.names_that_change(&tools);
        self.upstreams.yield_names(&host.name, &names).await;
        let changes = host.change_tools(&tools)?;
        tracing::info!(
            entity = host.name,
            added = changes.added,
            changed = changes.changed,
            removed = changes.removed,
            "the tools are those of the file"
        );
        Ok(())
    }

    /// Has an entity end in order, beside everything else.
    fn drain(&mut self, host: RunningHost) {
        // The tools stay until the end: calls of them are still running.
        self.upstreams.forget(&host.name);
        let draining = Draining { name: host.name.clone(), handle: host.handle.clone() };
        let id = self.draining.spawn(host.stop()).id();
        self.drained.insert(id, draining);
    }

    /// Connects the entities of the plan that are not, unless their predecessors are still draining: the platform
    /// would have one evict the other. Says what failed.
    fn connect_missing(&mut self) -> Vec<String> {
        let mut problems = Vec::new();
        for entity in &self.plan.entities {
            let is_there = self.hosts.iter().any(|host| host.name == entity.name);
            if is_there || self.drained.values().any(|leaving| leaving.name == entity.name) {
                continue;
            }
            let tools = tools_of(&self.plan, &entity.name);
            match RunningHost::start(entity, &tools, self.plan.authenticator.as_ref()) {
                Ok(host) => self.hosts.push(host),
                Err(problem) => problems.push(format!("entity `{}`: {problem}", entity.name)),
            }
        }
        self.upstreams.follow(&self.hosts);
        problems
    }

    /// Resolves when something that was leaving is gone, and what waited for it is connected; never where nothing is
    /// leaving.
    pub(crate) async fn settled(&mut self) {
        tokio::select! {
            Some(gone) = self.draining.join_next_with_id() => {
                let (id, outcome) = match gone {
                    Ok((id, outcome)) => (id, outcome),
                    Err(error) => (error.id(), Err(error.to_string())),
                };
                if let Some(gone) = self.drained.remove(&id) {
                    note_end(&gone.name, outcome);
                }
            }
            () = self.upstreams.settled() => {}
        }
        for problem in self.connect_missing() {
            tracing::error!(problem, "an entity of the file cannot be connected");
        }
    }

    /// Ends all of them in order, at the same time.
    pub(crate) async fn stop(&mut self) {
        for host in std::mem::take(&mut self.hosts) {
            self.drain(host);
        }
        while let Some(gone) = self.draining.join_next_with_id().await {
            if let Ok((id, outcome)) = gone
                && let Some(gone) = self.drained.remove(&id)
            {
                note_end(&gone.name, outcome);
            }
        }
        self.upstreams.stop().await;
    }
}

fn note_end(entity: &str, outcome: Result<(), String>) {
    match outcome {
        Ok(()) => tracing::info!(entity, "stopped"),
        Err(problem) => tracing::error!(entity, problem, "ended"),
    }
}
