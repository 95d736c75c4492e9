//! Places: how many calls run, how many wait, and when there is none left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::Limits;
use super::limits::ToolLimits;
use crate::observe;
use crate::tool::ToolError;

/// The places of one host.
#[derive(Debug)]
pub(super) struct Admission {
    running: Arc<Semaphore>,
    blocking: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
    in_flight: AtomicUsize,
    closed: AtomicBool,
    idle: Notify,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            running: places(limits.max_running),
            blocking: places(limits.max_blocking),
            waiting: AtomicUsize::new(0),
            max_waiting: limits.max_waiting,
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

    /// A place among the running, or among the waiting, or none.
    pub(super) fn enter(self: &Arc<Self>, tool: &ToolLimits) -> Result<Ticket, ToolError> {
        let own = tool.concurrency.as_ref().map(|own| Arc::clone(own).try_acquire_owned());
        let place = match own {
            None => self.try_run(None),
            Some(Ok(own)) => self.try_run(Some(own)),
            Some(Err(_)) => None,
        };
        let place = match place {
            Some(permits) => Place::Running(permits),
            None => Place::Waiting(self.wait()?, tool.concurrency.clone()),
        };
        observe::calls_in_flight(self.in_flight.fetch_add(1, Ordering::Relaxed) + 1);
        Ok(Ticket { place, presence: Presence(Arc::clone(self)) })
    }

    fn try_run(&self, own: Option<OwnedSemaphorePermit>) -> Option<Permits> {
        let host = Arc::clone(&self.running).try_acquire_owned().ok()?;
        Some(Permits { _own: own, _host: host })
    }

    fn wait(self: &Arc<Self>) -> Result<Waiting, ToolError> {
        let enter = |waiting: usize| (waiting < self.max_waiting).then_some(waiting + 1);
        match self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter) {
            Ok(_) => Ok(Waiting(Arc::clone(self))),
            Err(waiting) => Err(ToolError::overloaded(format!(
                "{} calls are running and {waiting} wait already, retry later",
                self.in_flight().saturating_sub(waiting)
            ))),
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
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
    Waiting(Waiting, Option<Arc<Semaphore>>),
}

impl Ticket {
    /// The place to wait for, and the sign that the call is in flight.
    pub(super) fn split(self) -> (Place, Presence) {
        (self.place, self.presence)
    }
}

impl Place {
    /// Waits for the permits to run. The tool's own comes first, so that a call which waits for its own
    /// tool takes no place away from others.
    pub(super) async fn permits(self) -> Permits {
        match self {
            Self::Running(permits) => permits,
            Self::Waiting(waiting, own) => {
                let own = match own {
                    Some(own) => Some(acquire(own).await),
                    None => None,
                };
                let host = acquire(Arc::clone(&waiting.0.running)).await;
                Permits { _own: own, _host: host }
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

/// The right to run; held as long as the handler really runs.
#[derive(Debug)]
pub(super) struct Permits {
    _own: Option<OwnedSemaphorePermit>,
    _host: OwnedSemaphorePermit,
}

/// One of the waiting.
#[derive(Debug)]
pub(super) struct Waiting(Arc<Admission>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One of the calls in flight, from its admission to its answer.
#[derive(Debug)]
pub(crate) struct Presence(Arc<Admission>);

impl Presence {
    /// A thread for a blocking handler.
    pub(super) async fn blocking_permit(&self) -> OwnedSemaphorePermit {
        acquire(Arc::clone(&self.0.blocking)).await
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let left = self.0.in_flight.fetch_sub(1, Ordering::AcqRel) - 1;
        observe::calls_in_flight(left);
        if left == 0 {
            self.0.idle.notify_waiters();
        }
    }
}
