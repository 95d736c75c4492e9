//! One host of a process takes over the connection of another, so that a changed configuration loses no call.
//!
//! Both are of the same entity and environment, and the platform closes the older connection when the newer one is
//! authenticated (protocol §2). Without this, the older host would stand by and dial again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::{HostHandle, HostState, Shared};

/// The successors of a host, and its predecessors.
#[derive(Debug)]
pub(super) struct Succession {
    /// Named one after the other. Until the latest one runs, an earlier one may have the connection.
    successors: watch::Sender<Vec<HostHandle>>,
    /// Whether this host runs, or has run.
    has_begun: watch::Sender<bool>,
    /// Whether the successor has the connection, for good.
    is_retired: AtomicBool,
    predecessors: Mutex<Vec<watch::Receiver<HostState>>>,
    has_predecessor_left: AtomicBool,
    /// Whether somebody tells when the connection before has ended.
    expects_report: AtomicBool,
}

impl Default for Succession {
    fn default() -> Self {
        Self {
            successors: watch::Sender::default(),
            has_begun: watch::Sender::new(false),
            is_retired: AtomicBool::new(false),
            predecessors: Mutex::default(),
            has_predecessor_left: AtomicBool::new(false),
            expects_report: AtomicBool::new(false),
        }
    }
}

impl HostHandle {
    /// Hands the connection over to another host of this process, of the same entity and environment, which does not run
    /// yet. Returns `false`, and changes nothing, if that one connects as something else or if either has a coordinator.
    ///
    /// This host stays connected until the other is. When the platform closes this connection in favour of the other, or
    /// when this host would have to dial again, it stops: [`Host::run`](super::Host::run) returns `Ok`. Its running calls
    /// finish, and the other host sends their answers. If the other host fails for good, or never runs, this one goes on
    /// as before. If it hands the connection over in turn, so do the answers go on.
    ///
    /// It may be called again, with another host in place of the one that was named before. That one counts until the
    /// other one runs.
    ///
    /// The other host knows the nonces of this one, so that no call of before runs again. Only where it has a
    /// [`state_dir`](super::HostConfig::state_dir) that this one has not, it refuses what may have been signed before its
    /// start instead.
    ///
    /// ```no_run
    /// # async fn example(old: platools::HostHandle, new: platools::Host) {
    /// // The same entity and environment with another heartbeat interval, say.
    /// assert!(old.hand_over_to(&new.handle()));
    /// tokio::spawn(new.run_until(std::future::pending()));
    /// old.wait_for(platools::host::HostState::Stopped).await;
    /// # }
    /// ```
    pub fn hand_over_to(&self, successor: &Self) -> bool {
        let (old, new) = (&self.shared, &successor.shared);
        let is_possible = !Arc::ptr_eq(old, new)
            && old.coordinator.is_none()
            && new.coordinator.is_none()
            && old.is_of_same_entity(new);
        if is_possible {
            let predecessors = &new.succession.predecessors;
            predecessors.lock().unwrap_or_else(PoisonError::into_inner).push(self.state.clone());
            new.intake.verifier().share_memory(old.intake.verifier());
            old.succession.successors.send_modify(|successors| {
                successors.retain(HostHandle::may_lead_to_the_connection);
                successors.push(successor.clone());
            });
        }
        is_possible
    }
}

impl HostHandle {
    /// Whether the host was started and has not ended, in whatever way.
    fn runs(&self) -> bool {
        let is_dropped = self.state.has_changed().is_err();
        *self.shared.succession.has_begun.borrow() && !self.state().is_final() && !is_dropped
    }

    /// Whether the host has the connection, may get it, or knows who has it.
    fn may_lead_to_the_connection(&self) -> bool {
        self.shared.succession.is_retired.load(Ordering::Acquire) || !self.state().is_final()
    }
}

impl Shared {
    /// Whether the platform would close one connection in favour of the other.
    fn is_of_same_entity(&self, other: &Self) -> bool {
        let (one, other) = (&self.url, &other.url);
        (one.host(), one.port(), one.entity(), one.canonical_environment())
            == (other.host(), other.port(), other.entity(), other.canonical_environment())
    }
}

impl Succession {
    /// Notes that the host runs.
    pub(super) fn begin(&self) {
        self.has_begun.send_replace(true);
    }

    /// The latest of the successors that runs, or the heir of one that has retired.
    fn heir(&self) -> Option<HostHandle> {
        let successors = self.successors.borrow().clone();
        successors.into_iter().rev().find_map(|successor| {
            if successor.shared.succession.is_retired.load(Ordering::Acquire) {
                return successor.shared.succession.heir();
            }
            successor.runs().then_some(successor)
        })
    }

    /// Whether a successor is connected or connects, so that this host must not dial again.
    pub(super) fn has_successor(&self) -> bool {
        self.heir().is_some()
    }

    /// Waits until a successor is connected or connects.
    pub(super) async fn succeeded(&self) {
        let mut successors = self.successors.subscribe();
        loop {
            let mut begins: FuturesUnordered<_> = successors
                .borrow_and_update()
                .iter()
                .map(|successor| successor.shared.succession.has_begun.subscribe())
                .filter(|has_begun| !*has_begun.borrow())
                .map(|mut has_begun| async move { has_begun.wait_for(|begun| *begun).await.is_ok() })
                .collect();
            // After that list, so that no beginning is missed.
            if self.has_successor() {
                return;
            }
            tokio::select! {
                Some(_) = begins.next() => {}
                _ = successors.changed() => {}
            }
        }
    }

    /// Waits while a predecessor dials: the platform would close the connection that it authenticates first.
    pub(super) async fn predecessors_settled(&self) {
        let predecessors =
            std::mem::take(&mut *self.predecessors.lock().unwrap_or_else(PoisonError::into_inner));
        for mut state in predecessors {
            let dials =
                |state: &HostState| matches!(state, HostState::Connecting | HostState::Authenticating);
            // An error means that it was dropped.
            let _ = state.wait_for(|state| !dials(state)).await;
        }
    }

    /// From now on the successor takes the answers. It hears of that, and declares the tools again: the end of this
    /// connection hides them (protocol §2).
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Release);
        if let Some(successor) = self.heir() {
            successor.shared.succession.has_predecessor_left.store(true, Ordering::Release);
            successor.tools().declare_again();
        }
    }

    /// The host that sends the answers of this one, which has retired.
    pub(super) fn takes_answers(&self) -> Option<Arc<Shared>> {
        if !self.is_retired.load(Ordering::Acquire) {
            return None;
        }
        self.heir().map(|successor| successor.shared)
    }

    pub(super) fn expect_report(&self, expected: bool) {
        self.expects_report.store(expected, Ordering::Release);
    }

    /// Whether somebody tells when the connection before has ended.
    pub(super) fn expects_report(&self) -> bool {
        self.expects_report.load(Ordering::Acquire)
    }

    /// Whether a predecessor has left since this was asked last.
    pub(super) fn has_predecessor_left(&self) -> bool {
        self.has_predecessor_left.swap(false, Ordering::AcqRel)
    }
}
