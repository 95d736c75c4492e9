//! The tokens of a call, for authentication.

use std::fmt;

/// The unverified tokens of a call. `Debug` redacts them.
///
/// Contains only the tokens: the ids in the envelope are not signed, so they are no basis for an identity.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    user_token: Option<String>,
    entity_token: Option<String>,
}

impl Credentials {
    /// Creates credentials without tokens.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the user's token.
    pub fn with_user_token(mut self, token: impl Into<String>) -> Self {
        self.user_token = Some(token.into());
        self
    }

    /// Sets the access token that the entity issued.
    pub fn with_entity_token(mut self, token: impl Into<String>) -> Self {
        self.entity_token = Some(token.into());
        self
    }

    /// Returns `userToken`: the entity's own credential of the user, which its backend put into the session token.
    /// A secret: keep it out of logs.
    pub fn user_token(&self) -> Option<&str> {
        self.user_token.as_deref()
    }

    /// Returns `entityToken`: an OIDC access token that the entity issued. A secret: keep it out of logs.
    pub fn entity_token(&self) -> Option<&str> {
        self.entity_token.as_deref()
    }

    /// Returns whether there are no tokens.
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
