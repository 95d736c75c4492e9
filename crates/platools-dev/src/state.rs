//! What the platform knows: entities, their tools and health, who is connected, which calls wait.
//!
//! All of it stands under one lock that is held for moments only. Whoever changes it wakes those who
//! wait for a change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use platools::verify::Secret;
use platools::wire::Scope;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::callback::Callbacks;
use crate::connection::ConnectionHandle;
use crate::data::{Data, Keeper};
use crate::health::HealthLog;
use crate::history::{Answered, HistoryEntry, HistoryStore};
use crate::journal::Journal;
use crate::key::{ENVIRONMENTS, environment_id};
use crate::pending::PendingCalls;
use crate::registration::Registration;
use crate::{CallStage, Counters, DevError, DevPlatformOptions, EntityKey, Event, Events, Tamper};

/// The one organization and project of the development platform.
const ORGANIZATION_ID: &str = "org_dev";
const PROJECT_ID: &str = "proj_dev";

/// The state and everything around it that the platform's parts share.
pub(crate) struct Shared {
    pub(crate) options: DevPlatformOptions,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    pub(crate) journal: Journal,
    /// Calls hosts that are not connected.
    pub(crate) callbacks: Callbacks,
    /// The calls that were made, if they are kept.
    pub(crate) history: Option<Arc<dyn HistoryStore>>,
    /// Where entities and calls outlive the process, if they do.
    pub(crate) keeper: Option<Box<dyn Keeper>>,
    pub(crate) default_entity: String,
}

impl Shared {
    pub(crate) fn new(options: DevPlatformOptions, data: Data) -> Arc<Self> {
        let Data { secrets, default_entity, history, keeper, .. } = data;
        let entities = secrets.into_iter().map(|(slug, secret)| (slug, EntityRecord::new(secret))).collect();
        Arc::new(Self {
            state: Mutex::new(State { entities, ..State::default() }),
            changed: watch::Sender::new(()),
            journal: Journal::new(options.http),
            callbacks: Callbacks::new(options.callbacks.clone()),
            history,
            keeper,
            default_entity,
            options,
        })
    }

    /// Looks at the state.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_replace(());
        result
    }

    /// Changes the state, and tells when the tools of an entity become visible or hidden by that.
    pub(crate) fn update_watched<T>(&self, key: &EntityKey, change: impl FnOnce(&mut State) -> T) -> T {
        let is_visible = |state: &State| state.seat(key).is_some_and(|seat| seat.registration.is_visible());
        let (result, before, visible) = self.update(|state| {
            let before = is_visible(state);
            let result = change(state);
            (result, before, is_visible(state))
        });
        if before != visible {
            self.emit(Event::Visibility { key: key.clone(), visible });
        }
        result
    }

    /// Waits until the state is as wished, or until the limit of the options.
    pub(crate) async fn wait_until(
        &self,
        what: &str,
        mut wish: impl FnMut(&State) -> bool,
    ) -> Result<(), DevError> {
        let mut changed = self.changed.subscribe();
        let limit = self.options.wait_limit;
        let waiting = async {
            // The sender lives as long as this borrow of it, so a change always comes or the limit does.
            while !self.read(&mut wish) {
                let _ = changed.changed().await;
            }
        };
        timeout(limit, waiting)
            .await
            .map_err(|_| DevError::WaitedInVain { what: what.to_owned(), waited: limit })
    }

    /// Tells those who watch.
    pub(crate) fn emit(&self, event: Event) {
        self.journal.emit(event);
    }

    /// Keeps a call, if calls are kept.
    pub(crate) fn record(&self, mut entry: impl FnMut(u64) -> HistoryEntry) -> Option<Arc<HistoryEntry>> {
        Some(self.history.as_ref()?.record(&mut entry))
    }

    /// Changes what is kept of a call, if it is.
    pub(crate) fn change(
        &self,
        id: u64,
        mut change: impl FnMut(&HistoryEntry) -> HistoryEntry,
    ) -> Option<Arc<HistoryEntry>> {
        self.history.as_ref()?.update(id, &mut change)
    }

    /// Whoever made a call left before its answer.
    pub(crate) fn abandon(&self, key: &EntityKey, call_id: &str, id: Option<u64>) {
        if let Some(id) = id {
            self.change(id, |entry| HistoryEntry {
                abandoned: entry.abandoned || entry.stage == CallStage::Running,
                ..entry.clone()
            });
        }
        self.emit(Event::Abandoned { key: key.clone(), call_id: call_id.to_owned() });
    }

    /// Adds an answer that nobody waited for any more to what is kept of its call.
    pub(crate) fn answered_late(&self, key: &EntityKey, call_id: &str, answered: Answered<'_>) {
        let Some(history) = &self.history else { return };
        if let Some(id) = history.unanswered(key, call_id) {
            history.update(id, &mut |entry| entry.answered_late(answered));
        }
    }

    pub(crate) fn watch_events(&self) -> Events {
        Events::new(self.journal.subscribe())
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct State {
    entities: BTreeMap<String, EntityRecord>,
    pub(crate) counters: Counters,
    pub(crate) pending: PendingCalls,
}

impl State {
    /// All entities, by slug.
    pub(crate) fn entities(&self) -> impl Iterator<Item = (&str, &EntityRecord)> {
        self.entities.iter().map(|(slug, record)| (slug.as_str(), record))
    }

    pub(crate) fn entity(&self, slug: &str) -> Option<&EntityRecord> {
        self.entities.get(slug)
    }

    pub(crate) fn entity_mut(&mut self, slug: &str) -> Option<&mut EntityRecord> {
        self.entities.get_mut(slug)
    }

    /// What is known about an entity in an environment.
    pub(crate) fn seat(&self, key: &EntityKey) -> Option<&Seat> {
        self.entities.get(&key.entity)?.seats.get(key.environment.as_str())
    }

    pub(crate) fn seat_mut(&mut self, key: &EntityKey) -> Option<&mut Seat> {
        self.entities.get_mut(&key.entity)?.seats.get_mut(key.environment.as_str())
    }

    /// How many calls were sent since the start, to all entities and environments or to those of this name.
    pub(crate) fn calls_made(&self, entity: Option<&str>, environment: Option<&str>) -> u64 {
        let fits = |wanted: Option<&str>, name: &str| wanted.is_none_or(|wanted| wanted == name);
        let entities = self.entities.iter().filter(|(slug, _)| fits(entity, slug));
        let seats = entities.flat_map(|(_, record)| &record.seats);
        seats.filter(|(slug, _)| fits(environment, slug)).map(|(_, seat)| seat.calls).sum()
    }

    /// All live connections.
    pub(crate) fn connections(&self) -> impl Iterator<Item = &ConnectionHandle> {
        self.entities.values().flat_map(EntityRecord::connections)
    }
}

/// An entity.
pub(crate) struct EntityRecord {
    secret: Secret,
    seats: BTreeMap<&'static str, Seat>,
}

impl EntityRecord {
    fn new(secret: Secret) -> Self {
        Self { secret, seats: ENVIRONMENTS.iter().map(|slug| (*slug, Seat::default())).collect() }
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) fn replace_secret(&mut self, secret: Secret) {
        self.secret = secret;
    }

    pub(crate) fn connections(&self) -> impl Iterator<Item = &ConnectionHandle> {
        self.seats.values().filter_map(|seat| seat.connection.as_ref())
    }
}

/// An entity in an environment.
#[derive(Default)]
pub(crate) struct Seat {
    pub(crate) connection: Option<ConnectionHandle>,
    pub(crate) registration: Registration,
    pub(crate) health: HealthLog,
    /// Whether heartbeats are left without acknowledgement.
    pub(crate) ignores_heartbeats: bool,
    pub(crate) last_call: Option<LastCall>,
    /// How many calls were sent.
    pub(crate) calls: u64,
}

/// The call that was sent last.
#[derive(Clone)]
pub(crate) struct LastCall {
    pub(crate) call_id: String,
    pub(crate) tool: String,
    pub(crate) frame: String,
    /// What was changed in it after it was signed.
    pub(crate) tamper: Option<Tamper>,
    /// Whether it had been sent before, byte for byte.
    pub(crate) repeated: bool,
}

/// The scope of a connection, as `welcome` states it and the envelopes repeat it.
pub(crate) fn scope(key: &EntityKey) -> Scope {
    Scope {
        organization_id: Some(ORGANIZATION_ID.to_owned()),
        project_id: Some(PROJECT_ID.to_owned()),
        environment_id: Some(environment_id(&key.environment)),
        entity_id: Some(key.entity.clone()),
    }
}
