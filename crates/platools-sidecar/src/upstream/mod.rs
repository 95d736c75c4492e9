//! MCP servers upstream, whose tools become tools of this host.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `supervisor`, `config` | an upstream that is kept: connected, listed, connected again |
//! | `tools` | the tools that are taken from it, and how hosts keep in step with them |
//! | `client` | a small door for programs: connect, list, call |
//! | `link` | one connection: the handshake, lists, calls with progress and cancellation |
//! | `http`, `quiet` | from a URL to a transport, and a client whose errors do not quote the URL |
//! | `stdio`, `child` | from a program to a transport, and how it ends |
//! | `remote` | a tool at a server, and what checks its arguments |
//! | `ration` | how much of what it says goes into the log |
//! | `convert` | what MCP declares and answers, in the words of `platools` |
//! | `error` | why there is no answer |
//!
//! This room must not know the configuration file, nor who calls a tool. `rmcp` speaks the protocol; none of its
//! types leaves the room.

mod child;
mod client;
mod config;
mod convert;
mod error;
mod http;
mod link;
mod quiet;
mod ration;
mod remote;
mod stdio;
mod supervisor;
mod tools;

pub use self::client::Client;
pub use self::config::{ServerProgram, UpstreamConfig};
pub use self::error::UpstreamError;
pub use self::http::Bearer;
pub(crate) use self::http::check_url;
pub use self::supervisor::{Upstream, UpstreamState};
pub use self::tools::{ToolChanges, keep_in_step};
