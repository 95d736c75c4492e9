//! Writes the memory of nonces to a store: on a thread, at most once a second.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::State;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Mutex, MutexGuard};

/// Minimum time between two writes while the host runs.
const WRITE_PAUSE: Duration = if cfg!(shuttle) { Duration::ZERO } else { Duration::from_secs(1) };

/// Keeps the memory of nonces for the next process: a file, or what several processes share. Its calls may block.
/// `Debug` says where that is, for the log.
pub(crate) trait ReplayStore: fmt::Debug + Send + Sync + 'static {
    /// Returns what was stored last; `None` if nothing was.
    ///
    /// # Errors
    /// When there is something that cannot be read.
    fn load(&self) -> io::Result<Option<Vec<u8>>>;

    /// Replaces what is stored, as a whole.
    ///
    /// # Errors
    /// When it cannot be stored; what was stored before is kept.
    fn save(&self, state: &[u8]) -> io::Result<()>;
}

/// The memory and its store.
pub(super) struct Kept {
    state: Mutex<State>,
    /// Whether a call was accepted since the last write.
    changed: AtomicBool,
    writer: Mutex<Option<Writer>>,
}

struct Writer {
    store: Box<dyn ReplayStore>,
    is_failing: bool,
    /// Whether the store has all nonces.
    is_complete: bool,
    /// How many hosts use the memory and have not stopped.
    running: usize,
}

/// Writes while the host runs.
pub(super) struct Keeper(Option<JoinHandle<()>>, Arc<AtomicBool>);

impl Kept {
    pub(super) fn new(state: State, store: Option<Box<dyn ReplayStore>>) -> Self {
        let writer = store.map(|store| Writer { store, is_failing: false, is_complete: false, running: 0 });
        Self { state: Mutex::new(state), changed: AtomicBool::new(false), writer: Mutex::new(writer) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn mark_running(&self) -> io::Result<()> {
        match &mut *self.writer() {
            Some(writer) => {
                writer.write(self, false)?;
                writer.running += 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn mark_stopped(&self) {
        if let Some(writer) = &mut *self.writer() {
            writer.running = writer.running.saturating_sub(1);
            if writer.running == 0 {
                writer.complete(self);
            }
        }
    }

    /// Stores all nonces, when nobody uses the memory any more.
    pub(super) fn complete(&self) {
        if let Some(writer) = &mut *self.writer() {
            writer.complete(self);
        }
    }

    /// Stores what changed.
    fn keep(&self) {
        // Under the lock, so that a stop that is stored meanwhile is not overwritten.
        if let Some(writer) = &mut *self.writer()
            && self.changed.load(Ordering::Acquire)
        {
            writer.report(self, false);
        }
    }
}

impl Writer {
    fn write(&mut self, kept: &Kept, is_complete: bool) -> io::Result<()> {
        // Before the state is read, so that no change is missed.
        kept.changed.store(false, Ordering::Release);
        let record = kept.state().record(is_complete);
        self.store.save(&record.write())?;
        self.is_complete = is_complete;
        Ok(())
    }

    fn complete(&mut self, kept: &Kept) {
        if !self.is_complete || kept.changed.load(Ordering::Acquire) {
            self.report(kept, true);
        }
    }

    fn report(&mut self, kept: &Kept, is_complete: bool) {
        match self.write(kept, is_complete) {
            Ok(()) => {
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!(store = ?self.store, "the state of the replay guard is written again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    // The mark that the host runs is there.
                    tracing::warn!(
                        store = ?self.store,
                        "the state of the replay guard cannot be written: {error}. Calls go on; unless it can be \
                         written later, the next start refuses calls signed before it"
                    );
                }
            }
        }
    }
}

impl Keeper {
    /// Starts the thread. It is not a task, since a fallback may be used without the runtime of a host, and since it
    /// blocks.
    pub(super) fn start(kept: &Arc<Kept>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, stopped) = (Arc::clone(kept), Arc::clone(&stop));
        let run = move || {
            let mut next = Instant::now();
            while !stopped.load(Ordering::Acquire) {
                if !kept.changed.load(Ordering::Acquire) {
                    thread::park();
                    continue;
                }
                let wait = next.saturating_duration_since(Instant::now());
                if wait.is_zero() {
                    kept.keep();
                    next = Instant::now() + WRITE_PAUSE;
                } else {
                    thread::park_timeout(wait);
                }
            }
        };
        let thread = thread::Builder::new().name("platools-state".to_owned()).spawn(run)?;
        Ok(Self(Some(thread), stop))
    }

    /// Notes that a call was accepted. Wakes the thread once for each write.
    pub(super) fn changed(&self, kept: &Kept) {
        if !kept.changed.load(Ordering::Relaxed) && !kept.changed.swap(true, Ordering::AcqRel) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(thread) = &self.0 {
            thread.thread().unpark();
        }
    }

    pub(super) fn stop(&mut self) {
        self.1.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}
