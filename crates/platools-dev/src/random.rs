//! Secrets, ids and nonces.

use std::fmt::Write as _;

use platools::verify::Secret;
use rustls::crypto::ring;

use crate::DevError;

/// A service secret, as Platos makes them: 32 random bytes in hexadecimal.
pub(crate) fn secret() -> Result<Secret, DevError> {
    let mut bytes = [0; 32];
    ring::default_provider().secure_random.fill(&mut bytes).map_err(|_| DevError::NoRandomness)?;
    Secret::new(hex(&bytes)).map_err(|_| DevError::NoRandomness)
}

/// 32 hexadecimal digits that do not come again. Not a secret.
pub(crate) fn nonce() -> String {
    hex(&fastrand::u128(..).to_be_bytes())
}

/// A random UUID.
pub(crate) fn uuid() -> String {
    let digits = nonce();
    let variant = ['8', '9', 'a', 'b'][fastrand::usize(..4)];
    format!(
        "{}-{}-4{}-{variant}{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..]
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
