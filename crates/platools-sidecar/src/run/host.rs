//! One entity: its connection to the platform.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use platools::host::{HostError, HostEvent, HostState};
use platools::run::Limits;
use platools::{HostHandle, Platools};
use platools_fleet::Fleet;
use tokio::sync::oneshot;
use tokio::task::{Id, JoinHandle};
use tokio::time::Instant;

use super::tools::Assortment;
use crate::fingerprint::Fingerprint;
use crate::plan::{AuthenticatorPlan, EntityPlan, PlannedTool, quietly};

/// A connection that is kept, once it may begin.
#[derive(Debug)]
pub(crate) struct RunningHost {
    pub(crate) name: String,
    pub(crate) handle: HostHandle,
    pub(crate) tools: Assortment,
    /// What it was made of; another one needs another connection.
    made_of: (Fingerprint, Option<Fingerprint>),
    limits: Limits,
    /// The replicas that share the connection.
    fleet: Option<Fleet>,
    registered: Arc<AtomicBool>,
    told: Arc<Mutex<Told>>,
    /// Has it connect; until then it waits for MCP servers.
    go: Option<oneshot::Sender<()>>,
    waits_until: Instant,
    running: JoinHandle<Result<(), HostError>>,
}

/// What its events told, for those who look.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// Since when the connection is in its state.
    pub(crate) since: SystemTime,
    /// Why there is no connection, or why the platform has not these tools.
    pub(crate) problem: Option<String>,
}

/// A host with all of its tools.
fn builder(
    entity: &EntityPlan,
    tools: &[&PlannedTool],
    authenticator: Option<&AuthenticatorPlan>,
    fleet: Option<&Fleet>,
) -> Platools {
    let tools = tools.iter().map(|planned| planned.tool.clone());
    let platools = Platools::new(entity.config.clone()).secret_source(entity.secret.clone()).tools(tools);
    let platools = match authenticator {
        Some(plan) => platools.shared_authenticator(Arc::clone(&plan.authenticator)),
        None => platools,
    };
    match fleet {
        Some(fleet) => platools.coordinator(fleet.clone()),
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
    quietly(|| builder(&entity, tools, authenticator, None).build())
        .map(drop)
        .map_err(|error| error.to_string())
}

impl RunningHost {
    /// Prepares a connection, which is dialled by [`go`](Self::go), `wait` from now at the latest.
    ///
    /// # Errors
    /// When no host can be made of this.
    pub(crate) fn prepare(
        entity: &EntityPlan,
        tools: &[&PlannedTool],
        authenticator: Option<&AuthenticatorPlan>,
        wait: Duration,
    ) -> Result<Self, String> {
        // A fleet is joined by one host, and this may be the second one of the entity.
        let fleet = entity.fleet.as_ref().map(Fleet::another);
        let host = builder(entity, tools, authenticator, fleet.as_ref())
            .build()
            .map_err(|error| error.to_string())?;
        let handle = host.handle();
        let registered = Arc::new(AtomicBool::new(false));
        let told = Arc::new(Mutex::new(Told { since: SystemTime::now(), problem: None }));
        tokio::spawn(follow(handle.clone(), entity.name.clone(), Arc::clone(&registered), Arc::clone(&told)));
        let (go, gone) = oneshot::channel();
        let name = entity.name.clone();
        let running = tokio::spawn(async move {
            let ended = match gone.await {
                Ok(()) => host.run_until(std::future::pending()).await,
                Err(_never) => Ok(()),
            };
            if let Err(error) = &ended {
                tracing::error!(entity = name, "not connected any more, and not again: {error}");
            }
            ended
        });
        Ok(Self {
            name: entity.name.clone(),
            tools: Assortment::new(handle.tools().clone(), tools.iter().copied()),
            handle,
            made_of: made_of(entity, authenticator),
            limits: entity.config.limits.clone(),
            fleet,
            registered,
            told,
            go: Some(go),
            waits_until: Instant::now() + wait,
            running,
        })
    }

    /// Tells this host from others of the same entity.
    pub(crate) fn id(&self) -> Id {
        self.running.id()
    }

    /// Connects, unless it has begun to.
    pub(crate) fn go(&mut self) {
        if let Some(go) = self.go.take() {
            // The task waits for this.
            let _ = go.send(());
        }
    }

    /// Until when it waits for MCP servers; `None` once it connects.
    pub(crate) fn waits_until(&self) -> Option<Instant> {
        self.go.as_ref().map(|_| self.waits_until)
    }

    /// What its events told.
    pub(crate) fn told(&self) -> Told {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it is connected, and the platform has its tools; or whether another replica is, and hands calls to it.
    pub(crate) fn is_ready(&self) -> bool {
        if let Some(fleet) = &self.fleet
            && !fleet.is_gateway()
        {
            return fleet.is_attached();
        }
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

    /// Changes the limits of its calls in place.
    pub(crate) fn set_limits(&mut self, entity: &EntityPlan) {
        if self.limits != entity.config.limits {
            if let Err(error) = self.handle.set_limits(&entity.config.limits) {
                tracing::error!(entity = self.name, "the limits stay as they were: {error}");
                return;
            }
            self.limits = entity.config.limits.clone();
            tracing::info!(entity = self.name, "the limits are those of the file");
        }
    }

    /// Ends it in order: calls that run finish within their time.
    pub(crate) async fn stop(mut self) -> Result<(), String> {
        // One that never began ends at once.
        drop(self.go.take());
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

/// Notes whether the platform has the tools, and says in the log what happens.
async fn follow(handle: HostHandle, entity: String, registered: Arc<AtomicBool>, told: Arc<Mutex<Told>>) {
    let tell = |change: &dyn Fn(&mut Told)| change(&mut told.lock().unwrap_or_else(PoisonError::into_inner));
    let mut events = handle.events();
    drop(handle);
    while let Some(event) = events.next().await {
        match event {
            HostEvent::Registered { tools } => {
                registered.store(true, Ordering::Release);
                tell(&|told| told.problem = None);
                tracing::info!(entity, tools, "the platform has the tools");
            }
            HostEvent::State(state) => {
                tell(&|told| told.since = SystemTime::now());
                if state != HostState::Active {
                    registered.store(false, Ordering::Release);
                }
            }
            HostEvent::Disconnected { reason } => tell(&|told| told.problem = Some(reason.clone())),
            HostEvent::RegistrationRejected { reason, .. } => {
                registered.store(false, Ordering::Release);
                tell(&|told| told.problem = Some(reason.clone()));
            }
            // The host itself logs what goes wrong with its connection.
            _ => {}
        }
    }
}
