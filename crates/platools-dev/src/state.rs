//! The state of the platform: entities, their tools and health, connections, and calls that wait.
//!
//! Plain values; their lock is in `shared`.

use std::collections::BTreeMap;

use platools::verify::Secret;

use crate::call::SignedCall;
use crate::event::Counters;
use crate::handle::ConnectionHandle;
use crate::health::HealthLog;
use crate::key::{ENVIRONMENTS, EntityKey};
use crate::pending::PendingCalls;
use crate::registration::Registration;

/// All entities, counters and pending calls.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) entities: BTreeMap<String, EntityRecord>,
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

    /// An entity in an environment.
    pub(crate) fn seat(&self, key: &EntityKey) -> Option<&Seat> {
        self.entities.get(&key.entity)?.seats.get(key.environment.as_str())
    }

    pub(crate) fn seat_mut(&mut self, key: &EntityKey) -> Option<&mut Seat> {
        self.entities.get_mut(&key.entity)?.seats.get_mut(key.environment.as_str())
    }

    /// Number of calls that were sent since the start, to all entities and environments or to those of this name.
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
    pub(crate) fn new(secret: Secret) -> Self {
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
    pub(crate) last_call: Option<SignedCall>,
    /// Number of calls that were sent.
    pub(crate) calls: u64,
}
