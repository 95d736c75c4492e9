//! The platform as a mint of session tokens.

use std::sync::Arc;

use platools::session_token::{MintError, TokenVerifier};
use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
use platools_dev::DevPlatform;

#[tokio::test]
async fn an_entity_mints_for_its_own_scope_with_its_own_secret() {
    let secret = platools::verify::Secret::new("stock-secret-0123456789").unwrap();
    let platform = DevPlatform::options().entity("orders", secret.clone()).start().await.unwrap();
    let production = platform.entity_in("orders", "prod").unwrap();
    let scope = |entity: &platools_dev::ConnectedEntity| SessionScope::try_from(entity.scope()).unwrap();
    let token = SessionTokens::new(production.clone()).mint(SessionClaims::for_user("usr_7")).await.unwrap();

    let verifier = TokenVerifier::new(&secret);
    let claims = verifier.clone().scope(scope(&production)).verify(token.as_str()).unwrap();
    assert_eq!((claims.user_id.as_str(), claims.scope.environment_id.as_str()), ("usr_7", "env_prod"));
    let elsewhere = verifier.scope(scope(&platform)).verify(token.as_str()).unwrap_err();
    assert_eq!(elsewhere.reason(), "scope_mismatch");
}

#[tokio::test]
async fn the_platform_mints_for_its_default_entity_with_the_secret_of_the_moment() {
    let platform = Arc::new(DevPlatform::start().await.unwrap());
    let tokens = SessionTokens::new(Arc::clone(&platform));
    let before = tokens.mint(SessionClaims::for_user("usr_7")).await.unwrap();
    TokenVerifier::new(&platform.secret()).verify(before.as_str()).unwrap();
    platform.faults().rotate_secret().unwrap();
    let verifier = TokenVerifier::new(&platform.secret());
    assert_eq!(verifier.verify(before.as_str()).unwrap_err().reason(), "bad_signature");
    let after = tokens.mint(SessionClaims::for_user("usr_7")).await.unwrap();
    verifier.verify(after.as_str()).unwrap();

    let error = tokens.mint(SessionClaims::for_user("")).await.unwrap_err();
    assert!(matches!(error, MintError::Claims(_)), "{error:?}");
}
