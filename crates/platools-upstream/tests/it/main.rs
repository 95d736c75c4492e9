//! MCP servers upstream: servers of this project in this process and in others, and servers that misbehave.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside of a test function")]

mod client;
mod program;
mod support;
mod url;
