//! Signals: the first one asks for an orderly end, the second one for any end.

use std::future::Future;

use tokio_util::sync::CancellationToken;

use super::HostError;

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

    /// Runs the host. The first signal cancels `shutdown`, the second one drops the host.
    pub(super) async fn guard(
        mut self,
        shutdown: CancellationToken,
        host: impl Future<Output = Result<(), HostError>>,
    ) -> Result<(), HostError> {
        let mut host = std::pin::pin!(host);
        loop {
            tokio::select! {
                result = &mut host => return result,
                () = self.next() => {
                    if shutdown.is_cancelled() {
                        tracing::warn!("stopping at once");
                        return Ok(());
                    }
                    shutdown.cancel();
                }
            }
        }
    }
}
