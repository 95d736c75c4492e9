//! Tools for a backend's own program: a doctor, test cases, and a command line.
//!
//! With one line in `main`, the program that connects in production also lists, calls, tests and examines its tools,
//! without a platform:
//!
//! ```no_run
//! use platools::prelude::*;
//!
//! /// Add two whole numbers.
//! #[tool]
//! async fn add(a: i64, b: i64) -> i64 {
//!     a + b
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::process::ExitCode {
//!     # #[cfg(feature = "cli")]
//!     return platools_toolkit::cli::run(Platools::from_env).await;
//!     # #[cfg(not(feature = "cli"))]
//!     # std::process::ExitCode::SUCCESS
//! }
//! ```
//!
//! Each part can be used alone, for example in the backend's own tests:
//!
//! | part | feature | what it does |
//! | --- | --- | --- |
//! | [`doctor`] | | finds what keeps agents from finding, understanding or calling the tools |
//! | `testing` | `testing` | runs cases of a YAML file against the tools; reports as text, JSON and JUnit XML |
//! | `cli` | `cli`, on by default | the command line: `connect`, `list`, `schema`, `call`, `test`, `doctor` |
//! | `cli` | `mcp` | adds the command `serve`: the tools as an MCP server |
//!
//! Reports for people are laid out by [`Layout`].
//!
//! This crate uses the public API of `platools` only. It must not know how a call runs.

#[cfg(feature = "cli")]
pub mod cli;
pub mod doctor;
mod layout;
#[cfg(feature = "testing")]
pub mod testing;

pub use self::layout::Layout;

/// Compiles the examples of the README.
#[cfg(all(doctest, feature = "mcp"))]
#[doc = include_str!("../README.md")]
struct Readme;
