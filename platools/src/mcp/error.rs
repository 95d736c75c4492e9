//! How serving fails.

use std::io;

/// Why a server cannot serve, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum McpError {
    /// Standard input or output cannot be used.
    #[error("standard input and output cannot be used for MCP: {0}")]
    Stdio(#[source] io::Error),
    /// The client did not begin as the protocol says.
    #[error("the MCP client did not begin with `initialize`: {0}")]
    Handshake(String),
    /// No token is given for HTTP.
    #[error("MCP over HTTP needs a bearer token of at least {min} visible ASCII characters, without spaces")]
    Token {
        /// How many characters a token has at least.
        min: usize,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}{}", advice(source))]
    Bind {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Signals cannot be heard.
    #[error("signals cannot be heard: {0}")]
    Signals(#[source] io::Error),
    /// A task of the server is gone.
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
