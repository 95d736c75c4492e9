//! Test cases for tools: a call, its arguments, and the expected result or error. They run in this process, through the
//! dispatcher that runs the platform's calls, so limits, timeouts and access rules hold.
//!
//! ```
//! use platools::prelude::*;
//! use platools_toolkit::testing::{RunOptions, Suite, run};
//! use platools_toolkit::Layout;
//! use platools::tools;
//!
//! /// Divide a number by another.
//! #[tool(register = false)]
//! async fn divide(dividend: i64, divisor: i64) -> Result<i64, String> {
//!     dividend.checked_div(divisor).ok_or("nothing can be divided by 0".to_owned())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let suite = Suite::from_yaml("
//! tests:
//!   - tool: divide
//!     params: {dividend: 12, divisor: 3}
//!     expect: 4
//!   - tool: divide
//!     params: {dividend: 12, divisor: 0}
//!     expect_error: divided by 0
//! ")?;
//! let local = Platools::builder().tools(tools![divide]).build_local()?;
//! let report = run(&local, &suite, &RunOptions::default(), |_| {}).await;
//! println!("{}", report.text(Layout::default()));
//! assert_eq!(report.exit_code(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! # The file
//!
//! A file of cases is YAML, by default [`DEFAULT_FILE`]. Files for the Python package work unchanged; it reads files
//! of this crate that use only the keys it knows.
//!
//! ```yaml
//! tests:
//!   - name: an order that exists      # for reports
//!     tool: lookup_order
//!     params: {order_id: ord-1042}
//!     expect: {status: open}          # a part of the result, see below
//!     max_latency_ms: 500
//!     context: {user_id: usr_1, roles: [support]}
//!   - tool: lookup_order
//!     params: {order_id: nope}
//!     expect_error: there is no order # a part of the text; or `true` for any error
//! ```
//!
//! | key | meaning |
//! | --- | --- |
//! | `tool` | the tool to call; one that does not exist fails the case, whatever is expected |
//! | `name` | what the case is called in reports |
//! | `params` | the arguments; none unless given |
//! | `expect_success` | `true`, unless another outcome is expected; `false` is `expect_error: true` |
//! | `expect_error` | `true` where any error will do, or a part of its text |
//! | `expect` | what has to be in the result: every member of an object, with others beside it; every item of a list, and no others; numbers by their value |
//! | `max_latency_ms` | how long the call may take, in milliseconds |
//! | `context` | who is calling: `user_id`, `user_token`, `entity_token`, `agent_id`, `thread_id`, `roles`, and `context` for members of `_context` |
//!
//! With `roles` (`[]` for none) the caller is a verified identity of that `user_id`, without asking the
//! authenticator; with `user_token` the authenticator is asked. Keys that begin with `x-` are free, for anchors.
//! As in Python, `yes`, `no`, `on` and `off` are booleans, and so are `y` and `n`, which are texts there:
//! quote them where they are texts.
//!
//! # Notes
//!
//! A report has notes on things that do not fail a case: a handler that held its thread for long without awaiting,
//! and a result over 256 KiB, of which the platform passes on a preview only.
//!
//! This module enters at the dispatcher like every other door. It must not know the command line, and it reads
//! and prints nothing.

mod case;
mod coverage;
mod junit;
mod report;
mod run;
mod subset;
mod suite;
mod text;

pub use self::case::{Caller, Case, Expectation};
pub use self::coverage::Coverage;
pub use self::report::{CaseReport, Latency, Outcome, SuiteReport};
pub use self::run::{Progress, RunOptions, run};
pub use self::suite::{Suite, SuiteError};

/// The default name of a file of cases.
pub const DEFAULT_FILE: &str = "platools-tests.yaml";

#[cfg(test)]
mod tests;
