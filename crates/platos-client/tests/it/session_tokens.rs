//! Tokens that `platools` mints.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use platools::SecretSource;
use platools::session_token::{CheckedClaims, Mint, MintError, SessionToken, TokenVerifier};
use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
use platools::verify::Secret;
use platos_client::testing::PlatosDouble;
use platos_client::{Error, RefreshOutcome};

const SECRET: &str = "b7f1c2d3e4f5a6978899aabbccddeeff";

#[tokio::test]
async fn the_first_token_is_minted_and_carries_the_claims() {
    let platos = PlatosDouble::start().await.unwrap();
    let scope = SessionScope::new("org_1", "proj_1", "env_1", "orders");
    let tokens = SessionTokens::local(SecretSource::text(SECRET), scope).unwrap();
    let client = platos.builder().session_tokens(tokens, SessionClaims::for_user("usr_7")).build().unwrap();
    // The double takes only tokens that it was told of.
    let error = client.agents().list().await.unwrap_err();
    assert!(matches!(error, Error::Auth { .. }), "{error:?}");
    let sent = platos.requests()[0].headers["x-platos-session-token"].clone();
    let claims = TokenVerifier::new(&Secret::new(SECRET).unwrap()).verify(&sent).unwrap();
    assert_eq!((claims.user_id.as_str(), claims.scope.organization_id.as_str()), ("usr_7", "org_1"));
    assert!(!error.to_string().contains(&sent), "{error}");
}

/// Mints `token-1-for-usr_7`, `token-2-for-usr_7` and so on.
struct Counting(Arc<AtomicU64>);

#[async_trait::async_trait]
impl Mint for Counting {
    async fn mint(&self, claims: &CheckedClaims) -> Result<SessionToken, MintError> {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        if number > 2 {
            return Err(MintError::other("the mint is closed"));
        }
        Ok(SessionToken::new(format!("token-{number}-for-{}", claims.user_id()), u64::MAX))
    }
}

#[tokio::test]
async fn a_refused_token_is_minted_anew_and_what_the_mint_says_is_heard() {
    let platos = PlatosDouble::start().await.unwrap();
    platos.accept_token("token-2-for-usr_7");
    let minted = Arc::new(AtomicU64::new(0));
    let tokens = SessionTokens::new(Counting(Arc::clone(&minted)));
    let client = platos.builder().session_tokens(tokens, SessionClaims::for_user("usr_7")).build().unwrap();
    assert_eq!(client.agents().list().await.unwrap().len(), 2);
    client.agents().list().await.unwrap();
    assert_eq!((minted.load(Ordering::Relaxed), platos.requests().len()), (2, 3));

    platos.revoke_token("token-2-for-usr_7");
    let error = client.agents().list().await.unwrap_err();
    let Error::Auth { refresh: RefreshOutcome::Failed(problem), .. } = &error else { panic!("{error:?}") };
    assert!(problem.contains("the mint is closed"), "{problem}");
}
