//! A folder with a SQLite database (feature `sqlite`).
//!
//! All that is kept is read at the start. From then on the memory is what counts, and one thread makes the file like
//! it: see [`writer`].

mod entities;
mod file;
mod history;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use platools::verify::Secret;
use tokio::sync::oneshot;

use self::file::File;
use self::history::SqliteHistory;
use self::writer::{Orders, Writer};
use super::{Data, Keeper};
use crate::history::{HistoryStore, MemoryHistory};
use crate::{DevError, DevPlatformOptions};

/// Opens what is kept in a folder, and adds what the options name. Blocks.
pub(super) fn open(folder: &Path, options: &DevPlatformOptions, api_token: Secret) -> Result<Data, DevError> {
    let mut file = File::open(folder)?;
    let (secrets, default_entity) = entities::merge(&mut file, options)?;
    let memory = if options.http {
        let (entries, last_id) = history::read(&file, options.history)?;
        Some(Arc::new(MemoryHistory::with(options.history, entries, last_id)))
    } else {
        None
    };
    let (orders, thread) = Writer::start(file, memory.clone())?;
    let history = memory.map(|memory| {
        let store: Arc<dyn HistoryStore> = Arc::new(SqliteHistory::new(memory, orders.clone()));
        store
    });
    let keeper = SqliteKeeper { orders, thread: Mutex::new(Some(thread)) };
    Ok(Data { secrets, default_entity, api_token, history, keeper: Some(Box::new(keeper)) })
}

/// The thread that writes, from outside.
struct SqliteKeeper {
    orders: Orders,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper for SqliteKeeper {
    fn keep_secret(&self, entity: &str, secret: &Secret) {
        self.orders.secret(entity, secret);
    }

    fn flush(&self) -> oneshot::Receiver<()> {
        self.orders.flush()
    }

    fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            self.orders.close();
            // A panic of it was printed when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for SqliteKeeper {
    fn drop(&mut self) {
        self.close();
    }
}
