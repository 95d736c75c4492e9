//! Signals: SIGTERM and SIGINT end the sidecar, SIGHUP has it read its file again, SIGUSR1 ends a stand-by.

use std::io;

use platools::host::Signals;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    End,
    Reload,
    TakeOver,
}

/// What the signals of this process say, from the moment this is made.
#[derive(Debug)]
pub(super) struct Wishes {
    end: Signals,
    hangup: Signal,
    user: Signal,
}

impl Wishes {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            end: Signals::new()?,
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
        })
    }

    /// Resolves when the end is wished for; a reload that is waits for [`next`](Self::next).
    pub(super) async fn end(&mut self) {
        self.end.next().await;
    }

    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.end.next() => Wish::End,
            _ = self.hangup.recv() => Wish::Reload,
            _ = self.user.recv() => Wish::TakeOver,
        }
    }
}
