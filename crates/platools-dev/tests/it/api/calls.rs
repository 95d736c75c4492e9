//! Calls through the API: what is sent, what comes back, and what is refused.

use axum::http::StatusCode;
use platools_dev::{DevPlatform, Tamper};
use serde_json::{Value, json};

use super::{Answer, Client, local};
use crate::host::RawHost;

/// Calls through the API, and answers as the host.
async fn call_and_answer(
    client: &Client<'_>,
    host: &mut RawHost,
    body: &str,
    result: Value,
) -> (Answer, Value) {
    tokio::join!(client.post(local("/calls"), body.to_owned()), async {
        let call = host.next_call().await;
        host.answer(&call, result).await;
        call
    })
}

#[tokio::test]
async fn a_call_goes_out_as_asked_and_comes_back_with_its_frames() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let client = Client::new(&platform);
    let body = r#"{"tool":"add","arguments":{"a": 1.50, "a":2, "big":12345678901234567890123},
        "context":{"source":"wire_test"},"user":"u","agent":"g","thread":"t","user_token":"secret-user-token",
        "entity_token":"oidc","call_id":"call-7"}"#;
    let (answer, call) = call_and_answer(&client, &mut host, body, json!({"sum": [3]})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let view = answer.json();
    assert_eq!((&view["outcome"], &view["result"]), (&json!("result"), &json!({"sum": [3]})));
    assert_eq!((&view["call_id"], &view["handler_ms"]), (&json!("call-7"), &json!(7)));
    assert!(view["latency_ms"].as_f64().unwrap() > 0.0);
    let envelope = &call["params"]["__platos"];
    for (name, value) in [
        ("userId", "u"),
        ("agentId", "g"),
        ("threadId", "t"),
        ("userToken", "secret-user-token"),
        ("entityToken", "oidc"),
    ] {
        assert_eq!(envelope[name], value, "{name}");
    }
    let arguments = r#"{"a": 1.50, "a":2, "big":12345678901234567890123"#;
    assert!(view["sent"]["text"].as_str().unwrap().contains(arguments), "kept to the byte: {view}");
    assert_eq!(view["request"]["arguments"]["text"], format!("{arguments}}}"));
    assert_eq!(view["request"]["context"]["source"], "wire_test");
    let signature = &view["signature"];
    assert_eq!(
        signature["signed_text"]["text"],
        format!(
            r#"{}.{}.{{"method":"tools/call","params":{{"name":"add","arguments":{arguments},"_context":{{"source":"wire_test"}}}}}}}}"#,
            signature["timestamp"].as_str().unwrap(),
            signature["nonce"].as_str().unwrap(),
        )
    );
    assert_eq!((&signature["signature"], &signature["valid"]), (&envelope["signature"], &json!(true)));
    let reply: Value = serde_json::from_str(view["reply"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(reply["type"], "tool_result");
}

#[tokio::test]
async fn an_error_of_the_tool_and_silence_are_outcomes() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let client = Client::new(&platform);
    let (answer, ()) = tokio::join!(client.post(local("/calls"), r#"{"tool":"add"}"#), async {
        let call = host.next_call().await;
        assert_eq!(call["params"]["__platos"]["userId"], "user_dev");
        let error = "no ".repeat(1000);
        host.send(json!({"type": "tool_error", "call_id": call["call_id"], "error": error})).await;
    });
    let view = answer.json();
    assert_eq!((answer.status, &view["outcome"]), (StatusCode::OK, &json!("error")));
    assert_eq!(view["message"].as_str().unwrap().len(), 3000);
    assert_eq!(view["error"].as_str().unwrap().len(), 200);

    let silent = client.post(local("/calls"), r#"{"tool":"add","options":{"timeout_ms":30}}"#).await.json();
    assert_eq!((&silent["outcome"], &silent["reply"]), (&json!("timed_out"), &Value::Null));
}

#[tokio::test]
async fn what_is_tampered_with_no_longer_fits_its_signature() {
    let platform = DevPlatform::start().await.unwrap();
    let _host = RawHost::with_tools(&platform, &["add"]).await;
    let client = Client::new(&platform);
    for tamper in Tamper::ALL {
        let body = json!({"tool": "add", "arguments": {"a": 1},
                          "options": {"tamper": tamper.as_str(), "timeout_ms": 1}});
        let view = client.post(local("/calls"), body.to_string()).await.json();
        // What the signature does not cover stays valid, and is found out by other means.
        let is_covered = !matches!(tamper, Tamper::CallId | Tamper::Scope);
        assert_eq!(view["signature"]["valid"], json!(!is_covered), "{tamper:?}");
        assert_eq!(view["tamper"], tamper.as_str());
    }
    let body =
        r#"{"tool":"add","options":{"legacy":true,"signed_at":"2020-01-01T00:00:00Z","timeout_ms":1}}"#;
    let view = client.post(local("/calls"), body).await.json();
    assert_eq!(view["signature"]["timestamp"], "2020-01-01T00:00:00.000Z");
    assert_eq!((&view["signature"]["nonce"], &view["signature"]["valid"]), (&Value::Null, &json!(true)));
}

#[tokio::test]
async fn a_call_that_cannot_be_sent_says_why() {
    let platform = DevPlatform::start().await.unwrap();
    let client = Client::new(&platform);
    for (path, body, status, code, hint) in [
        (local("/calls"), r#"{"tool":"add"}"#, 409, "not_connected", "no host is connected"),
        (local("/calls"), r#"{"tool":"add","arguments":[1]}"#, 400, "not_an_object", "arguments"),
        (local("/calls"), r#"{"tool":"add","context":1}"#, 400, "not_an_object", "context"),
        (local("/calls"), r#"{"tool":"add","argument":{}}"#, 400, "invalid_body", "`argument`"),
        (local("/calls"), r#"{"tool":"add","arguments":{]}"#, 400, "invalid_body", "line 1"),
        (local("/calls"), "{}", 400, "invalid_body", "`tool`"),
        (local("/calls"), "", 400, "invalid_body", ""),
        (local("/calls"), r#"{"tool":"add","options":{"tamper":"all"}}"#, 400, "invalid_body", "tool_name"),
        (local("/calls"), r#"{"tool":"add","options":{"signed_at":"now"}}"#, 400, "invalid_body", "2026"),
        (local("/calls"), r#"{"tool":"add","options":{"timeout_ms":0}}"#, 400, "invalid_timeout", "600000"),
        (
            "/api/v1/entities/other/dev/calls".to_owned(),
            r#"{"tool":"add"}"#,
            404,
            "unknown_entity",
            "`other`",
        ),
        (
            "/api/v1/entities/local/moon/calls".to_owned(),
            r#"{"tool":"add"}"#,
            404,
            "unknown_entity",
            "`moon`",
        ),
    ] {
        let answer = client.post(&path, body).await;
        assert_eq!(answer.code(), (status, code.to_owned()), "{body}");
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(hint), "{}", answer.text);
    }
    let huge = format!(r#"{{"tool":"add","arguments":{{"a":"{}"}}}}"#, "x".repeat(11 * 1024 * 1024));
    assert_eq!(client.post(local("/calls"), huge).await.code(), (413, "too_large".to_owned()));
}

#[tokio::test]
async fn a_result_of_10_mb_is_replaced_and_its_frame_can_be_had_whole() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let client = Client::new(&platform);
    let result = "é".repeat(5 * 1024 * 1024 - 100);
    let (answer, _) = call_and_answer(&client, &mut host, r#"{"tool":"add"}"#, json!(result)).await;
    assert!(answer.text.len() < 1024 * 1024, "{}", answer.text.len());
    let view = answer.json();
    assert_eq!(view["result"]["truncated"], true);
    assert_eq!(view["result"]["original_bytes"], result.chars().count());
    assert_eq!(view["reply"]["truncated"], true);
    let frame = client.get(format!("/api/v1/history/{}/frames/reply", view["id"])).await;
    assert_eq!(frame.text.len(), view["reply"]["bytes"].as_u64().unwrap() as usize);
    assert!(frame.text.contains(&result));
    assert_eq!(frame.headers["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn a_result_that_no_value_can_hold_comes_as_the_host_wrote_it() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let client = Client::new(&platform);
    let (answer, ()) = tokio::join!(client.post(local("/calls"), r#"{"tool":"add"}"#), async {
        let call = host.next_call().await;
        let text = format!(
            r#"{{"type":"tool_result","call_id":{},"result":{{"n":1.0e2,"n":12345678901234567890.10,"s":"\ud800"}}}}"#,
            call["call_id"]
        );
        host.send_message(tokio_tungstenite::tungstenite::Message::text(text)).await;
    });
    let expected = r#""result":{"n":1.0e2,"n":12345678901234567890.10,"s":"\ud800"}"#;
    assert!(answer.text.contains(expected), "{}", answer.text);
}
