//! The parts that the handlers share.

use std::sync::Arc;

use platools::verify::Secret;
use platools::wire::MAX_FRAME_BYTES;
use tokio_util::sync::CancellationToken;

use super::authorities::Authorities;
use super::browsers::Browsers;
use crate::entity::ConnectedEntity;
use crate::error::DevError;
use crate::key::EntityKey;
use crate::shared::Shared;

/// The largest body of a request, in bytes: a call whose frame is as large as frames may be.
pub(super) const MAX_BODY_BYTES: usize = MAX_FRAME_BYTES + 64 * 1024;

/// A pointer to the shared parts.
pub(super) type App = Arc<Inner>;

pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) base_url: Arc<str>,
    pub(super) token: Secret,
    pub(super) browsers: Browsers,
    pub(super) allowed: Authorities,
}

impl Inner {
    /// The entity in the environment that a path names.
    pub(super) fn entity(&self, entity: &str, environment: &str) -> Result<ConnectedEntity, DevError> {
        ConnectedEntity::new(&self.shared, &self.base_url, EntityKey::new(entity, environment))
    }
}

/// Ends what would go on for ever when the platform stops.
#[derive(Clone)]
pub(super) struct Stopping(pub(super) CancellationToken);
