//! Session tokens as a backend uses them: minted, verified, refused, asked for over HTTP.

#![cfg(feature = "jwt")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside of a test function")]

#[path = "session_token/forged.rs"]
mod forged;
#[path = "session_token/fuzz.rs"]
mod fuzz;
#[cfg(feature = "remote-mint")]
#[path = "session_token/remote.rs"]
mod remote;
#[cfg(feature = "http")]
#[path = "session_token/router.rs"]
mod router;
#[path = "session_token/verification.rs"]
mod verification;
