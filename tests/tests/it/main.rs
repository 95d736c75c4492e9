//! Whole-system tests: a host and a development platform, on the loopback, over the real wire.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside of a test function")]

mod answers;
mod architecture;
mod browser;
mod calls;
mod configuration;
mod connection;
mod coordinator;
mod desktops;
mod faults;
mod fleet;
mod fleet_login;
mod frames;
mod fuzz;
mod guard;
mod http;
mod interop;
mod interop_deploy;
mod interop_doctor;
mod interop_mcp;
mod interop_openapi;
mod interop_plato;
mod interop_platos;
mod interop_proxy;
mod interop_python;
mod interop_sidecar;
mod interop_socketio;
mod interop_tokens;
mod interop_upstreams;
mod interop_ws;
mod real_server;
mod registration;
mod secrets;
mod suites;
mod support;
mod tls;
