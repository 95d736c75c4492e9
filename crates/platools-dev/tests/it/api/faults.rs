//! Faults through the API: each does what it says, and what cannot be done is refused.

use axum::http::StatusCode;
use platools_dev::DevPlatform;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::{Client, local};
use crate::host::{RawHost, Received, declaration};

async fn inject(client: &Client<'_>, body: &str) -> StatusCode {
    client.post(local("/faults"), body.to_owned()).await.status
}

#[tokio::test]
async fn connections_end_in_every_way() {
    let platform = DevPlatform::start().await.unwrap();
    let client = Client::new(&platform);
    let close = |code, reason: &str| Received::Close { code, reason: reason.to_owned() };
    for (body, expected) in [
        (r#"{"fault":"drop"}"#, Received::Broken),
        (r#"{"fault":"supersede"}"#, close(1000, "superseded by new connection")),
        (r#"{"fault":"going_away"}"#, close(1001, "server shutting down")),
        (r#"{"fault":"close","code":4321,"reason":"why"}"#, close(4321, "why")),
    ] {
        let mut host = RawHost::connect(&platform).await;
        assert_eq!(inject(&client, body).await, StatusCode::OK, "{body}");
        assert_eq!(host.receive().await, expected, "{body}");
        drop(host);
        platform.wait_disconnected().await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_freezes_and_thaws_and_the_list_says_so() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let client = Client::new(&platform);
    assert_eq!(inject(&client, r#"{"fault":"freeze"}"#).await, StatusCode::OK);
    assert_eq!(client.get(local("")).await.json()["connection"]["frozen"], true);
    host.send(json!({"type": "heartbeat"})).await;
    let call = client.post(local("/calls"), r#"{"tool":"add","options":{"timeout_ms":50}}"#).await;
    assert_eq!(call.json()["outcome"], "timed_out");
    assert_eq!(inject(&client, r#"{"fault":"thaw"}"#).await, StatusCode::OK);
    platform.wait_for_heartbeats(1).await.unwrap();
    assert_eq!(client.get(local("")).await.json()["connection"]["frozen"], false);
}

#[tokio::test]
async fn registrations_are_refused_and_a_seat_says_where_its_tools_are_called() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::connect(&platform).await;
    let client = Client::new(&platform);
    let refuse = r#"{"fault":"refuse_registrations","declarations":1,"text":"entity_not_found_in_scope"}"#;
    assert_eq!(inject(&client, refuse).await, StatusCode::OK);
    assert_eq!(client.get(local("")).await.json()["refused_registrations"], 1);
    let mut with_callback = declaration(&["add"]);
    with_callback["callback_url"] = "http://127.0.0.1:22/calls".into();
    host.send(with_callback.clone()).await;
    assert_eq!(host.frame().await["error"], "tool_register failed: entity_not_found_in_scope");
    assert_eq!(client.get(local("")).await.json()["visible"], false);
    host.send(with_callback).await;
    assert_eq!(host.frame().await["type"], "tools_registered");
    let seat = client.get(local("")).await.json();
    assert_eq!(
        (&seat["visible"], &seat["callback_url"]),
        (&json!(true), &json!("http://127.0.0.1:22/calls"))
    );

    drop(host);
    platform.wait_disconnected().await.unwrap();
    let call = client.post(local("/calls"), r#"{"tool":"add"}"#).await.json();
    assert_eq!((&call["transport"], &call["http_status"]), (&json!("http"), &json!(null)));
    assert_eq!(call["http_url"], "http://127.0.0.1:22/calls");
    assert!(
        call["message"].as_str().unwrap().starts_with("entity callback URL blocked: has port 22"),
        "{call}"
    );
}

#[tokio::test]
async fn registrations_are_throttled_and_heartbeats_ignored() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::connect(&platform).await;
    let client = Client::new(&platform);
    let throttle = r#"{"fault":"throttle","declarations":1,"retry_after_ms":40}"#;
    assert_eq!(inject(&client, throttle).await, StatusCode::OK);
    assert_eq!(client.get(local("")).await.json()["refused_registrations"], 1);
    host.send(declaration(&["add"])).await;
    let throttled = host.frame().await;
    assert_eq!(
        (&throttled["type"], &throttled["retry_after_ms"]),
        (&json!("register_throttled"), &json!(40))
    );
    host.send(declaration(&["add"])).await;
    assert_eq!(host.frame().await["type"], "tools_registered");

    assert_eq!(inject(&client, r#"{"fault":"ignore_heartbeats","ignore":true}"#).await, StatusCode::OK);
    host.send(json!({"type": "heartbeat"})).await;
    platform.wait_for_heartbeats(1).await.unwrap();
    assert_eq!(client.get(local("")).await.json()["ignores_heartbeats"], true);
    assert_eq!(inject(&client, r#"{"fault":"ignore_heartbeats","ignore":false}"#).await, StatusCode::OK);
    host.send(json!({"type": "heartbeat"})).await;
    assert_eq!(host.frame().await["type"], "heartbeat_ack", "one for the second, none for the first");

    assert_eq!(inject(&client, r#"{"fault":"send_text","text":"no json"}"#).await, StatusCode::OK);
    assert_eq!(host.message().await, Message::text("no json"));
}

#[tokio::test]
async fn the_last_call_is_replayed_and_the_secret_rotated() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let client = Client::new(&platform);
    let answer = client.post(local("/faults"), r#"{"fault":"replay_last"}"#).await;
    assert_eq!(answer.code(), (409, "nothing_to_replay".to_owned()));
    let call = client.post(local("/calls"), r#"{"tool":"add","options":{"timeout_ms":1}}"#).await.json();
    let first = host.next_call().await;
    let (replayed, ()) = tokio::join!(client.post(local("/faults"), r#"{"fault":"replay_last"}"#), async {
        let again = host.next_call().await;
        assert_eq!(again, first);
        host.send(json!({"type": "tool_error", "call_id": again["call_id"], "error": "nonce_replay: seen"}))
            .await;
    });
    let replayed = replayed.json();
    assert_eq!(replayed["call"]["error"], "nonce_replay: seen");
    assert_eq!(replayed["call"]["sent"], call["sent"]);

    let old = platform.secret();
    let rotated = client.post("/api/v1/entities/local/secret", "{}").await.json();
    host.expect_close(4001, "secret rotated; reconnect with new secret").await;
    assert_eq!(rotated["secret"], platform.secret().expose());
    assert_ne!(rotated["secret"], old.expose());
    let view = client.get(format!("/api/v1/history/{}", call["id"])).await.json();
    assert_eq!(view["signature"]["valid"], false, "no longer");
    assert_eq!(client.post("/api/v1/entities/none/secret", "{}").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn faults_that_cannot_be_are_refused() {
    let platform = DevPlatform::start().await.unwrap();
    let client = Client::new(&platform);
    let absent = client.post(local("/faults"), r#"{"fault":"drop"}"#).await;
    assert_eq!(absent.code(), (409, "not_connected".to_owned()));
    let mut host = RawHost::connect(&platform).await;
    let long = json!({"fault": "close", "code": 1000, "reason": "x".repeat(124)}).to_string();
    for (body, code) in [
        (r#"{"fault":"explode"}"#, "invalid_body"),
        (r#"{"fault":"close"}"#, "invalid_body"),
        (r#"{"fault":"close","code":1006}"#, "invalid_fault"),
        (r#"{"fault":"close","code":99999}"#, "invalid_body"),
        (&long, "invalid_fault"),
        (r#"{"fault":"throttle","declarations":-1,"retry_after_ms":0}"#, "invalid_body"),
        (r#"{"fault":"throttle","declarations":1,"retry_after_ms":3600001}"#, "invalid_fault"),
        ("[]", "invalid_body"),
    ] {
        let answer = client.post(local("/faults"), body.to_owned()).await;
        assert_eq!(answer.code(), (400, code.to_owned()), "{body}");
    }
    host.send(json!({"type": "heartbeat"})).await;
    assert_eq!(host.frame().await["type"], "heartbeat_ack", "the connection did not notice");
}
