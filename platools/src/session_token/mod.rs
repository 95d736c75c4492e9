//! Session tokens for frontends, so that the service secret stays in the backend (feature `jwt`).
//!
//! A frontend authenticates to Platos with a short-lived token in the header `X-Platos-Session-Token`. The backend
//! mints it for the user of its own login:
//!
//! ```
//! use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
//! use platools::SecretSource;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> platools::Result<()> {
//! # let secret = SecretSource::text("b7f1c2d3e4f5a6978899aabbccddeeff");
//! let scope = SessionScope::new("org_1", "proj_1", "env_prod", "orders-prod");
//! let tokens = SessionTokens::local(secret, scope)?;
//! let token = tokens.mint(SessionClaims::for_user("usr_7").name("Ada")).await?;
//! assert_eq!(token.as_str().split('.').count(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! * **Minting.** [`LocalMint`] signs with the entity's secret. Newer platforms accept only tokens that they signed
//!   themselves: `RemoteMint` (feature `remote-mint`) requests them. [`SessionTokens`] wraps either of them, or any
//!   other [`Mint`]; [`CachingMint`] caches tokens.
//! * **Reading.** [`TokenVerifier`] verifies tokens that the entity signed, for tests and inspection;
//!   [`decode_unverified`] only decodes.
//! * **Endpoint.** `session_token_router` (feature `http`) answers `POST /api/platos-session`.
//! * **Command.** [`print_token`] mints a token from environment variables and prints it.
//!
//! This module must not know tools, calls or connections.

mod caching;
mod claims;
mod config;
mod decode;
mod error;
mod identity;
mod local;
mod mint;
#[cfg(feature = "remote-mint")]
mod remote;
#[cfg(not(feature = "remote-mint"))]
#[path = "without_remote.rs"]
mod remote;
mod remote_error;
mod rotating;
#[cfg(feature = "http")]
mod router;
mod scope;
mod token;
mod verify;

pub use caching::CachingMint;
pub use claims::{
    CheckedClaims, DEFAULT_LIFETIME, MAX_LIFETIME, MIN_LIFETIME, RESERVED_CLAIMS, SessionClaims,
};
pub use config::print_token;
pub use decode::{MAX_TOKEN_BYTES, UnverifiedToken, decode_unverified};
pub use error::{ClaimsError, MintConfigError, MintError, TokenError};
pub use identity::{MAX_IDENTITIES, UserIdentity, UserMeta};
pub use local::LocalMint;
pub use mint::{Mint, SessionTokens};
#[cfg(feature = "remote-mint")]
pub use remote::{RemoteMint, RemoteMintBuilder};
pub use remote_error::RemoteMintError;
#[cfg(feature = "http")]
pub use router::{RouterError, SESSION_TOKEN_PATH, SessionTokenRouter, session_token_router};
pub use scope::SessionScope;
pub use token::SessionToken;
pub use verify::{SessionTokenClaims, TokenVerifier};

/// The header in which a client sends its token to the platform.
pub const SESSION_TOKEN_HEADER: &str = "X-Platos-Session-Token";

/// Converts a time to seconds since 1970; 0 for earlier times.
fn unix_seconds(time: std::time::SystemTime) -> u64 {
    time.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
