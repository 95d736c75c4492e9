//! Signals: the first one asks for an orderly end, the second one for any end.

use std::future::Future;

use super::{HostError, Shared};

/// SIGTERM and SIGINT, or Ctrl-C where there are no signals.
#[derive(Debug)]
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    pub(super) fn new() -> Result<Self, HostError> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(HostError::Signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(HostError::Signals)?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "signals can fail elsewhere")]
    pub(super) fn new() -> Result<Self, HostError> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
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
                        return Err(HostError::Interrupted { running: shared.dispatcher.in_flight() });
                    }
                    shutdown.cancel();
                }
            }
        }
    }
}
