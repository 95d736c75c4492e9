//! How turns end: stopped, dropped, refused, lost with the connection or with the runtime, and what is said of it.

use std::time::Duration;

use platos_client::testing::{CannedAnswer, Greeting, PlatosDouble, Script};
use platos_client::{
    AgentEvent, CancellationToken, Error, NetworkErrorKind, NewMessage, ReconnectPolicy, RefreshOutcome,
    TurnState,
};
use serde_json::json;

use super::support::{GUARD, all, conversation, hi, short};

#[tokio::test]
async fn a_message_that_is_sent_twice_makes_two_turns_of_which_one_can_be_dropped() {
    let (platos, client, thread) = conversation().await;
    let message = NewMessage::new("Hi");
    platos.script(Script::new().token("a").pause(GUARD).done());
    let mut first = client.threads().send(&thread, message.clone());
    while !matches!(first.next().await, Some(Ok(AgentEvent::Token(_)))) {}
    drop(first);
    platos.wait_for_emitted("stop", 1).await;
    platos.script(Script::new().token("b").done());
    assert_eq!(client.threads().send(&thread, message.clone()).text().await.unwrap(), "b");
    // A token stops all of them.
    let stop = CancellationToken::new();
    stop.cancel();
    let (events, _) = all(client.threads().send(&thread, message.cancel_with(&stop))).await;
    assert_eq!((short(&events).as_str(), platos.messages().len()), ("done", 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_is_done_is_not_stopped_however_fast_its_reader_leaves() {
    let (platos, client, thread) = conversation().await;
    for _ in 0..50 {
        platos.script(Script::new().token("a").done());
        let mut turn = client.threads().send(&thread, "Hi");
        while !matches!(turn.next().await, Some(Ok(AgentEvent::Done(_)))) {}
    }
    // All have left in order.
    while platos.frames().iter().filter(|frame| *frame == "41/agent,").count() < 50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(platos.emitted("stop"), Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn a_turn_is_stopped_even_if_there_is_no_connection_at_that_moment() {
    let platos = PlatosDouble::start().await.unwrap();
    let patient = ReconnectPolicy::default().first_wait(GUARD).longest_wait(GUARD);
    let client = platos.builder().reconnect(patient).session_token(platos.session_token()).build().unwrap();
    platos.script(Script::new().token("a").drop_connection());
    let mut turn = client.threads().send("thr_1", hi());
    while !matches!(turn.next().await, Some(Ok(AgentEvent::Reconnecting { .. }))) {}
    turn.stop();
    let (events, error) = all(turn).await;
    assert!(error.is_none() && short(&events) == "done", "{events:?} {error:?}");
    assert_eq!(
        platos.emitted("stop"),
        [json!({"threadId": "thr_1"})],
        "it was stopped when the stream ended"
    );
    assert!(platos.emitted("join_thread").is_empty());
}

#[tokio::test]
async fn an_error_that_is_not_about_the_credentials_asks_for_no_token() {
    for message in ["out of budget", "token limit exceeded"] {
        let platos = PlatosDouble::start().await.unwrap();
        let never = ReconnectPolicy::never();
        let client = platos.builder().reconnect(never).session_token(platos.session_token());
        let client =
            client.on_token_refresh(|_| async { panic!("nobody refused the token") as Result<_, Error> });
        platos.greet_next(Greeting::ErrorThenDisconnect(message.to_owned()));
        let (events, error) = all(client.build().unwrap().threads().send("thr_1", hi())).await;
        let error = error.unwrap().to_string();
        assert!(
            events.is_empty() && error.contains(message) && error.contains("nothing was sent"),
            "{error}"
        );
        assert!(platos.messages().is_empty());
    }
}

#[tokio::test]
async fn an_error_beside_the_turn_ends_it_if_nothing_follows() {
    let (platos, client, thread) = conversation().await;
    platos.script(Script::new().emit("error", json!({"message": "out of order"})).pause(GUARD));
    let (events, error) = all(client.threads().send(&thread, "Hi")).await;
    assert_eq!(short(&events), "connected error");
    assert_eq!(error.unwrap().to_string(), "the turn failed: out of order");
    let (platos, client, thread) = conversation().await;
    let other = json!({"code": "AGENT_SCOPE_MISMATCH", "message": "The token is for another agent."});
    platos.script(Script::new().emit("error", other).pause(GUARD));
    let (_, error) = all(client.threads().send(&thread, "Hi")).await;
    assert!(matches!(&error, Some(Error::Auth { refresh: RefreshOutcome::OtherAgent, .. })), "{error:?}");
}

#[tokio::test]
async fn a_turn_that_is_lost_says_what_is_known() {
    for (greeting, part) in [
        (Greeting::Http(CannedAnswer::status(503).message("busy")), "503: busy"),
        (Greeting::Http(CannedAnswer::status(401).message("expired")), "401: expired"),
        (Greeting::Drop, "5 attempts to reconnect failed"),
    ] {
        let (platos, client, thread) = conversation().await;
        platos.greet_next(Greeting::Welcome);
        for _ in 0..6 {
            platos.greet_next(greeting.clone());
        }
        for _ in 0..100 {
            platos.answer_next("messages", CannedAnswer::status(503).message("the database is away"));
        }
        platos.script(Script::new().token("half ").drop_connection());
        let message = NewMessage::new("Hi").idempotency_key("key-1");
        let error = client.threads().send(&thread, message).collect().await.unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains(part) && shown.contains("the database is away"), "{greeting:?}: {shown}");
        assert!(shown.contains("the message was sent") && shown.contains("`resume`"), "{shown}");
        let Error::TurnLost(lost) = error else { panic!("{error:?}") };
        assert_eq!((lost.state, lost.text.as_str()), (TurnState::Unknown, "half "));
        assert_eq!((lost.thread_id, lost.idempotency_key.as_deref()), (thread, Some("key-1")));
        assert_eq!(platos.messages().len(), 1);
    }
}

#[tokio::test]
async fn a_connect_error_that_repeats_the_token_is_masked() {
    let said = |data| Greeting::ConnectError(json!({"message": "bad: double.session.token", "data": data}));
    for greeting in [
        said(json!({"status": 404, "token": "double.session.token"})),
        said(json!({"status": 401})),
        said(json!(null)),
        Greeting::ErrorThenDisconnect("invalid token double.session.token".to_owned()),
    ] {
        let platos = PlatosDouble::start().await.unwrap();
        assert_eq!(platos.session_token(), "double.session.token");
        platos.greet_next(greeting.clone());
        let (_, error) = all(platos.client().threads().send("thr_1", hi())).await;
        let error = error.unwrap();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("double.session") && shown.contains("[redacted]"), "{greeting:?}: {shown}");
    }
}

#[test]
fn a_stream_whose_runtime_is_gone_ends_with_an_error_and_not_as_if_it_were_done() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (of_platos, of_stream) = (runtime(), runtime());
    let (_platos, client, thread) = of_platos.block_on(async {
        let (platos, client, thread) = conversation().await;
        platos.script(Script::new().token("a").pause(GUARD).done());
        (platos, client, thread)
    });
    let mut turn = of_stream.block_on(async { client.threads().send(&thread, "Hi") });
    of_platos.block_on(async { while !matches!(turn.next().await, Some(Ok(AgentEvent::Token(_)))) {} });
    of_stream.shutdown_timeout(Duration::from_secs(5));
    let error = of_platos.block_on(turn.next()).unwrap().unwrap_err();
    let Error::Network(network) = &error else { panic!("{error:?}") };
    assert_eq!(network.kind, NetworkErrorKind::Lost);
    assert!(error.to_string().contains("the runtime that it was begun on was shut down"), "{error}");
    assert!(of_platos.block_on(turn.next()).is_none());
}
