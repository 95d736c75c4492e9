//! Frames that no platform should send.

use platools_dev::{DevPlatform, DevPlatformOptions, Event};
use serde_json::json;

use super::support::{Running, answer, builder, connected};

#[tokio::test]
async fn garbage_is_survived_and_never_answered_with_garbage() {
    let (platform, host) = connected().await;
    let faults = platform.faults();
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let noise: String = (0..5_000_000_u32).map(|at| char::from(33 + (at * 31 % 90) as u8)).collect();
    for text in [
        "",
        "hello",
        "[]",
        "null",
        "{}",
        r#"{"type":5}"#,
        r#"{"type":"tool_call"}"#,
        r#"{"type":"tool_call","call_id":5,"tool_name":"add","params":{}}"#,
        r#"{"type":"tool_call","call_id":"\ud800","tool_name":"add","params":{}}"#,
        r#"{"type":"something_new","data":[1,2,3]}"#,
        r#"{"type":"heartbeat_ack","more":{}}"#,
        r#"{"type":"tools_registered"}"#,
        r#"{"type":"error"}"#,
        r#"{"type":"error","error":{"code":1}}"#,
        &deep,
        &noise,
        &format!(r#"{{"type":{deep}}}"#),
    ] {
        faults.send_text(text).unwrap();
    }
    faults.send_binary(vec![0, 1, 2, 255]).unwrap();
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    let counters = platform.counters();
    assert_eq!((counters.unknown_answers, counters.malformed_frames), (0, 0), "{counters:?}");
    assert_eq!(counters.connected, 1, "the connection is still the first one");
    host.handle.shutdown().await;
}

#[tokio::test]
async fn a_broken_call_with_an_id_is_answered_under_it() {
    let (platform, _host) = connected().await;
    let mut events = platform.events();
    for (call_id, frame, expected) in [
        ("b1", r#"{"type":"tool_call","call_id":"b1","tool_name":7,"params":{}}"#, "`tool_name`"),
        ("b2", r#"{"type":"tool_call","call_id":"b2","tool_name":"add","params":[]}"#, "`params`"),
        ("b3", r#"{"type":"tool_call","call_id":"b3","tool_name":"add","params":{}}"#, "signature_missing: "),
    ] {
        platform.faults().send_text(frame).unwrap();
        let reply = loop {
            if let Event::UnexpectedAnswer { frame, .. } = events.next().await.unwrap() {
                break frame;
            }
        };
        let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
        assert_eq!((&reply["type"], &reply["call_id"]), (&json!("tool_error"), &json!(call_id)));
        assert!(reply["error"].as_str().unwrap().contains(expected), "{reply}");
    }
}

#[tokio::test]
async fn a_lone_surrogate_is_a_clear_error() {
    let (platform, _host) = connected().await;
    // No `Value` can hold it, so it is signed as text.
    for (text, expected) in [
        (r#"{"text":"lone \ud800"}"#, "`text`: the text is not valid Unicode (a lone surrogate escape)"),
        (r#"{"\udc00":1}"#, "the name of an argument is not valid Unicode"),
    ] {
        let report = platform.calling("length").arguments_text(text).send().await.unwrap();
        let error = report.error().unwrap();
        assert!(error.starts_with("invalid arguments: ") && error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_platform_that_takes_its_time_to_authenticate_is_waited_for() {
    let slow = DevPlatformOptions::new().authentication_delay(std::time::Duration::from_millis(300));
    let platform: DevPlatform = slow.start().await.unwrap();
    let host = Running::start(builder(&platform).build().unwrap());
    platform.wait_for_tool("add").await.unwrap();
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    host.handle.shutdown().await;
}
