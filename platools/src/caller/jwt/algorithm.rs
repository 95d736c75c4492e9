//! Supported signature algorithms.

use jsonwebtoken::Algorithm;

macro_rules! algorithms {
    ($($(#[$doc:meta])* $name:ident)*) => {
        /// A signature algorithm of JSON Web Tokens. `none` is not supported.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[allow(clippy::upper_case_acronyms, reason = "their names in RFC 7518")]
        pub enum JwtAlgorithm {
            $($(#[$doc])* $name,)*
        }

        impl JwtAlgorithm {
            pub(super) fn inner(self) -> Algorithm {
                match self {
                    $(Self::$name => Algorithm::$name,)*
                }
            }
        }
    };
}

algorithms! {
    /// HMAC with SHA-256 and a shared secret.
    HS256
    /// HMAC with SHA-384 and a shared secret.
    HS384
    /// HMAC with SHA-512 and a shared secret.
    HS512
    /// RSA (PKCS #1 v1.5) with SHA-256.
    RS256
    /// RSA (PKCS #1 v1.5) with SHA-384.
    RS384
    /// RSA (PKCS #1 v1.5) with SHA-512.
    RS512
    /// RSA (PSS) with SHA-256.
    PS256
    /// RSA (PSS) with SHA-384.
    PS384
    /// RSA (PSS) with SHA-512.
    PS512
    /// ECDSA with P-256 and SHA-256.
    ES256
    /// ECDSA with P-384 and SHA-384.
    ES384
    /// Ed25519.
    EdDSA
}
