//! Signatures, the replay guard, secrets and where they come from (tool-sync §1, §2, §6); and who may
//! call.
//!
//! This room says whether a call really comes from the platform, for the first time, and for this
//! connection. It must not know sockets, tools or how a call runs. The clock is given to it.
//!
//! What the signature covers: the tool's name, the arguments with `_context`, the timestamp and the
//! nonce. It does **not** cover the identities in the envelope: where it matters who is calling, give the
//! host an [`Authenticator`].

mod access;
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

pub(crate) use access::Authentication;
pub use access::{AndThen, AuthenticationError, Authenticator, Credentials, Identity, Or};
#[cfg(feature = "jwt")]
pub use access::{JwtAlgorithm, JwtAuthenticator, JwtKeyError};
pub use options::{VerificationMode, VerifierOptions};
pub use refusal::Refusal;
pub use secret::{MIN_SECRET_CHARACTERS, Secret, SecretError};
pub use signing::SigningKey;
pub use source::SecretSource;
pub use verifier::Verifier;
