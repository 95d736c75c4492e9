//! The sidecar: any backend becomes a connected entity, without writing Rust.
//!
//! A file names the platform, the tools and where each of them runs: an HTTP endpoint, an operation of an `OpenAPI`
//! document, a program, a tool of an MCP server. This crate reads the file, makes [`platools::Tool`]s of it and keeps
//! the hosts running. It has no dispatcher of its own: a call goes the way that every call goes in `platools`.

pub mod openapi;
pub mod upstream;
