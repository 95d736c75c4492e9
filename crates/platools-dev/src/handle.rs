//! A live connection, as the rest of the platform holds it: commands to it, and its mode. Knows nothing of sockets.

use std::sync::Arc;
use std::time::SystemTime;

use platools::wire::close;
use tokio::sync::{mpsc, watch};

use crate::random;

/// A command to a connection.
#[derive(Debug)]
pub(crate) enum Command {
    Text(String),
    Binary(Vec<u8>),
    Close { code: u16, reason: String },
}

/// The mode of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Running,
    /// Neither reads nor writes, and does not say so.
    Frozen,
    /// Was frozen when a newer connection took its place: its close will not be answered.
    HalfOpen,
    /// Ends without a close.
    Cut,
}

/// A live connection, as the rest of the platform sees it.
///
/// Commands are not bounded: they are calls that are awaited, and a frozen connection must not
/// block its caller.
#[derive(Clone)]
pub(crate) struct ConnectionHandle {
    id: Arc<str>,
    since: SystemTime,
    commands: mpsc::UnboundedSender<Command>,
    mode: watch::Sender<Mode>,
}

impl ConnectionHandle {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (commands, mailbox) = mpsc::unbounded_channel();
        let mode = watch::Sender::new(Mode::Running);
        (Self { id: random::uuid().into(), since: SystemTime::now(), commands, mode }, mailbox)
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Follows the mode.
    pub(crate) fn modes(&self) -> watch::Receiver<Mode> {
        self.mode.subscribe()
    }

    /// When it was authenticated.
    pub(crate) fn since(&self) -> SystemTime {
        self.since
    }

    pub(crate) fn is_frozen(&self) -> bool {
        *self.mode.borrow() == Mode::Frozen
    }

    /// Sends a text frame. One that comes after the end of the connection is lost, as on a real wire.
    pub(crate) fn send_text(&self, text: String) {
        let _ = self.commands.send(Command::Text(text));
    }

    pub(crate) fn send_binary(&self, bytes: Vec<u8>) {
        let _ = self.commands.send(Command::Binary(bytes));
    }

    pub(crate) fn close(&self, code: u16, reason: &str) {
        let _ = self.commands.send(Command::Close { code, reason: reason.to_owned() });
    }

    /// Gives way to a newer connection. A frozen one cannot say so, and ends when the wait for its close does.
    pub(crate) fn give_way(&self) {
        self.close(close::NORMAL, close::SUPERSEDED);
        if self.is_frozen() {
            self.mode.send_replace(Mode::HalfOpen);
        }
    }

    pub(crate) fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    pub(crate) fn freeze(&self) {
        self.mode.send_replace(Mode::Frozen);
    }

    pub(crate) fn thaw(&self) {
        self.mode.send_replace(Mode::Running);
    }
}
