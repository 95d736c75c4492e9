//! A folder with a SQLite database (feature `sqlite`).
//!
//! It is read once, at the start. From then on one thread makes it follow the memory: see [`writer`].

mod calls;
mod entities;
mod file;
mod writer;

use std::path::Path;
use std::sync::Arc;

use platools::verify::Secret;

use self::file::File;
pub(crate) use self::writer::Database;
use super::{Data, Keeper};
use crate::error::DevError;
use crate::history::History;
use crate::options::DevPlatformOptions;

/// Opens the database of a folder, and adds the entities of the options. Blocks.
pub(super) fn open(folder: &Path, options: &DevPlatformOptions, api_token: Secret) -> Result<Data, DevError> {
    let mut file = File::open(folder)?;
    let (secrets, default_entity) = entities::merge(&mut file, options)?;
    let mut history = None;
    if options.http {
        let (entries, last_id) = calls::read(&file, options.history)?;
        history = Some(Arc::new(History::restore(options.history, entries, last_id)));
    }
    let keeper = Keeper::Database(Database::start(file, history.clone())?);
    Ok(Data { secrets, default_entity, api_token, history, keeper })
}
