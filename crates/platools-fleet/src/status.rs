//! What a fleet looks like from outside.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A member of a fleet, as the gateway sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemberStatus {
    /// The name: of the machine and of the process.
    pub name: String,
    /// The id of this start of the process, in hexadecimal.
    pub id: String,
    /// What it does.
    pub role: MemberRole,
    /// The build of the program.
    pub build: String,
    /// The number of its tools.
    pub tools: usize,
    /// The number of calls that run at it.
    pub running: usize,
    /// The number of calls that it could begin at once.
    pub free: usize,
    /// Calls per second, over the last ten seconds.
    pub calls_per_second: f64,
    /// The median of the duration of its calls, in milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile of the duration of its calls, in milliseconds.
    pub p99_ms: f64,
}

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemberRole {
    /// It holds the connection to the platform.
    Gateway,
    /// It runs the calls that the gateway hands to it.
    Member,
    /// It takes no further calls, and is about to stop.
    Draining,
}

impl fmt::Display for MemberRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Member => "member",
            Self::Draining => "draining",
        })
    }
}

/// A fleet, as its gateway sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FleetStatus {
    /// The number of gateways so far.
    pub term: u64,
    /// Whether the gateway is without NATS and serves alone.
    pub alone: bool,
    /// How many messages this process has refused since it started: forged, repeated or foreign ones.
    #[serde(default)]
    pub refused: u64,
    /// The members, by their names.
    pub members: Vec<MemberStatus>,
}
