//! MCP servers as tools of a [`platools`] host.
//!
//! [`Upstream`] keeps one server connected and publishes its tools; [`keep_in_step`] adds them to a host and removes
//! them as the server's list changes. A server that is down keeps its tools, and with
//! [`UpstreamConfig::remember_in`] across restarts too. [`Client`] is for programs that only list and call. [`ArgumentSchema`] checks
//! arguments against a JSON Schema that is known only at run time.
//!
//! ```no_run
//! use platools::Platools;
//! use platools_upstream::{ServerProgram, Upstream, UpstreamConfig, keep_in_step};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let host = Platools::builder().tools([]).build_local()?;
//! let program = ServerProgram::new("mcp-server-filesystem").arg("/srv/files");
//! let upstream = Upstream::start(UpstreamConfig::program("files", program));
//! tokio::spawn(keep_in_step(upstream.tools(), host.tools().clone()));
//! upstream.up().await;
//! for tool in host.tools().list() {
//!     println!("{}", tool.name());
//! }
//! upstream.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! | file | contents |
//! | --- | --- |
//! | `supervisor`, `config` | a supervised upstream, whose configuration may change while calls run |
//! | `lane` | one kept connection: connect, list, reconnect |
//! | `memory` | the tools that a server declared last, in a file |
//! | `pins` | the definitions that were accepted, and those that wait |
//! | `clean` | declarations without what is not shown, and not too long |
//! | `tools` | the published tools, and how hosts follow their changes |
//! | `client` | connect, list and call, without supervision |
//! | `link` | one connection: handshake, lists, calls with progress and cancellation |
//! | `http`, `quiet` | the HTTP transport, and a client whose errors do not quote the URL |
//! | `stdio`, `child` | the transport to a program |
//! | `group` | all processes of a program, and how they end |
//! | `watchdog` | ends them when this process is killed |
//! | `remote` | a tool at a server, with the schema that checks its arguments |
//! | `arguments` | arguments checked against a JSON Schema, mistakes explained for a model |
//! | `name` | a server's name in messages, which may change |
//! | `ration` | limits how much of a server's output is logged |
//! | `convert` | conversion between MCP and `platools` types |
//! | `error` | the errors |
//!
//! The crate must not know configuration files, nor who calls a tool. `rmcp` implements the protocol; none of its types
//! is public here.

mod arguments;
mod child;
mod clean;
mod client;
mod config;
mod convert;
mod error;
#[cfg(unix)]
mod group;
mod http;
mod lane;
mod link;
mod memory;
mod name;
mod pins;
mod quiet;
mod ration;
mod remote;
mod stdio;
mod supervisor;
mod tools;
#[cfg(unix)]
mod watchdog;

pub use crate::arguments::{ArgumentSchema, without_unusable_patterns};
pub use crate::client::Client;
pub use crate::config::{ServerProgram, UpstreamConfig};
pub use crate::error::UpstreamError;
#[cfg(unix)]
pub use crate::group::ProcessGroup;
pub use crate::http::{Bearer, check_url};
pub use crate::memory::forget_unused;
pub use crate::pins::{DefinitionChange, PinReview, WithheldTool};
pub use crate::supervisor::{Upstream, UpstreamState};
pub use crate::tools::{ToolChanges, UpstreamChanges, keep_in_step};
