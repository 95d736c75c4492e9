//! Entities with their secrets, the API token and the calls, where they outlive the process.
//!
//! The platform works in memory. A file follows it: the small identity file at once, the database on a thread of its
//! own, so that no call waits for a disk. Knows nothing of connections.

mod identity;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use platools::verify::Secret;

use self::identity::{Entities, IdentityFile};
use crate::error::DevError;
use crate::history::History;
use crate::options::DevPlatformOptions;
use crate::random;

/// Keeps changes beyond the process.
pub(crate) enum Keeper {
    /// Keeps nothing.
    Memory,
    /// Keeps secrets.
    Identity(Mutex<IdentityFile>),
    /// Keeps secrets and calls.
    #[cfg(feature = "sqlite")]
    Database(sqlite::Database),
}

impl Keeper {
    /// Keeps the secret of an entity.
    pub(crate) fn keep_secret(&self, entity: &str, secret: &Secret) {
        match self {
            Self::Memory => {}
            Self::Identity(file) => {
                file.lock().unwrap_or_else(PoisonError::into_inner).keep_secret(entity, secret);
            }
            #[cfg(feature = "sqlite")]
            Self::Database(database) => database.keep_secret(entity, secret),
        }
    }

    /// Has the changes of the history written soon.
    pub(crate) fn history_changed(&self) {
        #[cfg(feature = "sqlite")]
        if let Self::Database(database) = self {
            database.history_changed();
        }
    }

    /// Has cleared calls erased from the file soon.
    pub(crate) fn history_cleared(&self) {
        #[cfg(feature = "sqlite")]
        if let Self::Database(database) = self {
            database.history_cleared();
        }
    }

    /// Waits until all changes so far are written.
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(clippy::unused_async, reason = "only a database writes later")
    )]
    pub(crate) async fn flush(&self) {
        #[cfg(feature = "sqlite")]
        if let Self::Database(database) = self {
            database.flush().await;
        }
    }

    /// Writes the last changes, and unlocks the file.
    pub(crate) fn close(&self) {
        #[cfg(feature = "sqlite")]
        if let Self::Database(database) = self {
            database.close();
        }
    }
}

/// The data that a platform starts with.
pub(crate) struct Data {
    /// All entities and their secrets.
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) default_entity: String,
    pub(crate) api_token: Secret,
    /// The calls that were made; `None` where HTTP is switched off.
    pub(crate) history: Option<Arc<History>>,
    pub(crate) keeper: Keeper,
}

impl Data {
    /// Reads the files that the options name, and adds the entities of the options.
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
        let history = options.http.then(|| Arc::new(History::new(options.history)));
        if let Some(mut identity) = identity {
            let Entities { secrets, default_entity } = identity.entities(options)?;
            identity.save()?;
            let keeper = Keeper::Identity(Mutex::new(identity));
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
        Ok(Self { secrets, default_entity, api_token, history, keeper: Keeper::Memory })
    }
}
