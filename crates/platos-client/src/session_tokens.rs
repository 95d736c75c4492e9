//! Session tokens minted by `platools` (feature `session-tokens`).
//!
//! This room knows that one type of `platools`, and nothing of how tokens are made.

use platools::session_token::{SessionClaims, SessionTokens};

use crate::config::{ClientBuilder, NoMode, Session};

impl ClientBuilder<NoMode> {
    /// Session-token mode on behalf of one user, with tokens that `platools` mints: the first one before the first
    /// request, and another whenever the platform refuses the one there is. Every clone of the client acts for that
    /// user; a backend that serves many has one client each.
    ///
    /// A [`cached`](SessionTokens::cached) mint would give a token again that was just refused: leave the cache out
    /// here, the client keeps its token itself.
    ///
    /// ```
    /// use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
    /// use platools::SecretSource;
    /// use platos_client::PlatosClient;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let secret = SecretSource::text("b7f1c2d3e4f5a6978899aabbccddeeff");
    /// let tokens = SessionTokens::local(secret, SessionScope::new("org_1", "proj_1", "env_prod", "orders-prod"))?;
    /// let client = PlatosClient::builder("https://platos.example")
    ///     .session_tokens(tokens, SessionClaims::for_user("usr_7"))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn session_tokens(self, tokens: SessionTokens, claims: SessionClaims) -> ClientBuilder<Session> {
        self.session_token_from(move |_refused| {
            let (tokens, claims) = (tokens.clone(), claims.clone());
            async move { tokens.mint(claims).await.map(|token| token.as_str().to_owned()) }
        })
    }
}
