//! The wire: frames and envelopes, in and out (tool-sync §2–§5).
//!
//! Pure: text in, values out, and the other way round. This room must not know sockets, tasks, clocks,
//! keys or what a tool is. What the platform sends is read by [`Inbound::parse`], borrowed from the
//! frame's text wherever a call is on its way; what a host sends is written by [`outbound`]. The
//! [`platform`] module is the same wire seen from its other end, for a development platform.

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
pub use url::{ConnectUrl, UrlError};

/// The largest frame either side may send, in bytes: above it the platform drops the connection
/// (tool-sync §2).
pub const MAX_FRAME_BYTES: usize = 10 * 1024 * 1024;

/// The largest result, in bytes of JSON, that the platform passes on whole (tool-sync §3).
pub const MAX_RESULT_BYTES: usize = 256 * 1024;

/// How long the platform waits for the answer to a call (tool-sync §3).
pub const CALL_PENDING: Duration = Duration::from_secs(30);

/// How many registrations the platform allows in a minute (tool-sync §3).
pub const REGISTRATIONS_PER_MINUTE: u32 = 6;

/// How often a host says that it is alive, unless told otherwise (tool-sync §3).
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);

/// How many characters of an error the platform logs (tool-sync §3).
pub const LOGGED_ERROR_CHARACTERS: usize = 500;

/// The path at which the platform accepts WebSocket connections (tool-sync §2).
pub const SOCKET_PATH: &str = "/ws/sdk";

/// The member of `params` that says who is calling (tool-sync §5).
pub(crate) const ENVELOPE_MEMBER: &str = "__platos";

/// The member of `params` that the agent's configuration fills (tool-sync §5).
pub(crate) const CONTEXT_MEMBER: &str = "_context";

/// Why the platform closes a connection (tool-sync §2): code and reason, exactly as they are sent.
pub mod close {
    /// A normal end, and the code of [`SUPERSEDED`].
    pub const NORMAL: u16 = 1000;
    /// The platform is going away.
    pub const GOING_AWAY: u16 = 1001;
    /// The connection was refused; the reason says why.
    pub const REFUSED: u16 = 1008;
    /// The service secret was regenerated.
    pub const ROTATED: u16 = 4001;

    /// With [`REFUSED`]: no secret was sent.
    pub const MISSING_SECRET: &str = "missing secret";
    /// With [`REFUSED`]: no entity was named. The secret was not looked at.
    pub const MISSING_ENTITY: &str = "missing entity id";
    /// With [`REFUSED`]: the secret is wrong, or there is no such entity.
    pub const INVALID_SECRET: &str = "invalid secret";
    /// With [`REFUSED`]: there is no such environment.
    pub const UNRESOLVABLE_ENVIRONMENT: &str = "unresolvable env";
    /// With [`NORMAL`]: another connection of the same entity and environment took over.
    pub const SUPERSEDED: &str = "superseded by new connection";
    /// With [`GOING_AWAY`]: the platform is being deployed.
    pub const SHUTTING_DOWN: &str = "server shutting down";
    /// With [`ROTATED`].
    pub const SECRET_ROTATED: &str = "secret rotated; reconnect with new secret";
}
