//! The platform's side of the wire, tried with a bare WebSocket as the host.

#![allow(clippy::unwrap_used)]

mod api;
mod authentication;
mod callbacks;
mod calls;
#[cfg(feature = "sqlite")]
mod data;
mod faults;
mod host;
mod lifecycle;
mod mint;
mod real_server;
mod registration;
