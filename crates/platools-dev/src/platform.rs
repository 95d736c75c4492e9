//! The platform as a whole: starting, stopping, and its entities.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use platools::verify::Secret;
use platools::wire::close;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::accept::Listening;
use crate::data::Data;
use crate::entity::ConnectedEntity;
use crate::error::DevError;
use crate::event::Counters;
use crate::history::{HistoryEntry, HistoryQuery};
use crate::http::{Authorities, Http};
use crate::journal::Events;
use crate::key::EntityKey;
use crate::options::DevPlatformOptions;
use crate::shared::Shared;
use crate::tls;

/// Time for connections to close when the platform stops; then they are cut.
const STOP_TIME: Duration = Duration::from_secs(3);

/// A development platform. It listens until it is dropped.
///
/// It is used as its default entity in the `dev` environment: everything that a [`ConnectedEntity`]
/// can, it can. For others see [`entity_in`](Self::entity_in).
pub struct DevPlatform {
    shared: Arc<Shared>,
    base_url: Arc<str>,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    http: Option<Http>,
    api_token: Secret,
    listening: Mutex<Option<Listening>>,
    default_entity: ConnectedEntity,
}

impl DevPlatform {
    /// Starts a platform on a free port of `127.0.0.1`, with one entity called `local` and a random
    /// secret.
    ///
    /// # Errors
    /// When this machine has no port to give.
    pub async fn start() -> Result<Self, DevError> {
        Self::start_with(DevPlatformOptions::default()).await
    }

    /// Options for a platform that is not the default one.
    pub fn options() -> DevPlatformOptions {
        DevPlatformOptions::default()
    }

    pub(crate) async fn start_with(mut options: DevPlatformOptions) -> Result<Self, DevError> {
        let tls = options.tls.take().map(|pem| tls::acceptor(&pem)).transpose()?;
        let listener = bind(options.address).await?;
        let address = listener.local_addr().map_err(|error| DevError::bind(options.address, &error))?;

        let data = Data::open(&options).await?;
        // From here on the secrets are those of the state.
        options.entities.clear();
        options.api_token = None;
        let api_token = data.api_token.clone();
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let authority = match &options.host_name {
            Some(name) => format!("{name}:{}", address.port()),
            None => address.to_string(),
        };
        let base_url: Arc<str> = format!("{scheme}://{authority}/tools/sync").into();

        let default_key = EntityKey::new(&data.default_entity, "dev");
        let (serves_http, host_name) = (options.http, options.host_name.clone());
        let shared = Shared::new(options, data);
        let default_entity = ConnectedEntity::new(&shared, &base_url, default_key)?;
        let http = serves_http.then(|| {
            let allowed = Authorities::new(address, host_name.as_deref(), tls.is_some());
            Http::new(Arc::clone(&shared), Arc::clone(&base_url), api_token.clone(), allowed)
        });
        let http = http.transpose()?;
        let listening = Listening::start(Arc::clone(&shared), listener, tls.clone(), http.clone());
        let listening = Mutex::new(Some(listening));
        Ok(Self { shared, base_url, address, tls, http, api_token, listening, default_entity })
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for a host's configuration without entity and environment, for hosts that get those
    /// otherwise. With them it is [`url`](ConnectedEntity::url).
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// A link that opens the playground in a browser, once: its fragment is a key, which the page trades for a cookie.
    /// Reloading and further tabs of that browser need no link.
    ///
    /// Each call returns another link; the last 16 work, each once, while this platform exists. Keep it secret:
    /// who opens it sees the service secrets and can call every tool. Nothing is there when
    /// [`http`](DevPlatformOptions::http) is switched off. For the API see [`http_url`](Self::http_url).
    pub fn playground_url(&self) -> String {
        let url = self.http_url();
        let link = self.http.as_ref().and_then(|http| http.new_link().ok());
        link.map_or(url.clone(), |key| format!("{url}#key={}", key.expose()))
    }

    /// The URL of the HTTP side, such as `http://127.0.0.1:3100/`: what the paths of the API are appended to. In a browser
    /// it opens the playground where that was opened with a [link](Self::playground_url) before.
    pub fn http_url(&self) -> String {
        let page = self.base_url.strip_suffix("tools/sync").unwrap_or(&self.base_url);
        page.replacen("ws", "http", 1)
    }

    /// The token that the HTTP API asks for, as `Authorization: Bearer …`.
    pub fn api_token(&self) -> &Secret {
        &self.api_token
    }

    /// The last calls, newest first, `limit` of them at most.
    pub fn history(&self, limit: usize) -> Vec<Arc<HistoryEntry>> {
        let query = HistoryQuery { limit, ..HistoryQuery::default() };
        self.shared.history.as_ref().map(|history| history.page(&query)).unwrap_or_default()
    }

    /// The call of this number, while the history keeps it.
    pub fn recorded(&self, id: u64) -> Option<Arc<HistoryEntry>> {
        self.shared.history.as_ref().and_then(|history| history.get(id))
    }

    /// The slugs of all entities, in alphabetical order.
    pub fn entities(&self) -> Vec<String> {
        self.shared.read(|state| state.entities().map(|(slug, _)| slug.to_owned()).collect())
    }

    /// The slug of the default entity.
    pub fn entity(&self) -> &str {
        &self.default_entity.key().entity
    }

    /// An entity in an environment, named by slug, alias or id as in a URL's `env`.
    ///
    /// # Errors
    /// When the platform has no such entity or environment.
    pub fn entity_in(&self, entity: &str, environment: &str) -> Result<ConnectedEntity, DevError> {
        let environment = crate::key::resolve_environment(Some(environment)).unwrap_or(environment);
        ConnectedEntity::new(&self.shared, &self.base_url, EntityKey::new(entity, environment))
    }

    /// The counters.
    pub fn counters(&self) -> Counters {
        self.shared.read(|state| state.counters)
    }

    /// Number of calls that wait for an answer.
    pub fn pending_calls(&self) -> usize {
        self.shared.read(|state| state.pending.len())
    }

    /// Waits until the counters are as wished.
    ///
    /// # Errors
    /// When they are not within the limit of the options.
    pub async fn wait_for_counters(&self, mut wish: impl FnMut(&Counters) -> bool) -> Result<(), DevError> {
        self.shared.wait_until("the counters", |state| wish(&state.counters)).await
    }

    /// Subscribes to events.
    pub fn events(&self) -> Events {
        self.shared.watch_events()
    }

    /// Stops as for a deploy: closes every connection with 1001 and no longer listens. Tools, counters
    /// and waiting calls stay; see [`resume`](Self::resume).
    pub async fn stop(&self) {
        self.shared.read(|state| {
            for connection in state.connections() {
                connection.close(close::GOING_AWAY, close::SHUTTING_DOWN);
            }
        });
        self.end(STOP_TIME).await;
    }

    /// Stops as in a crash: cuts every connection and no longer listens.
    pub async fn crash(&self) {
        self.end(Duration::ZERO).await;
    }

    /// Listens again, on the same port.
    ///
    /// # Errors
    /// When the platform listens already, or another program took the port.
    pub async fn resume(&self) -> Result<(), DevError> {
        if self.listening().is_some() {
            return Err(DevError::AlreadyListening);
        }
        let listener = bind(self.address).await?;
        let listening =
            Listening::start(Arc::clone(&self.shared), listener, self.tls.clone(), self.http.clone());
        *self.listening() = Some(listening);
        Ok(())
    }

    /// [`stop`](Self::stop) and [`resume`](Self::resume).
    ///
    /// # Errors
    /// When another program took the port.
    pub async fn restart(&self) -> Result<(), DevError> {
        self.stop().await;
        self.resume().await
    }

    /// Ends all tasks; the connections get some time to close.
    async fn end(&self, time: Duration) {
        let Some(listening) = self.listening().take() else { return };
        listening.accepting.cancel();
        listening.tasks.close();
        let _ = timeout(time, listening.tasks.wait()).await;
        listening.connections.cancel();
        listening.tasks.wait().await;
        self.shared.keeper.flush().await;
    }

    fn listening(&self) -> std::sync::MutexGuard<'_, Option<Listening>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DevPlatformOptions {
    /// Starts the platform.
    ///
    /// # Errors
    /// When the address cannot be listened on, the certificate cannot be used, or the folder for data cannot.
    pub async fn start(self) -> Result<DevPlatform, DevError> {
        DevPlatform::start_with(self).await
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, DevError> {
    TcpListener::bind(address).await.map_err(|error| DevError::bind(address, &error))
}

impl Deref for DevPlatform {
    type Target = ConnectedEntity;

    fn deref(&self) -> &ConnectedEntity {
        &self.default_entity
    }
}

impl Drop for DevPlatform {
    fn drop(&mut self) {
        if let Some(listening) = self.listening().take() {
            listening.accepting.cancel();
            listening.connections.cancel();
        }
        // Others may hold on to the state, but the folder is free again.
        self.shared.keeper.close();
    }
}

impl fmt::Debug for DevPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevPlatform").field("address", &self.address).finish_non_exhaustive()
    }
}
