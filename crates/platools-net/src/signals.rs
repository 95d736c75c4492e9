//! The signals that stop a program. Must not know what is stopped, nor how.

use std::io;

/// Receives the signals that stop a program: SIGTERM and SIGINT; Ctrl-C on platforms without signals.
///
/// A tool host that runs to its end listens to them. A program with a server of its own can do the same: the first
/// signal ends it gracefully, the second one at once.
///
/// ```no_run
/// # use platools_net::signals::Signals;
/// # async fn serve(stop: tokio_util::sync::CancellationToken) {}
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # use tokio_util::sync::CancellationToken;
/// let mut signals = Signals::new()?;
/// let stop = CancellationToken::new();
/// let serving = tokio::spawn(serve(stop.clone()));
/// let name = signals.next().await;
/// println!("{name}: stopping, once more stops at once");
/// stop.cancel();
/// tokio::select! {
///     _ = serving => {}
///     _ = signals.next() => {}
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

    /// Waits for the next signal, and returns its name.
    #[cfg(unix)]
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
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

    /// Waits for the next Ctrl-C, and returns its name.
    #[cfg(not(unix))]
    pub async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
