//! Secrets, ids and nonces.

use data_encoding::HEXLOWER;
use platools::verify::Secret;
use rustls::crypto::ring;
use uuid::Builder;

use crate::error::DevError;

/// Makes a service secret, as Platos does: 32 random bytes in hexadecimal.
pub(crate) fn secret() -> Result<Secret, DevError> {
    let mut bytes = [0; 32];
    ring::default_provider().secure_random.fill(&mut bytes).map_err(|_| DevError::NoRandomness)?;
    Secret::new(HEXLOWER.encode(&bytes)).map_err(|_| DevError::NoRandomness)
}

/// Makes 32 random hexadecimal digits. Not a secret.
pub(crate) fn nonce() -> String {
    HEXLOWER.encode(&fastrand::u128(..).to_be_bytes())
}

/// Makes a random UUID. Not a secret.
pub(crate) fn uuid() -> String {
    Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid().to_string()
}
