//! All entities: from one plan to the next, without losing a call.
//!
//! A change is over at once. What it told to leave leaves beside the rest, and whoever keeps a fleet has to ask for
//! [`Fleet::settled`] again and again and to call [`Fleet::tend`] now and then: they connect what could not be before.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use platools::HostHandle;
use platools::host::{HostState, StateDir};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::host::{self, RunningHost};
use super::upstreams::Upstreams;
use crate::config::{Problem, Running};
use crate::plan::{Plan, PlannedTool};

/// How long the platform may take to close a connection after the one that supersedes it is registered.
const LATE_CLOSE: Duration = Duration::from_secs(5);

/// The entities that run, and what they run by.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) hosts: Vec<RunningHost>,
    pub(crate) upstreams: Upstreams,
    pub(crate) plan: Plan,
    /// Connections that serve until the one of the changed section does.
    retiring: Vec<Retiring>,
    /// Entities that are being drained; each says how it ended.
    draining: JoinSet<Result<(), String>>,
    drained: HashMap<Id, Draining>,
}

/// A connection whose section changed.
#[derive(Debug)]
struct Retiring {
    host: RunningHost,
    /// Whether the platform closes it once the new one is there.
    is_superseded: bool,
    /// When its successor was seen ready.
    ready_since: Option<Instant>,
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

/// The directory for what must outlive the process, where there is one.
///
/// # Errors
/// When it cannot be used.
pub(crate) fn open_state_dir(running: &Running) -> Result<Option<StateDir>, String> {
    running.state_dir.as_ref().map(StateDir::open).transpose().map_err(|error| error.to_string())
}

impl Fleet {
    /// Connects all entities of a plan, each once the MCP servers and the documents that it has are there.
    ///
    /// # Errors
    /// Why one of them cannot be.
    pub(crate) fn start(plan: Plan) -> Result<Self, String> {
        let hosts = plan.entities.iter().map(|entity| {
            let tools = tools_of(&plan, &entity.name);
            RunningHost::prepare(entity, &tools, plan.authenticator.as_ref(), plan.running.mcp_wait())
        });
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        let mut upstreams = Upstreams::new(open_state_dir(&plan.running)?);
        upstreams.change(&plan.upstreams, plan.running.mcp_wait());
        let (draining, drained) = (JoinSet::new(), HashMap::new());
        let mut fleet = Self { hosts, upstreams, plan, retiring: Vec::new(), draining, drained };
        fleet.tend();
        Ok(fleet)
    }

    /// Whether every entity is connected and registered.
    pub(crate) fn is_ready(&self) -> bool {
        let is_ready = |name: &str| {
            self.hosts.iter().chain(self.retiring()).any(|host| host.name == name && host.is_ready())
        };
        !self.hosts.is_empty() && self.plan.entities.iter().all(|entity| is_ready(&entity.name))
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
        self.drained.is_empty() && self.retiring.is_empty() && self.hosts.iter().all(RunningHost::has_ended)
    }

    /// The entities that are being drained.
    pub(crate) fn draining(&self) -> impl Iterator<Item = &Draining> {
        self.drained.values()
    }

    /// The connections that serve until their successors do.
    pub(crate) fn retiring(&self) -> impl Iterator<Item = &RunningHost> {
        self.retiring.iter().map(|retiring| &retiring.host)
    }

    /// What the first declaration of a host's tools waits for; nothing once it connects.
    pub(crate) fn awaited_by(&self, host: &RunningHost) -> Vec<String> {
        if host.waits_until().is_none() {
            return Vec::new();
        }
        let entity = Some(host.name.as_str());
        let awaited =
            self.upstreams.awaited_by(entity).into_iter().chain(self.plan.awaited_documents(entity));
        awaited.map(str::to_owned).collect()
    }

    /// The state in a few words.
    pub(crate) fn status(&self) -> String {
        let ready = self.hosts.iter().filter(|host| host.is_ready()).count();
        let states = self.hosts.iter().map(|host| match host.handle.state() {
            _ if host.waits_until().is_some() => {
                format!("{}: waiting for {}", host.name, self.awaited_by(host).join(", "))
            }
            HostState::Active if !host.is_ready() => format!("{}: registering", host.name),
            state => format!("{}: {state}", host.name),
        });
        let retiring = self.retiring().map(|host| format!("{}: handing over", host.name));
        let draining = self.draining().map(|leaving| format!("{}: draining", leaving.name));
        let states: Vec<String> = states.chain(retiring).chain(draining).collect();
        format!("{ready} of {} entities ready ({})", self.plan.entities.len(), states.join(", "))
    }

    /// Goes over to another plan, which was checked. Tools and limits change at once. An entity whose connection changed is
    /// connected anew beside the old connection, which serves until then; one that is new or had given up is connected.
    ///
    /// # Errors
    /// What of the plan could not be done; the rest is.
    pub(crate) fn change(&mut self, plan: Plan) -> Result<(), String> {
        let mut problems = Vec::new();
        self.upstreams.change(&plan.upstreams, plan.running.mcp_wait());
        for mut host in std::mem::take(&mut self.hosts) {
            let entity = plan.entities.iter().find(|entity| entity.name == host.name);
            let Some(entity) = entity.filter(|_| !host.has_ended()) else {
                tracing::info!(
                    entity = host.name,
                    "the connection is gone from the file, or had ended: draining"
                );
                self.drain(host);
                continue;
            };
            let problem = |problem: String| format!("entity `{}`: {problem}", entity.name);
            let tools = tools_of(&plan, &host.name);
            if host.fits(entity, plan.authenticator.as_ref()) {
                host.set_limits(entity);
                match host.tools.change(&tools, &self.upstreams.tools_of(Some(&host.name))) {
                    Ok(changes) => tracing::info!(
                        entity = host.name,
                        added = changes.added,
                        changed = changes.changed,
                        removed = changes.removed,
                        "the tools are those of the file"
                    ),
                    Err(error) => problems.push(problem(error)),
                }
                self.hosts.push(host);
                continue;
            }
            let wait = plan.running.mcp_wait();
            match RunningHost::prepare(entity, &tools, plan.authenticator.as_ref(), wait) {
                Ok(new) => self.hand_over(host, new),
                Err(error) => {
                    problems.push(problem(error));
                    self.hosts.push(host);
                }
            }
        }
        self.plan = plan;
        problems.extend(self.connect_missing());
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    /// Has a new connection take over from an old one, and from those that the old one had not taken over from yet.
    fn hand_over(&mut self, old: RunningHost, new: RunningHost) {
        tracing::info!(
            entity = old.name,
            "the connection is another one now: the old one serves until the new one does"
        );
        let is_superseded = old.handle.hand_over_to(&new.handle);
        for retiring in self.retiring.iter_mut().filter(|retiring| retiring.host.name == old.name) {
            retiring.is_superseded = retiring.host.handle.hand_over_to(&new.handle);
            retiring.ready_since = None;
        }
        if old.waits_until().is_some() {
            // It never began to connect.
            self.drain(old);
        } else {
            self.retiring.push(Retiring { host: old, is_superseded, ready_since: None });
        }
        self.hosts.push(new);
    }

    /// Has an entity end in order, beside everything else.
    fn drain(&mut self, host: RunningHost) {
        self.drain_after(Vec::new(), host);
    }

    /// Has an entity end in order, once its predecessors have: it sends the answers of their calls.
    fn drain_after(&mut self, predecessors: Vec<RunningHost>, host: RunningHost) {
        // The tools stay until the end: calls of them are still running.
        let draining = Draining { name: host.name.clone(), handle: host.handle.clone() };
        let drained = async move {
            join_all(predecessors.into_iter().map(RunningHost::stop)).await;
            host.stop().await
        };
        let id = self.draining.spawn(drained).id();
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
            let wait = self.plan.running.mcp_wait();
            match RunningHost::prepare(entity, &tools, self.plan.authenticator.as_ref(), wait) {
                Ok(host) => self.hosts.push(host),
                Err(problem) => problems.push(format!("entity `{}`: {problem}", entity.name)),
            }
        }
        self.follow_upstreams();
        self.tend();
        problems
    }

    /// Has the tools of every entity be those that the MCP servers have now.
    fn follow_upstreams(&mut self) {
        self.upstreams.tend();
        for host in &mut self.hosts {
            host.tools.change_servers(&self.upstreams.tools_of(Some(&host.name)));
        }
    }

    /// Connects what need not wait any longer, with the tools that there are then, and lets go of connections that others
    /// have taken over.
    pub(crate) fn tend(&mut self) {
        if self.hosts.iter().any(|host| host.waits_until().is_some()) {
            // A server that has come up since is not waited for, so its tools have to be there.
            self.follow_upstreams();
        }
        let now = Instant::now();
        for host in &mut self.hosts {
            let Some(until) = host.waits_until() else { continue };
            let entity = Some(host.name.as_str());
            let is_complete = self.upstreams.awaited_by(entity).is_empty()
                && self.plan.awaited_documents(entity).is_empty();
            if is_complete || until <= now {
                self.upstreams.note_absent(entity);
                self.plan.note_absent_documents(entity);
                host.go();
            }
        }
        for mut old in std::mem::take(&mut self.retiring) {
            let successor = self.hosts.iter().find(|host| host.name == old.host.name);
            let is_over = successor.is_none_or(|successor| {
                old.host.has_ended()
                    || successor.is_ready() && {
                        let since = *old.ready_since.get_or_insert(now);
                        // Calls that the platform sent it before it closes are still taken.
                        !old.is_superseded || since + LATE_CLOSE <= now
                    }
            });
            if is_over {
                self.drain(old.host);
            } else {
                self.retiring.push(old);
            }
        }
    }

    /// Resolves when something that was leaving is gone or a server has changed, and what waited for it is connected;
    /// never where nothing can change.
    pub(crate) async fn settled(&mut self) {
        let until = self.hosts.iter().filter_map(RunningHost::waits_until).min();
        let waited = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
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
            () = self.upstreams.changed() => {}
            () = waited => {}
        }
        for problem in self.connect_missing() {
            tracing::error!(problem, "an entity of the file cannot be connected");
        }
    }

    /// Ends all of them in order, at the same time.
    pub(crate) async fn stop(&mut self) {
        let retiring = std::mem::take(&mut self.retiring).into_iter().map(|retiring| retiring.host);
        let mut retiring: Vec<RunningHost> = retiring.collect();
        for host in std::mem::take(&mut self.hosts) {
            let (predecessors, others) =
                std::mem::take(&mut retiring).into_iter().partition(|old| old.name == host.name);
            retiring = others;
            self.drain_after(predecessors, host);
        }
        for host in retiring {
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
