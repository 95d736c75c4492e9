//! The client against its test double, on the loopback.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside of a test function")]

mod approvals;
mod auth;
mod ends;
mod patience;
mod reconnect;
mod refusals;
mod requests;
mod rest;
mod retries;
#[cfg(feature = "session-tokens")]
mod session_tokens;
mod support;
mod tls;
mod turns;
