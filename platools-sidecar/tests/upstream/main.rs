//! MCP servers upstream: servers of this project in this process and in others, and servers that misbehave.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod client;
mod support;
