//! Frames that no platform should send.

use platools::Platools;
use platools_dev::{DevPlatform, DevPlatformOptions, Event};
use serde_json::json;
use tests::attacks;

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

/// Changed frames, each with a genuine one behind it now and then, on one connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_frames_run_nothing_that_was_not_signed_and_cost_no_genuine_call() {
    const FRAMES: usize = 50_000;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("ws://{}?entity=attacked", listener.local_addr().unwrap());
    let builder = Platools::builder().url(url).secret(load::SECRET).tools(platools::tools![attacks::marked]);
    let host = Running::start(builder.build().unwrap());
    let seed = fastrand::u64(..);
    let attack = move || {
        let mut connection = load::Connection::accept(&listener).unwrap();
        let goes_on = |sent| sent < FRAMES;
        attacks::send(&mut connection, goes_on, |_, _| {}, &mut fastrand::Rng::with_seed(seed))
    };
    let outcome =
        tokio::task::spawn_blocking(attack).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let outcome = outcome.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert!(outcome.changed >= FRAMES && !outcome.genuine.is_empty());
    assert!(outcome.harmless < FRAMES / 5, "seed {seed}: {} changes changed nothing", outcome.harmless);
    host.handle.shutdown().await;
}
