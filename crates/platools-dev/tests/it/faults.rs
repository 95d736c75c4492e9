//! Faults: each does what it says.

use std::time::Duration;

use futures_util::FutureExt as _;
use platools::verify::Secret;
use platools_dev::{DevError, DevPlatform, Ending, Event, Outcome};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::host::{RawHost, Received};

#[tokio::test]
async fn without_a_connection_there_is_nothing_to_disturb() {
    let platform = DevPlatform::start().await.unwrap();
    let absent = Err(DevError::NotConnected(platform.key().clone()));
    let faults = platform.faults();
    assert_eq!(faults.drop_connection(), absent);
    assert_eq!(faults.freeze(), absent);
    assert_eq!(faults.supersede(), absent);
    assert_eq!(faults.send_text("{}"), absent);
}

#[tokio::test]
async fn a_dropped_connection_ends_without_a_close() {
    let platform = DevPlatform::start().await.unwrap();
    let mut events = platform.events();
    let mut host = RawHost::connect(&platform).await;
    platform.faults().drop_connection().unwrap();
    assert_eq!(host.receive().await, Received::Broken);
    platform.wait_disconnected().await.unwrap();
    let _connected = events.next().await.unwrap();
    match events.next().await.unwrap() {
        Event::Disconnected { ending, .. } => assert_eq!(ending, Ending::Cut),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_frozen_connection_is_silent_and_open_until_it_thaws() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    platform.faults().freeze().unwrap();
    host.send(json!({"type": "heartbeat"})).await;
    let call = platform.calling("add").pending_time(Duration::from_millis(50)).send().await.unwrap();
    assert_eq!(call.outcome, Outcome::TimedOut);
    assert!(host.receive().now_or_never().is_none(), "nothing came in all that time");
    assert_eq!(platform.heartbeats(), 0);
    assert!(platform.is_connected());

    platform.faults().thaw().unwrap();
    let mut kinds = [host.frame().await, host.frame().await].map(|frame| frame["type"].clone());
    kinds.sort_by_key(ToString::to_string);
    assert_eq!(kinds, ["heartbeat_ack", "tool_call"]);
    platform.faults().freeze().unwrap();
    platform.faults().drop_connection().unwrap();
    assert_eq!(host.receive().await, Received::Broken);
}

#[tokio::test]
async fn a_frozen_connection_that_is_superseded_is_cut() {
    let platform = DevPlatform::start().await.unwrap();
    let mut frozen = RawHost::connect(&platform).await;
    platform.faults().freeze().unwrap();
    let _newer = RawHost::connect(&platform).await;
    assert_eq!(frozen.receive().await, Received::Broken);
    assert!(platform.is_connected());
}

#[tokio::test]
async fn any_close_can_be_sent() {
    let platform = DevPlatform::start().await.unwrap();
    for (code, reason) in [(1000, "superseded by new connection"), (1011, "trouble"), (4999, "")] {
        let mut host = RawHost::connect(&platform).await;
        if reason.starts_with("superseded") {
            platform.faults().supersede().unwrap();
        } else {
            platform.faults().close(code, reason).unwrap();
        }
        host.expect_close(code, reason).await;
        assert_eq!(host.receive().await, Received::Broken);
        platform.wait_disconnected().await.unwrap();
    }
}

#[tokio::test]
async fn any_frame_can_be_sent() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::connect(&platform).await;
    platform.faults().send_text("no json").unwrap();
    platform.faults().send_binary([1, 2, 3]).unwrap();
    assert_eq!(host.message().await, Message::text("no json"));
    assert_eq!(host.message().await, Message::binary(vec![1, 2, 3]));
}

#[tokio::test]
async fn a_replayed_call_is_the_same_to_the_byte() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let mut reports = Vec::new();
    for replay in [false, true] {
        let call = async {
            if replay {
                platform.faults().replay_last_call().await
            } else {
                platform.call("add", json!({"a": 1})).await
            }
        };
        let (report, ()) = tokio::join!(call, async {
            let call = host.next_call().await;
            let error = json!({"type": "tool_error", "call_id": call["call_id"], "error": "nonce_replay: x"});
            if replay {
                host.send(error).await;
            } else {
                host.answer(&call, json!(1)).await;
            }
        });
        reports.push(report.unwrap());
    }
    assert_eq!(reports[0].sent, reports[1].sent);
    assert_eq!(reports[1].error(), Some("nonce_replay: x"));
}

#[tokio::test]
async fn a_rotated_secret_closes_every_environment_and_opens_with_the_new_one() {
    let platform = DevPlatform::start().await.unwrap();
    let production = platform.entity_in("local", "prod").unwrap();
    let mut hosts = [RawHost::connect(&platform).await, RawHost::connect(&production).await];
    let old = platform.secret();
    let new = platform.faults().rotate_secret().unwrap();
    assert_ne!(old, new);
    for host in &mut hosts {
        host.expect_close(4001, "secret rotated; reconnect with new secret").await;
    }
    let bearer = format!("Bearer {}", old.expose());
    let mut refused = RawHost::dial(&platform.socket_url(), &[("authorization", &bearer)]).await.unwrap();
    refused.frame().await;
    refused.expect_close(1008, "invalid secret").await;
    RawHost::connect(&platform).await;

    let chosen = Secret::new("chosen-secret-0123456789").unwrap();
    platform.faults().rotate_secret_to(chosen.clone());
    assert_eq!(platform.secret(), chosen);
}
