//! Calls: answered, refused, interleaved.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use platools::prelude::*;
use platools::{Tool, ToolCall, ToolOutput, ToolSpec, tools};
use platools_dev::{DevPlatform, Outcome, Tamper};
use serde_json::json;

use super::support::{GUARD, Running, answer, builder, connected, error};

#[tokio::test]
async fn a_signed_call_is_verified_and_answered() {
    let (platform, _host) = connected().await;
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    let report = platform
        .calling("whoami")
        .user("usr_7")
        .call_id("call-7")
        .context(json!({"user.plan": "pro"}))
        .send();
    let expected = json!(["usr_7", "usr_7", "call-7", {"user.plan": "pro"}]);
    assert_eq!(report.await.unwrap().into_result().unwrap(), expected);
}

#[tokio::test]
async fn whatever_was_changed_on_the_way_is_refused_by_its_reason() {
    let (platform, _host) = connected().await;
    let menu = [
        (Tamper::Arguments, "signature_mismatch: "),
        (Tamper::ToolName, "signature_mismatch: "),
        (Tamper::Timestamp, "signature_mismatch: "),
        (Tamper::Nonce, "signature_mismatch: "),
        (Tamper::Signature, "signature_mismatch: "),
        (Tamper::Unsigned, "signature_missing: "),
        (Tamper::CallId, "call_id_mismatch: "),
        (Tamper::Scope, "scope_mismatch: "),
    ];
    for (tamper, reason) in menu {
        let calling = platform.calling("add").arguments(json!({"a": 1, "b": 2})).tamper(tamper);
        let report = calling.send().await.unwrap();
        assert!(report.error().is_some_and(|error| error.starts_with(reason)), "{tamper:?}: {report:?}");
    }
    let old = SystemTime::now() - Duration::from_secs(301);
    let report =
        platform.calling("add").arguments(json!({"a": 1, "b": 2})).signed_at(old).send().await.unwrap();
    assert!(report.error().unwrap().starts_with("timestamp_skew_exceeded: "), "{report:?}");
    let report = platform.calling("add").arguments(json!({"a": 1, "b": 2})).legacy().send().await.unwrap();
    assert!(report.error().unwrap().starts_with("nonce_missing: "), "{report:?}");

    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    let replayed = platform.faults().replay_last_call().await.unwrap();
    assert!(replayed.error().unwrap().starts_with("nonce_replay: "), "{replayed:?}");
}

#[tokio::test]
async fn a_call_id_that_is_sent_twice_runs_once_and_both_get_its_answer() {
    static RUNS: AtomicU32 = AtomicU32::new(0);

    /// Count the runs.
    #[tool(register = false)]
    async fn count() -> u32 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        RUNS.fetch_add(1, Ordering::Relaxed) + 1
    }

    let platform = DevPlatform::start().await.unwrap();
    let builder = Platools::builder().url(platform.url()).secret(platform.secret().expose());
    let _host = Running::start(builder.tools(tools![count]).build().unwrap());
    platform.wait_for_tool("count").await.unwrap();
    let call = || platform.calling("count").call_id("once").send();
    let (first, second) = tokio::join!(call(), call());
    let later = call().await;
    for report in [first, second, later] {
        assert_eq!(report.unwrap().into_result().unwrap(), json!(1));
    }
    assert_eq!(RUNS.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn errors_say_what_the_model_may_know() {
    let (platform, _host) = connected().await;
    assert_eq!(error(&platform, "nope", json!({})).await, "unknown tool: nope");
    assert_eq!(
        error(&platform, "add", json!({"a": "one", "c": 3})).await,
        "invalid arguments: `a`: expected an integer, got the string \"one\"; `b` is missing, expected an integer; \
         `c` is not an argument (accepted: `a`, `b`)"
    );
    assert_eq!(error(&platform, "fail", json!({"inside": false})).await, "not today");
    for (tool, arguments) in [("fail", json!({"inside": true})), ("panic", json!({}))] {
        let report = platform.calling(tool).arguments(arguments).call_id(format!("call-{tool}")).send().await;
        let expected = format!("internal error (call call-{tool})");
        assert_eq!(report.unwrap().outcome, Outcome::Error(expected));
    }
    let too_large = error(&platform, "huge", json!({"bytes": 12 << 20})).await;
    assert_eq!(too_large, "result too large: 12.0 MiB, limit 10 MiB");
    let truncated = answer(&platform, "huge", json!({"bytes": 300_000})).await;
    assert_eq!(truncated["truncated"], json!(true), "the platform cuts it, not the host");
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3), "after all of that");
}

#[tokio::test]
async fn a_call_of_nearly_ten_mebibytes_is_answered() {
    let (platform, _host) = connected().await;
    let long = "x".repeat((10 << 20) - 4096);
    let refused = error(&platform, "add", json!({"a": 1, "b": 2, "note": long})).await;
    assert_eq!(refused, "invalid arguments: `note` is not an argument (accepted: `a`, `b`)");
}

#[tokio::test]
async fn an_incomplete_context_is_denied_only_to_who_needs_it() {
    let (platform, _host) = connected().await;
    let incomplete = |tool: &'static str| {
        platform.calling(tool).envelope(|envelope| {
            envelope.agent_id = None;
            envelope.thread_id = None;
        })
    };
    let report = incomplete("whoami").send().await.unwrap();
    assert_eq!(report.error(), Some("denied: call context incomplete: agentId, threadId"));
    assert_eq!(incomplete("perhaps").send().await.unwrap().into_result().unwrap(), json!(null));
    let sum = incomplete("add").arguments(json!({"a": 1, "b": 2})).send().await.unwrap();
    assert_eq!(sum.into_result().unwrap(), json!(3));
    let complete = platform.calling("perhaps").user("usr_1").send().await.unwrap();
    assert_eq!(complete.into_result().unwrap(), json!("usr_1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_interleaved_calls_keep_their_own_context() {
    let (platform, _host) = connected().await;
    let calls = (0..1_000).map(|index| {
        let (user, call_id) = (format!("user-{index}"), format!("call-{index}"));
        let sent = platform.calling("whoami").user(user.clone()).call_id(call_id.clone()).send();
        async move { (json!([user, user, call_id, {}]), sent.await.unwrap().into_result().unwrap()) }
    });
    for (expected, seen) in futures_util::future::join_all(calls).await {
        assert_eq!(seen, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_and_slow_calls_delay_nothing() {
    let (platform, _host) = connected().await;
    let blocked = (0..8).map(|_| platform.call("block", json!({"ms": 2_000})));
    let slow = (0..64).map(|_| platform.call("sleep", json!({"ms": 2_000})));
    let both =
        async { (futures_util::future::join_all(blocked).await, futures_util::future::join_all(slow).await) };
    let quick = async {
        let sums = (0..50).map(|index| answer(&platform, "add", json!({"a": index, "b": 1})));
        futures_util::future::join_all(sums).await
    };
    let (sums, both) = match futures_util::future::select(Box::pin(quick), Box::pin(both)).await {
        futures_util::future::Either::Left(quick_first) => quick_first,
        futures_util::future::Either::Right(_) => panic!("the quick calls waited for the others"),
    };
    assert_eq!(sums, (1..51).map(|sum| json!(sum)).collect::<Vec<_>>());
    let (blocked, slow) = both.await;
    for report in blocked.into_iter().chain(slow) {
        assert_eq!(report.unwrap().into_result().unwrap(), json!(2_000));
    }
}

/// Handlers should not block; one that does costs a worker, and nothing else for longer than a moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_async_handler_that_blocks_its_thread_stops_neither_others_nor_the_connection() {
    let platform = DevPlatform::start().await.unwrap();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    // Quick, so that it shares a task with others, until it is not.
    let stalls = Tool::new(ToolSpec::new("stalls"), move |call: ToolCall| {
        let block = call.arguments.as_json().contains("true");
        if block {
            let _ = gate.lock().unwrap().recv();
        }
        async move { ToolOutput::json(&block) }
    });
    let host = builder(&platform).tool(stalls);
    let _host = Running::start(host.build().unwrap());
    platform.wait_for_tool("stalls").await.unwrap();
    for _ in 0..50 {
        assert_eq!(answer(&platform, "stalls", json!({"block": false})).await, json!(false));
        assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    }
    let blocked = platform.call("stalls", json!({"block": true}));
    let others = async {
        let together = (0..100).map(|index| answer(&platform, "add", json!({"a": index, "b": 1})));
        let sums = futures_util::future::join_all(together).await;
        assert_eq!(sums, (1..101).map(|sum| json!(sum)).collect::<Vec<_>>());
        assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3), "one more read");
        drop(release);
    };
    let (blocked, ()) = tokio::join!(blocked, tokio::time::timeout(GUARD, others).map(Result::unwrap));
    assert_eq!(blocked.unwrap().into_result().unwrap(), json!(true));
}
