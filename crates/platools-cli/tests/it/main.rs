//! The real program, run as a user runs it: what it prints, how it ends, and that it keeps secrets to itself.

#![allow(clippy::unwrap_used)]

mod calls;
mod data;
mod dev;
mod doctor;
mod mcp;
mod mint;
mod sidecar;
mod support;
mod terminal;
