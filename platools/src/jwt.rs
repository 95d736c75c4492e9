//! For everything that signs or verifies a JSON Web Token: the choice of its cryptography, and the check that no
//! claim is duplicate. It must not know what the claims mean.
//!
//! `jsonwebtoken` has one cryptography provider for the whole process. If another crate enables a second one and the
//! program chooses none, it panics at the first token.

pub(crate) mod unique;

use jsonwebtoken::crypto::rust_crypto;

/// Chooses the cryptography of this process's tokens, unless the program chose before.
///
/// To be called before the first token is signed or verified; it costs one atomic load after the first time.
pub(crate) fn choose_provider() {
    // An error says that one is chosen already, which is as good.
    let _ = rust_crypto::DEFAULT_PROVIDER.install_default();
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, EncodingKey};

    use super::*;

    #[test]
    fn choosing_twice_is_no_mistake_and_the_choice_signs() {
        choose_provider();
        choose_provider();
        let key = EncodingKey::from_secret(b"k");
        let signature = jsonwebtoken::crypto::sign(b"", &key, Algorithm::HS256).unwrap();
        assert_eq!(signature, "i7mQxAp9YcuXWXqUISUCW-UKyL63RDbjc1uYiTp_ZiA");
        assert!(rust_crypto::DEFAULT_PROVIDER.install_default().is_err(), "one is chosen");
    }
}
