//! What a call brings to show who is behind it.

use std::fmt;

/// The tokens that a call carries, unverified. Its `Debug` shows none of them.
///
/// There is nothing else in it on purpose: the ids in the envelope are not signed, so no identity should
/// be made of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    user_token: Option<String>,
    entity_token: Option<String>,
}

impl Credentials {
    /// No tokens.
    pub fn new() -> Self {
        Self::default()
    }

    /// With the user's token.
    pub fn with_user_token(mut self, token: impl Into<String>) -> Self {
        self.user_token = Some(token.into());
        self
    }

    /// With an access token that the entity issued.
    pub fn with_entity_token(mut self, token: impl Into<String>) -> Self {
        self.entity_token = Some(token.into());
        self
    }

    /// `userToken`: the entity's own credential of the user, which its backend put into the session token.
    /// A secret: keep it out of logs.
    pub fn user_token(&self) -> Option<&str> {
        self.user_token.as_deref()
    }

    /// `entityToken`: an OIDC access token that the entity issued. A secret: keep it out of logs.
    pub fn entity_token(&self) -> Option<&str> {
        self.entity_token.as_deref()
    }

    /// Whether there is no token at all.
    pub fn is_empty(&self) -> bool {
        self.user_token.is_none() && self.entity_token.is_none()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |token: &Option<String>| token.as_ref().map(|_| "[redacted]");
        f.debug_struct("Credentials")
            .field("user_token", &shown(&self.user_token))
            .field("entity_token", &shown(&self.entity_token))
            .finish()
    }
}
