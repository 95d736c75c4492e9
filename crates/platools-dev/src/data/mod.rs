//! What outlives the process: entities with their secrets, the API token, and the calls.
//!
//! The platform works in memory; what is kept follows behind it, on a thread of its own, so that no call waits
//! for a disk. This room knows nothing of connections.

mod identity;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::collections::BTreeMap;
use std::sync::Arc;

use platools::verify::Secret;
use tokio::sync::oneshot;

use self::identity::{Entities, IdentityFile};
use crate::history::{HistoryStore, MemoryHistory};
use crate::{DevError, DevPlatformOptions, random};

/// Where changes go that shall outlive the process.
pub(crate) trait Keeper: Send + Sync {
    /// The entity has this secret from now on.
    fn keep_secret(&self, entity: &str, secret: &Secret);

    /// Tells when all that was changed so far is written.
    fn flush(&self) -> oneshot::Receiver<()>;

    /// Writes what is left, and lets the place go to others.
    fn close(&self);
}

/// What a platform starts with.
pub(crate) struct Data {
    /// All entities and their secrets.
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) default_entity: String,
    pub(crate) api_token: Secret,
    /// The calls that were made, if they are kept at all.
    pub(crate) history: Option<Arc<dyn HistoryStore>>,
    /// Nothing, when all is kept in memory.
    pub(crate) keeper: Option<Box<dyn Keeper>>,
}

impl Data {
    /// What is kept where the options say, and what they name themselves.
    pub(crate) async fn open(options: &DevPlatformOptions) -> Result<Self, DevError> {
        let options = options.clone();
        let opening = tokio::task::spawn_blocking(move || Self::read(&options));
        opening.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// Blocks.
    fn read(options: &DevPlatformOptions) -> Result<Self, DevError> {
        let mut identity = options.identity_file.as_deref().map(IdentityFile::open).transpose()?;
        let api_token = match &mut identity {
            Some(identity) => identity.api_token(options.api_token.clone())?,
            None => options.api_token.clone().map_or_else(random::secret, Ok)?,
        };
        #[cfg(feature = "sqlite")]
        if let Some(folder) = &options.data_dir {
            if let Some(identity) = identity {
                identity.save()?;
            }
            return sqlite::open(folder, options, api_token);
        }
        let history = options.http.then(|| {
            let store: Arc<dyn HistoryStore> = Arc::new(MemoryHistory::new(options.history));
            store
        });
        if let Some(mut identity) = identity {
            let Entities { secrets, default_entity } = identity.entities(options)?;
            identity.save()?;
            let keeper = Some(identity.keeper());
            return Ok(Self { secrets, default_entity, api_token, history, keeper });
        }
        let mut secrets = BTreeMap::new();
        for (slug, secret) in &options.entities {
            secrets.insert(slug.clone(), secret.clone().map_or_else(random::secret, Ok)?);
        }
        if secrets.is_empty() {
            secrets.insert(options.default_entity.clone(), random::secret()?);
        }
        let default_entity = options.default_entity.clone();
        Ok(Self { secrets, default_entity, api_token, history, keeper: None })
    }
}
