//! Signals: the first one asks for an orderly end, the second one for any end.

use std::future::Future;
use std::io;

use super::{HostError, Shared};

/// SIGTERM and SIGINT, or Ctrl-C where there are no signals.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "signals can fail elsewhere")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }

    /// Runs the host. The first signal asks it to shut down, the second one drops it.
    pub(super) async fn guard(
        mut self,
        shared: &Shared,
        host: impl Future<Output = Result<(), HostError>>,
    ) -> Result<(), HostError> {
        let mut host = std::pin::pin!(host);
        let shutdown = &shared.shutdown;
        loop {
            tokio::select! {
                result = &mut host => return result,
                () = self.next() => {
                    if shutdown.is_cancelled() {
                        return Err(HostError::Interrupted { running: shared.dispatcher().in_flight() });
                    }
                    shutdown.cancel();
                }
            }
        }
    }
}
