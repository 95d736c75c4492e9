//! A turn that broke off and whose reply could not be recovered.

use std::fmt;

/// What is known of a turn whose connection broke, and whose reply did not turn up among the thread's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TurnLost {
    /// The thread.
    pub thread_id: String,
    /// The key that the message was sent under; `None` where none was, by [`Transport::Blocking`](crate::Transport) and
    /// for a turn that was only taken up.
    pub idempotency_key: Option<String>,
    /// Whether the turn was only taken up, with [`Threads::resume`](crate::Threads::resume), and nothing sent.
    pub taken_up: bool,
    /// What the thread's messages said last.
    pub state: TurnState,
    /// The text that had been streamed before, where it was collected.
    pub text: String,
    /// What broke, and why it could not be mended.
    pub reason: String,
}

/// What a thread's messages say about a turn that broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TurnState {
    /// The message is not there: the turn did not begin.
    NotStarted,
    /// The message is there, and no reply to it. A turn that failed looks the same.
    Unanswered,
    /// The platform could not be asked.
    Unknown,
}

impl fmt::Display for TurnLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the turn was lost: {}; ", self.reason.trim_end_matches('.'))?;
        if self.taken_up {
            return f.write_str(match self.state {
                TurnState::NotStarted => "the thread has no message yet",
                TurnState::Unanswered => {
                    "the thread's last message has no reply: its turn failed, or goes on; take it up again a little later"
                }
                TurnState::Unknown => "the platform cannot be asked what became of it: take it up again later",
            });
        }
        let again = match &self.idempotency_key {
            Some(_) => {
                "send it again with the same `NewMessage::idempotency_key`, within 10 minutes, so that it cannot run twice"
            }
            None => "look at the thread's messages before you send it again, since it could run twice",
        };
        match self.state {
            TurnState::NotStarted => {
                write!(f, "the message was sent, but the thread does not have it: {again}")
            }
            TurnState::Unanswered => f.write_str(
                "the message was sent, and the thread has no reply to it: the turn failed, or goes on; take it up with \
                 `resume` a little later",
            ),
            TurnState::Unknown => write!(
                f,
                "the message was sent, and the platform cannot be asked what became of it: take the turn up with \
                 `resume`, or {again}"
            ),
        }
    }
}
