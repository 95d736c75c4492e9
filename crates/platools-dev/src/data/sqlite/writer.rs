//! The thread that writes.
//!
//! Orders say that something changed, not what: the writer reads the changes from the memory. However slow the disk is,
//! the queue holds no calls, and a call that was evicted meanwhile is never written.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use platools::verify::Secret;
use tokio::sync::oneshot;

use super::file::File;
use super::{calls, entities};
use crate::error::DevError;
use crate::history::History;

enum Order {
    /// Entries were recorded or updated.
    HistoryChanged,
    /// All entries were removed.
    HistoryCleared,
    Secret(String, Secret),
    Flush(oneshot::Sender<()>),
    Close,
}

/// A database, as the rest of the platform holds it. Its methods order and return; only `flush` and `close` wait.
pub(crate) struct Database {
    orders: Sender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Database {
    pub(super) fn start(file: File, history: Option<Arc<History>>) -> Result<Self, DevError> {
        let (orders, receiver) = channel();
        let no_thread = file.problem("the operating system has no thread to give for it".to_owned());
        let writer = Writer::new(file, history);
        let builder = thread::Builder::new().name("platools-dev-data".to_owned());
        let thread = builder.spawn(move || writer.run(&receiver)).map_err(|_| no_thread)?;
        let database = Self { orders, thread: Mutex::new(Some(thread)) };
        // Limits may be lower than they were, and the file has to follow.
        database.history_changed();
        Ok(database)
    }

    pub(crate) fn history_changed(&self) {
        self.order(Order::HistoryChanged);
    }

    pub(crate) fn history_cleared(&self) {
        self.order(Order::HistoryCleared);
    }

    pub(crate) fn keep_secret(&self, entity: &str, secret: &Secret) {
        self.order(Order::Secret(entity.to_owned(), secret.clone()));
    }

    /// Waits until earlier orders are written, or could not be.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        self.order(Order::Flush(done));
        // It fails only after the end of the thread.
        let _ = flushed.await;
    }

    /// Writes the last orders, and unlocks the file.
    pub(crate) fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            self.order(Order::Close);
            // A panic of it was printed when it happened.
            let _ = thread.join();
        }
    }

    fn order(&self, order: Order) {
        // After `close` only the memory is left.
        let _ = self.orders.send(order);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.close();
    }
}

/// The state of the thread.
struct Writer {
    file: File,
    history: Option<Arc<History>>,
    /// The revision of the history that the file has.
    written: u64,
    /// Secrets that are not written yet, in their order.
    secrets: Vec<(String, Secret)>,
    /// Whether removed calls have to be erased from the file.
    is_cleared: bool,
    /// Whether the last attempt failed, and was logged.
    has_failed: bool,
}

impl Writer {
    fn new(file: File, history: Option<Arc<History>>) -> Self {
        Self { file, history, written: 0, secrets: Vec::new(), is_cleared: false, has_failed: false }
    }

    fn run(mut self, orders: &Receiver<Order>) {
        let mut is_closing = false;
        while !is_closing {
            let Ok(first) = orders.recv() else { return };
            let mut flushed = Vec::new();
            // All that came meanwhile becomes one transaction.
            for order in std::iter::once(first).chain(orders.try_iter()) {
                match order {
                    Order::HistoryChanged => {}
                    Order::HistoryCleared => self.is_cleared = true,
                    Order::Secret(entity, secret) => self.secrets.push((entity, secret)),
                    Order::Flush(done) => flushed.push(done),
                    Order::Close => is_closing = true,
                }
            }
            self.write();
            for done in flushed {
                // The receiver may be gone.
                let _ = done.send(());
            }
        }
    }

    /// Writes all that is not written. What fails stays to be written with the next change.
    fn write(&mut self) {
        match self.try_write() {
            Ok(()) => self.has_failed = false,
            Err(error) if !self.has_failed => {
                self.has_failed = true;
                let error = self.file.explain(&error);
                tracing::error!(%error, "nothing is kept at the moment; it is tried again with the next call");
            }
            Err(_) => {}
        }
    }

    fn try_write(&mut self) -> rusqlite::Result<()> {
        let transaction = self.file.connection.transaction()?;
        for (entity, secret) in &self.secrets {
            entities::write(&transaction, entity, secret)?;
        }
        let mut written = self.written;
        if let Some(history) = &self.history {
            written = calls::write(&transaction, history, written)?;
        }
        transaction.commit()?;
        self.written = written;
        self.secrets.clear();
        if self.is_cleared {
            // Out of the file and out of its log.
            self.file.shrink()?;
            self.is_cleared = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::call::SignedCall;
    use crate::call::report::Transport;
    use crate::history::{HistoryEntry, HistoryLimits};
    use crate::key::EntityKey;
    use crate::options::DevPlatformOptions;

    const LIMITS: HistoryLimits = HistoryLimits { calls: 100, bytes: 1 << 24 };

    fn record(history: &History, bytes: usize) {
        let call = SignedCall { frame: "x".repeat(bytes), ..SignedCall::default() };
        let (at, key) = (SystemTime::now(), EntityKey::new("local", "dev"));
        history.record(|id| HistoryEntry::running(id, at, &key, &call, Transport::WebSocket));
    }

    #[test]
    fn what_the_disk_had_no_room_for_is_written_once_it_has() {
        let folder = std::env::temp_dir().join(format!("platools-dev-full-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let mut file = File::open(&folder).unwrap();
        let (secrets, _) = entities::merge(&mut file, &DevPlatformOptions::default()).unwrap();
        let memory = Arc::new(History::new(LIMITS));
        let mut writer = Writer::new(file, Some(Arc::clone(&memory)));
        let room = |writer: &Writer, pages: u32| {
            let limit = format!("PRAGMA max_page_count = {pages}");
            writer.file.connection.query_row(&limit, [], |_| Ok(())).unwrap();
        };
        let rotated = Secret::new("rotated-0123456789").unwrap();
        assert_ne!(secrets["local"], rotated);

        room(&writer, 20);
        record(&memory, 1_000_000);
        writer.secrets.push(("local".to_owned(), rotated.clone()));
        writer.write();
        assert!(writer.has_failed);
        assert_eq!(writer.written, 0);
        record(&memory, 10);
        writer.write();
        assert!(writer.has_failed, "a later call does not jump the queue");

        room(&writer, 1_000_000);
        writer.write();
        assert_eq!((writer.has_failed, writer.written, writer.secrets.len()), (false, 2, 0));
        drop(writer);
        let mut file = File::open(&folder).unwrap();
        let (entries, last_id) = calls::read(&file, LIMITS).unwrap();
        assert_eq!((entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), last_id), (vec![1, 2], 2));
        let (secrets, _) = entities::merge(&mut file, &DevPlatformOptions::default()).unwrap();
        assert_eq!(secrets["local"], rotated);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
