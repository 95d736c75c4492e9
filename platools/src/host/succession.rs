//! One host of a process takes over the connection of another, so that a changed configuration loses no call.
//!
//! Both are of the same entity and environment, and the platform closes the older connection when the newer one is
//! authenticated (protocol §2). Without this, the older host would stand by and dial again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{HostHandle, HostState, Shared};

/// The successor of a host, and its predecessors.
#[derive(Debug)]
pub(super) struct Succession {
    successor: watch::Sender<Option<HostHandle>>,
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
            successor: watch::Sender::new(None),
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
    /// as before.
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
            old.succession.successor.send_replace(Some(successor.clone()));
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

    /// The last of the successors, unless it does not run: a successor may have handed over in turn.
    fn heir(&self) -> Option<HostHandle> {
        let mut heir = self.successor.borrow().clone()?;
        while heir.shared.succession.is_retired.load(Ordering::Acquire) {
            let next = heir.shared.succession.successor.borrow().clone()?;
            heir = next;
        }
        heir.runs().then_some(heir)
    }

    /// Whether a successor is connected or connects, so that this host must not dial again.
    pub(super) fn has_successor(&self) -> bool {
        self.heir().is_some()
    }

    /// Waits until there is a successor.
    pub(super) async fn succeeded(&self) {
        let mut successor = self.successor.subscribe();
        loop {
            let named = successor.borrow_and_update().clone();
            let begins = async {
                // The senders are kept by whoever is asked.
                match &named {
                    Some(named) => {
                        let mut has_begun = named.shared.succession.has_begun.subscribe();
                        let _ = has_begun.wait_for(|begun| *begun).await;
                        if !named.runs() {
                            std::future::pending::<()>().await;
                        }
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = begins => return,
                _ = successor.changed() => {}
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
