//! Connections that break, and replies that are recovered.

use std::time::Duration;

use platos_client::testing::{CannedAnswer, DoubleOptions, Generation, Greeting, PlatosDouble, Script};
use platos_client::{
    AgentEvent, Error, NewMessage, NewThread, PlatosClient, ReconnectPolicy, StreamLimits, Transport, Turn,
    TurnState,
};
use serde_json::{Value, json};

use super::support::{GUARD, all, conversation, hi, short};

const FRESH: &str = "fresh.session.token";

/// The words of a turn, without what the client says about its connections.
fn words(events: &[AgentEvent]) -> String {
    let events: Vec<_> = events.iter().filter(|event| !event.is_about_connection()).cloned().collect();
    short(&events)
}

/// A double of one generation, a client of it, and a thread.
async fn with(generation: Generation) -> (PlatosDouble, PlatosClient, String) {
    let options = DoubleOptions::default().generation(generation);
    let platos = PlatosDouble::start_with(options).await.unwrap();
    platos.accept_token(FRESH);
    let client = platos.builder().session_token(platos.session_token());
    let client = client.on_token_refresh(|_| async { Ok::<_, Error>(FRESH.to_owned()) }).build().unwrap();
    let thread = client.threads().create(NewThread::with_agent("agt_support")).await.unwrap();
    (platos, client, thread.id)
}

fn call() -> Value {
    json!({"type": "tool_call", "name": "t", "params": {"n": 1}, "callId": "c1"})
}

fn result() -> Value {
    json!({"type": "tool_result", "name": "t", "result": 7, "callId": "c1"})
}

/// A turn that breaks in one of its phases, by `breaking`, and goes on.
fn broken(phase: &str, breaking: fn(Script) -> Script) -> Script {
    let at =
        |script: Script, own: &str| if own == phase { breaking(script).wait_for_polls(2) } else { script };
    let script = at(Script::new(), "before meta").meta().token("one ");
    let script = at(script, "mid-token").token("two ").event(call());
    let script = at(script, "during a tool call").event(result()).token("three").persisted();
    at(script, "before done").done()
}

const PHASES: [&str; 4] = ["before meta", "mid-token", "during a tool call", "before done"];

#[tokio::test]
async fn a_break_at_any_phase_of_a_turn_loses_no_reply_and_sends_no_message_twice() {
    for generation in [Generation::Newest, Generation::Oldest] {
        for (how, breaking) in [
            ("a lost connection", Script::drop_connection as fn(Script) -> Script),
            ("a disconnect", Script::disconnect),
            ("a session that expires", Script::expire_session),
        ] {
            for phase in PHASES {
                let (platos, client, thread) = with(generation).await;
                // The same was said, and answered, just before.
                platos.script(Script::new().token("An earlier reply.").persisted().done());
                client.threads().send(&thread, "Hi").text().await.unwrap();

                platos.script(broken(phase, breaking));
                let (events, error) = all(client.threads().send(&thread, "Hi")).await;
                let case = format!("{generation:?}, {how}, {phase}: {}", short(&events));
                assert!(error.is_none(), "{case}: {error:?}");
                let text: String = events
                    .iter()
                    .filter_map(|event| match event {
                        AgentEvent::Token(token) => Some(token.text.as_str()),
                        _ => None,
                    })
                    .collect();
                assert_eq!(text, "one two three", "{case}");
                let recovered = events.iter().find_map(|event| match event {
                    AgentEvent::Recovered(recovered) => Some(recovered),
                    _ => None,
                });
                let recovered = recovered.unwrap_or_else(|| panic!("{case}"));
                assert!(recovered.continues && recovered.text == "one two three", "{case}");
                let persisted = events.iter().filter(|event| event.kind() == "message_persisted").count();
                assert_eq!((persisted, events.last().map(AgentEvent::kind)), (1, Some("done")), "{case}");
                assert_eq!(platos.messages().len(), 2, "{case}");
                assert!(platos.emitted("resume_stream").is_empty());
            }
        }
    }
}

#[tokio::test]
async fn a_recovered_turn_is_collected_as_if_nothing_had_happened() {
    let (platos, client, thread) = conversation().await;
    platos.script(broken("mid-token", Script::drop_connection));
    let turn = client.threads().send(&thread, "Hi").collect().await.unwrap();
    assert_eq!((turn.text.as_str(), turn.recovered, turn.message_ids.len()), ("one two three", true, 1));
    let joined = platos.emitted("join_thread");
    assert_eq!(joined, [json!({"threadId": thread})]);
}

#[tokio::test]
async fn a_durable_turn_is_heard_again_and_its_gap_is_filled() {
    let (platos, client, thread) = conversation().await;
    let script = Script::new()
        .durable()
        .meta()
        .token("one ")
        .drop_connection()
        .token("two ")
        .wait_for_join()
        .token("three ")
        .event(call())
        .wait_for_polls(1)
        .persisted()
        .done();
    platos.script(script);
    let (events, error) = all(client.threads().send(&thread, "Hi")).await;
    assert!(error.is_none(), "{error:?}");
    assert!(words(&events).starts_with("meta 'one ' "), "{}", words(&events));
    let Some(AgentEvent::Recovered(recovered)) = events.iter().find(|event| event.kind() == "recovered")
    else {
        panic!("{}", short(&events))
    };
    assert_eq!(recovered.text, "one two three ");
    assert_eq!(platos.messages().len(), 1);
}

#[tokio::test]
async fn a_durable_turn_that_the_platform_tells_no_more_of_is_not_lost() {
    for transport in [Transport::Socket, Transport::Sse] {
        let (platos, client, thread) = conversation().await;
        let drained = json!({"type": "error", "message": "durable session timed out"});
        let told = |script: Script| {
            script.emit("agent_event", drained.clone()).emit("agent_event", json!({"type": "done"}))
        };
        let script = told(Script::new().durable().meta().token("one ")).wait_for_polls(2).token("two").done();
        platos.script(script);
        let turn = client.threads().send(&thread, NewMessage::new("Hi").transport(transport));
        let turn = turn.collect().await.unwrap();
        assert_eq!((turn.text.as_str(), turn.recovered), ("one two", true), "{transport:?}");
    }
}

#[tokio::test]
async fn a_turn_that_failed_after_the_break_is_lost_with_what_is_known() {
    let (platos, client, thread) = conversation().await;
    let limits = StreamLimits::default()
        .poll_interval(Duration::from_millis(20))
        .recovery_timeout(Duration::from_millis(200));
    let client = {
        drop(client);
        platos.builder().stream_limits(limits).session_token(platos.session_token()).build().unwrap()
    };
    let failing = json!({"type": "error", "message": "the model is gone"});
    platos.script(Script::new().meta().token("half ").drop_connection().event(failing).done());
    let error = client.threads().send(&thread, hi()).collect().await.unwrap_err();
    let shown = error.to_string();
    let Error::TurnLost(lost) = error else { panic!("{error:?}") };
    assert_eq!((lost.state, lost.text.as_str()), (TurnState::Unanswered, "half "));
    assert!(
        shown.contains("the thread has no reply to it") && shown.contains("the connection broke"),
        "{shown}"
    );
    assert_eq!(platos.messages().len(), 1);
}

#[tokio::test]
async fn a_message_that_never_arrived_is_lost_soon_and_may_be_sent_again_under_its_key() {
    let (platos, client, thread) = conversation().await;
    // What is said in a thread that the platform does not know is not stored.
    let elsewhere = "thr_elsewhere";
    platos.script(Script::new().drop_connection());
    for _ in 0..20 {
        platos.answer_next("messages", CannedAnswer::status(200).json(&json!({"messages": [], "total": 0})));
    }
    let error = client.threads().send(elsewhere, hi()).collect().await.unwrap_err();
    let shown = error.to_string();
    let Error::TurnLost(lost) = error else { panic!("{error:?}") };
    assert_eq!(lost.state, TurnState::NotStarted);
    assert!(shown.contains("send it again") && shown.contains("idempotency_key"), "{shown}");
    assert!(lost.idempotency_key.is_some());
    let _ = thread;
}

#[tokio::test]
async fn a_message_sent_again_under_the_same_key_is_answered_with_the_first_ones_reply() {
    for transport in [Transport::Socket, Transport::Sse] {
        let (platos, client, thread) = conversation().await;
        let message = || NewMessage::new("Pay").idempotency_key("pay-1").transport(transport);
        platos.script(Script::new().meta().token("Paid.").persisted().done());
        assert_eq!(client.threads().send(&thread, message()).text().await.unwrap(), "Paid.");
        // By the same program, and by another one after a crash, which does not know what came of it.
        for again in [client, platos.client()] {
            let turn = again.threads().send(&thread, message()).collect().await.unwrap();
            assert_eq!((turn.text.as_str(), turn.recovered), ("Paid.", true), "{transport:?}");
        }
        let users = platos.things("messages").iter().filter(|message| message["role"] == "user").count();
        assert_eq!(users, 1, "the turn ran once");
    }
}

#[tokio::test]
async fn a_turn_is_taken_up_by_another_program() {
    let (platos, client, thread) = conversation().await;
    let script = Script::new().meta().tokens("a b ").drop_connection().wait_for_join().token("c").done();
    platos.script(script);
    let never = platos.builder().reconnect(ReconnectPolicy::never());
    let never = never.session_token(platos.session_token()).build().unwrap();
    let first = tokio::spawn(all(never.threads().send(&thread, "Hi")));
    platos.wait_for_emitted("message", 1).await;
    let (events, error) = all(client.threads().resume(&thread)).await;
    assert!(error.is_none(), "{error:?}");
    assert!(words(&events).ends_with("'a b c' message_persisted done"), "{}", words(&events));
    // The one who sent it found it too, without another socket.
    let (events, error) = first.await.unwrap();
    assert!(error.is_none() && words(&events).contains("'c'"), "{} {error:?}", words(&events));
    // One that is over is there at once.
    assert_eq!(client.threads().resume(&thread).text().await.unwrap(), "a b c");
    assert_eq!(platos.messages().len(), 1);
    let error = client.threads().resume("thr_0").text().await.unwrap_err();
    assert!(matches!(&error, Error::NotFound(_)), "nothing was sent that could be lost: {error:?}");
}

#[tokio::test]
async fn the_end_of_a_long_thread_is_looked_at() {
    let (platos, client, thread) = conversation().await;
    for number in 0..230 {
        let role = if number % 2 == 0 { "user" } else { "assistant" };
        let message = json!({"id": format!("m{number}"), "threadId": thread, "role": role, "content": "Hi",
            "createdAt": "2026-01-01T00:00:00.000Z"});
        platos.add("messages", message);
    }
    platos.script(Script::new().token("new").drop_connection().wait_for_polls(4).token(" words").done());
    assert_eq!(client.threads().send(&thread, "Hi").text().await.unwrap(), "new words");
    let looks = platos.requests().into_iter().filter(|request| request.path.ends_with("/messages"));
    let looks: Vec<_> = looks.map(|request| request.query).collect();
    assert_eq!(looks[..2], ["limit=100", "limit=100&offset=181"]);
    assert!(looks[2..].iter().all(|query| query.contains("offset=181")), "{looks:?}");
    let before = platos.requests().len();
    assert_eq!(client.threads().messages(&thread).await.unwrap().len(), 232);
    assert_eq!(platos.requests().len() - before, 4, "25, and three times 100");
}

#[tokio::test]
async fn attempts_are_bounded_and_the_reply_is_looked_for_without_a_socket() {
    let (platos, client, thread) = conversation().await;
    platos.greet_next(Greeting::Welcome);
    platos.greet_next(Greeting::Drop);
    platos.greet_next(Greeting::Http(CannedAnswer::status(503)));
    platos.greet_next(Greeting::ConnectError(json!({"message": "busy", "data": {"status": 503}})));
    platos.greet_next(Greeting::Http(CannedAnswer::status(429).header("retry-after", "0.01")));
    platos.greet_next(Greeting::Drop);
    platos.script(Script::new().token("a").drop_connection().wait_for_polls(30).token("b").done());
    let (events, error) = all(client.threads().send(&thread, "Hi")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(words(&events), "'a' 'b' message_persisted done");
    let attempts = events.iter().filter_map(|event| match event {
        AgentEvent::Reconnecting { attempt } => Some(*attempt),
        _ => None,
    });
    assert_eq!(attempts.collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
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
    for transport in [Transport::Socket, Transport::Sse] {
        let (events, error) = all(client.threads().send("thr_1", hi().transport(transport))).await;
        assert_eq!(short(&events), ["reconnecting"; 5].join(" "));
        let error = error.unwrap().to_string();
        assert!(error.contains("check the base URL"), "{error}");
    }
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
async fn a_connection_that_goes_silent_is_dead_and_the_reply_is_found() {
    let (interval, timeout) = (Duration::from_millis(150), Duration::from_millis(150));
    let platos = PlatosDouble::start_with(DoubleOptions::default().ping(interval, timeout)).await.unwrap();
    let client = platos.client();
    let thread = client.threads().create(NewThread::with_agent("agt_writer")).await.unwrap();
    platos.script(Script::new().token("a").mute().token("b").done());
    let (events, error) = all(client.threads().send(&thread.id, "Hi")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(words(&events), "'a' 'b' message_persisted done");
    let Some(AgentEvent::Disconnected { reason }) = events.get(2) else { panic!("{events:?}") };
    assert_eq!(reason, "the platform gave no sign of life for 0.3 s");
}

#[tokio::test]
async fn duplicates_of_events_with_an_id_are_left_out() {
    let (platos, client, thread) = conversation().await;
    let ask = |words: &str| json!({"type": "approval_needed", "approvalId": "apr_1", "action": words});
    let script = Script::new().event(call()).token("a").event(call()).token("a");
    platos.script(script.event(ask("delete")).event(ask("delete it")).done());
    let (events, _) = all(client.threads().send(&thread, "Hi")).await;
    assert_eq!(words(&events), "tool_call 'a' 'a' approval_needed done");
}

/// A session token as platforms sign it, as far as anybody but them can tell.
fn token(name: &str, seconds: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"exp": now + seconds, "iat": now + seconds - 3_600, "userId": name}).to_string();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims);
    format!("e30.{encoded}.{name}")
}

/// A client whose token has so many seconds left.
async fn with_token_of(seconds: u64) -> (PlatosDouble, PlatosClient, String) {
    let platos = PlatosDouble::start().await.unwrap();
    let (old, fresh) = (token("old", seconds), token("fresh", 3_600));
    platos.accept_token(&old);
    platos.accept_token(&fresh);
    let client = platos.builder().session_token(&old);
    let client = client.on_token_refresh(move |_| {
        let fresh = fresh.clone();
        async move { Ok::<_, Error>(fresh) }
    });
    let client = client.build().unwrap();
    let thread = client.threads().create(NewThread::with_agent("agt_writer")).await.unwrap();
    (platos, client, thread.id)
}

/// The names of the tokens that sockets were opened with.
fn sockets(platos: &PlatosDouble) -> Vec<String> {
    let upgrades = platos.requests().into_iter().filter(|request| request.path == "/socket.io/");
    upgrades
        .map(|request| request.headers["x-platos-session-token"].rsplit('.').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_token_that_expires_soon_is_replaced_before_the_turn_begins() {
    let (platos, client, thread) = with_token_of(30).await;
    client.threads().send(&thread, "Hi").text().await.unwrap();
    assert_eq!(sockets(&platos), ["fresh"]);
    let (platos, client, thread) = with_token_of(300).await;
    client.threads().send(&thread, "Hi").text().await.unwrap();
    assert_eq!(sockets(&platos), ["old"]);
}

#[tokio::test]
async fn a_watched_turn_reconnects_with_a_fresh_token_before_the_old_one_expires() {
    let (platos, client, thread) = with_token_of(65).await;
    platos.script(Script::new().meta().durable().token("a").pause(GUARD).done());
    let mut turn = client.threads().send(&thread, "Hi");
    while !matches!(turn.next().await, Some(Ok(AgentEvent::Token(_)))) {}
    tokio::time::pause();
    // Time goes by as fast as nothing happens.
    while !matches!(turn.next().await, Some(Ok(AgentEvent::Disconnected { .. }))) {}
    tokio::time::resume();
    while !matches!(turn.next().await, Some(Ok(AgentEvent::Connected))) {}
    assert_eq!(sockets(&platos), ["old", "fresh"]);
}

#[tokio::test]
async fn a_session_that_is_over_when_the_message_comes_is_replaced_and_the_message_sent_again() {
    let (platos, client, thread) = with_token_of(300).await;
    platos.greet_next(Greeting::WelcomeAndRevoke);
    platos.script(Script::new().token("hello").done());
    let (events, error) = all(client.threads().send(&thread, "Hi")).await;
    assert!(error.is_none(), "{error:?}");
    let keys: Vec<_> = platos.messages().iter().map(|message| message["idempotencyKey"].clone()).collect();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    assert_eq!(sockets(&platos), ["old", "fresh"]);
    assert_eq!(short(&events), "connected disconnected connected 'hello' done");
}

async fn by(transport: Transport, script: Script) -> (PlatosDouble, Result<Turn, Error>) {
    let (platos, client, thread) = conversation().await;
    platos.script(script);
    let turn = client.threads().send(&thread, NewMessage::new("Hi").transport(transport));
    let turn = tokio::time::timeout(GUARD, turn.collect()).await.expect("it ends");
    (platos, turn)
}

#[tokio::test]
async fn one_turn_is_the_same_by_all_ways() {
    for transport in [Transport::Socket, Transport::Sse, Transport::Blocking] {
        let script = Script::new()
            .meta()
            .tokens("naïve words ")
            .event(call())
            .event(result())
            .event(json!({"type": "heartbeat", "at": 1}))
            .event(json!({"type": "structured_output", "object": {"a": 1}, "attempts": 1}))
            .event(json!({"type": "mood", "value": 1}))
            .persisted()
            .done();
        let (platos, turn) = by(transport, script).await;
        let turn = turn.unwrap_or_else(|error| panic!("{transport:?}: {error}"));
        assert_eq!((turn.text.as_str(), turn.recovered), ("naïve words ", false), "{transport:?}");
        assert_eq!((turn.tool_calls.len(), turn.tool_results.len(), turn.message_ids.len()), (1, 1, 1));
        assert_eq!((turn.structured_output, turn.usage.is_some()), (Some(json!({"a": 1})), true));
        let sent = platos.requests().pop().unwrap();
        match transport {
            Transport::Sse => {
                assert!(sent.path.ends_with("/stream") && sent.header("idempotency-key").is_some());
                assert_eq!(sent.body, json!({"message": "Hi", "agentId": "agt_support"}));
            }
            Transport::Blocking => {
                assert!(sent.path.ends_with("/messages"));
                assert_eq!(sent.body, json!({"message": "Hi", "agentId": "agt_support"}));
            }
            _ => assert_eq!(platos.messages().len(), 1),
        }
    }
}

#[tokio::test]
async fn what_only_requests_carry_goes_by_them() {
    let (platos, client, thread) = conversation().await;
    let message = NewMessage::new("Hi").output_schema(json!({"type": "object"}));
    client.threads().send(&thread, message.clone()).text().await.unwrap();
    let sent = platos.requests().pop().unwrap();
    assert_eq!(
        (sent.path.ends_with("/stream"), &sent.body["outputSchema"]),
        (true, &json!({"type": "object"}))
    );
    let message = message.transport(Transport::Socket);
    let error = client.threads().send(&thread, message).text().await.unwrap_err();
    assert!(matches!(error, Error::Config(_)) && error.to_string().contains("`outputSchema`"), "{error}");
    let message = NewMessage::new("Hi").system_prompt_override("Be kind.").transport(Transport::Blocking);
    client.threads().send(&thread, message).text().await.unwrap();
    let sent = platos.requests().pop().unwrap();
    assert!(sent.path.ends_with("/agents/agt_support/messages"), "{sent:?}");
    let message = NewMessage::new("Hi").dynamic_block("a", "b").transport(Transport::Blocking);
    let error = client.threads().send(&thread, message).text().await.unwrap_err();
    assert!(error.to_string().contains("`dynamicBlocks`"), "{error}");
}

#[tokio::test]
async fn a_stream_that_is_cut_off_loses_no_reply_that_was_stored() {
    for phase in PHASES {
        let (_, turn) = by(Transport::Sse, broken(phase, Script::drop_connection).durable()).await;
        let turn = turn.unwrap_or_else(|error| panic!("{phase}: {error}"));
        assert_eq!((turn.text.as_str(), turn.recovered), ("one two three", true), "{phase}");
    }
    // One that is not durable is stopped with its connection, and has no reply.
    let (platos, client, thread) = conversation().await;
    let limits = StreamLimits::default()
        .poll_interval(Duration::from_millis(20))
        .recovery_timeout(Duration::from_millis(100));
    drop(client);
    let client =
        platos.builder().stream_limits(limits).session_token(platos.session_token()).build().unwrap();
    platos.script(Script::new().meta().token("half ").drop_connection().token("lost").done());
    let turn = client.threads().send(&thread, hi().transport(Transport::Sse));
    let Err(Error::TurnLost(lost)) = turn.collect().await else { panic!("another end") };
    assert_eq!((lost.state, lost.text.as_str()), (TurnState::Unanswered, "half "));
}

#[tokio::test]
async fn one_request_whose_answer_is_lost_loses_no_reply() {
    // It has no key, so that nobody is told to send it again under it.
    let (platos, client, thread) = conversation().await;
    platos.answer_next("/messages", CannedAnswer::drop_connection());
    platos.answer_next("/messages", CannedAnswer::status(404));
    let blocking = || NewMessage::new("Hi").transport(Transport::Blocking);
    let error = client.threads().send(&thread, blocking()).collect().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("it could run twice") && !text.contains("idempotency_key"), "{text}");
    let keyed = blocking().idempotency_key("key-1");
    let error = client.threads().send(&thread, keyed).collect().await.unwrap_err();
    assert!(error.to_string().contains("does not carry `idempotencyKey`"), "{error}");
    platos.answer_next("/messages", CannedAnswer::status(201).json(&json!({"ok": true})));
    let error = client.threads().send(&thread, blocking()).collect().await.unwrap_err();
    assert!(error.to_string().contains("the answer is no turn"), "{error}");

    let gateway = CannedAnswer::status(504).html("<html>Gateway Time-out</html>");
    for lost in [CannedAnswer::drop_connection(), gateway] {
        let (platos, client, thread) = conversation().await;
        platos.answer_next("/messages", lost);
        // The platform has it all the same.
        for (role, content) in [("user", "Hi"), ("assistant", "Yes.")] {
            let (id, now) = ("m1", jiff_now());
            platos.add(
                "messages",
                json!({"id": id, "threadId": thread, "role": role, "content": content, "createdAt": now}),
            );
        }
        let turn = client.threads().send(&thread, NewMessage::new("Hi").transport(Transport::Blocking));
        let turn = turn.collect().await.unwrap();
        assert_eq!((turn.text.as_str(), turn.recovered), ("Yes.", true));
        let posted = platos.requests().iter().filter(|request| request.method == "POST").count();
        assert_eq!(posted, 2, "the thread, and the message once");
    }
    // What the platform itself says is no such thing.
    let (platos, client, thread) = conversation().await;
    let unstored = json!({"code": "TURN_PERSISTENCE_FAILED", "message": "The reply was not stored."});
    platos.answer_next("/messages", CannedAnswer::status(502).json(&unstored));
    let turn = client.threads().send(&thread, NewMessage::new("Hi").transport(Transport::Blocking));
    let error = turn.collect().await.unwrap_err();
    assert!(matches!(error, Error::Server(_)) && error.code() == Some("TURN_PERSISTENCE_FAILED"), "{error}");
}

fn jiff_now() -> String {
    jiff::Timestamp::now().to_string()
}

#[tokio::test]
async fn a_refused_stream_says_why_or_gets_a_fresh_token() {
    let (platos, client, thread) = with(Generation::Newest).await;
    platos.revoke_token(platos.session_token());
    let message = || NewMessage::new("Hi").agent("agt_support").transport(Transport::Sse);
    assert_eq!(client.threads().send(&thread, message()).text().await.unwrap(), "You said: Hi");
    let keys: Vec<_> = platos
        .requests()
        .iter()
        .filter(|request| request.path.ends_with("/stream"))
        .map(|request| request.headers["idempotency-key"].clone())
        .collect();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    let other = json!({"error": "AGENT_SCOPE_MISMATCH", "message": "no"});
    platos.answer_next("/stream", CannedAnswer::status(403).json(&other));
    let error = client.threads().send(&thread, message()).text().await.unwrap_err();
    assert_eq!(error.code(), Some(platos_client::codes::AGENT_SCOPE_MISMATCH));
    platos.answer_next("/stream", CannedAnswer::status(429).header("retry-after", "0.01"));
    assert_eq!(client.threads().send(&thread, message()).text().await.unwrap(), "You said: Hi");
    platos.answer_next("/stream", CannedAnswer::status(200).html("<html>"));
    let error = client.threads().send(&thread, message()).text().await.unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error:?}");
}

#[tokio::test]
async fn a_stream_that_is_dropped_stops_its_turn_with_the_connection() {
    let (platos, client, thread) = conversation().await;
    // More than any connection holds by itself.
    let endless = (0..200).fold(Script::new(), |script, _| script.token(&"x".repeat(100_000)));
    platos.script(endless.done());
    let mut turn = client.threads().send(&thread, NewMessage::new("Hi").transport(Transport::Sse));
    while !matches!(turn.next().await, Some(Ok(AgentEvent::Token(_)))) {}
    turn.stop();
    let (events, error) = all(turn).await;
    assert!(error.is_none() && short(&events).ends_with("done"), "{error:?}");
    // The thread is free again, and has no reply.
    loop {
        match client.threads().send(&thread, "Next").text().await {
            Ok(text) => break assert_eq!(text, "You said: Next"),
            Err(error) => assert_eq!(error.code(), Some(platos_client::codes::TURN_IN_PROGRESS)),
        }
    }
    let replies = platos.things("messages");
    let replies = replies.iter().filter(|message| message["role"] == "assistant");
    assert_eq!(replies.count(), 1);
}

#[tokio::test]
async fn a_turn_that_is_refused_in_a_success_is_an_error_by_all_ways() {
    let refused = json!({"type": "error", "code": "budget_cap", "message": "What may be spent is spent."});
    for transport in [Transport::Socket, Transport::Sse, Transport::Blocking] {
        let (_, turn) =
            by(transport, Script::new().event(refused.clone()).event(json!({"type": "done"}))).await;
        let error = turn.unwrap_err();
        assert_eq!(error.code(), Some(platos_client::codes::BUDGET_CAP), "{transport:?}: {error}");
    }
}
