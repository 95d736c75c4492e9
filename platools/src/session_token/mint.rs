//! The interface of all mints.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{
    CachingMint, CheckedClaims, LocalMint, MintConfigError, MintError, SessionClaims, SessionScope,
    SessionToken,
};
use crate::SecretSource;

/// Mints session tokens for one scope.
///
/// ```
/// use platools::session_token::{CheckedClaims, Mint, MintError, SessionToken};
/// use platools::session_token::{SessionClaims, SessionTokens};
///
/// struct Vault;
///
/// #[async_trait::async_trait]
/// impl Mint for Vault {
///     async fn mint(&self, claims: &CheckedClaims) -> Result<SessionToken, MintError> {
///         Err(MintError::other(format!("the vault has no token for {}", claims.user_id())))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error = SessionTokens::new(Vault).mint(SessionClaims::for_user("usr_7")).await.unwrap_err();
/// assert!(error.to_string().contains("usr_7"));
/// # }
/// ```
#[async_trait]
pub trait Mint: Send + Sync + 'static {
    /// Mints a token with these validated claims.
    ///
    /// # Errors
    /// If minting fails. The error's text is logged and must not contain secrets.
    async fn mint(&self, claims: &CheckedClaims) -> Result<SessionToken, MintError>;
}

#[async_trait]
impl<M: Mint + ?Sized> Mint for Arc<M> {
    async fn mint(&self, claims: &CheckedClaims) -> Result<SessionToken, MintError> {
        (**self).mint(claims).await
    }
}

/// Mints session tokens for the users of one entity, with any [`Mint`]. Clones share the mint.
#[derive(Clone)]
pub struct SessionTokens {
    mint: Arc<dyn Mint>,
}

impl SessionTokens {
    /// Uses any mint, such as a `RemoteMint`.
    pub fn new(mint: impl Mint) -> Self {
        Self { mint: Arc::new(mint) }
    }

    /// Signs tokens in this process with the entity's secret; see [`LocalMint`].
    ///
    /// # Errors
    /// If the secret is missing or invalid, or an id of the scope is blank.
    pub fn local(secret: SecretSource, scope: SessionScope) -> Result<Self, MintConfigError> {
        Ok(Self::new(LocalMint::new(secret, scope)?))
    }

    /// Caches tokens until a fifth of their lifetime is left; see [`CachingMint`].
    pub fn cached(self, capacity: usize) -> Self {
        Self::new(CachingMint::new(self.mint, capacity))
    }

    /// Mints a token.
    ///
    /// # Errors
    /// If the claims are invalid, or minting fails.
    pub async fn mint(&self, claims: SessionClaims) -> Result<SessionToken, MintError> {
        self.mint.mint(&claims.check()?).await
    }
}

impl fmt::Debug for SessionTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionTokens")
    }
}
