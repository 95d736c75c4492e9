//! Session tokens, read and made by the packages that others use.

use std::io::Write as _;
use std::process::{Command, Stdio};

use platools::SecretSource;
use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
use platools::session_token::{TokenError, TokenVerifier, UserIdentity};
use platools::verify::Secret;
use serde_json::{Value, json};

use super::interop::{node_packages, python, script};

const SECRET: &str = "b7f1c2d3e4f5a6978899aabbccddeeff00112233445566778899aabbccddeeff";

fn scope() -> SessionScope {
    SessionScope::new("org_1", "proj_1", "env_1", "orders-prod")
}

/// Gives `program` a token of ours, and holds what it says, and what it makes, against ours.
async fn exchange(mut program: Command) {
    let tokens = SessionTokens::local(SecretSource::text(SECRET), scope()).unwrap();
    let claims = SessionClaims::for_user("usr_7")
        .user_token("opaque")
        .agent("agt_1")
        .name("Ada")
        .identity(UserIdentity::new("Slack", "U7").verified(true))
        .permission("orders:read")
        .claim("plan", json!({"name": "naïve ☕ 🚀", "limits": [1, 2.5, true, null]}));
    let token = tokens.mint(claims).await.unwrap();
    let others = json!({
        "organizationId": "org_1", "projectId": "proj_1", "environmentId": "env_1", "entityId": "orders-prod",
        "userId": "usr_7", "userMeta": {"name": "naïve ☕ 🚀"}, "plan": {"limits": [1, 2.5, true, null]},
    });
    let asked = json!({"secret": SECRET, "token": token.as_str(), "claims": others}).to_string();

    let mut program =
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the interpreter starts");
    program.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success(), "the program failed; it says why above");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();

    assert_eq!(said["header"], json!({"alg": "HS256", "typ": "JWT"}));
    let read = &said["read"];
    assert_eq!((&read["userId"], &read["entityId"]), (&json!("usr_7"), &json!("orders-prod")));
    assert_eq!((&read["iss"], &read["exp"]), (&json!("entity"), &json!(token.expires_at())));
    assert_eq!(read["userIdentities"], json!([{"channel": "slack", "handle": "U7", "verified": true}]));
    assert_eq!(read["plan"], json!({"name": "naïve ☕ 🚀", "limits": [1, 2.5, true, null]}));
    assert_eq!(said["wrong_secret"], "refused");

    let verifier = TokenVerifier::new(&Secret::new(SECRET).unwrap()).scope(scope());
    let made = said["made"].as_object().unwrap();
    assert!(made.len() >= 8, "{made:?}");
    for (expected, token) in made {
        let read = verifier.verify(token.as_str().unwrap());
        let reason = read.as_ref().map_or_else(TokenError::reason, |_| "accepted");
        assert_eq!(reason, expected.split(' ').next().unwrap(), "{expected}");
        if let Ok(claims) = read {
            assert_eq!(claims.user_meta.unwrap().name.as_deref(), Some("naïve ☕ 🚀"));
            assert_eq!(claims.extra["plan"], json!({"limits": [1, 2.5, true, null]}));
        }
    }
}

#[tokio::test]
async fn pyjwt_reads_our_tokens_and_we_read_its() {
    let Some(python) = python("pyjwt") else { return };
    let mut program = Command::new(python);
    program.arg(script("pyjwt_tokens.py"));
    exchange(program).await;
}

#[tokio::test]
async fn jose_on_node_reads_our_tokens_and_we_read_its() {
    let Some(packages) = node_packages("jose") else { return };
    let mut program = Command::new("node");
    program.arg(script("jose_tokens.mjs")).arg(packages);
    exchange(program).await;
}
