//! Places: how many calls run, how many wait, and when there is none left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::Limits;
use super::entry::Entry;
use crate::observe;
use crate::tool::{Place as ToolPlace, ToolError};

/// The places of one host.
#[derive(Debug)]
pub(super) struct Admission {
    running: Arc<Semaphore>,
    blocking: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
    /// The arguments of all calls in flight, in bytes.
    bytes: AtomicUsize,
    max_bytes: usize,
    in_flight: AtomicUsize,
    closed: AtomicBool,
    idle: Notify,
}

/// What a call has to pass before it runs, in this order: its tool's own places, a thread if it blocks,
/// the host's places. So a call that waits for its own tool, or for a thread, takes no place away from
/// others.
type Gates = [Option<Arc<Semaphore>>; 3];

/// The right to run; held as long as the handler really runs.
#[derive(Debug)]
pub(super) struct Permits {
    _held: [Option<OwnedSemaphorePermit>; 3],
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            running: places(limits.max_running),
            blocking: places(limits.max_blocking),
            waiting: AtomicUsize::new(0),
            max_waiting: limits.max_waiting,
            bytes: AtomicUsize::new(0),
            max_bytes: limits.max_argument_bytes,
            in_flight: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            idle: Notify::new(),
        }
    }

    /// Refuses when the host is shutting down.
    pub(super) fn check_open(&self) -> Result<(), ToolError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(ToolError::user("shutting down, retry: another host may take this call"));
        }
        Ok(())
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// A place among the running, or among the waiting, or none, for a call with so many bytes of arguments. A call that
    /// runs in another process takes no place here, and counts as in flight.
    pub(super) fn enter(self: &Arc<Self>, entry: &Entry, bytes: usize) -> Result<Ticket, ToolError> {
        // Counted first, and given back by being dropped if there is no place.
        let presence = Presence::new(self, bytes);
        if self.bytes.load(Ordering::Relaxed) > self.max_bytes {
            let mebibytes = self.max_bytes >> 20;
            return Err(ToolError::overloaded(format!(
                "the arguments of the calls in flight exceed {mebibytes} MiB, retry later"
            )));
        }
        if entry.tool.place() != ToolPlace::Local {
            return Ok(Ticket { place: Place::Running(Permits { _held: [const { None }; 3] }), presence });
        }
        let blocking = entry.tool.is_blocking().then_some(&self.blocking);
        let gates = [entry.limits.concurrency.as_ref(), blocking, Some(&self.running)];
        let place = match try_pass(gates) {
            Some(permits) => Place::Running(permits),
            None => Place::Waiting(self.wait()?, gates.map(|gate| gate.map(Arc::clone))),
        };
        Ok(Ticket { place, presence })
    }

    fn wait(self: &Arc<Self>) -> Result<Waiting, ToolError> {
        let enter = |waiting: usize| (waiting < self.max_waiting).then_some(waiting + 1);
        match self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter) {
            Ok(_) => {
                observe::call_waiting(true);
                Ok(Waiting(Arc::clone(self)))
            }
            Err(waiting) => Err(ToolError::overloaded(format!(
                "{} calls are running and {waiting} wait already, retry later",
                // This one is counted too.
                self.in_flight().saturating_sub(waiting + 1)
            ))),
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Waits until no call is running or waiting.
    pub(super) async fn drained(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            // Registered before the count is read, so that no end is missed in between.
            idle.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            idle.await;
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

/// A call's place. Dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Ticket {
    place: Place,
    presence: Presence,
}

/// Among the running, or among the waiting.
#[derive(Debug)]
pub(super) enum Place {
    Running(Permits),
    Waiting(Waiting, Gates),
}

impl Ticket {
    /// Whether the call may run at once.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.place, Place::Running(_))
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
        // Nobody closes these semaphores.
        Err(_closed) => std::future::pending().await,
    }
}

/// One of the waiting.
#[derive(Debug)]
pub(super) struct Waiting(Arc<Admission>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        observe::call_waiting(false);
    }
}

/// One of the calls in flight, from its admission to its answer.
#[derive(Debug)]
pub(super) struct Presence {
    admission: Arc<Admission>,
    bytes: usize,
}

impl Presence {
    fn new(admission: &Arc<Admission>, bytes: usize) -> Self {
        admission.bytes.fetch_add(bytes, Ordering::Relaxed);
        admission.in_flight.fetch_add(1, Ordering::Relaxed);
        observe::call_in_flight(true);
        Self { admission: Arc::clone(admission), bytes }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.admission.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        observe::call_in_flight(false);
        if self.admission.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.admission.idle.notify_waiters();
        }
    }
}
