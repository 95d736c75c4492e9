//! Verifies calls: signature, age, replay and scope (protocol §1, §2, §6); and loads the service secret.
//!
//! The signature covers the tool's name, the arguments with `_context`, the timestamp and the nonce. It does **not**
//! cover the identities in the envelope: to verify the caller, give the host an
//! [`Authenticator`](crate::caller::Authenticator).
//!
//! Nonces are remembered in the process. A host that restarts runs a captured call again within 300 s of its signature,
//! unless it has a [state directory](crate::HostConfig::state_dir), which keeps them.
//!
//! This module must not know sockets, tools or how a call runs. The current time is a parameter.

#[cfg(feature = "__bench")]
pub(crate) mod bench;
mod memory;
mod options;
mod refusal;
mod replay;
mod secret;
mod signing;
mod source;
mod timestamp;
mod verifier;

pub(crate) use memory::{ReplayMemory, ReplayStore};
pub use options::{VerificationMode, VerifierOptions};
pub use refusal::Refusal;
pub use secret::{MIN_SECRET_CHARACTERS, Secret, SecretError};
pub use signing::SigningKey;
pub use source::SecretSource;
pub use verifier::Verifier;
