//! How a session is, by its heartbeats.

/// The state of a session, as its heartbeats report it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SessionHealth {
    /// The last heartbeat was noted, or none was due yet.
    #[default]
    Alive,
    /// Heartbeats have been failing; Plato ends the session when that lasts for its heartbeat timeout.
    Failing {
        /// How many, one after the other.
        failures: u32,
        /// The error of the last one.
        error: String,
    },
    /// The server says that the session, or every machine of it, has ended.
    Gone {
        /// Its words.
        reason: String,
    },
    /// It was closed here.
    Closed,
    /// It was let go with [`detach`](crate::Session::detach), and lives on.
    Detached,
}

impl SessionHealth {
    /// Whether the session can still be used, as far as is known.
    pub fn is_usable(&self) -> bool {
        matches!(self, Self::Alive | Self::Failing { .. })
    }
}
