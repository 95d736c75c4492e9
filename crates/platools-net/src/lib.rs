//! Network plumbing shared by the platools crates: one copy of each decision about URLs, TLS, dialling, HTTP, waiting
//! and secrets.
//!
//! This crate is an implementation detail of the others and depends on none of them. Types of `rustls`,
//! `tokio-tungstenite`, `reqwest` and `url` are part of its API on purpose; the crates that use it keep them out of
//! theirs. It must not know tools, calls or what a server is asked.
//!
//! * [`address`]: which IP addresses are public.
//! * [`callback`]: which URLs the platform calls a host at.
//! * [`policy`]: loopback detection, and which URLs may be dialled in plain text.
//! * [`tls`]: the client configuration of TLS.
//! * [`proxy`]: which proxy a connection goes through.
//! * [`dial`]: TCP and TLS connections, through a proxy or not, and WebSocket handshakes.
//! * [`transport`]: what a WebSocket has yet to write when its peer closes it.
//! * `body`: bodies, up to so many bytes and within a time (feature `body`).
//! * `client`: a locked-down HTTP client (feature `http-client`).
//! * `server`: the loop of all listeners, within bounds (feature `http-server`).
//! * [`descriptors`]: how many descriptors there are, and some that are kept.
//! * [`header`]: headers that say who is asking.
//! * [`backoff`] and [`retry_after()`]: how long to wait before the next attempt.
//! * [`file`](mod@file): regular files, up to a limit.
//! * [`ration`]: how many log lines strangers may cause.
//! * [`reason`]: the innermost reason of a chain of errors.
//! * [`secret`]: strings that are never shown.
//! * `signals`: the signals that stop a program (feature `signals`).
//! * [`variables`]: variables of the environment that mean the same.

pub mod address;
pub mod backoff;
#[cfg(feature = "body")]
pub mod body;
pub mod callback;
#[cfg(feature = "http-client")]
pub mod client;
pub mod descriptors;
pub mod dial;
pub mod file;
pub mod header;
pub mod policy;
pub mod proxy;
pub mod ration;
pub mod reason;
pub mod retry_after;
pub mod secret;
#[cfg(feature = "http-server")]
pub mod server;
#[cfg(feature = "signals")]
pub mod signals;
pub mod tls;
pub mod transport;
mod tunnel;
pub mod variables;

pub use self::backoff::Backoff;
#[cfg(feature = "body")]
pub use self::body::{BodyError, BodyLimits};
#[cfg(feature = "http-client")]
pub use self::client::{HttpClient, HttpError, Streamed};
pub use self::proxy::{Proxy, ProxyConfig, ProxyError};
pub use self::reason::innermost_reason;
pub use self::retry_after::retry_after;
pub use self::secret::SecretText;

/// The `User-Agent` of every request and every WebSocket handshake.
pub const USER_AGENT: &str = concat!("platools-rs/", env!("CARGO_PKG_VERSION"));
