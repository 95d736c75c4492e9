//! Errors of the development platform.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::key::EntityKey;

/// Why the development platform could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DevError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {problem}; {}", advice(*address, *is_taken))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The message of the operating system.
        problem: String,
        /// Whether another program listens there.
        is_taken: bool,
    },
    /// The certificate or its key cannot be used.
    #[error("the TLS certificate or key cannot be used: {problem}")]
    Tls {
        /// The problem with them.
        problem: String,
    },
    /// A file of the platform's data cannot be used.
    #[error("the file `{}` cannot be used: {problem}", file.display())]
    Data {
        /// The file.
        file: PathBuf,
        /// The problem with it, and the remedy.
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
        /// The condition that was waited for.
        what: String,
        /// The time that was waited.
        waited: Duration,
    },
    /// The operating system has no random numbers to give.
    #[error("the operating system has no random numbers to give")]
    NoRandomness,
    /// The platform is already listening.
    #[error("the platform is listening already")]
    AlreadyListening,
}

impl DevError {
    pub(crate) fn bind(address: SocketAddr, error: &io::Error) -> Self {
        let is_taken = error.kind() == io::ErrorKind::AddrInUse;
        Self::Bind { address, problem: error.to_string(), is_taken }
    }
}

/// Advice about an address that cannot be listened on.
fn advice(address: SocketAddr, is_taken: bool) -> String {
    let port = address.port();
    if is_taken {
        format!(
            "see which program has the port with `ss -ltnp 'sport = :{port}'` or `lsof -i :{port}`, stop it, \
             or choose another port (0 takes a free one)"
        )
    } else {
        "choose an address of this machine and a port from 1024 on (0 takes a free one)".to_owned()
    }
}
