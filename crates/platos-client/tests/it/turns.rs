//! Turns over one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use platos_client::testing::{DoubleOptions, Generation, PlatosDouble, Script};
use platos_client::{AgentEvent, CancellationToken, Decision, Error, NewMessage, NewThread};
use serde_json::{Value, json};

use super::support::{GUARD, all, conversation, hi, short};

#[tokio::test]
async fn a_turn_is_streamed_from_its_message_to_done() {
    let (platos, client, thread) = conversation().await;
    let (events, error) = all(client.threads().send(&thread, "Hello, Platos!")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        short(&events),
        "connected meta status 'You ' 'said: ' 'Hello, ' 'Platos!' message_persisted done"
    );
    let Some(AgentEvent::Done(done)) = events.last() else { panic!("{events:?}") };
    assert_eq!(done.usage.as_ref().unwrap()["outputTokens"], 34);
    let frames = platos.frames();
    let message = &platos.messages()[0];
    let expected = json!({"message": "Hello, Platos!", "threadId": thread, "agentId": "agt_support",
        "idempotencyKey": message["idempotencyKey"]});
    assert_eq!(*message, expected);
    assert!(message["idempotencyKey"].as_str().is_some_and(|key| key.len() >= 32), "{message}");
    assert_eq!(frames[0], "40/agent,");
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
    assert_eq!(
        error.to_string(),
        "the turn failed: Try again in 7 seconds; wait for 7 s before the next one"
    );
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
    assert!(matches!(error, Error::NotFound(_)), "nothing was sent: {error:?}");
    let error = client.threads().send("thr_0", hi()).text().await.unwrap_err();
    assert_eq!(error.to_string(), "the turn failed: Thread not found");
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
            let thread = client.threads().create(NewThread::with_agent("agt_writer")).await.unwrap();
            let answer = client.threads().send(&thread.id, format!("number {number}")).text().await.unwrap();
            assert_eq!(answer, format!("You said: number {number}"));
        })
    });
    for turn in turns.collect::<Vec<_>>() {
        turn.await.unwrap();
    }
}

#[tokio::test]
async fn the_agent_is_always_named_and_asked_for_once() {
    let (platos, client, thread) = conversation().await;
    let stranger = platos.client();
    for _ in 0..2 {
        stranger.threads().send(&thread, "Hi").text().await.unwrap();
    }
    let asked = platos.requests().iter().filter(|request| request.method == "GET").count();
    // One look at the thread, and two sockets.
    assert_eq!(asked, 3);
    client.threads().send(&thread, NewMessage::new("Hi").agent("agt_writer")).text().await.unwrap();
    let agents: Vec<_> = platos.messages().iter().map(|message| message["agentId"].clone()).collect();
    assert_eq!(agents, ["agt_support", "agt_support", "agt_writer"]);
}

#[tokio::test]
async fn a_thread_that_an_old_platform_makes_up_is_an_error_and_its_turn_is_stopped() {
    let old = DoubleOptions::default().generation(Generation::Oldest);
    let platos = PlatosDouble::start_with(old).await.unwrap();
    platos.script(Script::new().meta().token("lost").pause(GUARD).done());
    let (events, error) = all(platos.client().threads().send("thr_gone", hi())).await;
    assert_eq!(short(&events), "connected");
    let error = error.unwrap().to_string();
    assert!(error.contains("in another thread, thr_") && error.contains("thr_gone"), "{error}");
    assert_ne!(platos.wait_for_emitted("stop", 1).await[0]["threadId"], "thr_gone");
}

#[tokio::test]
async fn a_turn_that_goes_on_is_not_begun_twice() {
    let (platos, client, thread) = conversation().await;
    platos.script(Script::new().token("a").pause(GUARD).done());
    let mut first = client.threads().send(&thread, "Hi");
    while !matches!(first.next().await, Some(Ok(AgentEvent::Token(_)))) {}
    let error = client.threads().send(&thread, "Again").text().await.unwrap_err();
    assert_eq!(error.code(), Some(platos_client::codes::TURN_IN_PROGRESS));
}

#[tokio::test]
async fn events_of_other_threads_are_left_out() {
    let (platos, client, thread) = conversation().await;
    let script = Script::new()
        .event(json!({"type": "token", "text": "theirs", "threadId": "thr_other"}))
        .event(json!({"type": "approval_needed", "approvalId": "a", "threadId": "thr_other"}))
        .event(json!({"type": "token", "text": "ours", "threadId": thread}))
        .done();
    platos.script(script);
    let (events, _) = all(client.threads().send(&thread, "Hi")).await;
    assert_eq!(short(&events), "connected 'ours' done");
}

#[tokio::test]
async fn what_becomes_of_the_thread_during_its_turn_is_said_and_is_no_event_of_the_turn() {
    let (platos, client, thread) = conversation().await;
    let other = client.threads().create(NewThread::with_agent("agt_writer")).await.unwrap();
    let spoofed = json!({"type": "done", "threadId": thread});
    let script = Script::new().token("a").emit("thread_event", spoofed.clone());
    platos.script(script.approval("apr_1", "x", Script::new().token("b").done(), Script::new()));
    let mut turn = client.threads().send(&thread, "Hi");
    let mut events = Vec::new();
    while !matches!(events.last(), Some(AgentEvent::ApprovalNeeded(_))) {
        events.push(turn.next().await.unwrap().unwrap());
    }
    client.threads().rename(&thread, Some("Inbox")).await.unwrap();
    client.threads().rename(&other.id, Some("Another")).await.unwrap();
    client.threads().archive(&thread).await.unwrap();
    client.threads().unarchive(&thread).await.unwrap();
    turn.resolve("apr_1", Decision::approve()).await.unwrap();
    let (rest, error) = all(turn).await;
    events.extend(rest);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        short(&events),
        "connected 'a' done approval_needed thread.renamed thread.archived thread.unarchived 'b' done"
    );
    assert!(matches!(&events[2], AgentEvent::Other { data, .. } if *data == spoofed), "{:?}", events[2]);
    let AgentEvent::ThreadRenamed(renamed) = &events[4] else { panic!("{:?}", events[4]) };
    assert_eq!((renamed.title.as_deref(), renamed.thread_id.as_ref()), (Some("Inbox"), Some(&thread)));
}

#[tokio::test]
async fn forty_long_turns_at_once_take_no_more_memory_than_short_ones() {
    const TURNS: u64 = 40;
    const TOKENS: u64 = 10_000;
    let (platos, client, _) = conversation().await;
    let token = json!({"type": "token", "text": "x".repeat(100)});
    for _ in 0..TURNS {
        platos.script(Script::new().repeat(token.clone(), TOKENS, None).done());
    }
    let (read, before) = (Arc::new(AtomicU64::new(0)), resident());
    let turns: Vec<_> = (0..TURNS)
        .map(|number| {
            let (client, read) = (client.clone(), Arc::clone(&read));
            tokio::spawn(async move {
                let message = NewMessage::new("Hi").agent("agt_writer");
                let mut turn = client.threads().send(&format!("thr_{number}"), message);
                let mut tokens = 0;
                while let Some(event) = turn.next().await {
                    tokens += u64::from(matches!(event.unwrap(), AgentEvent::Token(_)));
                    read.fetch_add(1, Ordering::Relaxed);
                }
                assert_eq!(tokens, TOKENS);
            })
        })
        .collect();
    let mut most = before;
    for turn in turns {
        turn.await.unwrap();
        most = most.max(resident());
    }
    assert!(read.load(Ordering::Relaxed) > TURNS * TOKENS);
    // 40 MB of text went by; as events they would be ten times that.
    let grown = most.saturating_sub(before) >> 20;
    eprintln!("{TURNS} turns of {TOKENS} tokens at once: {grown} MiB more than before");
    assert!(grown < 64, "{grown} MiB");
}

/// The memory of this process, in bytes; 0 where that cannot be told.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or_default() * 1_024
}
