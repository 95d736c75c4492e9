//! Session tokens: minted as by the platform's own mint, checked, and used for calls.

use axum::http::{Method, StatusCode};
use platools::SecretSource;
use platools::session_token::RemoteMint;
use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
use platools::verify::Secret;
use platools_dev::DevPlatform;
use serde_json::{Value, json};

use super::{Answer, Client, local};
use crate::host::RawHost;

const MINT: &str = "/api/v1/entities/local/session-tokens";

async fn mint(client: &Client<'_>, body: Value) -> String {
    let minted = client.post(MINT, body.to_string()).await;
    assert_eq!(minted.status, StatusCode::OK, "{}", minted.text);
    minted.json()["token"].as_str().unwrap().to_owned()
}

async fn check(client: &Client<'_>, token: &str) -> Answer {
    let (host, _) = client.identity();
    let headers = [("host", &*host), ("x-platos-session-token", token)];
    client.ask(Method::GET, "/api/v1/session", &headers, "").await
}

#[tokio::test]
async fn a_token_is_minted_and_tells_who_it_is_for() {
    let platform = DevPlatform::start().await.unwrap();
    let client = Client::new(&platform);
    let body = json!({
        "organizationId": "org_dev", "projectId": "proj_dev", "environmentId": "env_prod", "userId": "usr_7",
        "userToken": "opaque-user-token", "ttlSeconds": 5, "agentId": "agt_1", "userMeta": {"name": "Ada"},
        "userIdentities": [{"channel": " Email ", "handle": "ada@example.com", "verified": true}],
        "claims": {"plan": "pro"},
    });
    let token = mint(&client, body).await;
    let checked = check(&client, &token).await;
    let claims = checked.json();
    assert_eq!((&claims["userId"], &claims["environmentId"]), (&json!("usr_7"), &json!("env_prod")));
    assert_eq!((&claims["userMeta"]["name"], &claims["claims"]["plan"]), (&json!("Ada"), &json!("pro")));
    assert_eq!(claims["userIdentities"][0]["channel"], "email");
    let lifetime = claims["expiresAt"].as_u64().unwrap() - claims["issuedAt"].as_u64().unwrap();
    assert_eq!(lifetime, 60, "clamped, as by the platform");
    assert_eq!(claims["hasUserToken"], true);
    assert!(!checked.text.contains("opaque-user-token"));

    for (body, status, code) in [
        (json!({}), 400, "invalid_body"),
        (json!({"userId": " "}), 400, "invalid_claims"),
        (json!({"userId": "u", "claims": {"exp": 1}}), 400, "invalid_claims"),
        (json!({"userId": "u", "organizationId": "org_other"}), 401, "scope_mismatch"),
        (json!({"userId": "u", "environmentId": "moon"}), 404, "unknown_entity"),
    ] {
        let refused = client.post(MINT, body.to_string()).await;
        assert_eq!(refused.code(), (status, code.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn a_token_that_is_forged_foreign_or_of_an_old_secret_is_refused() {
    let platform = DevPlatform::start().await.unwrap();
    let client = Client::new(&platform);
    let token = mint(&client, json!({"userId": "usr_7"})).await;
    let other = DevPlatform::start().await.unwrap();
    let forged = mint(&Client::new(&other), json!({"userId": "usr_7"})).await;
    let elsewhere = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let foreign = SessionTokens::new(elsewhere.entity_in("orders", "dev").unwrap());
    let foreign = foreign.mint(SessionClaims::for_user("usr_7")).await.unwrap();
    for (token, code) in [
        (forged.as_str(), "bad_signature"),
        (foreign.as_str(), "scope_mismatch"),
        ("", "malformed"),
        ("a.b.c", "malformed"),
        // {"alg":"none"}
        ("eyJhbGciOiJub25lIn0.eyJlbnRpdHlJZCI6ImxvY2FsIn0.", "scope_mismatch"),
    ] {
        assert_eq!(check(&client, token).await.code(), (401, code.to_owned()), "{token}");
    }
    let (host, _) = client.identity();
    let missing = client.ask(Method::GET, "/api/v1/session", &[("host", &host)], "").await;
    assert_eq!(missing.code(), (401, "session_token_missing".to_owned()));
    assert_eq!(check(&client, &token).await.status, StatusCode::OK);
    platform.faults().rotate_secret().unwrap();
    assert_eq!(check(&client, &token).await.code(), (401, "bad_signature".to_owned()));
}

#[tokio::test]
async fn a_call_with_a_session_token_is_made_for_its_user() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let client = Client::new(&platform);
    let token = mint(&client, json!({"userId": "usr_7", "userToken": "proof", "agentId": "agt_1"})).await;
    let (name, bearer) = client.identity();
    let headers = [
        ("host", &*name),
        ("authorization", &*bearer),
        ("content-type", "application/json"),
        ("x-platos-session-token", &*token),
    ];
    let path = local("/calls");
    let (answer, ()) = tokio::join!(client.ask(Method::POST, &path, &headers, r#"{"tool":"add"}"#), async {
        let call = host.next_call().await;
        let envelope = &call["params"]["__platos"];
        assert_eq!((&envelope["userId"], &envelope["userToken"]), (&json!("usr_7"), &json!("proof")));
        assert_eq!(envelope["agentId"], "agt_1");
        host.answer(&call, json!(1)).await;
    });
    assert_eq!(answer.json()["outcome"], "result");
    for (body, status, code) in [
        (r#"{"tool":"add","user":"usr_8"}"#, 400, "two_users"),
        (r#"{"tool":"add","agent":"agt_2"}"#, 401, "another_agent"),
    ] {
        let refused = client.ask(Method::POST, &path, &headers, body).await;
        assert_eq!(refused.code(), (status, code.to_owned()), "{body}");
    }
    let twice = [&headers[..], &headers[3..]].concat();
    let refused = client.ask(Method::POST, &path, &twice, r#"{"tool":"add"}"#).await;
    assert_eq!(refused.code(), (400, "ambiguous_header".to_owned()));
    let production = "/api/v1/entities/local/prod/calls";
    let refused = client.ask(Method::POST, production, &headers, r#"{"tool":"add"}"#).await;
    assert_eq!(refused.code(), (401, "scope_mismatch".to_owned()));
}

#[tokio::test]
async fn the_remote_mint_of_a_backend_is_served() {
    let key = Secret::new("plt_ent_0123456789abcdef").unwrap();
    let platform = DevPlatform::options().api_token(key.clone()).start().await.unwrap();
    let scope = SessionScope::try_from(platform.scope()).unwrap();
    let mint = RemoteMint::builder(platform.http_url(), SecretSource::text(key.expose()), scope);
    let token =
        SessionTokens::new(mint.build().unwrap()).mint(SessionClaims::for_user("usr_7")).await.unwrap();
    assert_eq!(check(&Client::new(&platform), token.as_str()).await.json()["userId"], "usr_7");
}
