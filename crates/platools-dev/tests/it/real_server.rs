//! A platform that is as unkind as the real server: what it drops, refuses and hides.

use std::time::Duration;

use platools_dev::{CallStatus, DevPlatform, DevPlatformOptions, Event, Outcome};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::host::{RawHost, declaration};

/// The real server, but for the time that a close is waited for.
fn real(close_wait: Duration) -> DevPlatformOptions {
    DevPlatform::options().as_real_server().close_wait(close_wait)
}

const SOON: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_declaration_keeps_what_the_server_keeps() {
    let platform = real(SOON).start().await.unwrap();
    let mut host = RawHost::connect(&platform).await;
    let tool = json!({"name": " orders.get ", "description": "Get.", "input_schema": {"type": "object"},
                      "output_schema": {"type": "string"}, "auth": "admin", "roles": ["r"],
                      "annotations": {"readOnlyHint": true}});
    host.send(json!({"type": "tool_register", "tools": [tool]})).await;
    let counts = |frame: &serde_json::Value| {
        [&frame["count"], &frame["new_tools"], &frame["updated"], &frame["pruned"]].map(Clone::clone)
    };
    assert_eq!(counts(&host.frame().await), [1, 1, 0, 0]);
    let kept = platform.tool("orders.get").unwrap();
    assert_eq!((kept.output_schema, kept.auth, kept.roles.len()), (None, None, 0));
    assert_eq!(json!(kept.annotations), json!({"category": "orders"}));
    assert_eq!(kept.input_schema, json!({"type": "object"}));
    // An edit makes another tool of it; the same again is an update.
    for (description, expected) in [("Get one.", [1, 1, 0, 1]), ("Get one.", [1, 0, 1, 0])] {
        let edited =
            json!({"name": "orders.get", "description": description, "paramSchema": {"type": "object"}});
        host.send(json!({"type": "tool_register", "tools": [edited]})).await;
        assert_eq!(counts(&host.frame().await), expected);
    }
    host.send(json!({"type": "tool_register", "tools": {"not": "a list"}})).await;
    assert_eq!(counts(&host.frame().await), [0, 0, 0, 1]);
}

#[tokio::test]
async fn a_refused_declaration_changes_nothing_and_ends_nothing() {
    let platform = real(SOON).start().await.unwrap();
    let mut events = platform.events();
    let mut host = RawHost::with_tools(&platform, &["kept"]).await;
    platform.faults().refuse_registrations(1, "entity_not_found_in_scope");
    for (names, text) in [
        (&["a"][..], "entity_not_found_in_scope"),
        (&["a", "b", "a"], "duplicate_tool_name:a"),
        (&["a", " "], "tool_name_required"),
    ] {
        host.send(declaration(names)).await;
        let error = json!({"type": "error", "error": format!("tool_register failed: {text}")});
        assert_eq!(host.frame().await, error);
        loop {
            if let Event::RegistrationRefused { text: told, .. } = events.next().await.unwrap() {
                break assert_eq!(told, text);
            }
        }
    }
    host.send(json!({"type": "tool_register", "tools": ["nonsense"]})).await;
    assert_eq!(host.frame().await["error"], "tool_register failed: tool_name_required");
    assert!(platform.tool("kept").is_some() && platform.tools().len() == 1);
    // Refused ones do not count: five more are accepted, and then it is too many.
    for _ in 0..5 {
        host.send(declaration(&["kept"])).await;
        assert_eq!(host.frame().await["type"], "tools_registered");
    }
    host.send(declaration(&["kept"])).await;
    assert_eq!(host.frame().await["type"], "register_throttled");
    let counters = platform.counters();
    assert_eq!((counters.registrations, counters.rejected, counters.throttled), (6, 4, 1));
}

#[tokio::test]
async fn the_late_close_of_an_old_connection_hides_the_tools_of_a_new_one() {
    for frozen in [false, true] {
        let platform = real(SOON).start().await.unwrap();
        let mut events = platform.events();
        // It never answers its close: nobody reads its socket.
        let old = RawHost::with_tools(&platform, &["add"]).await;
        if frozen {
            platform.faults().freeze().unwrap();
        }
        let mut new = RawHost::with_tools(&platform, &["add"]).await;
        assert!(platform.is_visible());
        platform.wait_visible(false).await.unwrap();
        assert!(platform.is_connected() && platform.tools().len() == 1, "a healthy host is connected");
        assert!(platform.visible_tools().is_empty());
        new.send(declaration(&["add"])).await;
        assert_eq!(new.frame().await["type"], "tools_registered");
        assert!(platform.is_visible());
        let mut seen = Vec::new();
        while seen.len() < 3 {
            if let Event::Visibility { visible, .. } = events.next().await.unwrap() {
                seen.push(visible);
            }
        }
        assert_eq!(seen, [true, false, true]);
        drop(old);
    }
}

#[tokio::test]
async fn a_clean_close_before_the_next_declaration_hides_nothing() {
    let platform = real(Duration::from_secs(30)).start().await.unwrap();
    let mut events = platform.events();
    let mut old = RawHost::with_tools(&platform, &["add"]).await;
    let mut new = RawHost::connect(&platform).await;
    assert!(platform.is_visible(), "its tools are known");
    old.expect_close(1000, "superseded by new connection").await;
    assert_eq!(old.receive().await, crate::host::Received::Broken);
    platform.wait_visible(false).await.unwrap();
    new.send(declaration(&["add"])).await;
    assert_eq!(new.frame().await["type"], "tools_registered");
    drop(old);
    let mut ended = 0;
    while ended < 1 {
        ended += usize::from(matches!(events.next().await.unwrap(), Event::Disconnected { .. }));
    }
    assert!(platform.is_visible());
}

#[tokio::test]
async fn answers_on_a_superseded_connection_count_until_it_closes() {
    let platform = real(Duration::from_secs(30)).start().await.unwrap();
    let mut old = RawHost::with_tools(&platform, &["add"]).await;
    let (report, _new) = tokio::join!(platform.call("add", json!({})), async {
        let call = old.next_call().await;
        let new = RawHost::connect(&platform).await;
        // The answer is written without reading the close.
        old.answer(&call, json!("from the old one")).await;
        new
    });
    assert_eq!(report.unwrap().outcome, Outcome::Result(json!("from the old one")));
    // Another entity's answer settles nothing.
    let production = platform.entity_in("local", "prod").unwrap();
    let mut other = RawHost::connect(&production).await;
    let mut new = RawHost::with_tools(&platform, &["add"]).await;
    let (report, ()) = tokio::join!(platform.call("add", json!({})), async {
        let call = new.next_call().await;
        other.answer(&call, json!("stolen")).await;
        platform.wait_for_counters(|counters| counters.unknown_answers == 1).await.unwrap();
        new.answer(&call, json!("mine")).await;
    });
    assert_eq!(report.unwrap().outcome, Outcome::Result(json!("mine")));
}

#[tokio::test]
async fn an_error_that_says_timed_out_is_a_timeout() {
    let platform = real(SOON).start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    for (text, status) in [
        ("timed out after 5 s", CallStatus::Timeout),
        ("the lock timed out", CallStatus::Timeout),
        ("denied: no", CallStatus::Failed),
    ] {
        let (report, ()) = tokio::join!(platform.call("add", json!({})), async {
            let call = host.next_call().await;
            host.send(json!({"type": "tool_error", "call_id": call["call_id"], "error": text})).await;
        });
        let report = report.unwrap();
        assert_eq!((report.status(), report.error()), (status, Some(text)));
    }
}

#[tokio::test]
async fn a_declaration_before_authentication_is_handled_afterwards() {
    let platform = real(SOON).authentication_delay(SOON).start().await.unwrap();
    let bearer = format!("Bearer {}", platform.secret().expose());
    let mut host = RawHost::dial(&platform.socket_url(), &[("authorization", &bearer)]).await.unwrap();
    host.send_message(Message::text(declaration(&["early"]).to_string())).await;
    assert!(!platform.is_connected());
    assert_eq!(host.frame().await["type"], "welcome");
    assert_eq!(host.frame().await["type"], "tools_registered");
    assert!(platform.is_visible());
}
