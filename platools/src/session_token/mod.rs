//! Session tokens: what a backend gives its frontend, so that the service secret stays where it is
//! (feature `jwt`).
//!
//! A frontend talks to Platos with a short-lived token, in the header `X-Platos-Session-Token`. The backend
//! mints it, for the user that its own login knows:
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
//! * **Who signs.** [`LocalMint`] signs with the entity's secret. A newer platform accepts only tokens that it
//!   signed itself: `RemoteMint` (feature `remote-mint`) asks it for them. [`SessionTokens`] is one interface
//!   over both, and over any other [`Mint`]; [`CachingMint`] hands out a token again while most of its life
//!   is left.
//! * **Who reads.** [`TokenVerifier`] verifies what the entity signed, for tests and for a look inside;
//!   [`decode_unverified`] only looks.
//! * **The endpoint.** `session_token_router` (feature `http`) answers `POST /api/platos-session`.
//! * **The command.** [`print_token`] mints from the environment and prints the token alone.
//!
//! This room must not know tools, calls or connections.

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
pub use remote::{RemoteMint, RemoteMintBuilder, RemoteMintError};
#[cfg(feature = "http")]
pub use router::{SESSION_TOKEN_PATH, SessionTokenRouter, session_token_router};
pub use scope::SessionScope;
pub use token::SessionToken;
pub use verify::{SessionTokenClaims, TokenVerifier};

/// The header in which a client sends its token to the platform.
pub const SESSION_TOKEN_HEADER: &str = "X-Platos-Session-Token";

/// Seconds since 1970; 0 for a clock before.
fn unix_seconds(time: std::time::SystemTime) -> u64 {
    time.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
