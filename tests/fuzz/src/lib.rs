//! Functions that take any bytes, hand them to a parser, and panic if it does what it must not: accept what is not
//! genuine, read a text differently than another reader, let a value leave its place, or write what is no JSON.
//!
//! The tests in `tests/tests/it/fuzz.rs` run them on stable, from the corpora in `fuzz/corpus`; the targets in `fuzz/`
//! run them under libFuzzer. Each returns whether the input came all the way through, so that a corpus that reaches
//! nothing is noticed.

#![allow(
    clippy::missing_panics_doc,
    reason = "each function panics when a parser is wrong, and says so above"
)]

mod http;
mod jwt;
mod openapi;
mod stdio;
mod wire;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

pub use self::http::http_request;
pub use self::jwt::jwt;
pub use self::openapi::openapi;
pub use self::stdio::stdio_lines;
pub use self::wire::{envelope, frame, timestamp};

/// The secret of everything that is signed here.
const SECRET: &str = "fuzz-s3cret-fuzz-s3cret-fuzz-s3cret";

/// A body, by the name of its target and its corpus.
pub type Body = fn(&[u8]) -> bool;

/// All bodies.
pub const BODIES: [(&str, Body); 10] = [
    ("configuration", configuration),
    ("envelope", envelope),
    ("frame", frame),
    ("http_request", http_request),
    ("jwt", jwt),
    ("openapi", openapi),
    ("socketio_packet", socketio_packet),
    ("stdio_lines", stdio_lines),
    ("template", template),
    ("timestamp", timestamp),
];

/// A configuration of the sidecar, in TOML.
pub fn configuration(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(platools_sidecar::fuzz::configuration)
}

/// A text with placeholders, a line break, and the value for all of them.
pub fn template(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (template, value) = text.split_once('\n').unwrap_or((text, ""));
    platools_sidecar::fuzz::template(template, value)
}

/// A packet of Engine.IO with one of Socket.IO in it.
pub fn socketio_packet(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(platos_client::fuzz::packet)
}

/// The signature of the parts, in hexadecimal, without any code of the library.
fn hmac_hex(parts: &[&str]) -> String {
    data_encoding::HEXLOWER.encode(&hmac(parts))
}

fn hmac(parts: &[&str]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length is a key");
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().to_vec()
}
