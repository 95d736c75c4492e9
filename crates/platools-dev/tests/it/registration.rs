//! Declarations, their limit, and heartbeats.

use std::time::Duration;

use platools::wire::HealthStatus;
use platools_dev::DevPlatform;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::host::{RawHost, declaration};

#[tokio::test]
async fn every_declaration_is_complete_and_counted() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::connect(&platform).await;
    for (names, expected) in
        [(&["a", "b"][..], (2, 2, 0, 0)), (&["b", "c"], (2, 1, 0, 1)), (&[], (0, 0, 0, 2))]
    {
        host.send(declaration(names)).await;
        let (count, new_tools, updated, pruned) = expected;
        assert_eq!(
            host.frame().await,
            json!({"type": "tools_registered", "entity_id": "local", "environment_id": "env_dev",
                   "count": count, "new_tools": new_tools, "updated": updated, "pruned": pruned})
        );
    }
    assert_eq!(platform.registrations(), 3);
    assert_eq!(platform.tools(), []);
}

#[tokio::test]
async fn the_seventh_declaration_in_a_minute_is_throttled_and_not_applied() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::connect(&platform).await;
    for _ in 0..6 {
        host.send(declaration(&["kept"])).await;
        assert_eq!(host.frame().await["type"], "tools_registered");
    }
    // The limit is the entity's and not the connection's.
    let mut host = RawHost::connect(&platform).await;
    host.send(declaration(&["refused"])).await;
    let throttled = host.frame().await;
    assert_eq!(throttled["type"], "register_throttled");
    let retry_after = throttled["retry_after_ms"].as_u64().unwrap();
    assert!((1..=60_000).contains(&retry_after), "{throttled}");
    assert!(platform.tool("refused").is_none() && platform.tool("kept").is_some());
    assert_eq!((platform.counters().registrations, platform.counters().throttled), (6, 1));

    let production = platform.entity_in("local", "prod").unwrap();
    RawHost::with_tools(&production, &["elsewhere"]).await;
}

#[tokio::test]
async fn declarations_can_be_throttled_on_purpose() {
    let platform = DevPlatform::start().await.unwrap();
    platform.faults().throttle_registrations(1, Duration::from_millis(1_234));
    let mut host = RawHost::connect(&platform).await;
    host.send(declaration(&["a"])).await;
    assert_eq!(host.frame().await["retry_after_ms"], 1_234);
    host.send(declaration(&["a"])).await;
    assert_eq!(host.frame().await["type"], "tools_registered");
}

#[tokio::test]
async fn heartbeats_are_acknowledged_and_their_health_is_kept() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a", "b"]).await;
    let health = |status: &str| json!({"status": status, "avg_latency_ms": 12, "error_count_1h": 1, "last_error": "e"});
    host.send(json!({"type": "heartbeat", "tools_health": {"a": health("degraded")}})).await;
    assert_eq!(host.frame().await, json!({"type": "heartbeat_ack"}));
    host.send(json!({"type": "heartbeat", "tools_health": {"b": health("down"), "c": health("nonsense")}}))
        .await;
    assert_eq!(host.frame().await, json!({"type": "heartbeat_ack"}));
    let kept = platform.health();
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((kept["a"].status, kept["b"].status), (HealthStatus::Degraded, HealthStatus::Down));

    platform.faults().ignore_heartbeats(true);
    host.send(json!({"type": "heartbeat"})).await;
    platform.wait_for_heartbeats(3).await.unwrap();
    platform.faults().ignore_heartbeats(false);
    platform.faults().send_text(r#"{"type":"marker"}"#).unwrap();
    assert_eq!(host.frame().await["type"], "marker", "the ignored heartbeat was not acknowledged");
}

#[tokio::test]
async fn garbage_is_counted_and_the_connection_lives() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::connect(&platform).await;
    for garbage in ["nonsense", "[]", r#"{"type":7}"#, r#"{"type":"tool_result","result":1}"#] {
        host.send_message(Message::text(garbage)).await;
    }
    host.send_message(Message::binary(vec![0, 1, 2])).await;
    host.send_message(Message::text(
        "{\"type\":\"heartbeat\",\"tools_health\":".to_owned() + &"[".repeat(20_000),
    ))
    .await;
    host.send(json!({"type": "something_new"})).await;
    host.send(json!({"type": "tool_register", "tools": [{"description": "nameless"}]})).await;
    let error = host.frame().await;
    assert!(error["error"].as_str().unwrap().starts_with("tool_register failed: "), "{error}");
    host.send(json!({"type": "heartbeat"})).await;
    assert_eq!(host.frame().await["type"], "heartbeat_ack");
    let counters = platform.counters();
    assert_eq!((counters.malformed_frames, counters.unknown_frames), (7, 1));
}
