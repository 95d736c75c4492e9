//! `mint`.

use std::time::Duration;

use platools::session_token::SessionScope;
use platools::session_token::TokenVerifier;
use platools::verify::Secret;
use serde_json::json;

use crate::support::run;

const SECRET: &str = "mint-secret-0123456789";

fn variables() -> Vec<(&'static str, &'static str)> {
    vec![
        ("PLATOS_ORGANIZATION_ID", "org"),
        ("PLATOS_PROJECT_ID", "proj"),
        ("PLATOS_ENVIRONMENT_ID", "env"),
        ("PLATOS_ENTITY", "orders"),
        ("PLATOS_SECRET", SECRET),
    ]
}

#[tokio::test]
async fn the_token_says_what_was_asked_for_and_verifies() {
    let mut variables = variables();
    variables.push(("USER_TOKEN", "tok-of-ada"));
    let arguments =
        ["mint", "--user", "ada", "--lifetime", "5m", "--user-token", "env:USER_TOKEN", "--agent", "ag"];
    let more = ["--name", "Ada", "--email", "ada@example.com", "--claim", "plan=pro", "--claim", "seats=3"];
    let ran = run(&[&arguments[..], &more].concat(), &variables).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let token = ran.out.strip_suffix('\n').unwrap();
    let scope = SessionScope::new("org", "proj", "env", "orders");
    let verifier = TokenVerifier::new(&Secret::new(SECRET).unwrap()).scope(scope);
    let claims = verifier.verify(token).unwrap();
    assert_eq!((&*claims.user_id, claims.user_token.as_deref()), ("ada", Some("tok-of-ada")));
    assert_eq!(claims.agent_id.as_deref(), Some("ag"));
    assert_eq!((claims.extra.get("plan"), claims.extra.get("seats")), (Some(&json!("pro")), Some(&json!(3))));
    assert_eq!(claims.expires_at - claims.issued_at, Duration::from_secs(300).as_secs());
    assert!(TokenVerifier::new(&Secret::new("another-secret-0123").unwrap()).verify(token).is_err());
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_named() {
    for missing in ["PLATOS_ORGANIZATION_ID", "PLATOS_PROJECT_ID", "PLATOS_ENTITY", "PLATOS_SECRET"] {
        let rest: Vec<_> = variables().into_iter().filter(|(name, _)| *name != missing).collect();
        let ran = run(&["mint", "--user", "ada"], &rest).await;
        ran.failed(2, missing);
        assert!(!ran.errors.contains("in code"), "who runs this program has none to change: {ran:?}");
    }
    for (arguments, message) in [
        (&["mint"][..], "--user <ID>"),
        (&["mint", "--user", ""], "user"),
        (&["mint", "--user", "ada", "--lifetime", "1s"], "60 s to 7 days"),
        (&["mint", "--user", "ada", "--lifetime", "soon"], "--lifetime"),
        (&["mint", "--user", "ada", "--claim", "plan"], "NAME=VALUE"),
        (&["mint", "--user", "ada", "--user-token", "env:NO_SUCH"], "`NO_SUCH` is not set"),
    ] {
        run(arguments, &variables()).await.failed(2, message);
    }
}
