//! Who may call: verified identities, and where they come from.
//!
//! The platform's signature does not cover the identities in a call's envelope (tool-sync §6). An
//! [`Authenticator`] of the backend's own looks at the tokens that the call carries and says who that
//! really is. What a tool demands of an identity is for `dispatch` to check; this room must not know
//! tools.

mod authentication;
mod authenticator;
mod credentials;
mod identity;
#[cfg(feature = "jwt")]
mod jwt;

pub(crate) use authentication::Authentication;
pub use authenticator::{AndThen, AuthenticationError, Authenticator, Or};
pub use credentials::Credentials;
pub use identity::Identity;
#[cfg(feature = "jwt")]
pub use jwt::{JwtAlgorithm, JwtAuthenticator, JwtKeyError};
