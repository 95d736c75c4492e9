//! What can go wrong on the development platform's side.

use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use crate::EntityKey;

/// Why the development platform could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DevError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {problem}; is another program using the port?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        problem: String,
    },
    /// The certificate or its key cannot be used.
    #[error("the TLS certificate or key cannot be used: {problem}")]
    Tls {
        /// What is wrong with them.
        problem: String,
    },
    /// There is no such entity or environment.
    #[error("there is no {0}: add the entity to the platform's options, and look at the environment's name")]
    UnknownEntity(EntityKey),
    /// No host is connected.
    #[error("no host is connected as {0}: start one, and wait with `wait_connected`")]
    NotConnected(EntityKey),
    /// The arguments or the context of a call are not an object.
    #[error("the {0} of a call must be a JSON object")]
    NotAnObject(&'static str),
    /// There is no call to replay.
    #[error("no call was sent to {0} yet, so there is none to replay")]
    NothingToReplay(EntityKey),
    /// Something waited for did not happen.
    #[error("waited {} s for {what}, in vain", waited.as_secs_f64())]
    WaitedInVain {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
    },
    /// The operating system has no random numbers to give.
    #[error("the operating system has no random numbers to give")]
    NoRandomness,
    /// The platform is already listening.
    #[error("the platform is listening already")]
    AlreadyListening,
}
