//! Admission: limits how many calls run and wait, and rejects calls beyond that.

use std::any::Any;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Limits;
use super::entry::Entry;
use crate::observe::HostMetrics;
use crate::sync::Notify;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::tool::{Execution, ToolError};

/// The admission control of one host.
#[derive(Debug)]
pub(super) struct Admission {
    running: Places,
    blocking: Places,
    waiting: AtomicUsize,
    max_waiting: AtomicUsize,
    /// The arguments of all calls in flight, in bytes.
    bytes: AtomicUsize,
    max_bytes: AtomicUsize,
    in_flight: AtomicUsize,
    closed: AtomicBool,
    idle: Notify,
    metrics: HostMetrics,
}

/// A semaphore whose number of permits may change.
#[derive(Debug)]
struct Places {
    semaphore: Arc<Semaphore>,
    count: AtomicUsize,
}

/// The semaphores that a call acquires before it runs, in this order: that of its tool, that of blocking threads,
/// that of the host. A call that waits for its own tool, or for a thread, thus holds no permit of the host.
type Gates = [Option<Arc<Semaphore>>; 3];

/// Permits to run, held until the handler has returned.
#[derive(Debug)]
pub(super) struct Permits {
    _held: [Option<OwnedSemaphorePermit>; 3],
}

impl Permits {
    /// No permits at all, for calls that run elsewhere.
    const NONE: Self = Self { _held: [const { None }; 3] };
}

/// The place of a call while it is not decided whether the call runs here.
#[derive(Debug)]
pub(crate) struct LentPlace(Place);

/// The answer to calls that come during the shutdown (protocol §3).
pub(crate) const SHUTTING_DOWN: &str = "shutting down, retry: another host may take this call";

impl LentPlace {
    /// Returns whether the call may run here at once.
    pub(crate) fn is_free(&self) -> bool {
        matches!(self.0, Place::Running(_))
    }
}

impl Admission {
    pub(super) fn new(limits: &Limits, metrics: HostMetrics) -> Self {
        Self {
            running: Places::new(limits.max_running),
            blocking: Places::new(limits.max_blocking),
            waiting: AtomicUsize::new(0),
            max_waiting: AtomicUsize::new(limits.max_waiting),
            bytes: AtomicUsize::new(0),
            max_bytes: AtomicUsize::new(limits.max_argument_bytes),
            in_flight: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            idle: Notify::new(),
            metrics,
        }
    }

    /// Changes the limits. Calls in flight keep their places; if there are more of them now than allowed, further calls
    /// wait until enough have ended.
    pub(super) fn set_limits(&self, limits: &Limits) {
        self.running.resize(limits.max_running);
        self.blocking.resize(limits.max_blocking);
        self.max_waiting.store(limits.max_waiting, Ordering::Relaxed);
        self.max_bytes.store(limits.max_argument_bytes, Ordering::Relaxed);
    }

    /// Whether the host is shutting down.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Counts a call with so many bytes of arguments as in flight.
    ///
    /// # Errors
    /// When the host is shutting down, or the arguments of all calls in flight exceed the limit. The call is no longer
    /// counted then.
    pub(super) fn count(self: &Arc<Self>, bytes: usize) -> Result<Presence, ToolError> {
        // Counted first: either this sees that the host is closed, or the shutdown sees the call and waits for it.
        let presence = Presence::new(self, bytes);
        if self.is_closed() {
            return Err(ToolError::user(SHUTTING_DOWN));
        }
        let max_bytes = self.max_bytes.load(Ordering::Relaxed);
        if self.bytes.load(Ordering::Relaxed) > max_bytes {
            let mebibytes = max_bytes >> 20;
            return Err(ToolError::overloaded(format!(
                "the arguments of the calls in flight exceed {mebibytes} MiB, retry later"
            )));
        }
        Ok(presence)
    }

    /// How many calls may run here at the same time, and how many on threads.
    pub(super) fn places(&self) -> (usize, usize) {
        (self.running.count.load(Ordering::Relaxed), self.blocking.count.load(Ordering::Relaxed))
    }

    /// Gives a call a place among the running or the waiting. A call that runs in another process takes no place here.
    ///
    /// # Errors
    /// When there is no place.
    pub(super) fn enter(self: &Arc<Self>, entry: &Entry, presence: Presence) -> Result<Ticket, ToolError> {
        if entry.tool.execution() != Execution::Local {
            let most = self.max_in_flight();
            if self.in_flight() > most {
                return Err(ToolError::overloaded(format!(
                    "{most} calls are in flight already, retry later"
                )));
            }
            return Ok(Ticket { place: Place::Running(Permits::NONE), presence });
        }
        let blocking = entry.tool.is_blocking().then_some(&self.blocking.semaphore);
        let gates = [entry.limits.concurrency.as_ref(), blocking, Some(&self.running.semaphore)];
        let place = match try_pass(gates) {
            Some(permits) => Place::Running(permits),
            None => Place::Waiting(self.wait()?, gates.map(|gate| gate.map(Arc::clone))),
        };
        Ok(Ticket { place, presence })
    }

    fn wait(self: &Arc<Self>) -> Result<Waiting, ToolError> {
        let most = self.max_waiting.load(Ordering::Relaxed);
        let enter = |waiting: usize| (waiting < most).then_some(waiting + 1);
        match self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter) {
            Ok(_) => {
                self.metrics.call_waiting(true);
                Ok(Waiting(Arc::clone(self)))
            }
            Err(waiting) => Err(ToolError::overloaded(format!(
                "{} calls are running and {waiting} wait already, retry later",
                // This call is counted too.
                self.in_flight().saturating_sub(waiting + 1)
            ))),
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    fn max_in_flight(&self) -> usize {
        let (running, waiting) = (&self.running.count, &self.max_waiting);
        running.load(Ordering::Relaxed).saturating_add(waiting.load(Ordering::Relaxed))
    }

    /// Waits until no call is running or waiting.
    pub(super) async fn drained(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            // Registered before the count is read, so that no notification is missed.
            idle.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl Places {
    fn new(count: usize) -> Self {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        Self { semaphore: Arc::new(Semaphore::new(count)), count: AtomicUsize::new(count) }
    }

    /// Changes the number of permits. Those that are held beyond it are withdrawn as they are given back, which needs a
    /// tokio runtime.
    fn resize(&self, count: usize) {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        let before = self.count.swap(count, Ordering::Relaxed);
        self.semaphore.add_permits(count.saturating_sub(before));
        let surplus = before.saturating_sub(count);
        let mut held = surplus - self.semaphore.forget_permits(surplus);
        if held > 0 {
            let semaphore = Arc::clone(&self.semaphore);
            // Stands in line before the calls that come later, so that these wait.
            tokio::spawn(async move {
                while held > 0 {
                    let some = u32::try_from(held).unwrap_or(u32::MAX);
                    let Ok(permits) = semaphore.acquire_many(some).await else { return };
                    permits.forget();
                    held -= some as usize;
                }
            });
        }
    }
}

fn try_pass(gates: [Option<&Arc<Semaphore>>; 3]) -> Option<Permits> {
    let mut held = [const { None }; 3];
    for (permit, gate) in held.iter_mut().zip(gates) {
        if let Some(gate) = gate {
            *permit = Some(Arc::clone(gate).try_acquire_owned().ok()?);
        }
    }
    Some(Permits { _held: held })
}

/// The place of an admitted call; released when dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    place: Place,
    presence: Presence,
}

/// A place among the running or the waiting calls.
#[derive(Debug)]
pub(super) enum Place {
    Running(Permits),
    Waiting(Waiting, Gates),
}

impl Ticket {
    /// Returns whether the call may run at once.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.place, Place::Running(_))
    }

    /// Takes the place out of the ticket.
    pub(super) fn lend(&mut self) -> LentPlace {
        LentPlace(std::mem::replace(&mut self.place, Place::Running(Permits::NONE)))
    }

    /// Puts the place back.
    pub(super) fn take_back(&mut self, lent: LentPlace) {
        self.place = lent.0;
    }

    /// Keeps a value until the call is answered.
    pub(super) fn hold(&mut self, guard: Held) {
        self.presence.held = Some(guard);
    }

    /// The place to wait for, and the sign that the call is in flight.
    pub(super) fn split(self) -> (Place, Presence) {
        (self.place, self.presence)
    }
}

impl Place {
    /// Waits for the permits to run.
    pub(super) async fn permits(self) -> Permits {
        match self {
            Self::Running(permits) => permits,
            Self::Waiting(_waiting, gates) => {
                let mut held = [const { None }; 3];
                for (permit, gate) in held.iter_mut().zip(gates) {
                    if let Some(gate) = gate {
                        *permit = Some(acquire(gate).await);
                    }
                }
                Permits { _held: held }
            }
        }
    }
}

async fn acquire(semaphore: Arc<Semaphore>) -> OwnedSemaphorePermit {
    match semaphore.acquire_owned().await {
        Ok(permit) => permit,
        // These semaphores are never closed.
        Err(_closed) => std::future::pending().await,
    }
}

/// Counts one waiting call, until dropped.
#[derive(Debug)]
pub(super) struct Waiting(Arc<Admission>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.call_waiting(false);
    }
}

/// Counts one call in flight, from its admission to its answer.
#[derive(Debug)]
pub(super) struct Presence {
    admission: Arc<Admission>,
    bytes: usize,
    held: Option<Held>,
}

/// A value that somebody wants to be dropped when the call is answered.
pub(crate) type Held = Box<dyn Any + Send + Sync>;

impl Presence {
    fn new(admission: &Arc<Admission>, bytes: usize) -> Self {
        admission.bytes.fetch_add(bytes, Ordering::Relaxed);
        admission.in_flight.fetch_add(1, Ordering::SeqCst);
        admission.metrics.call_in_flight(true);
        Self { admission: Arc::clone(admission), bytes, held: None }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.admission.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.admission.metrics.call_in_flight(false);
        if self.admission.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.admission.idle.notify_waiters();
        }
    }
}
