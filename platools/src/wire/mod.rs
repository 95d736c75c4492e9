//! The wire protocol: parses and writes frames and envelopes (protocol §2–§6).
//!
//! [`Inbound::parse`] parses frames from the platform, borrowing calls from the frame's text; [`outbound`] writes
//! frames of the host. [`platform`] implements the platform's side, for a development platform and tests.
//!
//! Pure functions between text and values. This module must not know sockets, tasks, clocks, keys or tools.

mod call;
mod call_body;
mod envelope;
mod error;
mod inbound;
pub(crate) mod json;
pub mod outbound;
mod params;
pub mod platform;
mod url;

use std::time::Duration;

pub use call::{CallFrame, ToolName};
pub use call_body::{CallBody, CallBodyError};
pub use envelope::{Envelope, RawEnvelope, Scope};
pub use error::{CallProblem, FrameError};
pub use inbound::{
    Inbound, PlatformError, RegisterThrottled, ToolHealthAlert, ToolsRegistered, UnknownFrame, Welcome,
};
pub use outbound::{HealthStatus, RegisterEntry, ToolHealth};
pub use params::Params;
pub use url::{ConnectUrl, UrlError, same_environment};

/// Maximum size of a frame, in bytes. The platform drops the connection above it (protocol §2).
pub const MAX_FRAME_BYTES: usize = 10 * 1024 * 1024;

/// Maximum size of a result, in bytes of JSON, that the platform forwards untruncated (protocol §3).
pub const MAX_RESULT_BYTES: usize = 256 * 1024;

/// Time for which the platform waits for the answer to a call (protocol §3).
pub const CALL_PENDING: Duration = Duration::from_secs(30);

/// Maximum number of registrations per minute (protocol §3).
pub const REGISTRATIONS_PER_MINUTE: u32 = 6;

/// Default interval of heartbeats (protocol §3).
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);

/// Number of characters of an error that the platform logs (protocol §3).
pub const LOGGED_ERROR_CHARACTERS: usize = 500;

/// The path at which the platform accepts WebSocket connections (protocol §2).
pub const SOCKET_PATH: &str = "/ws/sdk";

/// The member of `params` with the envelope of the call (protocol §5).
pub(crate) const ENVELOPE_MEMBER: &str = "__platos";

/// The member of `params` that the agent's configuration fills (protocol §5).
pub(crate) const CONTEXT_MEMBER: &str = "_context";

/// Close codes and reasons of the platform (protocol §2), exactly as they are sent.
pub mod close {
    /// A normal closure; also the code of [`SUPERSEDED`].
    pub const NORMAL: u16 = 1000;
    /// The platform is going away.
    pub const GOING_AWAY: u16 = 1001;
    /// The connection was rejected; see the reason.
    pub const REFUSED: u16 = 1008;
    /// The service secret was regenerated.
    pub const ROTATED: u16 = 4001;

    /// With [`REFUSED`]: no secret was sent.
    pub const MISSING_SECRET: &str = "missing secret";
    /// With [`REFUSED`]: no entity was given. The secret was not checked.
    pub const MISSING_ENTITY: &str = "missing entity id";
    /// With [`REFUSED`]: the secret is invalid, or the entity does not exist.
    pub const INVALID_SECRET: &str = "invalid secret";
    /// With [`REFUSED`]: the environment does not exist.
    pub const UNRESOLVABLE_ENVIRONMENT: &str = "unresolvable env";
    /// With [`NORMAL`]: replaced by a newer connection of the same entity and environment.
    pub const SUPERSEDED: &str = "superseded by new connection";
    /// With [`GOING_AWAY`]: the platform is being deployed.
    pub const SHUTTING_DOWN: &str = "server shutting down";
    /// With [`ROTATED`]: reconnect with the new secret.
    pub const SECRET_ROTATED: &str = "secret rotated; reconnect with new secret";
}
