//! The service manager, where there is one (`Type=notify`): ready, reloading, stopping, alive.
//!
//! Without `NOTIFY_SOCKET` all of this does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// How often the service manager wants to hear that the sidecar is alive, where it does: half of what it allows.
pub(super) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|allowed| allowed / 2)
}

pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub(super) fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// A reload begins; [`ready`] ends it.
pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("calls that run may finish")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}
