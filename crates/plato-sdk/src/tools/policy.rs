//! Which calls share a desktop, and for how long it is kept.

use std::time::Duration;

use platools::{CallContext, Identity, ToolCall, ToolError};

/// One desktop for each conversation, or for each user: two of them never share a mouse.
///
/// ```
/// use plato_sdk::tools::{SessionPerThread, Sharing};
/// use std::time::Duration;
///
/// let policy = SessionPerThread { idle_timeout: Duration::from_secs(300), ..SessionPerThread::default() };
/// assert_eq!(policy.sharing, Sharing::Thread);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPerThread {
    /// Which calls share a desktop.
    pub sharing: Sharing,
    /// How long a desktop is kept that nobody uses, counted from the end of the last call; 10 min unless said
    /// otherwise.
    pub idle_timeout: Duration,
    /// How many desktops there are at most, starting ones included; 8 unless said otherwise. A call that would need
    /// one more is refused, and told to come again later.
    pub max_sessions: usize,
    /// How long a call waits for a desktop that is starting, before it is told to come again; 20 s unless said
    /// otherwise, for platforms wait 30 s for an answer. The start goes on meanwhile.
    pub start_wait: Duration,
}

/// Which calls share a desktop.
///
/// The user is the one that the host's authenticator identifies; without one, the user that the platform names.
/// A call whose context is not complete is denied, unless everyone shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sharing {
    /// Those of one thread of one user. Calls without a thread share by user. An MCP server has no threads: all of
    /// its clients count as one conversation unless an authenticator tells them apart, or each has a server with a
    /// [`caller`](platools::CallContext) of its own.
    Thread,
    /// Those of one user, whatever the thread.
    User,
    /// All calls.
    Everyone,
}

impl Default for SessionPerThread {
    fn default() -> Self {
        Self {
            sharing: Sharing::Thread,
            idle_timeout: Duration::from_secs(600),
            max_sessions: 8,
            start_wait: Duration::from_secs(20),
        }
    }
}

/// Whose desktop a call is for. A thread's id alone is not enough: it is not a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Seat {
    Everyone,
    /// Somebody whom an authenticator knows. Never the same as one of that name whom only the platform names.
    Known {
        subject: String,
        thread: String,
    },
    Named {
        user: String,
        thread: String,
    },
}

impl Sharing {
    /// # Errors
    /// When the call does not say who is calling.
    pub(super) fn seat(self, call: &ToolCall) -> Result<Seat, ToolError> {
        if self == Self::Everyone {
            return Ok(Seat::Everyone);
        }
        // Without it all calls that lack something would be one conversation.
        let context = call.extract::<CallContext>()?;
        let thread = if self == Self::Thread { context.thread_id().to_owned() } else { String::new() };
        Ok(match call.extract::<Option<Identity>>()? {
            Some(identity) => Seat::Known { subject: identity.subject().to_owned(), thread },
            None => Seat::Named { user: context.user_id().to_owned(), thread },
        })
    }
}
