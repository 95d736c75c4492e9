//! The MCP server as a client sees it: on streams, and over HTTP.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside of a test function")]

mod http;
mod streams;
mod support;
