//! Authentication of a connection: entity, environment and secret (protocol §2).

use platools::wire::close;
use tokio_tungstenite::tungstenite::http::{HeaderMap, Uri};
use url::form_urlencoded;

use crate::key::{EntityKey, resolve_environment};
use crate::state::State;

/// The paths at which hosts connect.
const PATHS: [&str; 3] = ["/tools/sync", "/tools/sync/ws/sdk", "/ws/sdk"];

/// The credentials that a connection presents.
#[derive(Default)]
pub(crate) struct Credentials {
    secret: Option<String>,
    entity: Option<String>,
    environment: Option<String>,
}

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The text of the error frame.
    pub(crate) error: &'static str,
    /// The reason of the close.
    pub(crate) reason: &'static str,
}

/// Whether the platform accepts a WebSocket at this path.
pub(crate) fn is_socket_path(path: &str) -> bool {
    PATHS.contains(&path)
}

impl Credentials {
    /// Reads them from the upgrade request: the query, or else headers.
    pub(crate) fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let query: Vec<_> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect();
        let parameter = |name: &str| {
            query
                .iter()
                .find(|(key, value)| key == name && !value.is_empty())
                .map(|(_, value)| value.to_string())
        };
        let header = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let bearer = header("authorization").and_then(|value| {
            let (scheme, secret) = value.split_once(' ')?;
            (scheme.eq_ignore_ascii_case("bearer") && !secret.trim().is_empty())
                .then(|| secret.trim().to_owned())
        });
        Self {
            secret: bearer,
            entity: parameter("entity")
                .or_else(|| parameter("source"))
                .or_else(|| header("x-platos-entity-id"))
                .or_else(|| header("x-platos-source")),
            environment: parameter("env").or_else(|| header("x-platos-environment-id")),
        }
    }

    /// The entity and environment that these credentials open, checked in the order of protocol §2.
    pub(crate) fn check(&self, state: &State) -> Result<EntityKey, Refusal> {
        let refuse = |error, reason| Refusal { error, reason };
        let Some(secret) = &self.secret else {
            return Err(refuse("Missing Authorization: Bearer <secret>", close::MISSING_SECRET));
        };
        let Some(entity) = &self.entity else {
            return Err(refuse("Missing entity id: add ?entity=<slug> to the URL", close::MISSING_ENTITY));
        };
        if !state.entity(entity).is_some_and(|record| record.secret().matches(secret)) {
            return Err(refuse("Invalid secret or unknown entity", close::INVALID_SECRET));
        }
        match resolve_environment(self.environment.as_deref()) {
            Some(environment) => Ok(EntityKey::new(entity, environment)),
            None => Err(refuse("Environment not found", close::UNRESOLVABLE_ENVIRONMENT)),
        }
    }
}
