//! An entity in an environment, from the platform's point of view.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use platools::verify::Secret;
use platools::wire::platform::DeclaredTool;
use platools::wire::{ConnectUrl, Scope, ToolHealth};

use crate::error::DevError;
use crate::key::EntityKey;
use crate::shared::Shared;
use crate::state::{EntityRecord, Seat};

/// One entity in one environment: calls its tools, watches its host, and makes trouble.
#[derive(Clone)]
pub struct ConnectedEntity {
    shared: Arc<Shared>,
    base_url: Arc<str>,
    key: EntityKey,
}

impl ConnectedEntity {
    /// The entity, if the platform has it.
    pub(crate) fn new(shared: &Arc<Shared>, base_url: &Arc<str>, key: EntityKey) -> Result<Self, DevError> {
        if shared.read(|state| state.seat(&key).is_none()) {
            return Err(DevError::UnknownEntity(key));
        }
        Ok(Self { shared: Arc::clone(shared), base_url: Arc::clone(base_url), key })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The entity and the environment.
    pub fn key(&self) -> &EntityKey {
        &self.key
    }

    /// The URL for a host's configuration, with entity and environment in its query.
    pub fn url(&self) -> String {
        let EntityKey { entity, environment } = &self.key;
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("entity", entity)
            .append_pair("env", environment)
            .finish();
        format!("{}?{query}", self.base_url)
    }

    /// The URL at which a WebSocket is opened.
    pub fn socket_url(&self) -> String {
        let url = self.url();
        ConnectUrl::new(&url, None, None).map_or(url, |url| url.to_string())
    }

    /// The service secret as it is now.
    pub fn secret(&self) -> Secret {
        self.record(|record| record.secret().clone())
    }

    /// The scope that `welcome` states.
    pub fn scope(&self) -> Scope {
        self.key.scope()
    }

    /// Whether a host is connected.
    pub fn is_connected(&self) -> bool {
        self.look(|seat| seat.connection.is_some())
    }

    /// The id of the live connection, as `welcome` stated it.
    pub fn connection_id(&self) -> Option<String> {
        self.look(|seat| seat.connection.as_ref().map(|connection| connection.id().to_owned()))
    }

    /// The tools as they were declared, by name.
    pub fn tools(&self) -> Vec<DeclaredTool> {
        self.look(|seat| seat.registration.tools().values().cloned().collect())
    }

    /// The tools that agents see now, by name (protocol §2): all, or none.
    ///
    /// They see none after a connection of the entity has ended, until a host connects or declares its tools again.
    /// Tools with an `http` or `https` callback stay visible.
    pub fn visible_tools(&self) -> Vec<DeclaredTool> {
        self.look(|seat| {
            let tools = seat.registration.tools().values();
            tools.filter(|_| seat.registration.is_visible()).cloned().collect()
        })
    }

    /// Whether agents see the tools now; see [`visible_tools`](Self::visible_tools).
    pub fn is_visible(&self) -> bool {
        self.look(|seat| seat.registration.is_visible())
    }

    /// The callback URL of the last declaration, if it stated one.
    pub fn callback_url(&self) -> Option<String> {
        self.look(|seat| seat.registration.callback_url().map(str::to_owned))
    }

    /// One tool as it was declared.
    pub fn tool(&self, name: &str) -> Option<DeclaredTool> {
        self.look(|seat| seat.registration.tools().get(name).cloned())
    }

    /// Number of declarations that were applied.
    pub fn registrations(&self) -> u64 {
        self.look(|seat| seat.registration.applied())
    }

    /// The latest health of each tool, as the heartbeats reported it.
    pub fn health(&self) -> BTreeMap<String, ToolHealth> {
        self.look(|seat| seat.health.latest().clone())
    }

    /// Number of heartbeats.
    pub fn heartbeats(&self) -> u64 {
        self.look(|seat| seat.health.count())
    }

    /// Waits until a host is connected.
    ///
    /// # Errors
    /// When none is within the limit of the platform's options. The same holds for every wait.
    pub async fn wait_connected(&self) -> Result<(), DevError> {
        self.wait("a host", |seat| seat.connection.is_some()).await
    }

    /// Waits until no host is connected.
    ///
    /// # Errors
    /// See [`wait_connected`](Self::wait_connected).
    pub async fn wait_disconnected(&self) -> Result<(), DevError> {
        self.wait("the host to go", |seat| seat.connection.is_none()).await
    }

    /// Waits until a connected host has declared this tool.
    ///
    /// # Errors
    /// See [`wait_connected`](Self::wait_connected).
    pub async fn wait_for_tool(&self, name: &str) -> Result<(), DevError> {
        self.wait(&format!("the tool `{name}`"), |seat| {
            seat.connection.is_some() && seat.registration.tools().contains_key(name)
        })
        .await
    }

    /// Waits until agents see the tools, or until they do not.
    ///
    /// # Errors
    /// See [`wait_connected`](Self::wait_connected).
    pub async fn wait_visible(&self, visible: bool) -> Result<(), DevError> {
        let what = if visible { "visible tools" } else { "hidden tools" };
        self.wait(what, |seat| seat.registration.is_visible() == visible).await
    }

    /// Waits until this many declarations were applied, over all connections.
    ///
    /// # Errors
    /// See [`wait_connected`](Self::wait_connected).
    pub async fn wait_for_registrations(&self, count: u64) -> Result<(), DevError> {
        self.wait(&format!("{count} registrations"), |seat| seat.registration.applied() >= count).await
    }

    /// Waits until this many heartbeats came, over all connections.
    ///
    /// # Errors
    /// See [`wait_connected`](Self::wait_connected).
    pub async fn wait_for_heartbeats(&self, count: u64) -> Result<(), DevError> {
        self.wait(&format!("{count} heartbeats"), |seat| seat.health.count() >= count).await
    }

    async fn wait(&self, what: &str, mut wish: impl FnMut(&Seat) -> bool) -> Result<(), DevError> {
        let what = format!("{what} of {}", self.key);
        self.shared.wait_until(&what, |state| state.seat(&self.key).is_some_and(&mut wish)).await
    }

    fn record<T>(&self, look: impl FnOnce(&EntityRecord) -> T) -> T {
        self.shared.read(|state| look(state.entity(&self.key.entity).expect("entities are never removed")))
    }

    /// Reads the state.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Seat) -> T) -> T {
        self.shared.read(|state| look(state.seat(&self.key).expect("entities are never removed")))
    }
}

impl fmt::Debug for ConnectedEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectedEntity")
            .field("key", &self.key)
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}
