//! Calls: what is sent, what may answer, and for how long.

use std::time::{Duration, SystemTime};

use platools::verify::{Verifier, VerifierOptions};
use platools::wire::{Inbound, MAX_FRAME_BYTES};
use platools_dev::{CallReport, ConnectedEntity, DevError, DevPlatform, Event, Outcome, Tamper};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::host::{RawHost, Received};

/// The verdict that a strict host comes to over a frame.
fn verdict(verifier: &Verifier, entity: &ConnectedEntity, frame: &str) -> &'static str {
    let Ok(Inbound::ToolCall(call)) = Inbound::parse(frame) else { panic!("{frame}") };
    match verifier.verify(&call, &entity.scope(), SystemTime::now()) {
        Ok(_) => "accept",
        Err(refusal) => refusal.reason(),
    }
}

fn verifier(entity: &ConnectedEntity) -> Verifier {
    Verifier::new(&entity.secret(), VerifierOptions::default())
}

/// Makes a call and answers it, side by side.
async fn call_and_answer(
    platform: &DevPlatform,
    host: &mut RawHost,
    arguments: Value,
    result: Value,
) -> (CallReport, Value) {
    let (report, call) = tokio::join!(platform.call("add", arguments), async {
        let call = host.next_call().await;
        host.answer(&call, result).await;
        call
    });
    (report.unwrap(), call)
}

#[tokio::test]
async fn a_call_is_signed_and_carries_who_is_calling() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let calling = platform
        .calling("add")
        .arguments(json!({"a": 1, "b": "ü \"quoted\""}))
        .user("u1")
        .user_token("token")
        .agent("a1")
        .thread("t1")
        .entity_token("oidc")
        .context(json!({"source": "agent_turn"}));
    let (report, call) = tokio::join!(calling.send(), async {
        let call = host.next_call().await;
        host.answer(&call, json!(3)).await;
        call
    });
    let report = report.unwrap();
    let params = call["params"].as_object().unwrap();
    assert_eq!(params.keys().collect::<Vec<_>>(), ["a", "b", "_context", "__platos"]);
    assert_eq!(params["_context"], json!({"source": "agent_turn"}));
    let envelope = params["__platos"].as_object().unwrap();
    for (name, value) in [
        ("organizationId", "org_dev"),
        ("projectId", "proj_dev"),
        ("environmentId", "env_dev"),
        ("entityId", "local"),
        ("userId", "u1"),
        ("userToken", "token"),
        ("agentId", "a1"),
        ("threadId", "t1"),
        ("callId", &report.call_id),
        ("entityToken", "oidc"),
    ] {
        assert_eq!(envelope[name], value, "{name}");
    }
    assert_eq!(envelope["nonce"].as_str().unwrap().len(), 32);
    assert_eq!(envelope["signature"].as_str().unwrap().len(), 64);
    assert_eq!(call.to_string(), report.sent, "the report shows the frame as it was sent");
    assert!(report.signed_text().ends_with(
        r#".{"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":"ü \"quoted\"","_context":{"source":"agent_turn"}}}}"#
    ));
    assert_eq!(report.outcome, Outcome::Result(json!(3)));
    assert_eq!(report.host_latency, Some(Duration::from_millis(7)));
    assert!(report.latency > Duration::ZERO);
    assert!(!format!("{report:?}").contains("token"));

    let verifier = verifier(&platform);
    assert_eq!(verdict(&verifier, &platform, &report.sent), "accept");
    assert_eq!(verdict(&verifier, &platform, &report.sent), "nonce_replay");
}

#[tokio::test]
async fn every_way_of_tampering_gets_its_verdict() {
    let platform = DevPlatform::start().await.unwrap();
    let _host = RawHost::with_tools(&platform, &["add"]).await;
    let calling = || platform.calling("add").arguments(json!({"a": 1})).pending_time(Duration::ZERO);
    for (tamper, expected) in [
        (Tamper::Arguments, "signature_mismatch"),
        (Tamper::ToolName, "signature_mismatch"),
        (Tamper::Timestamp, "signature_mismatch"),
        (Tamper::Nonce, "signature_mismatch"),
        (Tamper::Signature, "signature_mismatch"),
        (Tamper::Unsigned, "signature_missing"),
        (Tamper::CallId, "call_id_mismatch"),
        (Tamper::Scope, "scope_mismatch"),
    ] {
        let report = calling().tamper(tamper).send().await.unwrap();
        assert_eq!(verdict(&verifier(&platform), &platform, &report.sent), expected, "{tamper:?}");
        assert_eq!(report.outcome, Outcome::TimedOut);
    }
    let legacy = calling().legacy().send().await.unwrap();
    assert_eq!(verdict(&verifier(&platform), &platform, &legacy.sent), "nonce_missing");
    let stale = calling().signed_at(SystemTime::now() - Duration::from_secs(301)).send().await.unwrap();
    assert_eq!(verdict(&verifier(&platform), &platform, &stale.sent), "timestamp_skew_exceeded");
    let anonymous = calling().envelope(|envelope| envelope.user_id = None).send().await.unwrap();
    assert!(!anonymous.sent.contains("userId"));
    assert_eq!(verdict(&verifier(&platform), &platform, &anonymous.sent), "accept");
}

#[tokio::test]
async fn an_error_is_an_outcome_and_what_cannot_be_sent_an_error() {
    let platform = DevPlatform::start().await.unwrap();
    let key = platform.key().clone();
    assert_eq!(platform.call("add", json!({})).await, Err(DevError::NotConnected(key.clone())));
    assert_eq!(platform.faults().replay_last_call().await, Err(DevError::NothingToReplay(key)));
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    assert_eq!(platform.call("add", json!([1])).await, Err(DevError::NotAnObject("arguments")));
    let context = platform.calling("add").context(json!("text")).send().await;
    assert_eq!(context, Err(DevError::NotAnObject("context")));

    let (report, ()) = tokio::join!(platform.call("add", json!({})), async {
        let call = host.next_call().await;
        host.send(json!({"type": "tool_error", "call_id": call["call_id"], "error": "denied: no"})).await;
    });
    let report = report.unwrap();
    assert_eq!(report.error(), Some("denied: no"));
    assert_eq!(report.into_result().unwrap_err().to_string(), "the tool answered with an error: denied: no");
}

#[tokio::test]
async fn answers_settle_by_call_id_in_any_order_and_on_a_later_connection() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let (first, second, ()) = tokio::join!(
        platform.calling("add").call_id("one").send(),
        platform.calling("add").call_id("two").send(),
        async {
            let calls = [host.next_call().await, host.next_call().await];
            assert_eq!([&calls[0]["call_id"], &calls[1]["call_id"]], ["one", "two"]);
            host.answer(&calls[1], json!(2)).await;
            platform.wait_for_counters(|counters| counters.results == 1).await.unwrap();
            platform.faults().drop_connection().unwrap();
            assert_eq!(host.receive().await, Received::Broken);
            let mut later = RawHost::connect(&platform).await;
            later.answer(&calls[0], json!(1)).await;
            // Open until the answer has been read.
            platform.wait_for_counters(|counters| counters.results == 2).await.unwrap();
        }
    );
    assert_eq!(first.unwrap().outcome, Outcome::Result(json!(1)));
    assert_eq!(second.unwrap().outcome, Outcome::Result(json!(2)));
}

#[tokio::test]
async fn an_answer_from_another_environment_settles_nothing() {
    let platform = DevPlatform::start().await.unwrap();
    let production = platform.entity_in("local", "prod").unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let mut stranger = RawHost::with_tools(&production, &["add"]).await;
    let (report, ()) = tokio::join!(platform.call("add", json!({})), async {
        let call = host.next_call().await;
        stranger.answer(&call, json!("forged")).await;
        platform.wait_for_counters(|counters| counters.unknown_answers == 1).await.unwrap();
        host.answer(&call, json!("genuine")).await;
        host.answer(&call, json!("again")).await;
        platform.wait_for_counters(|counters| counters.repeated_answers == 1).await.unwrap();
    });
    assert_eq!(report.unwrap().outcome, Outcome::Result(json!("genuine")));
}

#[tokio::test]
async fn a_call_without_an_answer_times_out_and_a_late_answer_is_counted() {
    let platform = DevPlatform::options().pending_time(Duration::from_millis(50)).start().await.unwrap();
    let mut events = platform.events();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let report = platform.call("add", json!({})).await.unwrap();
    assert_eq!((&report.outcome, &report.reply), (&Outcome::TimedOut, &None));
    assert!(report.latency >= Duration::from_millis(50));
    let call = host.next_call().await;
    host.answer(&call, json!(1)).await;
    platform.wait_for_counters(|counters| counters.late_answers == 1).await.unwrap();
    let counters = platform.counters();
    assert_eq!((counters.calls, counters.timed_out, counters.results), (1, 1, 0));
    let mut seen = Vec::new();
    while let Some(event) = events.try_next() {
        seen.push(event);
    }
    let call_id = &report.call_id;
    assert!(seen.iter().any(|event| matches!(event, Event::TimedOut { call_id: id, .. } if id == call_id)));
    assert!(
        seen.iter()
            .any(|event| matches!(event, Event::UnexpectedAnswer { call_id: id, .. } if id == call_id))
    );
}

#[tokio::test]
async fn a_call_that_nobody_awaits_any_more_is_no_longer_pending() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    tokio::select! {
        report = platform.call("add", json!({})) => panic!("{report:?}"),
        call = host.next_call() => assert_eq!(call["tool_name"], "add"),
    }
    assert_eq!(platform.pending_calls(), 0);
}

#[tokio::test]
async fn a_result_over_256_kib_is_replaced() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let whole = "x".repeat(256 * 1024);
    let (report, _) = call_and_answer(&platform, &mut host, json!({}), json!(whole)).await;
    assert_eq!(report.outcome, Outcome::Result(json!(whole)));

    let larger = "x".repeat(256 * 1024 + 1);
    let (report, _) = call_and_answer(&platform, &mut host, json!({}), json!(larger)).await;
    let result = report.into_result().unwrap();
    assert_eq!((&result["truncated"], &result["original_bytes"]), (&json!(true), &json!(256 * 1024 + 1)));
    assert!(result["preview"].as_str().unwrap().starts_with("xxx"));
}

#[tokio::test]
async fn a_frame_of_10_mib_passes_and_a_larger_one_costs_the_connection() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let frame = |bytes: usize| {
        let empty = r#"{"type":"heartbeat","padding":""}"#.len();
        Message::text(format!(r#"{{"type":"heartbeat","padding":"{}"}}"#, "x".repeat(bytes - empty)))
    };
    host.send_message(frame(MAX_FRAME_BYTES)).await;
    assert_eq!(host.frame().await["type"], "heartbeat_ack");
    // The platform may be gone before everything is written.
    let _ = host.try_send(frame(MAX_FRAME_BYTES + 1)).await;
    platform.wait_for_counters(|counters| counters.oversized_frames == 1).await.unwrap();
    platform.wait_disconnected().await.unwrap();
}

#[tokio::test]
async fn large_frames_cross_both_ways_at_once() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let argument = "a".repeat(8 * 1024 * 1024);
    let (report, ()) = tokio::join!(platform.call("add", json!({"a": argument})), async {
        // Written before the call is read, so that both sides have much to write.
        let padding = "x".repeat(8 * 1024 * 1024);
        host.send(json!({"type": "heartbeat", "padding": padding})).await;
        let mut call = host.frame().await;
        if call["type"] != "tool_call" {
            call = host.next_call().await;
        }
        assert_eq!(call["params"]["a"].as_str().unwrap().len(), argument.len());
        host.answer(&call, json!(1)).await;
    });
    assert_eq!(report.unwrap().outcome, Outcome::Result(json!(1)));
}

#[tokio::test]
async fn the_signature_fits_however_the_arguments_are_laid_out() {
    let platform = DevPlatform::start().await.unwrap();
    let _host = RawHost::with_tools(&platform, &["a"]).await;
    for arguments in
        ["{}", "{ }", " {} ", "{\n}", "{\"a\": 1\n}", "\n{\n  \"a\": {\n  }\n}\n", "{\"a\":\"} \"}"]
    {
        for context in [None, Some(json!({})), Some(json!({"k": "v"}))] {
            let mut call =
                platform.calling("a").arguments_text(arguments).pending_time(Duration::from_millis(1));
            if let Some(context) = &context {
                call = call.context(context.clone());
            }
            let report = call.send().await.unwrap();
            let signature = report.signature().unwrap();
            assert!(
                signature.is_made_with(&platform.secret()),
                "{arguments:?} with {context:?}: {}",
                report.sent
            );
        }
    }
}
