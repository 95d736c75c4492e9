//! The sidecar: any backend becomes a connected entity, without writing Rust.
//!
//! A file names the platform, the tools and where each of them runs: an HTTP endpoint, an operation of an `OpenAPI`
//! document, a program, a tool of an MCP server, a desktop of Plato. This crate reads the file, makes
//! [`platools::Tool`]s of it and keeps the hosts running. It has no dispatcher of its own: a call goes the way that
//! every call goes in `platools`.
//!
//! The program is `platools sidecar`; a program of one's own needs no more than this:
//!
//! ```no_run
//! #[tokio::main]
//! async fn main() -> Result<(), platools_sidecar::SidecarError> {
//!     platools_sidecar::run("platools.toml".as_ref()).await
//! }
//! ```
//!
//! # A tour
//!
//! * **The file.** [`check`] says everything that is wrong with one, each [`Problem`] with its line, its key and what to
//!   write instead; [`STARTER`] is one to begin with, [`schema`] is for editors. All keys are in the repository's
//!   `docs/sidecar.md`.
//! * **Running.** [`run`] connects the entities, and stays until SIGTERM. A changed file is used once it is right; tools
//!   are replaced without losing a call.
//! * **Pinned servers.** [`pinned`] shows what MCP servers changed in their tools, and accepts it.
//! * **Without a platform.** [`local`] makes the same tools in this process, for an MCP server of them and for tests.
//!
//! Inside, dependencies go downward only: `run` keeps what `plan` made of what `config` has read; `plan` makes tools
//! of `http`, `command` and `document`, of OpenAPI operations ([`platools_openapi`]) and of MCP servers ([`platools_upstream`]);
//! `template`, `caller`, `login`, `disk`, `fingerprint`, `memory` and `secrecy` are for all of them.

mod caller;
mod command;
mod config;
mod disk;
mod document;
mod fingerprint;
#[cfg(feature = "__fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod health;
mod http;
mod login;
mod memory;
mod pins;
mod plan;
mod report;
mod run;
mod secrecy;
mod template;
mod traces;

pub use self::config::{ConfigError, Problem, schema};
pub use self::health::health;
pub use self::pins::{PinnedServer, pinned};
pub use self::report::{CallbackReport, Report, ToolReport, check, check_without_secrets, local};
pub use self::run::{Local, SidecarError, run};

/// A file to begin with: every kind of tool, with comments.
pub const STARTER: &str = include_str!("starter.toml");
