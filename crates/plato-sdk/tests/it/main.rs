//! The client against its double, over real HTTP on the loopback.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside of a test function")]

mod bad_input;
mod browser;
mod chromium;
mod concepts;
mod desktop;
mod double;
mod endings;
mod heartbeat;
mod lifecycle;
mod retries;
mod setup;
mod stub_browser;
mod tools;
mod vectors;
