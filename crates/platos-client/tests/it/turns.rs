//! Turns over one connection.

use futures_util::StreamExt as _;
use platos_client::testing::Script;
use platos_client::{AgentEvent, CancellationToken, Error, NewMessage};
use serde_json::{Value, json};

use super::support::{GUARD, all, conversation, short};

#[tokio::test]
async fn a_turn_is_streamed_from_its_message_to_done() {
    let (platos, client, thread) = conversation().await;
    let (events, error) = all(client.threads().send(&thread, "Hello, Platos!")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(short(&events), "connected status 'You ' 'said: ' 'Hello, ' 'Platos!' done");
    let Some(AgentEvent::Done(done)) = events.last() else { panic!("{events:?}") };
    assert_eq!(done.usage.as_ref().unwrap()["outputTokens"], 34);
    let frames = platos.frames();
    let message = json!(["message", {"message": "Hello, Platos!", "threadId": thread}]);
    assert_eq!(frames[..2], ["40/agent,".to_owned(), format!("42/agent,{message}")]);
    platos.wait_for_frame(|frame| frame == "41/agent,").await;
    assert!(platos.emitted("stop").is_empty(), "a turn that is done is not stopped");
}

#[tokio::test]
async fn every_event_comes_as_it_was_sent_and_in_order() {
    let (platos, client, thread) = conversation().await;
    let sent: Vec<Value> = vec![
        json!({"type": "meta", "thread_id": thread}),
        json!({"type": "thinking", "text": "hm"}),
        json!({"type": "token", "text": "na\u{ef}ve \u{1f680} \"quoted\" \\ \n"}),
        json!({"type": "token", "text": ""}),
        json!({"type": "mood", "value": [1, {"deep": null}]}),
        json!({"type": "token"}),
        json!("not even an object"),
        json!({"type": "message_boundary"}),
        json!({"type": "tool_call", "name": "t", "params": {"a": 1}, "callId": "c"}),
        json!({"type": "tool_result", "name": "t", "result": [1.5, 1e300, -7], "callId": "c"}),
        json!({"type": "safety_flags", "flags": []}),
        json!({"type": "done", "stopped": false}),
    ];
    platos.script(sent.iter().cloned().fold(Script::new(), Script::event));
    let (events, error) = all(client.threads().send(&thread, "Hi")).await;
    assert!(error.is_none(), "{error:?}");
    let came: Vec<Value> = events[1..].iter().map(AgentEvent::to_json).collect();
    assert_eq!(came, sent);
}

#[tokio::test]
async fn an_event_that_no_value_can_hold_comes_as_its_text() {
    let (platos, client, thread) = conversation().await;
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let odd = [
        r#"{"type":"token","text":1e999}"#.to_owned(),
        format!(r#"{{"type":"tool_result","result":{deep}}}"#),
    ];
    let script = odd
        .iter()
        .fold(Script::new(), |script, data| script.frame(&format!(r#"42/agent,["agent_event",{data}]"#)));
    platos.script(script.token("b").done());
    let (events, error) = all(client.threads().send(&thread, "Hi")).await;
    assert!(error.is_none(), "{error:?}");
    let came: Vec<_> = events[1..3].iter().map(AgentEvent::to_json).collect();
    assert_eq!((came, events.len()), (odd.map(Value::from).to_vec(), 5));
}

#[tokio::test]
async fn a_huge_event_comes_whole() {
    let (platos, client, thread) = conversation().await;
    let text = "0123456789abcdef".repeat(600_000);
    platos.script(Script::new().token(&text).token("!").done());
    let answer = client.threads().send(&thread, "Hi").text().await.unwrap();
    assert_eq!((answer.len(), answer.ends_with("ef!")), (text.len() + 1, true));
}

#[tokio::test]
async fn what_a_turn_came_to_is_collected() {
    let (platos, client, thread) = conversation().await;
    let script = Script::new()
        .tokens("one two")
        .event(json!({"type": "thinking", "text": "hm"}))
        .event(json!({"type": "tool_call", "name": "t", "params": {}, "callId": "c"}))
        .event(json!({"type": "tool_result", "name": "t", "result": 7, "callId": "c"}))
        .event(json!({"type": "message_boundary"}))
        .tokens("three")
        .event(json!({"type": "artifact_committed", "artifactId": "a", "finalContent": "fn main() {}"}))
        .event(json!({"type": "message_persisted", "messageId": "msg_9"}))
        .done();
    platos.script(script);
    let turn = client.threads().send(&thread, "Hi").collect().await.unwrap();
    assert_eq!((turn.text.as_str(), turn.thinking.as_str()), ("one two\n\nthree", "hm"));
    assert_eq!(turn.tool_results[0].result, Some(json!(7)));
    assert_eq!((turn.tool_calls.len(), turn.artifacts[0].final_content.as_str()), (1, "fn main() {}"));
    assert_eq!((turn.message_ids[0].as_str(), turn.stopped), ("msg_9", false));
    assert!(turn.usage.is_some());
}

#[tokio::test]
async fn an_error_of_the_agent_fails_the_turn_with_the_text_so_far() {
    let (platos, client, thread) = conversation().await;
    let failing = json!({"type": "error", "message": "the model is gone", "code": "model"});
    platos.script(Script::new().tokens("half an ").event(failing.clone()).done());
    let error = client.threads().send(&thread, "Hi").text().await.unwrap_err();
    assert_eq!(error.to_string(), "the turn failed: the model is gone");
    let Error::Turn { text, event, .. } = error else { panic!("{error:?}") };
    assert_eq!((text.as_str(), event.code.as_deref()), ("half an ", Some("model")));

    // On the stream it is an event like another, and the turn goes on.
    platos.script(Script::new().event(failing).token("all the same").done());
    let (events, error) = all(client.threads().send(&thread, "Hi")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(short(&events), "connected error 'all the same' done");
}

#[tokio::test]
async fn a_rate_limit_that_comes_beside_the_turn_is_part_of_it() {
    let (platos, client, thread) = conversation().await;
    let limited = json!({"code": "rate_limit", "message": "Try again in 7 seconds.", "retryAfterSeconds": 7});
    platos.script(Script::new().emit("error", limited).emit("done", json!({"stopped": true})));
    let error = client.threads().send(&thread, "Hi").text().await.unwrap_err();
    assert_eq!(error.to_string(), "the turn failed: Try again in 7 seconds.");
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(7)));
}

#[tokio::test]
async fn events_that_are_about_something_else_are_left_out() {
    let (platos, client, thread) = conversation().await;
    let script = Script::new()
        .emit("server.deprecation", json!({"code": "X"}))
        .emit("thread_event", json!({"type": "token", "text": "not ours"}))
        .frame(r#"42/other,["agent_event",{"type":"token","text":"not ours"}]"#)
        .frame(r#"42/agent,31["agent_event",{"type":"token","text":"acknowledged"}]"#)
        .frame("6")
        .done();
    platos.script(script);
    let (events, _) = all(client.threads().send(&thread, "Hi")).await;
    assert_eq!(short(&events), "connected 'acknowledged' done");
    platos.wait_for_frame(|frame| frame == "43/agent,31[]").await;
}

#[tokio::test]
async fn a_thread_that_does_not_exist_is_reported() {
    let (_platos, client, _) = conversation().await;
    let error = client.threads().send("thr_0", "Hi").text().await.unwrap_err();
    assert_eq!(error.to_string(), "the turn failed: thread thr_0 not found");
}

#[tokio::test]
async fn a_token_stops_the_turn_on_both_sides() {
    let (platos, client, thread) = conversation().await;
    platos.script(Script::new().token("a").pause(GUARD).token("b").done());
    let stop = CancellationToken::new();
    let mut turn = client.threads().send(&thread, NewMessage::new("Hi").cancel_with(&stop));
    while !matches!(turn.next().await, Some(Ok(AgentEvent::Token(_)))) {}
    stop.cancel();
    let (events, error) = all(turn).await;
    assert!(error.is_none(), "{error:?}");
    let [AgentEvent::Done(done)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(done.stopped, Some(true));
    assert_eq!(platos.wait_for_emitted("stop", 1).await, [json!({"threadId": thread})]);
    platos.wait_for_frame(|frame| frame == "41/agent,").await;
}

#[tokio::test]
async fn dropping_the_stream_stops_the_turn_and_dropping_a_resumed_one_does_not() {
    let (platos, client, thread) = conversation().await;
    platos.script(Script::new().token("a").pause(GUARD).done());
    let mut turn = client.threads().send(&thread, "Hi");
    while !matches!(turn.next().await, Some(Ok(AgentEvent::Token(_)))) {}
    assert!(turn.try_next().is_none());
    let mut watching = client.threads().resume(&thread);
    assert!(matches!(watching.next().await, Some(Ok(AgentEvent::Connected))));
    drop(watching);
    platos.wait_for_frame(|frame| frame == "41/agent,").await;
    assert!(platos.emitted("stop").is_empty());
    drop(turn);
    platos.wait_for_emitted("stop", 1).await;
}

#[tokio::test]
async fn a_turn_that_is_stopped_before_it_is_connected_sends_nothing() {
    let (platos, client, thread) = conversation().await;
    let stop = CancellationToken::new();
    stop.cancel();
    let (events, error) = all(client.threads().send(&thread, NewMessage::new("Hi").cancel_with(&stop))).await;
    assert!(error.is_none() && short(&events) == "done", "{events:?}");
    assert!(platos.messages().is_empty());
}

#[tokio::test]
async fn a_stream_is_a_stream() {
    let (_platos, client, thread) = conversation().await;
    let turn = client.threads().send(&thread, "one two");
    let words = turn.filter_map(|event| async move {
        match event {
            Ok(AgentEvent::Token(token)) => Some(token.text),
            _ => None,
        }
    });
    assert_eq!(words.collect::<Vec<_>>().await.concat(), "You said: one two");
}

#[tokio::test]
async fn many_turns_run_at_the_same_time_over_one_client() {
    let (_platos, client, _) = conversation().await;
    let turns = (0..25).map(|number| {
        let client = client.clone();
        tokio::spawn(async move {
            let thread =
                client.threads().create(platos_client::NewThread::with_agent("agt_writer")).await.unwrap();
            let answer = client.threads().send(&thread.id, format!("number {number}")).text().await.unwrap();
            assert_eq!(answer, format!("You said: number {number}"));
        })
    });
    for turn in turns.collect::<Vec<_>>() {
        turn.await.unwrap();
    }
}
