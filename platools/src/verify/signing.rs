//! The signature of a call (protocol §6): HMAC-SHA256 over timestamp, nonce and body.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Secret;
use crate::wire::CallFrame;
use crate::wire::json;

/// Length of a signature, in bytes.
const SIGNATURE_BYTES: usize = 32;

/// A service secret prepared for signing and verifying; the key schedule is computed once.
#[derive(Clone)]
pub struct SigningKey {
    keyed: Hmac<Sha256>,
}

impl SigningKey {
    /// Creates a signing key from a secret.
    pub fn new(secret: &Secret) -> Self {
        Self { keyed: keyed(secret.expose()) }
    }

    /// Signs a call as the platform does and returns the signature in hexadecimal. `arguments` is the exact text of the
    /// arguments with `_context`. Without a nonce, the legacy form is signed.
    pub fn sign_call(
        &self,
        timestamp: &str,
        nonce: Option<&str>,
        tool_name: &str,
        arguments: &str,
    ) -> String {
        let mut name = String::with_capacity(tool_name.len() + 2);
        json::push_string(&mut name, tool_name);
        let mut mac = self.start(timestamp, nonce);
        update_with_call(&mut mac, &name, [arguments, ""]);
        encode_hex(mac)
    }

    /// Signs the body of an HTTP request as the platform does and returns the signature in hexadecimal.
    pub fn sign_body(&self, timestamp: &str, nonce: Option<&str>, body: impl AsRef<[u8]>) -> String {
        encode_hex(self.start(timestamp, nonce).chain_update(body))
    }

    /// Returns whether `signature` matches a call as received, in constant time.
    pub(super) fn verifies_call(
        &self,
        signature: &str,
        timestamp: &str,
        nonce: Option<&str>,
        frame: &CallFrame<'_>,
    ) -> bool {
        let Some(signature) = decode_hex(signature) else { return false };
        let mut mac = self.start(timestamp, nonce);
        update_with_call(&mut mac, frame.tool_name().raw_json(), frame.params().signed_pieces());
        mac.verify_slice(&signature).is_ok()
    }

    /// Returns whether `signature` matches the body of a request, in constant time.
    pub(super) fn verifies_body(
        &self,
        signature: &str,
        timestamp: &str,
        nonce: Option<&str>,
        body: &str,
    ) -> bool {
        let Some(signature) = decode_hex(signature) else { return false };
        self.start(timestamp, nonce).chain_update(body).verify_slice(&signature).is_ok()
    }

    /// What comes before the body: `{timestamp}.{nonce}.`, or `{timestamp}.` in the legacy form.
    fn start(&self, timestamp: &str, nonce: Option<&str>) -> Hmac<Sha256> {
        // Updated in place: chaining would copy the state at every step.
        let mut mac = self.keyed.clone();
        for piece in [timestamp, "."].into_iter().chain(nonce.into_iter().flat_map(|nonce| [nonce, "."])) {
            mac.update(piece.as_bytes());
        }
        mac
    }
}

fn keyed(secret: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.as_bytes()).expect("HMAC accepts keys of any length")
}

/// Adds the body of a call: the text that the platform serialized before it added the envelope.
fn update_with_call(mac: &mut Hmac<Sha256>, tool_name_json: &str, arguments: [&str; 2]) {
    for piece in [
        r#"{"method":"tools/call","params":{"name":"#,
        tool_name_json,
        r#","arguments":"#,
        arguments[0],
        arguments[1],
        "}}",
    ] {
        mac.update(piece.as_bytes());
    }
}

/// Finalizes the signature and encodes it in hexadecimal.
fn encode_hex(mac: Hmac<Sha256>) -> String {
    let mut hex = String::with_capacity(2 * SIGNATURE_BYTES);
    for byte in mac.finalize().into_bytes() {
        for digit in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
    }
    hex
}

/// Returns whether the text could be a signature.
#[cfg(feature = "http")]
pub(super) fn is_signature(text: &str) -> bool {
    decode_hex(text).is_some()
}

/// Decodes a signature; returns `None` unless the text is 64 hexadecimal digits of either case.
fn decode_hex(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * SIGNATURE_BYTES {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut bytes = [0; SIGNATURE_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}
