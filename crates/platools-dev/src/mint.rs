//! Session tokens of an entity here, signed as the entity's own backend would.

use async_trait::async_trait;
use platools::SecretSource;
use platools::session_token::{CheckedClaims, LocalMint, MintError};
use platools::session_token::{Mint, SessionScope, SessionToken};

use crate::entity::ConnectedEntity;
use crate::platform::DevPlatform;

/// Signs with the entity's secret as it is now, for the scope that `welcome` states.
#[async_trait]
impl Mint for ConnectedEntity {
    async fn mint(&self, claims: &CheckedClaims) -> Result<SessionToken, MintError> {
        let scope = SessionScope::try_from(self.scope())?;
        let secret = SecretSource::text(self.secret().expose());
        LocalMint::new(secret, scope).map_err(MintError::other)?.mint(claims).await
    }
}

/// The tokens of the default entity.
#[async_trait]
impl Mint for DevPlatform {
    async fn mint(&self, claims: &CheckedClaims) -> Result<SessionToken, MintError> {
        (**self).mint(claims).await
    }
}
