//! The sidecar as a whole: a file, a development platform, and backends that misbehave; all on the loopback.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside of a test function")]

mod admin;
mod backend;
mod bodies;
mod callbacks;
mod certificates;
mod changes;
mod checking;
mod commands;
mod hostile;
mod identity;
mod late;
mod left_behind;
mod mcp;
mod nginx;
mod openapi;
mod plato;
mod reload;
mod requests;
mod scale;
mod sidecar;
mod tls;
mod tokens;
mod traces;
