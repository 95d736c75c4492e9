//! One entity: its connection to the platform, and the tools it has at the moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use platools::host::{HostError, HostEvent, HostState};
use platools::{HostHandle, Platools};
use tokio::task::{Id, JoinHandle};

use crate::plan::{AuthenticatorPlan, EntityPlan, Fingerprint, PlannedTool, quietly};

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct RunningHost {
    pub(crate) name: String,
    pub(crate) handle: HostHandle,
    /// What it was made of; another one needs another connection.
    made_of: (Fingerprint, Option<Fingerprint>),
    tools: BTreeMap<String, Fingerprint>,
    registered: Arc<AtomicBool>,
    running: JoinHandle<Result<(), HostError>>,
}

/// What is done to the tools of a host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) added: usize,
    pub(crate) changed: usize,
    pub(crate) removed: usize,
}

/// A host with all of its tools.
fn builder(
    entity: &EntityPlan,
    tools: &[&PlannedTool],
    authenticator: Option<&AuthenticatorPlan>,
) -> Platools {
    let tools = tools.iter().map(|planned| planned.tool.clone());
    let platools = Platools::new(entity.config.clone()).secret_source(entity.secret.clone()).tools(tools);
    match authenticator {
        Some(plan) => platools.shared_authenticator(Arc::clone(&plan.authenticator)),
        None => platools,
    }
}

/// Whether a host could be made of this.
///
/// # Errors
/// Why not.
pub(crate) fn check(
    entity: &EntityPlan,
    tools: &[&PlannedTool],
    authenticator: Option<&AuthenticatorPlan>,
) -> Result<(), String> {
    let mut entity = entity.clone();
    // The process that runs has it, and a check leaves nothing behind.
    entity.config.state_dir = None;
    quietly(|| builder(&entity, tools, authenticator).build()).map(drop).map_err(|error| error.to_string())
}

impl RunningHost {
    /// Connects.
    ///
    /// # Errors
    /// When no host can be made of this.
    pub(crate) fn start(
        entity: &EntityPlan,
        tools: &[&PlannedTool],
        authenticator: Option<&AuthenticatorPlan>,
    ) -> Result<Self, String> {
        let host = builder(entity, tools, authenticator).build().map_err(|error| error.to_string())?;
        let handle = host.handle();
        let registered = Arc::new(AtomicBool::new(false));
        tokio::spawn(follow(handle.clone(), entity.name.clone(), Arc::clone(&registered)));
        let running = tokio::spawn(host.run_until(std::future::pending()));
        Ok(Self {
            name: entity.name.clone(),
            handle,
            made_of: made_of(entity, authenticator),
            tools: fingerprints(tools),
            registered,
            running,
        })
    }

    /// Tells this host from others of the same entity.
    pub(crate) fn id(&self) -> Id {
        self.running.id()
    }

    /// Whether it is connected, and the platform has its tools.
    pub(crate) fn is_ready(&self) -> bool {
        self.handle.state() == HostState::Active && self.registered.load(Ordering::Acquire)
    }

    /// Whether it has given up.
    pub(crate) fn has_ended(&self) -> bool {
        self.running.is_finished()
    }

    /// Whether it can go on as this.
    pub(crate) fn fits(&self, entity: &EntityPlan, authenticator: Option<&AuthenticatorPlan>) -> bool {
        !self.has_ended() && self.made_of == made_of(entity, authenticator)
    }

    /// The names of the tools that [`change_tools`](Self::change_tools) puts in or takes out.
    pub(crate) fn names_that_change<'t>(&'t self, tools: &[&'t PlannedTool]) -> BTreeSet<&'t str> {
        let there: BTreeSet<&str> = self.tools.keys().map(String::as_str).collect();
        let wanted: BTreeSet<&str> = tools.iter().map(|planned| planned.tool.name()).collect();
        there.symmetric_difference(&wanted).copied().collect()
    }

    /// Changes its tools to these. Calls that run go on; of those that come, none meets a tool half changed.
    ///
    /// # Errors
    /// When they cannot be changed; nothing has changed then.
    pub(crate) fn change_tools(&mut self, tools: &[&PlannedTool]) -> Result<Changes, String> {
        let wanted = fingerprints(tools);
        let is_same = |name: &str| self.tools.get(name).is_some_and(|known| wanted.get(name) == Some(known));
        let gone: Vec<&str> = self.tools.keys().map(String::as_str).filter(|name| !is_same(name)).collect();
        let new: Vec<_> = tools
            .iter()
            .filter(|planned| !is_same(planned.tool.name()))
            .map(|planned| planned.tool.clone())
            .collect();
        if gone.is_empty() && new.is_empty() {
            return Ok(Changes::default());
        }
        let replaced = new.iter().filter(|tool| self.tools.contains_key(tool.name())).count();
        let changes =
            Changes { added: new.len() - replaced, changed: replaced, removed: gone.len() - replaced };
        self.handle.tools().replace(&gone, new).map_err(|error| error.to_string())?;
        self.tools = wanted;
        Ok(changes)
    }

    /// Ends it in order: calls that run finish within their time.
    pub(crate) async fn stop(self) -> Result<(), String> {
        self.handle.shutdown().await;
        match self.running.await {
            Ok(ended) => ended.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn made_of(
    entity: &EntityPlan,
    authenticator: Option<&AuthenticatorPlan>,
) -> (Fingerprint, Option<Fingerprint>) {
    (entity.fingerprint.clone(), authenticator.map(|plan| plan.fingerprint.clone()))
}

fn fingerprints(tools: &[&PlannedTool]) -> BTreeMap<String, Fingerprint> {
    tools.iter().map(|planned| (planned.tool.name().to_owned(), planned.fingerprint.clone())).collect()
}

/// Notes whether the platform has the tools, and says in the log what happens.
async fn follow(handle: HostHandle, entity: String, registered: Arc<AtomicBool>) {
    let mut events = handle.events();
    drop(handle);
    let mut is_draining = false;
    while let Some(event) = events.next().await {
        match event {
            HostEvent::Registered { tools } => {
                registered.store(true, Ordering::Release);
                tracing::info!(entity, tools, "the platform has the tools");
            }
            HostEvent::State(state) if state != HostState::Active => {
                registered.store(false, Ordering::Release);
                is_draining |= state == HostState::Draining;
            }
            // Asked for: the host says itself that it has stopped.
            HostEvent::Disconnected { .. } if is_draining => {}
            HostEvent::Disconnected { reason } => tracing::warn!(entity, reason, "disconnected"),
            HostEvent::RegistrationRejected { reason, .. } => {
                registered.store(false, Ordering::Release);
                tracing::error!(entity, reason, "the platform refused the tools");
            }
            HostEvent::RegistrationThrottled { retry_after } => {
                tracing::warn!(entity, ?retry_after, "the platform takes the tools later");
            }
            _ => {}
        }
    }
}
