//! The history through the API.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use platools_dev::{CallStage, DevPlatform, Event, Outcome};
use serde_json::{Value, json};

use super::{Client, local};
use crate::host::RawHost;

/// Makes a call from inside of the process, answered with `result`.
async fn make_call(platform: &DevPlatform, host: &mut RawHost, tool: &str, result: Value) {
    let calling = platform.calling(tool).arguments(json!({"a": 1})).user("usr").context(json!({"k": "v"}));
    let (report, ()) = tokio::join!(calling.send(), async {
        let call = host.next_call().await;
        host.answer(&call, result).await;
    });
    report.unwrap();
}

fn ids(list: &Value) -> Vec<u64> {
    list["calls"].as_array().unwrap().iter().map(|call| call["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn calls_are_listed_newest_first_whoever_made_them() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a", "b"]).await;
    let client = Client::new(&platform);
    for tool in ["a", "b", "a"] {
        make_call(&platform, &mut host, tool, json!(1)).await;
    }
    client.post(local("/calls"), r#"{"tool":"b","options":{"timeout_ms":1}}"#).await;
    let list = client.get("/api/v1/history").await.json();
    assert_eq!(ids(&list), [4, 3, 2, 1]);
    assert_eq!(
        (&list["calls"][0]["outcome"], &list["calls"][1]["outcome"]),
        (&json!("timed_out"), &json!("result"))
    );
    assert_eq!(platform.history(2).iter().map(|entry| entry.id).collect::<Vec<_>>(), [4, 3]);
    for (query, expected) in [
        ("?tool=a", vec![3, 1]),
        ("?before=3", vec![2, 1]),
        ("?limit=1", vec![4]),
        ("?entity=other", vec![]),
        ("?entity=local&environment=dev&limit=500", vec![4, 3, 2, 1]),
    ] {
        assert_eq!(ids(&client.get(format!("/api/v1/history{query}")).await.json()), expected, "{query}");
    }
    assert_eq!(client.get("/api/v1/history?limit=0").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(client.get("/api/v1/history/x").await.code(), (400, "invalid_path".to_owned()));

    let (name, token) = client.identity();
    let headers = [("host", &*name), ("authorization", &*token)];
    let cleared = client.ask(Method::DELETE, "/api/v1/history", &headers, "").await;
    assert_eq!(cleared.status, StatusCode::NO_CONTENT);
    assert_eq!(client.get("/api/v1/history/4").await.code(), (404, "not_in_history".to_owned()));
}

#[tokio::test]
async fn a_call_is_made_again_with_a_new_signature_or_with_the_old_one() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    let client = Client::new(&platform);
    make_call(&platform, &mut host, "a", json!("first")).await;
    let first = client.get("/api/v1/history/1").await.json();
    for (mode, is_same) in [("again", false), ("exact", true)] {
        let body = json!({"mode": mode}).to_string();
        let (answer, ()) = tokio::join!(client.post("/api/v1/history/1/replay", body), async {
            let call = host.next_call().await;
            assert_eq!(call["params"]["a"], 1);
            assert_eq!(call["params"]["_context"], json!({"k": "v"}));
            assert_eq!(call["params"]["__platos"]["userId"], "usr");
            host.answer(&call, json!(mode)).await;
        });
        let view = answer.json();
        assert_eq!(view["result"], mode);
        assert_eq!(view["repeated"], is_same);
        assert_eq!(view["sent"] == first["sent"], is_same);
        assert_eq!(view["signature"]["valid"], true);
    }
    for (path, body, code) in [
        ("/api/v1/history/9/replay", r#"{"mode":"again"}"#, (404, "not_in_history")),
        ("/api/v1/history/1/replay", r#"{"mode":"twice"}"#, (400, "invalid_body")),
        ("/api/v1/history/1/frames/other", "", (405, "no_such_method")),
    ] {
        assert_eq!(client.post(path, body).await.code(), (code.0, code.1.to_owned()), "{path}");
    }
    assert_eq!(client.get("/api/v1/history/1/frames/other").await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        client.get("/api/v1/history/1/frames/sent").await.text,
        first["sent"]["text"].as_str().unwrap()
    );
}

#[tokio::test]
async fn the_history_keeps_no_more_than_it_may() {
    let platform = DevPlatform::options().history_limits(2, 4 * 1024 * 1024).start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    for number in 0..3 {
        make_call(&platform, &mut host, "a", json!(number)).await;
    }
    let client = Client::new(&platform);
    assert_eq!(ids(&client.get("/api/v1/history").await.json()), [3, 2]);
    make_call(&platform, &mut host, "a", json!("x".repeat(3 * 1024 * 1024))).await;
    make_call(&platform, &mut host, "a", json!("x".repeat(3 * 1024 * 1024))).await;
    assert_eq!(ids(&client.get("/api/v1/history").await.json()), [5]);
}

#[tokio::test]
async fn a_call_is_listed_while_it_runs_and_ends_there_when_nobody_waits_for_it() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    let client = Client::new(&platform);
    let mut events = platform.events();
    let asked = client.post(local("/calls"), r#"{"tool":"a","options":{"wait_ms":0}}"#).await;
    assert_eq!((asked.status, &asked.json()["outcome"]), (StatusCode::ACCEPTED, &json!("running")));
    let call = host.next_call().await;
    let list = client.get("/api/v1/history").await.json();
    assert_eq!((&list["calls"][0]["outcome"], &list["running"]), (&json!("running"), &json!(1)));
    assert_eq!(list["calls"][0]["abandoned"], false, "whoever asked knows that it runs");

    assert_eq!(client.post("/api/v1/history/1/abandon", "{}").await.status, StatusCode::NO_CONTENT);
    let list = client.get("/api/v1/history").await.json();
    assert_eq!((&list["calls"][0]["outcome"], &list["running"]), (&json!("abandoned"), &json!(0)));
    host.answer(&call, json!("there")).await;
    platform.wait_for_counters(|counters| counters.results == 1).await.unwrap();
    while !matches!(events.next().await, Some(Event::Recorded { id: 1, .. })) {}
    let view = client.get("/api/v1/history/1").await.json();
    assert_eq!(
        (&view["outcome"], &view["abandoned"], &view["result"]),
        (&json!("result"), &json!(true), &json!("there"))
    );
    assert_eq!(client.post("/api/v1/history/1/abandon", "{}").await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        client.post("/api/v1/history/2/abandon", "{}").await.code(),
        (404, "not_in_history".to_owned())
    );
}

#[tokio::test]
async fn a_client_that_leaves_abandons_a_call_that_goes_on() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    let client = Client::new(&platform);
    let mut events = platform.events();
    let leaving = client.post(local("/calls"), r#"{"tool":"a"}"#);
    let call = tokio::select! {
        call = host.next_call() => call,
        answer = leaving => panic!("{answer:?}"),
    };
    while !matches!(events.next().await, Some(Event::Abandoned { .. })) {}
    let entry = platform.recorded(1).unwrap();
    assert_eq!((entry.stage, entry.abandoned), (CallStage::Running, true));
    host.answer(&call, json!(1)).await;
    while !matches!(events.next().await, Some(Event::Recorded { .. })) {}
    let entry = platform.recorded(1).unwrap();
    assert_eq!((entry.stage, entry.ok, entry.abandoned), (CallStage::Answered, true, true));
    assert_eq!((platform.counters().results, platform.counters().late_answers), (1, 0), "it was waited for");
}

#[tokio::test]
async fn a_future_that_is_dropped_leaves_a_call_whose_answer_is_kept() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    let call = tokio::select! {
        call = host.next_call() => call,
        report = platform.call("a", json!({})) => panic!("{report:?}"),
    };
    let entry = platform.recorded(1).unwrap();
    assert_eq!(
        (entry.stage, entry.abandoned, entry.report().outcome),
        (CallStage::Running, true, Outcome::Running)
    );
    host.answer(&call, json!(1)).await;
    platform.wait_for_counters(|counters| counters.late_answers == 1).await.unwrap();
    let entry = platform.recorded(1).unwrap();
    assert_eq!((entry.stage, entry.ok, entry.late), (CallStage::Answered, true, None));
}

#[tokio::test]
async fn totals_count_what_is_no_longer_kept() {
    let platform = DevPlatform::options().history_limits(3, 1 << 20).start().await.unwrap();
    let _host = RawHost::with_tools(&platform, &["a"]).await;
    for _ in 0..5 {
        platform.calling("a").pending_time(Duration::ZERO).send().await.unwrap();
    }
    let client = Client::new(&platform);
    let totals = async |query: &str| {
        let list = client.get(format!("/api/v1/history?limit=1{query}")).await.json();
        (list["kept"].clone(), list["made"].clone())
    };
    assert_eq!(totals("").await, (json!(3), json!(5)));
    assert_eq!(totals("&entity=local&environment=dev&before=3").await, (json!(3), json!(5)));
    assert_eq!(totals("&environment=prod").await, (json!(0), json!(0)));
    assert_eq!(totals("&tool=a").await, (json!(3), Value::Null));
}
