//! Frames and answers that no platform should send, and what the stream says of them.

use std::time::Duration;

use platos_client::testing::{CannedAnswer, DoubleOptions, Greeting, PlatosDouble, Script};
use platos_client::{ConfigError, Error, NewMessage, StreamLimits, Transport};
use serde_json::json;

use super::support::{all, conversation, hi};

#[tokio::test]
async fn what_is_not_the_protocol_ends_the_stream_and_is_named() {
    for (script, part) in [
        (Script::new().binary(b"\x00\x01"), "a binary frame"),
        (
            Script::new().frame(r#"451-/agent,["agent_event",{"_placeholder":true,"num":0}]"#),
            "a binary packet",
        ),
        (Script::new().frame("bAAEC"), "a binary packet"),
        (Script::new().frame(r#"42/agent,["agent_event",{"type":"tok"#), "JSON cannot be read"),
        (Script::new().frame("42/agent,{}"), "JSON cannot be read"),
        (Script::new().frame("<html>proxy</html>"), "no Engine.IO packet"),
        (Script::new().frame("49"), "a type that does not exist"),
        (Script::new().frame(""), "an empty frame"),
    ] {
        let (platos, client, thread) = conversation().await;
        platos.script(script.token("never seen").done());
        let (events, error) = all(client.threads().send(&thread, "Hi")).await;
        let error = error.unwrap();
        assert!(matches!(error, Error::Protocol(_)) && error.to_string().contains(part), "{part}: {error}");
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(platos.requests().len(), 2, "another connection would bring the same");
    }
}

#[tokio::test]
async fn a_line_of_a_stream_that_is_no_json_ends_it_and_is_named() {
    let (platos, client, thread) = conversation().await;
    platos.script(Script::new().token("a").frame("data: {\"type\":\"tok\n\n").token("never seen").done());
    let (events, error) = all(client.threads().send(&thread, hi().transport(Transport::Sse))).await;
    let error = error.unwrap();
    let text = error.to_string();
    assert!(matches!(error, Error::Protocol(_)) && text.contains("JSON cannot be read"), "{text}");
    assert!(text.starts_with(&format!("POST /api/v1/agent/threads/{thread}/stream: ")), "{text}");
    assert_eq!(events.len(), 2, "{events:?}");
}

#[tokio::test]
async fn a_socket_that_is_refused_says_why() {
    for (greeting, expected) in [
        (
            Greeting::ConnectError(json!({"message": "Invalid namespace"})),
            "`Invalid namespace`: check `socket_namespace`",
        ),
        (Greeting::ConnectError(json!({"message": "no", "data": {"status": 404}})), "404: no; check the id"),
        (
            Greeting::Http(CannedAnswer::status(404).html("<html>nginx</html>")),
            "404: Not Found (a page, not JSON",
        ),
        (Greeting::Http(CannedAnswer::status(400).message("Transport unknown")), "400: Transport unknown"),
        (
            Greeting::Http(CannedAnswer::status(302).header("location", "/login")),
            "302: Found; check the base URL",
        ),
        (Greeting::Http(CannedAnswer::status(200).html("<html>")), "a page instead of a WebSocket"),
    ] {
        let platos = PlatosDouble::start().await.unwrap();
        platos.greet_next(greeting.clone());
        let (events, error) = all(platos.client().threads().send("thr_1", hi())).await;
        let error = error.unwrap().to_string();
        assert!(events.is_empty() && error.contains(expected), "{greeting:?}: {error}");
        assert_eq!(platos.requests().len(), 1, "{greeting:?}");
        assert!(platos.messages().is_empty());
    }
}

#[tokio::test]
async fn a_namespace_that_is_never_connected_is_tried_again() {
    let platos = PlatosDouble::start().await.unwrap();
    platos.greet_next(Greeting::Silence);
    platos.script(Script::new().token("a").done());
    let client = platos.builder().timeout(Duration::from_millis(150)).session_token(platos.session_token());
    let answer = client.build().unwrap().threads().send("thr_1", hi()).text().await.unwrap();
    assert_eq!((answer.as_str(), platos.messages().len()), ("a", 1));
}

#[tokio::test]
async fn an_event_that_is_larger_than_it_may_be_ends_the_stream() {
    let platos = PlatosDouble::start().await.unwrap();
    platos.script(Script::new().token(&"x".repeat(2_000)).token(&"x".repeat(20_000)).done());
    let limits = StreamLimits::default().event_bytes(10_000);
    let client =
        platos.builder().stream_limits(limits).session_token(platos.session_token()).build().unwrap();
    let (events, error) = all(client.threads().send("thr_1", hi())).await;
    let error = error.unwrap().to_string();
    assert!(events.len() == 2 && error.contains("`StreamLimits::event_bytes`"), "{error}");
}

#[tokio::test]
async fn a_message_that_is_larger_than_the_platform_takes_is_not_sent() {
    let options = DoubleOptions::default().max_payload(1_000);
    let platos = PlatosDouble::start_with(options).await.unwrap();
    let message = NewMessage::new("x".repeat(2_000)).agent("agt_support");
    let (_, error) = all(platos.client().threads().send("thr_1", message)).await;
    let Some(Error::Config(error @ ConfigError::MessageTooLarge { limit: 1_000, .. })) = error else {
        panic!("{error:?}")
    };
    assert!(error.to_string().contains("the platform takes at most 1000"), "{error}");
    assert!(platos.messages().is_empty());
}
