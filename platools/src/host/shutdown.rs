//! Signals: the first one starts a graceful shutdown, the second one stops the host at once.

use std::future::Future;
use std::io;

use super::{HostError, Shared};

/// Receives the signals that stop a program: SIGTERM and SIGINT; Ctrl-C on platforms without signals.
///
/// [`Host::run`](crate::Host::run) listens to them. A door with a server of its own can do the same: the first signal
/// ends it gracefully, the second one at once.
///
/// ```no_run
/// # async fn serve(stop: platools::CancellationToken) {}
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use platools::CancellationToken;
/// use platools::host::Signals;
///
/// let mut signals = Signals::new()?;
/// let stop = CancellationToken::new();
/// let serving = tokio::spawn(serve(stop.clone()));
/// signals.next().await;
/// stop.cancel();
/// tokio::select! {
///     _ = serving => {}
///     () = signals.next() => {}
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Registers for the signals, which no longer end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses.
    ///
    /// # Panics
    /// Outside of a tokio runtime whose I/O is enabled.
    #[cfg(unix)]
    pub fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal.
    #[cfg(unix)]
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Does nothing yet: [`next`](Self::next) registers for Ctrl-C.
    ///
    /// # Errors
    /// Never on this system.
    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "signals can fail elsewhere")]
    pub fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next Ctrl-C.
    #[cfg(not(unix))]
    pub async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }

    /// Runs the host until it ends. The first signal shuts it down, the second one drops it.
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
