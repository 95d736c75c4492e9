//! Calls through the one way in: known ids, refusals, and the door for everyone else.

use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::caller::{CallContext, Progress, Report};
use crate::observe::HostMetrics;
use crate::run::{Limits, Rules, ToolTable};
use crate::tool::{Registry, Tool, ToolCall, ToolErrorKind, ToolOutput, ToolSpec};
use crate::verify::{Secret, VerificationMode, VerifierOptions};
use crate::wire::{Envelope, Inbound, platform};

fn intake(tools: impl IntoIterator<Item = Tool>) -> Intake {
    let mut registry = Registry::new();
    registry.extend(tools).unwrap();
    let rules = Rules {
        is_authenticated: false,
        strict_access: false,
        is_declared: true,
        describe_parameters: false,
    };
    let tools = ToolTable::new(registry, Arc::default(), rules, HostMetrics::default()).unwrap();
    let options = VerifierOptions { mode: VerificationMode::Off, ..VerifierOptions::default() };
    let verifier = Verifier::new(&Secret::new("0123456789abcdef").unwrap(), options);
    Intake::new(verifier, Dispatcher::new(tools, Arc::default(), None, Limits::default()), false)
}

fn echo(name: &str) -> Tool {
    Tool::new(
        ToolSpec::new(name),
        |call: ToolCall| async move { Ok(ToolOutput::text(call.arguments.as_json())) },
    )
}

fn receive(intake: &Intake, call_id: &str, tool: &str) -> Received {
    let text = platform::tool_call(call_id, tool, r#"{"a":1}"#, &Envelope::default());
    let Ok(Inbound::ToolCall(call)) = Inbound::parse(&text) else { unreachable!() };
    let scope = Scope::default();
    let arrival = Arrival { at: Instant::now(), wall: SystemTime::now(), scope: &scope };
    intake.receive(&Incoming::Frame(&call), arrival)
}

#[tokio::test]
async fn a_call_id_runs_once_and_a_refused_one_may_come_again() {
    let intake = intake([echo("echo")]);
    let Received::Run(call) = receive(&intake, "call-1", "echo") else { panic!("it is new") };
    assert!(matches!(receive(&intake, "call-1", "echo"), Received::Running));
    assert!(!intake.may_refuse("call-1"), "nothing else is answered under the id of a running call");
    let mut finished = [call.run().await];
    assert_eq!(intake.running(), 1);
    let (frames, guard) =
        intake.answer_all(&mut finished, |_, answer| answer.frame, |frame| ("call-1", frame.as_str()));
    drop(guard);
    let frame = &frames[0];
    assert_eq!(intake.running(), 0);
    assert!(frame.starts_with(r#"{"type":"tool_result","call_id":"call-1","result":"{\"a\":1}""#), "{frame}");
    assert!(matches!(receive(&intake, "call-1", "echo"), Received::Answered(again) if again == *frame));
    for _ in 0..2 {
        let Received::Refused(refused) = receive(&intake, "call-2", "nope") else { panic!("no such tool") };
        assert_eq!((refused.reason(), refused.to_string().as_str()), ("not_found", "unknown tool: nope"));
        assert!(intake.may_refuse("call-2"));
    }
}

/// Receives a call that asks for another thing than that of [`receive`], over the socket and over HTTP.
fn receive_another(intake: &Intake, call_id: &'static str) -> [Received; 2] {
    let scope = Scope::default();
    let arrival = Arrival { at: Instant::now(), wall: SystemTime::now(), scope: &scope };
    let text = platform::tool_call(call_id, "echo", r#"{"a":2}"#, &Envelope::default());
    let Ok(Inbound::ToolCall(call)) = Inbound::parse(&text) else { unreachable!() };
    let over_socket = intake.receive(&Incoming::Frame(&call), arrival);
    let body = r#"{"method":"tools/call","params":{"name":"other","arguments":{"a":1}}}"#;
    let envelope = RawEnvelope { call_id: Some(call_id.into()), ..RawEnvelope::default() };
    [over_socket, intake.receive(&Incoming::Request { envelope, body, traceparent: None }, arrival)]
}

#[tokio::test]
async fn an_id_does_not_get_the_answer_of_another_call_nor_runs_again_without_an_answer() {
    let intake = intake([echo("echo"), echo("other")]);
    let refused = |received: [Received; 2], reason: &str| {
        for received in received {
            let Received::Refused(refused) = received else { panic!("{received:?}") };
            assert_eq!(refused.reason(), reason);
            assert!(refused.to_string().starts_with(&format!("{reason}: ")), "{refused}");
        }
    };
    let answered = async |call_id: &str, frame: &str| {
        let Received::Run(call) = receive(&intake, call_id, "echo") else { panic!("it is new") };
        if call_id == "call-1" {
            refused(receive_another(&intake, "call-1"), "call_id_reused");
        }
        let mut finished = [call.run().await];
        let make = |_: &Finished, _| (call_id.to_owned(), frame.to_owned());
        drop(intake.answer_all(&mut finished, make, |(call_id, frame)| (call_id, frame)));
    };
    answered("call-1", "answer").await;
    refused(receive_another(&intake, "call-1"), "call_id_reused");
    assert!(matches!(receive(&intake, "call-1", "echo"), Received::Answered(answer) if answer == "answer"));
    for call_id in ["b", "c", "d", "e", "f"] {
        answered(call_id, &"x".repeat(1 << 20)).await;
    }
    refused(receive_another(&intake, "call-1"), "known_call_id");
    let Received::Refused(Refused::AnswerEvicted) = receive(&intake, "call-1", "echo") else {
        panic!("it would run again")
    };
    assert_eq!(intake.running(), 0);
}

#[tokio::test]
async fn the_platform_reads_that_nothing_is_a_success() {
    let answers = |name: &str, output: fn() -> ToolOutput| {
        Tool::new(ToolSpec::new(name), move |_| async move { Ok(output()) })
    };
    let intake = intake([
        answers("nothing", ToolOutput::null),
        answers("none", || ToolOutput::json(&None::<u8>).unwrap()),
        answers("unit", || ToolOutput::json(&()).unwrap()),
    ]);
    for (tool, expected) in [("nothing", r#"{"ok":true}"#), ("unit", r#"{"ok":true}"#), ("none", "null")] {
        let Received::Run(call) = receive(&intake, tool, tool) else { panic!("it is new") };
        let answer = intake.answer(&mut call.run().await);
        assert_eq!(answer.outcome.as_deref(), Ok(expected), "{tool}");
        assert!(answer.frame.contains(&format!(r#""result":{expected},"latency_ms""#)), "{}", answer.frame);
        let request = CallRequest::new(tool, Arguments::empty(), CallContext::builder().build());
        let answer = intake.door().call(request).unwrap().await;
        assert_eq!(answer.outcome.unwrap().into_json(), "null", "{tool}: other doors have their own form");
    }
}

#[tokio::test]
async fn only_a_timeout_reads_as_one_at_the_platform() {
    let fails = |name: &str, error: fn() -> ToolError| {
        Tool::new(ToolSpec::new(name), move |_| async move { Err(error()) })
    };
    let intake = intake([
        fails("db", || ToolError::user("the database Timed out; it TIMED OUT twice")),
        fails("late", || ToolError::timed_out(Duration::from_secs(5))),
        fails("down", || ToolError::unavailable("connection timed out")),
    ]);
    for (tool, expected) in [
        ("db", "the database took too long; it took too long twice"),
        ("late", "timed out after 5 s"),
        ("down", "unavailable: connection took too long"),
    ] {
        let Received::Run(call) = receive(&intake, tool, tool) else { panic!("it is new") };
        let answer = intake.answer(&mut call.run().await);
        assert_eq!(answer.outcome.unwrap_err().text(), expected);
        assert!(answer.frame.contains(&format!(r#""error":"{expected}""#)), "{}", answer.frame);
    }
}

#[tokio::test]
async fn requests_and_frames_are_calls_of_one_kind() {
    let intake = intake([echo("echo")]);
    let scope = Scope::default();
    let arrival = Arrival { at: Instant::now(), wall: SystemTime::now(), scope: &scope };
    let body = r#"{"method":"tools/call","params":{"name":"echo","arguments":{"a":1}}}"#;
    let request = |call_id: Option<&'static str>| {
        let envelope = RawEnvelope { call_id: call_id.map(Into::into), ..RawEnvelope::default() };
        Incoming::Request { envelope, body, traceparent: None }
    };
    let Received::Run(call) = receive(&intake, "call-1", "echo") else { panic!("it is new") };
    assert!(matches!(intake.receive(&request(Some("call-1")), arrival), Received::Running));
    drop(call);
    for id in [None, Some("")] {
        let Received::Run(call) = intake.receive(&request(id), arrival) else { panic!("it has no id") };
        assert!(call.call_id().starts_with("http-"), "{}", call.call_id());
        assert_eq!(call.run().await.result.unwrap().to_value(), json!("{\"a\":1}"));
    }
    let broken = Incoming::Request { envelope: RawEnvelope::default(), body: "[]", traceparent: None };
    assert!(matches!(intake.receive(&broken, arrival), Received::Refused(Refused::Body(_))));
}

#[tokio::test]
async fn a_value_that_panics_when_it_is_dropped_costs_its_own_call_only() {
    #[derive(Debug)]
    struct Panics;

    impl std::fmt::Display for Panics {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("it panics")
        }
    }

    impl std::error::Error for Panics {}

    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    let fails = Tool::new(ToolSpec::new("fails"), |_| async { Err(ToolError::internal(Panics)) });
    let intake = intake([fails]);
    let Received::Run(call) = receive(&intake, "call-1", "fails") else { panic!("it is new") };
    let answer = intake.answer(&mut call.run().await);
    assert_eq!(answer.outcome.unwrap_err().text(), "internal error (call call-1)");
    assert_eq!(
        answer.frame,
        r#"{"type":"tool_error","call_id":"call-1","error":"internal error (call call-1)"}"#
    );
}

#[tokio::test]
async fn a_door_hears_of_progress_and_can_cancel() {
    let (started, is_started) = oneshot::channel();
    let started = std::sync::Mutex::new(Some(started));
    let polite = Tool::new(ToolSpec::new("polite"), move |call: ToolCall| {
        let started = started.lock().unwrap().take();
        async move {
            call.extract::<Progress>()?.report(1.0, 2.0);
            let token = call.extract::<CancellationToken>()?;
            let _ = started.unwrap().send(());
            token.cancelled().await;
            Ok(ToolOutput::text("so far"))
        }
    });
    let door = intake([polite]).door();
    let (progress, mut reports) = Progress::channel(true, None);
    let caller = CallContext::builder().call_id("call-7").build();
    let request = CallRequest::new("polite", Arguments::empty(), caller).progress(progress);
    let call = door.call(request).unwrap();
    assert_eq!((call.call_id(), door.in_flight()), ("call-7", 1));
    let cancel = call.cancellation();
    let (answer, ()) = tokio::join!(call, async {
        is_started.await.unwrap();
        cancel.cancel();
    });
    assert_eq!(answer.outcome.unwrap().to_value(), json!("so far"));
    assert_eq!(reports.next().await, Some(Report::Step { done: 1.0, total: Some(2.0), message: None }));
    assert_eq!(reports.next().await, None);
    door.drained().await;
}

#[tokio::test(start_paused = true)]
async fn a_door_may_set_a_deadline_and_a_dropped_call_is_told() {
    let (told, is_told) = oneshot::channel();
    let told = std::sync::Mutex::new(Some(told));
    let waits = Tool::new(ToolSpec::new("waits"), |_| std::future::pending());
    let listens = Tool::new(ToolSpec::new("listens"), move |call: ToolCall| {
        let told = told.lock().unwrap().take().unwrap();
        let token = call.extract::<CancellationToken>().unwrap();
        tokio::spawn(async move {
            token.cancelled().await;
            told.send(())
        });
        std::future::pending()
    });
    let door = intake([waits, listens]).door();
    let request = |tool: &str| CallRequest::new(tool, Arguments::empty(), CallContext::builder().build());
    let deadline = Instant::now() + Duration::from_secs(3);
    let answer = door.call(request("waits").deadline(deadline.into_std())).unwrap().await;
    let failure = answer.outcome.unwrap_err();
    assert_eq!((failure.kind(), failure.text()), (ToolErrorKind::TimedOut, "timed out after 3 s"));
    let mut call = Box::pin(door.call(request("listens")).unwrap());
    assert!(futures_util::poll!(&mut call).is_pending());
    drop(call);
    is_told.await.unwrap();
    assert_eq!(door.in_flight(), 0);
    let failure = door.call(request("nope")).unwrap_err();
    assert_eq!((failure.kind(), failure.text()), (ToolErrorKind::NotFound, "unknown tool: nope"));
}

#[tokio::test]
async fn a_call_over_http_that_comes_over_the_socket_meanwhile_is_known_to_be_asked_again() {
    let intake = intake([echo("echo")]);
    let scope = Scope::default();
    let body = r#"{"method":"tools/call","params":{"name":"echo","arguments":{"a":1}}}"#;
    let over_http = |call_id: &'static str| {
        let envelope = RawEnvelope { call_id: Some(call_id.into()), ..RawEnvelope::default() };
        let arrival = Arrival { at: Instant::now(), wall: SystemTime::now(), scope: &scope };
        intake.receive(&Incoming::Request { envelope, body, traceparent: None }, arrival)
    };
    for (call_id, is_asked_again) in [("call-1", true), ("call-2", false)] {
        let Received::Run(call) = over_http(call_id) else { panic!("it is new") };
        let again = if is_asked_again { receive(&intake, call_id, "echo") } else { over_http(call_id) };
        assert!(matches!(again, Received::Running));
        let mut finished = [call.run().await];
        let (_, guard) =
            intake.answer_all(&mut finished, |_, answer| answer.frame, |frame| (call_id, frame.as_str()));
        assert_eq!(guard.asked_again().is_some(), is_asked_again);
        drop(guard);
        assert!(matches!(receive(&intake, call_id, "echo"), Received::Answered(_)));
    }
}
