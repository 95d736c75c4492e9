//! The MCP server as a client sees it: on streams, and over HTTP.
#![cfg(feature = "mcp")]
#![allow(clippy::unwrap_used, missing_docs, reason = "these are tests")]

#[path = "mcp/http.rs"]
mod http;
#[path = "mcp/streams.rs"]
mod streams;
#[path = "mcp/support.rs"]
mod support;
