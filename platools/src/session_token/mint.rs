//! The one interface over all mints.

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
    /// Mints a token with these claims, which break no rule.
    ///
    /// # Errors
    /// When there is no token to be had. The error's text goes into logs and must not hold a secret.
    async fn mint(&self, claims: &CheckedClaims) -> Result<SessionToken, MintError>;
}

#[async_trait]
impl<M: Mint + ?Sized> Mint for Arc<M> {
    async fn mint(&self, claims: &CheckedClaims) -> Result<SessionToken, MintError> {
        (**self).mint(claims).await
    }
}

/// Session tokens for the users of one entity, whichever mint they come from. Clones share the mint.
#[derive(Clone)]
pub struct SessionTokens {
    mint: Arc<dyn Mint>,
}

impl SessionTokens {
    /// Tokens from any mint, such as a `RemoteMint`.
    pub fn new(mint: impl Mint) -> Self {
        Self { mint: Arc::new(mint) }
    }

    /// Tokens that this process signs with the entity's secret; see [`LocalMint`].
    ///
    /// # Errors
    /// When the secret cannot be had or used, or an id of the scope is blank.
    pub fn local(secret: SecretSource, scope: SessionScope) -> Result<Self, MintConfigError> {
        Ok(Self::new(LocalMint::new(secret, scope)?))
    }

    /// Hands out a token again while most of its life is left; see [`CachingMint`].
    pub fn cached(self, capacity: usize) -> Self {
        Self::new(CachingMint::new(self.mint, capacity))
    }

    /// Mints a token.
    ///
    /// # Errors
    /// When the claims break a rule, or the mint has no token to give.
    pub async fn mint(&self, claims: SessionClaims) -> Result<SessionToken, MintError> {
        self.mint.mint(&claims.check()?).await
    }
}

impl fmt::Debug for SessionTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionTokens")
    }
}
