//! Connections that break.

use std::time::Duration;

use platos_client::testing::{CannedAnswer, DoubleOptions, Greeting, PlatosDouble, Replay, Script};
use platos_client::{AgentEvent, Error, NetworkErrorKind, PlatosClient, ReconnectPolicy};
use serde_json::json;

use super::support::{all, conversation, short};

/// The words of a turn, without what the client says about its connections.
fn words(events: &[AgentEvent]) -> String {
    let events: Vec<_> = events.iter().filter(|event| !event.is_about_connection()).cloned().collect();
    short(&events)
}

fn token(text: &str) -> serde_json::Value {
    json!({"type": "token", "text": text})
}

#[tokio::test]
async fn a_broken_stream_is_taken_up_and_the_message_is_sent_once() {
    let (platos, client, thread) = conversation().await;
    let script = Script::new()
        .token("one")
        .drop_connection()
        .token("two")
        .missed(token("three"))
        .missed(token("four"))
        .drop_connection()
        .token("five")
        .disconnect()
        .token("six")
        .frame("1")
        .drop_connection()
        .done();
    platos.script(script);
    let (events, error) = all(client.threads().send(&thread, "Hi")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(words(&events), "'one' 'two' 'three' 'four' 'five' 'six' done");
    assert_eq!(short(&events[..6]), "connected 'one' disconnected reconnecting connected 'two'",);
    let AgentEvent::Reconnecting { attempt } = events[3] else { panic!("{events:?}") };
    assert_eq!(attempt, 1);
    assert_eq!(platos.messages().len(), 1);
    assert_eq!(platos.emitted("resume_stream"), vec![json!({"threadId": thread}); 4]);
}

#[tokio::test]
async fn whatever_a_platform_replays_is_passed_on_once() {
    for replay in [Replay::Missed, Replay::Everything, Replay::Last(3), Replay::Last(5)] {
        let (platos, client, thread) = conversation().await;
        let script = Script::new()
            .event(json!({"type": "status", "status": "thinking"}))
            .tokens("It was the best of times, ")
            .event(json!({"type": "tool_call", "name": "t", "params": {}, "callId": "c1"}))
            .drop_connection()
            .missed(token("it was "))
            .drop_connection()
            .tokens("the worst of times")
            .drop_connection()
            .done()
            .replaying(replay);
        platos.script(script);
        let (events, error) = all(client.threads().send(&thread, "Hi")).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(
            words(&events),
            "status 'It ' 'was ' 'the ' 'best ' 'of ' 'times, ' tool_call 'it was ' 'the ' 'worst ' 'of ' 'times' done",
            "{replay:?}"
        );
    }
}

#[tokio::test]
async fn duplicates_of_events_with_an_id_are_left_out_on_one_connection_too() {
    let (platos, client, thread) = conversation().await;
    let call = json!({"type": "tool_call", "name": "t", "params": {}, "callId": "c1"});
    let script = Script::new().event(call.clone()).token("a").event(call).token("a").done();
    platos.script(script);
    let (events, _) = all(client.threads().send(&thread, "Hi")).await;
    assert_eq!(words(&events), "tool_call 'a' 'a' done");
}

#[tokio::test]
async fn a_word_that_may_be_a_repetition_is_not_held_for_long() {
    let (platos, client, thread) = conversation().await;
    let script =
        Script::new().tokens("a b c ").drop_connection().token("b ").pause(Duration::from_secs(1)).done();
    platos.script(script);
    let (events, _) = all(client.threads().send(&thread, "Hi")).await;
    assert_eq!(words(&events), "'a ' 'b ' 'c ' 'b ' done");
}

#[tokio::test]
async fn a_stream_can_be_taken_up_by_another_program() {
    let (platos, client, thread) = conversation().await;
    platos.script(
        Script::new().tokens("a b c ").drop_connection().token("d ").done().replaying(Replay::Everything),
    );
    let never = platos.builder().reconnect(ReconnectPolicy::never()).session_token(platos.session_token());
    let (events, error) = all(never.build().unwrap().threads().send(&thread, "Hi")).await;
    assert_eq!(words(&events), "'a ' 'b ' 'c '");
    let error = error.unwrap();
    assert!(
        error.to_string().contains("the message was sent") && error.to_string().contains("`resume`"),
        "{error}"
    );
    let (events, error) = all(client.threads().resume(&thread)).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(words(&events), "'a ' 'b ' 'c ' 'd ' done");
    assert_eq!(platos.messages().len(), 1);
}

#[tokio::test]
async fn attempts_are_bounded_and_counted_anew_when_the_turn_moves_on() {
    let (platos, client, thread) = conversation().await;
    // Each time four failures, of which none is the fifth.
    let mut script = Script::new();
    for word in ["a", "b", "c"] {
        script = script.token(word).drop_connection();
    }
    platos.script(script.done());
    platos.greet_next(Greeting::Welcome);
    for _ in 0..3 {
        platos.greet_next(Greeting::Drop);
        platos.greet_next(Greeting::Http(CannedAnswer::status(503)));
        platos.greet_next(Greeting::ConnectError(json!({"message": "busy", "data": {"status": 503}})));
        platos.greet_next(Greeting::Http(CannedAnswer::status(429).header("retry-after", "0.01")));
        platos.greet_next(Greeting::Welcome);
    }
    let (events, error) = all(client.threads().send(&thread, "Hi")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(words(&events), "'a' 'b' 'c' done");
    let attempts = events.iter().filter_map(|event| match event {
        AgentEvent::Reconnecting { attempt } => Some(*attempt),
        _ => None,
    });
    assert_eq!(attempts.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5]);

    platos.script(Script::new().token("a").drop_connection());
    platos.greet_next(Greeting::Welcome);
    for _ in 0..5 {
        platos.greet_next(Greeting::Drop);
    }
    let before = platos.requests().len();
    let (events, error) = all(client.threads().send(&thread, "Hi")).await;
    let error = error.unwrap();
    let Error::Network(network) = &error else { panic!("{error:?}") };
    assert_eq!(network.kind, NetworkErrorKind::Lost);
    assert!(error.to_string().contains("5 attempts to reconnect failed"), "{error}");
    assert_eq!((words(&events).as_str(), platos.requests().len() - before), ("'a'", 6));
}

#[tokio::test]
async fn a_platform_that_is_not_there_is_tried_and_then_reported_with_nothing_sent() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let short_waits = ReconnectPolicy::default()
        .first_wait(Duration::from_millis(1))
        .longest_wait(Duration::from_millis(2));
    let client = PlatosClient::builder(url).session_token("t").reconnect(short_waits).build().unwrap();
    let (events, error) = all(client.threads().send("thr_1", "Hi")).await;
    assert_eq!(short(&events), ["reconnecting"; 5].join(" "));
    let error = error.unwrap().to_string();
    assert!(error.contains("cannot connect to 127.0.0.1:") && error.contains("nothing was sent"), "{error}");
}

#[tokio::test]
async fn an_error_and_then_the_end_of_the_connection_is_the_end_of_the_turn() {
    for ending in [Script::disconnect, Script::drop_connection] {
        let (platos, client, thread) = conversation().await;
        let failing = json!({"type": "error", "message": "out of budget"});
        platos.script(ending(Script::new().token("a").event(failing)));
        let (events, error) = all(client.threads().send(&thread, "Hi")).await;
        assert_eq!(words(&events), "'a' error");
        assert_eq!(error.unwrap().to_string(), "the turn failed: out of budget");
        assert_eq!(platos.requests().len(), 2, "it does not come back for more");
    }
}

#[tokio::test]
async fn a_connection_that_goes_silent_is_dead_and_another_one_is_made() {
    let (interval, timeout) = (Duration::from_millis(150), Duration::from_millis(150));
    let platos = PlatosDouble::start_with(DoubleOptions::default().ping(interval, timeout)).await.unwrap();
    platos.script(Script::new().token("a").mute().token("b").done());
    let (events, error) = all(platos.client().threads().send("thr_1", "Hi")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(short(&events), "connected 'a' disconnected reconnecting connected 'b' done");
    let AgentEvent::Disconnected { reason } = &events[2] else { panic!("{events:?}") };
    assert_eq!(reason, "the platform gave no sign of life for 0.3 s");
}
