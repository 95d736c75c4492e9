//! Neither the secret nor a user's token is ever printed, at any level, whatever goes wrong.

use platools_dev::{DevPlatform, Tamper};
use serde_json::json;

use super::support::{conformance_host, finished, terminate};

#[tokio::test]
async fn a_host_that_logs_everything_shows_no_secret() {
    const TOKENS: [&str; 2] = ["user-token-4711", "entity-token-4711"];
    let platform = DevPlatform::start().await.unwrap();
    let (url, secret) = (platform.url(), platform.secret());
    let host = conformance_host(&[
        ("PLATOS_URL", &url),
        ("PLATOS_SECRET", secret.expose()),
        ("PLATOOLS_HEARTBEAT_INTERVAL", "100ms"),
        ("RUST_LOG", "trace"),
    ]);
    platform.wait_for_tool("whoami").await.unwrap();
    for (tool, arguments) in [
        ("whoami", json!({})),
        ("lookup_order", json!({"order_id": "o", "quantity": 1})),
        ("lookup_order", json!({"order_id": 5})),
        ("fail", json!({"message": "no"})),
        ("panic", json!({})),
        ("huge", json!({"bytes": 11 << 20})),
        ("nope", json!({})),
    ] {
        let calling =
            platform.calling(tool).arguments(arguments).user_token(TOKENS[0]).entity_token(TOKENS[1]);
        calling.send().await.unwrap();
    }
    for tamper in [Tamper::Arguments, Tamper::Signature, Tamper::Scope, Tamper::CallId, Tamper::Unsigned] {
        platform.calling("whoami").user_token(TOKENS[0]).tamper(tamper).send().await.unwrap();
    }
    platform.faults().send_text(format!("{{\"userToken\":\"{}\"", TOKENS[0])).unwrap();
    platform.faults().drop_connection().unwrap();
    platform.wait_for_registrations(2).await.unwrap();
    let seen = platform.heartbeats();
    platform.wait_for_heartbeats(seen + 1).await.unwrap();
    terminate(&host);
    let (succeeded, written) = finished(host).await;
    assert!(succeeded, "{written}");
    assert!(written.contains("connected") && written.contains("DEBUG"), "it did log: {written}");
    let panicked = written.lines().find(|line| line.contains("internal error")).expect("the panic is logged");
    for field in
        ["call{tool=\"panic\" call_id=", "user_id=", "agent_id=", "outcome=\"internal\"", "latency_ms="]
    {
        assert!(panicked.contains(field), "the span of the call has {field}: {panicked}");
    }
    for hidden in [secret.expose(), TOKENS[0], TOKENS[1]] {
        assert!(!written.contains(hidden), "{written}");
    }
}

#[tokio::test]
async fn a_successful_call_writes_no_line() {
    let platform = DevPlatform::start().await.unwrap();
    let (url, secret) = (platform.url(), platform.secret());
    let host = conformance_host(&[("PLATOS_URL", &url), ("PLATOS_SECRET", secret.expose())]);
    platform.wait_for_tool("add").await.unwrap();
    for index in 0..50 {
        let report = platform.call("add", json!({"a": index, "b": 1})).await.unwrap();
        assert_eq!(report.into_result().unwrap(), json!(index + 1));
    }
    terminate(&host);
    let (succeeded, written) = finished(host).await;
    assert!(succeeded, "{written}");
    assert!(written.lines().count() < 10, "{written}");
}
