//! Limits, timeouts, panics and contexts, through the dispatcher alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::*;
use crate::tool::{Registry, Tool, ToolCall, ToolErrorKind, ToolOutput, ToolResult, ToolSpec};

fn dispatcher(tools: impl IntoIterator<Item = Tool>, limits: Limits) -> Dispatcher {
    dispatcher_of(HostMetrics::default(), tools, limits)
}

fn dispatcher_of(metrics: HostMetrics, tools: impl IntoIterator<Item = Tool>, limits: Limits) -> Dispatcher {
    let mut registry = Registry::new();
    registry.extend(tools).unwrap();
    let rules = Rules {
        is_authenticated: false,
        strict_access: false,
        is_declared: false,
        describe_parameters: false,
    };
    let tools = ToolTable::new(registry, Arc::default(), rules, metrics).unwrap();
    Dispatcher::new(tools, Arc::default(), None, limits)
}

/// Admits a call with the given size of arguments.
fn admit(dispatcher: &Dispatcher, tool: &str, bytes: usize) -> Result<Admitted, ToolError> {
    let asked = AdmissionRequest { tool, user: None, bytes, arrived: Instant::now(), counts: true };
    let context = CallContext::builder().call_id("call-1").build();
    dispatcher.admit(&asked, |surroundings| (Arguments::empty(), CallScope::local(context, surroundings)))
}

async fn call(dispatcher: &Dispatcher, name: &str) -> ToolResult {
    dispatcher.call(name, Arguments::empty(), CallContext::builder().call_id("call-1").build()).await
}

/// A tool that runs until a permit is there.
fn gated(spec: ToolSpec) -> (Tool, Arc<Semaphore>, mpsc::UnboundedReceiver<()>) {
    let gate = Arc::new(Semaphore::new(0));
    let (started, starts) = mpsc::unbounded_channel();
    let handle = Arc::clone(&gate);
    let tool = Tool::new(spec, move |_| {
        let (gate, started) = (Arc::clone(&gate), started.clone());
        async move {
            let _ = started.send(());
            gate.acquire().await?.forget();
            Ok(ToolOutput::null())
        }
    });
    (tool, handle, starts)
}

fn answering(spec: ToolSpec, value: Value) -> Tool {
    Tool::new(spec, move |_| {
        let value = value.clone();
        async move { ToolOutput::json(&value) }
    })
}

#[tokio::test]
async fn an_unknown_tool_is_named_exactly() {
    let dispatcher = dispatcher([], Limits::default());
    assert_eq!(call(&dispatcher, "nope").await.unwrap_err().to_string(), "unknown tool: nope");
}

#[tokio::test]
async fn beyond_the_places_calls_wait_and_beyond_the_queue_they_are_refused() {
    let (tool, gate, mut starts) = gated(ToolSpec::new("slow"));
    let limits = Limits { max_running: 2, max_waiting: 1, ..Limits::default() };
    let dispatcher = dispatcher([tool, answering(ToolSpec::new("fast"), json!(1))], limits);
    let running: Vec<_> =
        (0..3).map(|_| tokio::spawn(admit(&dispatcher, "slow", 2).unwrap().run())).collect();
    for _ in 0..2 {
        starts.recv().await.unwrap();
    }
    assert_eq!(dispatcher.in_flight(), 3);
    let refusal = call(&dispatcher, "fast").await.unwrap_err();
    assert_eq!(refusal.kind(), ToolErrorKind::Overloaded);
    assert_eq!(refusal.to_string(), "overloaded: 2 calls are running and 1 wait already, retry later");
    gate.add_permits(3);
    for handle in running {
        handle.await.unwrap().result.unwrap();
    }
    dispatcher.drained().await;
    assert_eq!(dispatcher.in_flight(), 0);
    assert_eq!(call(&dispatcher, "fast").await.unwrap().to_value(), json!(1));
}

#[tokio::test]
async fn arguments_that_fill_the_memory_are_refused() {
    let (tool, gate, mut starts) = gated(ToolSpec::new("slow"));
    let limits = Limits { max_argument_bytes: 1 << 20, ..Limits::default() };
    let dispatcher = dispatcher([tool], limits);
    let first = admit(&dispatcher, "slow", 1 << 20).unwrap();
    let refusal = admit(&dispatcher, "slow", 2).unwrap_err().to_string();
    assert_eq!(refusal, "overloaded: the arguments of the calls in flight exceed 1 MiB, retry later");
    assert_eq!(dispatcher.in_flight(), 1, "the refused one is gone");
    drop(first);
    gate.add_permits(1);
    call(&dispatcher, "slow").await.unwrap();
    starts.recv().await.unwrap();
}

#[tokio::test]
async fn a_tool_that_waits_for_itself_takes_no_place_from_others() {
    let (tool, gate, mut starts) = gated(ToolSpec::new("one").concurrency(1));
    let limits = Limits { max_running: 2, ..Limits::default() };
    let dispatcher = dispatcher([tool, answering(ToolSpec::new("fast"), json!(1))], limits);
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let dispatcher = dispatcher.clone();
            tokio::spawn(async move { call(&dispatcher, "one").await })
        })
        .collect();
    starts.recv().await.unwrap();
    assert_eq!(call(&dispatcher, "fast").await.unwrap().to_value(), json!(1));
    gate.add_permits(5);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_tools_own_timeout_counts_from_its_start_and_the_hosts_from_arrival() {
    let (own, _gate, _starts) = gated(ToolSpec::new("own").timeout(Duration::from_secs(5)));
    let (none, _gate, _starts) = gated(ToolSpec::new("none"));
    let (waits, _gate, _starts) =
        gated(ToolSpec::new("waits").timeout(Duration::from_secs(20)).concurrency(1));
    let dispatcher = dispatcher([own, none, waits], Limits::default());
    let started = Instant::now();
    assert_eq!(call(&dispatcher, "own").await.unwrap_err().to_string(), "timed out after 5 s");
    assert_eq!(started.elapsed().as_secs(), 5);
    assert_eq!(call(&dispatcher, "none").await.unwrap_err().to_string(), "timed out after 28 s");
    let started = Instant::now();
    let both = tokio::join!(call(&dispatcher, "waits"), call(&dispatcher, "waits"));
    assert_eq!(both.0.unwrap_err().to_string(), "timed out after 20 s");
    assert_eq!(both.1.unwrap_err().to_string(), "timed out after 28 s");
    assert_eq!(started.elapsed().as_secs(), 28, "the second one waited for 20 s of its 28");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_listens_has_a_last_word() {
    let polite =
        Tool::new(ToolSpec::new("polite").timeout(Duration::from_secs(2)), |call: ToolCall| async move {
            call.extract::<CancellationToken>()?.cancelled().await;
            Ok(ToolOutput::text("so far"))
        });
    let stubborn =
        Tool::new(ToolSpec::new("stubborn").timeout(Duration::from_secs(2)), |call: ToolCall| async move {
            let _heard = call.extract::<CancellationToken>()?;
            std::future::pending().await
        });
    let dispatcher = dispatcher([polite, stubborn], Limits::default());
    assert_eq!(call(&dispatcher, "polite").await.unwrap().to_value(), json!("so far"));
    assert_eq!(call(&dispatcher, "stubborn").await.unwrap_err().to_string(), "timed out after 2 s");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_stays_inside() {
    #[expect(clippy::unused_async, reason = "the future is what panics")]
    async fn later() -> ToolResult {
        panic!("password=hunter2")
    }
    let early =
        Tool::new(ToolSpec::new("early"), |_| -> std::future::Ready<ToolResult> { panic!("at once") });
    let late = Tool::new(ToolSpec::new("late"), |_| later());
    let blocking = Tool::blocking(ToolSpec::new("blocking"), |_| panic!("on its thread"));
    let dispatcher = dispatcher([early, late, blocking], Limits { max_running: 1, ..Limits::default() });
    for name in ["early", "late", "blocking", "early"] {
        let error = call(&dispatcher, name).await.unwrap_err();
        assert_eq!(error.kind(), ToolErrorKind::Internal);
        assert_eq!(error.answer_text("call-1", false), "internal error (call call-1)");
        assert!(error.chain().starts_with("the handler panicked: "), "{}", error.chain());
    }
    assert_eq!(dispatcher.in_flight(), 0);
}

#[tokio::test]
async fn a_handler_that_is_dropped_after_its_first_step_still_knows_its_call() {
    struct Tells(mpsc::UnboundedSender<Option<String>>);

    impl Drop for Tells {
        fn drop(&mut self) {
            let call_id = crate::caller::CURRENT.try_with(|scope| scope.call_id().to_owned());
            self.0.send(call_id.ok()).unwrap();
        }
    }

    let (sender, mut told) = mpsc::unbounded_channel();
    let tool = Tool::new(ToolSpec::new("waits"), move |_| {
        let tells = Tells(sender.clone());
        async move {
            std::future::pending::<()>().await;
            drop(tells);
            Ok(ToolOutput::null())
        }
    });
    let dispatcher = dispatcher([tool], Limits::default());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let rest = admit(&dispatcher, "waits", 2).unwrap().step(&mut Instant::now(), &mut context);
    // As when a runtime shuts down before it has polled the task.
    drop(rest.err().unwrap());
    assert_eq!(told.recv().await.unwrap().as_deref(), Some("call-1"));
    assert_eq!(dispatcher.in_flight(), 0);
}

#[tokio::test]
async fn a_tool_that_cannot_run_here_says_so() {
    let remote = Tool::remote(ToolSpec::new("elsewhere"));
    let withheld =
        Tool::withheld(ToolSpec::new("later").rate_limit("1/h".parse().unwrap()), "it is starting");
    let dispatcher = dispatcher([remote, withheld], Limits { max_running: 1, ..Limits::default() });
    let held: Vec<_> = (0..3).map(|_| admit(&dispatcher, "elsewhere", 2).unwrap()).collect();
    assert_eq!(dispatcher.in_flight(), 3, "what runs elsewhere takes no place here");
    drop(held);
    let error = call(&dispatcher, "elsewhere").await.unwrap_err();
    assert_eq!(error.kind(), ToolErrorKind::Unavailable);
    for _ in 0..2 {
        let error = call(&dispatcher, "later").await.unwrap_err().to_string();
        assert_eq!(error, "unavailable: it is starting", "and it does not count against the limit");
    }
}

#[test]
fn a_tool_that_panics_when_asked_for_its_health_is_down() {
    let tool = answering(ToolSpec::new("broken"), json!(1)).down_while(|| panic!("no meter"));
    let health = entry::Entry::new(tool, false, &HostMetrics::default()).changed_health(|down| down).unwrap();
    assert_eq!(health.status, crate::wire::HealthStatus::Down);
    assert!(health.last_error.unwrap().contains("panicked"));
}

#[tokio::test]
async fn blocking_handlers_delay_nothing_and_keep_their_permit_past_their_time() {
    let release = Arc::new((std::sync::Mutex::new(false), std::sync::Condvar::new()));
    let handle = Arc::clone(&release);
    let tool = Tool::blocking(
        ToolSpec::new("block").timeout(Duration::from_millis(50)).concurrency(1),
        move |call| {
            let (released, changed) = &*handle;
            let guard = changed.wait_while(released.lock().unwrap(), |released| !*released).unwrap();
            drop(guard);
            assert!(
                call.extract::<CancellationToken>()?.is_cancelled(),
                "the handler can see that its time is up"
            );
            Ok(ToolOutput::null())
        },
    );
    let limits = Limits { call_timeout: Duration::from_millis(200), ..Limits::default() };
    let dispatcher = dispatcher([tool, answering(ToolSpec::new("fast"), json!(1))], limits);
    assert_eq!(call(&dispatcher, "block").await.unwrap_err().to_string(), "timed out after 50 ms");
    assert_eq!(call(&dispatcher, "fast").await.unwrap().to_value(), json!(1));
    let second = call(&dispatcher, "block").await.unwrap_err().to_string();
    assert_eq!(second, "timed out after 200 ms", "the first one still holds the only permit");
    *release.0.lock().unwrap() = true;
    release.1.notify_all();
    while dispatcher.tools().find("block").unwrap().limits.concurrency.as_ref().unwrap().available_permits()
        == 0
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn calls_that_wait_for_a_thread_take_no_place_from_others() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let tool = Tool::blocking(ToolSpec::new("block"), move |_| {
        let _ = gate.lock().unwrap().recv();
        Ok(ToolOutput::null())
    });
    let limits = Limits { max_running: 2, max_blocking: 1, ..Limits::default() };
    let dispatcher = dispatcher([tool, answering(ToolSpec::new("fast"), json!(1))], limits);
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let dispatcher = dispatcher.clone();
            tokio::spawn(async move { call(&dispatcher, "block").await })
        })
        .collect();
    while dispatcher.in_flight() < 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(call(&dispatcher, "fast").await.unwrap().to_value(), json!(1));
    drop(release);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_closing_host_refuses_new_calls_and_finishes_running_ones() {
    let (tool, gate, mut starts) = gated(ToolSpec::new("slow"));
    let dispatcher = dispatcher([tool], Limits::default());
    let running = tokio::spawn({
        let dispatcher = dispatcher.clone();
        async move { call(&dispatcher, "slow").await }
    });
    starts.recv().await.unwrap();
    dispatcher.close();
    let refusal = call(&dispatcher, "slow").await.unwrap_err().to_string();
    assert!(refusal.starts_with("shutting down, retry: "), "{refusal}");
    gate.add_permits(1);
    running.await.unwrap().unwrap();
    dispatcher.drained().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_interleaved_calls_never_see_each_others_context() {
    let meeting = Arc::new(AtomicUsize::new(0));
    let who = |blocking: bool| {
        let met = Arc::clone(&meeting);
        let seen = move |call: &ToolCall| -> ToolResult {
            let typed: CallContext = call.extract()?;
            ToolOutput::json(&json!([
                typed.user_id(),
                crate::caller::current_user_id(),
                crate::caller::current_call_id(),
                crate::caller::current_context().map(|context| context.user_id().to_owned()),
            ]))
        };
        if blocking {
            return Tool::blocking(ToolSpec::new("who_blocking"), move |call| seen(&call));
        }
        Tool::new(ToolSpec::new("who"), move |call| {
            let met = Arc::clone(&met);
            async move {
                met.fetch_add(1, Ordering::Relaxed);
                // All calls are running before any of them checks.
                while met.load(Ordering::Relaxed) < 1_000 {
                    tokio::task::yield_now().await;
                }
                seen(&call)
            }
        })
    };
    let dispatcher = dispatcher([who(false), who(true)], Limits::default());
    let calls: Vec<_> = (0..2_000)
        .map(|index| {
            let dispatcher = dispatcher.clone();
            tokio::spawn(async move {
                let context =
                    CallContext::builder().user_id(format!("user-{index}")).call_id(format!("call-{index}"));
                let name = if index < 1_000 { "who" } else { "who_blocking" };
                (index, dispatcher.call(name, Arguments::empty(), context.build()).await.unwrap().to_value())
            })
        })
        .collect();
    for call in calls {
        let (index, seen) = call.await.unwrap();
        let (user, id) = (format!("user-{index}"), format!("call-{index}"));
        assert_eq!(seen, json!([user, user, id, user]));
    }
    assert_eq!(crate::caller::current_user_id(), None);
}

#[cfg(feature = "metrics")]
#[test]
fn calls_are_counted_by_entity_tool_and_outcome() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let tools = || {
        let fails = Tool::new(ToolSpec::new("fails"), |_| async { Err(ToolError::user("no")) });
        let decodes = Tool::new(ToolSpec::new("decodes"), |_| async {
            let schema = json!({"type": "object", "properties": {"ids": {"type": "array"}}});
            let mut arguments = json!({"ids": "[1]"});
            crate::tool::decode_json_texts(&schema, &mut arguments, |_| true);
            ToolOutput::json(&arguments)
        });
        [answering(ToolSpec::new("fast"), json!(1)), fails, decodes]
    };
    // Before there is a recorder, as in a program that installs one later.
    let [orders, billing, local] = [Some("orders"), Some("billing"), None]
        .map(|entity| dispatcher_of(HostMetrics::new(entity), tools(), Limits::default()));
    let recorder = DebuggingRecorder::new();
    let figures = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Recorder and runtime are local to this thread.
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            call(&orders, "fast").await.unwrap();
            call(&orders, "fast").await.unwrap();
            call(&orders, "fails").await.unwrap_err();
            call(&billing, "decodes").await.unwrap();
            call(&local, "fast").await.unwrap();
        });
    });
    let mut seen: Vec<String> = figures
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels: Vec<_> =
                key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let value = match value {
                DebugValue::Counter(count) => count.to_string(),
                DebugValue::Gauge(level) => level.to_string(),
                DebugValue::Histogram(values) => format!("{} values", values.len()),
            };
            format!("{} [{}] {value}", key.key().name(), labels.join(" "))
        })
        .collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            "platools_arguments_decoded_total [entity=billing] 1",
            "platools_call_duration_seconds [entity=billing tool=decodes] 1 values",
            "platools_call_duration_seconds [entity=orders tool=fails] 1 values",
            "platools_call_duration_seconds [entity=orders tool=fast] 2 values",
            "platools_call_duration_seconds [tool=fast] 1 values",
            "platools_calls_in_flight [] 0",
            "platools_calls_in_flight [entity=billing] 0",
            "platools_calls_in_flight [entity=orders] 0",
            "platools_calls_total [entity=billing tool=decodes outcome=ok] 1",
            "platools_calls_total [entity=orders tool=fails outcome=failed] 1",
            "platools_calls_total [entity=orders tool=fast outcome=ok] 2",
            "platools_calls_total [tool=fast outcome=ok] 1",
        ]
    );
}
