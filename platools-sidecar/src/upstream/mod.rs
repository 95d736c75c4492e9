//! MCP servers upstream, whose tools become tools of this host.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `client` | a small door for programs: connect, list, call |
//! | `link` | one connection: the handshake, lists, calls with progress and cancellation |
//! | `http` | from a URL to a transport |
//! | `convert` | what MCP declares and answers, in the words of `platools` |
//! | `error` | why there is no answer |
//!
//! This room must not know the configuration file, nor who calls a tool. `rmcp` speaks the protocol; none of its
//! types leaves the room.

mod client;
mod convert;
#[expect(dead_code, reason = "the supervisor is still to come")]
mod error;
mod http;
#[expect(dead_code, reason = "the supervisor is still to come")]
mod link;

pub use self::client::Client;
pub use self::error::UpstreamError;
pub use self::http::Bearer;
