//! The errors of serving.

use std::io;

/// An error that keeps a server from serving or ends it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum McpError {
    /// Standard input or output cannot be used.
    #[error("standard input and output cannot be used for MCP: {0}")]
    Stdio(#[source] io::Error),
    /// The token for HTTP is too short, or has characters other than visible ASCII.
    #[error("MCP over HTTP needs a bearer token of at least {min} visible ASCII characters, without spaces")]
    Token {
        /// The minimum length, in characters.
        min: usize,
    },
    /// Listening on the address failed.
    #[error("cannot listen on {address}: {source}{}", advice(source))]
    Bind {
        /// The address.
        address: String,
        /// The system's error.
        source: io::Error,
    },
    /// Registering for signals failed.
    #[error("signals cannot be heard: {0}")]
    Signals(#[source] io::Error),
    /// A task of the server ended unexpectedly.
    #[error("the server broke: {0}")]
    Broken(String),
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program listens there: choose another port, 0 for any that is free"
        }
        io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges",
        _ => "",
    }
}
