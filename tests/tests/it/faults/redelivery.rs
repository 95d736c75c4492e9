//! Answers that may not have arrived, and calls that come again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use platools::host::{HostEvent, HostState};
use platools::{Tool, ToolOutput, ToolSpec};
use platools_dev::{DevPlatformOptions, Event};
use serde_json::json;
use tests::proxy::{Cut, Flow, Proxy, Way};
use tokio::sync::Semaphore;

use super::{patient, proxied, proxied_with, signed, through, told, unexpected, works};
use crate::support::{Running, builder};

/// A tool that counts its runs and waits for the gate.
fn gated() -> (Tool, Arc<AtomicUsize>, Arc<Semaphore>) {
    let (runs, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (counter, waiting) = (Arc::clone(&runs), Arc::clone(&gate));
    let tool = Tool::new(ToolSpec::new("gated"), move |_| {
        let (run, gate) = (counter.fetch_add(1, Ordering::SeqCst) + 1, Arc::clone(&waiting));
        async move {
            gate.acquire().await?.forget();
            ToolOutput::json(&run)
        }
    });
    (tool, runs, gate)
}

#[tokio::test]
async fn an_answer_that_was_written_right_before_the_cut_settles_the_call_on_the_next_connection() {
    for how in [Cut::Reset, Cut::Finish] {
        let (platform, proxy, _host) = proxied().await;
        proxy.set(Way::ToPlatform, Flow::Swallowed);
        let before = proxy.counts().to_platform.taken;
        let call = platform.call("add", json!({"a": 20, "b": 22}));
        let cut = async {
            // The answer has left the host, and nobody will ever read it.
            proxy.wait_for(|counts| counts.to_platform.taken > before).await.unwrap();
            proxy.set(Way::ToPlatform, Flow::Open);
            proxy.cut(how);
        };
        let (report, ()) = tokio::join!(call, cut);
        assert_eq!(report.unwrap().into_result().unwrap(), json!(42));
        let counters = platform.counters();
        assert_eq!((counters.connected, counters.repeated_answers), (2, 0), "{counters:?}");
    }
}

#[tokio::test]
async fn half_an_answer_is_sent_again_as_a_whole() {
    for how in [Cut::Reset, Cut::Finish] {
        let (platform, proxy, _host) = proxied().await;
        proxy.set(Way::ToPlatform, Flow::HalfThenCut(how));
        let report = platform.call("huge", json!({"bytes": 200_000})).await.unwrap();
        assert_eq!(report.into_result().unwrap().as_str().unwrap().len(), 200_000);
        assert_eq!((platform.counters().connected, proxy.counts().cut), (2, 1));
        works(&platform).await;
    }
}

#[tokio::test]
async fn what_the_platform_has_read_and_said_so_is_not_sent_again() {
    const PONG: u64 = 2 + 8;
    const HEADER: u64 = 4;
    let platform = patient().await;
    let proxy = Proxy::start(platform.address()).await.unwrap();
    let host = through(&platform, &proxy).build().unwrap();
    let mut events = host.handle().events();
    let host = Running::start(host);
    told(&mut events, |event| matches!(event, HostEvent::Registered { .. })).await;
    let before = proxy.counts().to_host.delivered;
    let report = platform.call("add", json!({"a": 1, "b": 2})).await.unwrap();
    let proof = before + HEADER + report.sent.len() as u64 + PONG;
    proxy.wait_for(|counts| counts.to_host.delivered >= proof).await.unwrap();
    proxy.cut(Cut::Finish);
    platform.wait_for_counters(|counters| counters.connected == 2).await.unwrap();
    works(&platform).await;
    host.reaches(HostState::Active).await;
    let counters = platform.counters();
    let unexpected = counters.repeated_answers + counters.unknown_answers + counters.late_answers;
    assert_eq!((unexpected, counters.results), (0, 2), "{counters:?}");
}

#[tokio::test]
async fn answers_of_several_connections_come_once_and_in_order() {
    let (platform, proxy, _host) = proxied().await;
    proxy.set(Way::ToPlatform, Flow::Swallowed);
    let before = proxy.counts().to_platform.taken;
    let calls =
        futures_util::future::join_all((0..50).map(|a| platform.call("add", json!({"a": a, "b": 0}))));
    let cut = async {
        proxy.wait_for(|counts| counts.to_platform.taken > before).await.unwrap();
        // Nothing gets through on the second connection either.
        proxy.cut(Cut::Reset);
        proxy.wait_for(|counts| counts.connections == 2).await.unwrap();
        proxy.set(Way::ToPlatform, Flow::Open);
        proxy.cut(Cut::Reset);
    };
    let (reports, ()) = tokio::join!(calls, cut);
    for (a, report) in reports.into_iter().enumerate() {
        assert_eq!(report.unwrap().into_result().unwrap(), json!(a));
    }
    assert_eq!(platform.counters().unknown_answers, 0);
}

#[tokio::test]
async fn the_identical_frame_is_not_answered_while_its_call_runs() {
    let platform = patient().await;
    let (tool, runs, gate) = gated();
    let host = Running::start(builder(&platform).tool(tool).build().unwrap());
    platform.wait_for_tool("gated").await.unwrap();
    let (mut heard, mut answers) = (host.handle.events(), platform.events());
    let frame = signed(&platform, "call-1", "gated", &json!({}));
    for _ in 0..3 {
        platform.faults().send_text(frame.clone()).unwrap();
    }
    for _ in 0..2 {
        let refused = told(&mut heard, |event| matches!(event, HostEvent::CallRefused { .. })).await;
        let expected = |event: &HostEvent| matches!(event, HostEvent::CallRefused { call_id, reason: "nonce_replay", .. } if call_id == "call-1");
        assert!(expected(&refused), "{refused:?}");
    }
    gate.add_permits(1);
    let answer = unexpected(&mut answers).await;
    assert_eq!((&answer["type"], &answer["result"]), (&json!("tool_result"), &json!(1)));
    // Now that the call is answered, a replay is refused under its id.
    platform.faults().send_text(frame).unwrap();
    let refusal = unexpected(&mut answers).await;
    assert!(refusal["error"].as_str().unwrap().starts_with("nonce_replay: "), "{refusal}");
    works(&platform).await;
    assert_eq!((runs.load(Ordering::SeqCst), platform.counters().unknown_answers), (1, 2));
}

#[tokio::test]
async fn a_call_id_under_a_fresh_nonce_runs_once_and_gets_the_same_answer() {
    let platform = patient().await;
    let (tool, runs, gate) = gated();
    let host = Running::start(builder(&platform).tool(tool).build().unwrap());
    platform.wait_for_tool("gated").await.unwrap();
    let mut answers = platform.events();
    let again = || platform.faults().send_text(signed(&platform, "call-1", "gated", &json!({}))).unwrap();
    // While it runs: one run, one answer.
    for _ in 0..5 {
        again();
    }
    works(&platform).await;
    assert_eq!(host.handle.in_flight(), 1);
    gate.add_permits(10);
    let first = unexpected(&mut answers).await;
    assert_eq!((&first["call_id"], &first["result"]), (&json!("call-1"), &json!(1)));
    // Afterwards: the same answer, each time, also on another connection.
    again();
    assert_eq!(unexpected(&mut answers).await, first);
    platform.faults().drop_connection().unwrap();
    platform.wait_for_counters(|counters| counters.connected == 2).await.unwrap();
    again();
    assert_eq!(unexpected(&mut answers).await, first);
    works(&platform).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_call_id_whose_answer_was_evicted_does_not_run_again() {
    let platform = patient().await;
    let (tool, runs, gate) = gated();
    let _host = Running::start(builder(&platform).tool(tool).build().unwrap());
    platform.wait_for_tool("gated").await.unwrap();
    gate.add_permits(10);
    let mut answers = platform.events();
    let again = || platform.faults().send_text(signed(&platform, "call-1", "gated", &json!({}))).unwrap();
    again();
    assert_eq!(unexpected(&mut answers).await["result"], 1);
    for _ in 0..5 {
        let report = platform.call("huge", json!({"bytes": 1 << 20})).await.unwrap();
        report.into_result().unwrap();
    }
    again();
    let refusal = unexpected(&mut answers).await;
    assert_eq!((&refusal["type"], &refusal["call_id"]), (&json!("tool_error"), &json!("call-1")));
    assert!(refusal["error"].as_str().unwrap().starts_with("known_call_id: "), "{refusal}");
    works(&platform).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_id_of_one_call_is_refused_for_another() {
    let platform = patient().await;
    let (tool, runs, gate) = gated();
    let host = Running::start(builder(&platform).tool(tool).build().unwrap());
    platform.wait_for_tool("gated").await.unwrap();
    let (mut heard, mut answers) = (host.handle.events(), platform.events());
    let send = |tool: &str, arguments| {
        platform.faults().send_text(signed(&platform, "call-1", tool, &arguments)).unwrap();
    };
    send("gated", json!({}));
    // Under the id of a running call nothing but its answer is sent.
    send("add", json!({"a": 1, "b": 2}));
    let refused = told(&mut heard, |event| matches!(event, HostEvent::CallRefused { .. })).await;
    assert!(matches!(refused, HostEvent::CallRefused { reason: "call_id_reused", .. }), "{refused:?}");
    gate.add_permits(1);
    assert_eq!(unexpected(&mut answers).await["result"], 1);
    for (tool, arguments) in [("add", json!({"a": 1, "b": 2})), ("gated", json!({"other": 1}))] {
        send(tool, arguments);
        let refusal = unexpected(&mut answers).await;
        assert!(refusal["error"].as_str().unwrap().starts_with("call_id_reused: "), "{refusal}");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_call_that_is_asked_again_after_a_lost_connection_settles_once() {
    let (tool, runs, gate) = gated();
    let (platform, proxy, _host) = proxied_with(DevPlatformOptions::new(), |host| host.tool(tool)).await;
    let mut answers = platform.events();
    platform.faults().send_text(signed(&platform, "call-1", "gated", &json!({}))).unwrap();
    works(&platform).await;
    proxy.cut(Cut::Reset);
    platform.wait_for_counters(|counters| counters.connected == 2).await.unwrap();
    let call = platform.calling("gated").call_id("call-1").send();
    let open = async {
        works(&platform).await;
        gate.add_permits(10);
    };
    let (report, ()) = tokio::join!(call, open);
    assert_eq!(report.unwrap().into_result().unwrap(), json!(1));
    works(&platform).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    let again =
        |event: &Event| matches!(event, Event::UnexpectedAnswer { call_id, .. } if call_id == "call-1");
    assert!(!std::iter::from_fn(|| answers.try_next()).any(|event| again(&event)));
}
