//! The thread that writes.
//!
//! Orders say that something changed, not what: the writer looks into the memory for it. However slow the disk is,
//! nothing piles up beyond what the memory keeps anyway, and what was forgotten meanwhile is never written.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use platools::verify::Secret;
use tokio::sync::oneshot;

use super::file::File;
use super::{entities, history};
use crate::DevError;
use crate::history::MemoryHistory;

enum Order {
    /// Calls were recorded.
    Calls,
    /// All calls were forgotten.
    Cleared,
    Secret(String, Secret),
    Flush(oneshot::Sender<()>),
    Close,
}

/// Tells the writer what changed. Nothing waits for it.
#[derive(Clone)]
pub(super) struct Orders(Sender<Order>);

impl Orders {
    pub(super) fn calls(&self) {
        self.send(Order::Calls);
    }

    pub(super) fn cleared(&self) {
        self.send(Order::Cleared);
    }

    pub(super) fn secret(&self, entity: &str, secret: &Secret) {
        self.send(Order::Secret(entity.to_owned(), secret.clone()));
    }

    /// Tells when all before is written, or was tried to be.
    pub(super) fn flush(&self) -> oneshot::Receiver<()> {
        let (done, receiver) = oneshot::channel();
        self.send(Order::Flush(done));
        receiver
    }

    pub(super) fn close(&self) {
        self.send(Order::Close);
    }

    fn send(&self, order: Order) {
        // After the end there is nobody to write, and only memory is left.
        let _ = self.0.send(order);
    }
}

/// See the module.
pub(super) struct Writer {
    file: File,
    memory: Option<Arc<MemoryHistory>>,
    /// The revision of the memory that the file has.
    written: u64,
    /// Secrets that are not written yet, in their order.
    secrets: Vec<(String, Secret)>,
    /// Whether calls were forgotten that the file shall forget without a trace.
    is_cleared: bool,
    /// Whether the last attempt failed, and was told of.
    has_failed: bool,
}

impl Writer {
    pub(super) fn start(
        file: File,
        memory: Option<Arc<MemoryHistory>>,
    ) -> Result<(Orders, JoinHandle<()>), DevError> {
        let (sender, receiver) = channel();
        let no_thread = file.problem("the operating system has no thread to give for it".to_owned());
        let writer =
            Self { file, memory, written: 0, secrets: Vec::new(), is_cleared: false, has_failed: false };
        let builder = thread::Builder::new().name("platools-dev-data".to_owned());
        let thread = builder.spawn(move || writer.run(&receiver)).map_err(|_| no_thread)?;
        // Limits may be lower than they were, and the file has to follow.
        let orders = Orders(sender);
        orders.calls();
        Ok((orders, thread))
    }

    fn run(mut self, orders: &Receiver<Order>) {
        let mut is_closing = false;
        while !is_closing {
            let Ok(first) = orders.recv() else { return };
            let mut flushed = Vec::new();
            // All that came meanwhile becomes one transaction.
            for order in std::iter::once(first).chain(orders.try_iter()) {
                match order {
                    Order::Calls => {}
                    Order::Cleared => self.is_cleared = true,
                    Order::Secret(entity, secret) => self.secrets.push((entity, secret)),
                    Order::Flush(done) => flushed.push(done),
                    Order::Close => is_closing = true,
                }
            }
            self.write();
            for done in flushed {
                // Whoever asked may have gone.
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
        if let Some(memory) = &self.memory {
            written = history::write(&transaction, memory, written)?;
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
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::history::{HistoryEntry, HistoryLimits, HistoryStore as _};
    use crate::{DevPlatformOptions, EntityKey};

    const LIMITS: HistoryLimits = HistoryLimits { calls: 100, bytes: 1 << 24 };

    fn record(memory: &MemoryHistory, bytes: usize) {
        memory.record(&mut |id| HistoryEntry {
            id,
            at: SystemTime::now(),
            key: EntityKey::new("local", "dev"),
            call_id: format!("call-{id}"),
            tool: "a".to_owned(),
            tamper: None,
            repeated: false,
            stage: crate::CallStage::Running,
            abandoned: false,
            ok: false,
            latency: Duration::ZERO,
            late: None,
            host_latency: None,
            transport: crate::Transport::WebSocket,
            sent: "x".repeat(bytes).into(),
            reply: None,
        });
    }

    #[test]
    fn what_the_disk_had_no_room_for_is_written_once_it_has() {
        let folder = std::env::temp_dir().join(format!("platools-dev-full-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let mut file = File::open(&folder).unwrap();
        let (secrets, _) = entities::merge(&mut file, &DevPlatformOptions::default()).unwrap();
        let memory = Arc::new(MemoryHistory::new(LIMITS));
        let mut writer = Writer {
            file,
            memory: Some(Arc::clone(&memory)),
            written: 0,
            secrets: Vec::new(),
            is_cleared: false,
            has_failed: false,
        };
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
        let (entries, last_id) = history::read(&file, LIMITS).unwrap();
        assert_eq!((entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), last_id), (vec![1, 2], 2));
        let (secrets, _) = entities::merge(&mut file, &DevPlatformOptions::default()).unwrap();
        assert_eq!(secrets["local"], rotated);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
