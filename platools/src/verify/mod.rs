//! Whether a call really comes from the platform, for the first time, and for this connection (tool-sync §1, §2, §6).
//!
//! Signatures, the replay guard, secrets and where they come from. This room must not know sockets, tools or how a
//! call runs. The clock is given to it.
//!
//! The signature covers the tool's name, the arguments with `_context`, the timestamp and the nonce. It does **not**
//! cover the identities in the envelope: where it matters who is calling, give the host an
//! [`Authenticator`](crate::caller::Authenticator).

#[cfg(feature = "__bench")]
pub(crate) mod bench;
mod options;
mod refusal;
mod replay;
mod secret;
mod signing;
mod source;
mod timestamp;
mod verifier;

pub use options::{VerificationMode, VerifierOptions};
pub use refusal::Refusal;
pub use secret::{MIN_SECRET_CHARACTERS, Secret, SecretError};
pub use signing::SigningKey;
pub use source::SecretSource;
pub use verifier::Verifier;
