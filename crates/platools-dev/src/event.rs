//! Events of the platform, and counters.

use std::time::Duration;

use platools::wire::platform::RegistrationCounts;

use crate::key::EntityKey;

/// An event of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A host was authenticated.
    Connected {
        /// The entity that connected.
        key: EntityKey,
        /// The connection's id, as `welcome` stated it.
        connection_id: String,
    },
    /// A connection was refused.
    Refused {
        /// The close reason, such as `invalid secret`.
        reason: &'static str,
    },
    /// An authenticated connection ended.
    Disconnected {
        /// Whose connection it was.
        key: EntityKey,
        /// The connection's id.
        connection_id: String,
        /// Its ending.
        ending: Ending,
    },
    /// A declaration of tools was applied.
    Registered {
        /// Whose tools.
        key: EntityKey,
        /// The changes that it made.
        counts: RegistrationCounts,
    },
    /// A declaration was refused, since there were too many.
    Throttled {
        /// Whose declaration.
        key: EntityKey,
        /// The time until the next one is accepted.
        retry_after: Duration,
    },
    /// A declaration was refused for another reason.
    RegistrationRefused {
        /// Whose declaration.
        key: EntityKey,
        /// The text that the host got, such as `duplicate_tool_name:add`.
        text: String,
    },
    /// Agents see the tools from now on, or no longer.
    Visibility {
        /// Whose tools.
        key: EntityKey,
        /// Whether agents see them.
        visible: bool,
    },
    /// A heartbeat arrived.
    Heartbeat {
        /// Whose heartbeat.
        key: EntityKey,
        /// Number of tools that it reported.
        tools: usize,
    },
    /// A call was sent.
    Called {
        /// To whom.
        key: EntityKey,
        /// The call's id.
        call_id: String,
        /// The tool's name.
        tool: String,
        /// Whether it was posted to the callback URL, since no host is connected.
        over_http: bool,
    },
    /// A call was answered.
    Answered {
        /// By whom.
        key: EntityKey,
        /// The call's id.
        call_id: String,
        /// Whether the answer is a result.
        ok: bool,
    },
    /// A call was not answered in time.
    TimedOut {
        /// By whom.
        key: EntityKey,
        /// The call's id.
        call_id: String,
    },
    /// The caller left before the answer, such as a page that was closed.
    Abandoned {
        /// Whose tool was called.
        key: EntityKey,
        /// The call's id.
        call_id: String,
    },
    /// A call is over, and its entry in the history is final. The entry exists from the moment of sending.
    Recorded {
        /// Whose tool was called.
        key: EntityKey,
        /// The call's id.
        call_id: String,
        /// Its number in the history.
        id: u64,
    },
    /// An entity has a new secret, in all environments.
    SecretRotated {
        /// The entity's slug.
        entity: String,
    },
    /// A fault was asked for at the HTTP API.
    FaultInjected {
        /// Whose connection is concerned.
        key: EntityKey,
        /// Its name there, such as `freeze`.
        fault: &'static str,
    },
    /// An unexpected answer arrived: too late, for the second time, or for no call at all.
    UnexpectedAnswer {
        /// From whom.
        key: EntityKey,
        /// The call's id.
        call_id: String,
        /// The whole frame.
        frame: String,
    },
    /// A frame arrived that cannot be read.
    MalformedFrame {
        /// From whom.
        key: EntityKey,
        /// The problem with the value.
        problem: String,
    },
}

/// The ending of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The host closed it.
    ClosedByHost {
        /// The close code, if it sent one.
        code: Option<u16>,
        /// The close reason.
        reason: String,
    },
    /// The platform closed it.
    ClosedByPlatform {
        /// The close code.
        code: u16,
        /// The close reason.
        reason: String,
    },
    /// The platform cut it, without a close.
    Cut,
    /// The host sent a frame larger than the platform reads.
    FrameTooLarge,
    /// The connection broke.
    Broken {
        /// The error of the socket.
        problem: String,
    },
}

/// Counts since the platform started, over all entities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that were authenticated.
    pub connected: u64,
    /// Connections that were refused.
    pub refused: u64,
    /// Connections that gave way to a newer one of the same entity and environment.
    pub superseded: u64,
    /// Declarations that were applied.
    pub registrations: u64,
    /// Declarations that were refused as too many.
    pub throttled: u64,
    /// Declarations that were refused for another reason.
    pub rejected: u64,
    /// Heartbeats.
    pub heartbeats: u64,
    /// Calls that were sent.
    pub calls: u64,
    /// Calls that were answered with a result.
    pub results: u64,
    /// Calls that were answered with an error.
    pub errors: u64,
    /// Calls that were not answered in time.
    pub timed_out: u64,
    /// Answers to calls that had timed out.
    pub late_answers: u64,
    /// Answers to calls that had been answered.
    pub repeated_answers: u64,
    /// Answers to unknown calls, or to calls of another entity or environment.
    pub unknown_answers: u64,
    /// Frames that could not be read, binary ones too.
    pub malformed_frames: u64,
    /// Frames of types that the platform does not know.
    pub unknown_frames: u64,
    /// Frames over 10 MiB, each of which cost a connection.
    pub oversized_frames: u64,
}
