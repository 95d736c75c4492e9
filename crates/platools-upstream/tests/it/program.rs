//! Upstreams that are programs.
//!
//! The program is this test's own: run with the name of the server below, it is one. The test harness writes a few
//! lines to the standard output first, as programs do that log where they should not.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use platools::host::StateDir;
use platools::wire::HealthStatus;
use platools::{CallContext, LocalHost, Platools, Tool};
use platools_dev::{DevPlatform, Outcome};
use platools_mcp::McpServer;
use platools_upstream::{ServerProgram, Upstream, UpstreamConfig, UpstreamState, keep_in_step};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::support::{Server, call, empty, local, names, until, within};

/// Which kind of server the program is.
const KIND: &str = "UPSTREAM_TEST_SERVER";

/// The text that the server prints before its URL.
const URL_LINE: &str = "the server is at ";

#[test]
#[ignore = "the server of the other tests"]
fn server() {
    match std::env::var(KIND).unwrap_or_default().as_str() {
        "" => {}
        "silent" => std::thread::sleep(Duration::from_secs(1_000)),
        "gone" => std::process::exit(3),
        "http" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::start(&local()).await;
                println!("{URL_LINE}{}", server.url);
                std::future::pending::<()>().await;
            });
        }
        kind => {
            eprintln!("a word from the server");
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            let tools = local();
            if kind == "few" {
                tools.tools().remove("letters");
            }
            runtime.block_on(McpServer::new(tools.door()).serve_stdio()).unwrap();
            // Its own tasks may wait for what never ends.
            std::process::exit(0);
        }
    }
}

fn program(kind: &str) -> ServerProgram {
    let this = std::env::current_exe().unwrap();
    let arguments = ["--exact", "program::server", "--ignored", "--nocapture"];
    arguments.into_iter().fold(ServerProgram::new(this), ServerProgram::arg).env(KIND, kind)
}

/// A server at a URL in another process.
pub(super) async fn server_at_url() -> (tokio::process::Child, String) {
    let this = std::env::current_exe().unwrap();
    let mut command = tokio::process::Command::new(this);
    command.args(["--exact", "program::server", "--ignored", "--nocapture"]).env(KIND, "http");
    let mut child = command.stdout(std::process::Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = within(async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if let Some((_, url)) = line.split_once(URL_LINE) {
                return url.to_owned();
            }
        }
    });
    (child, url.await)
}

fn config(kind: &str) -> UpstreamConfig {
    let quick = Duration::from_millis(20);
    UpstreamConfig::program("files", program(kind)).prefix("up_").backoff(quick, quick)
}

/// A host with the tools of an upstream.
async fn with(config: UpstreamConfig) -> (LocalHost, Upstream) {
    let host = empty();
    let upstream = Upstream::start(config);
    tokio::spawn(keep_in_step(upstream.tools(), host.tools().clone()));
    within(upstream.up()).await;
    until(|| !host.tools().is_empty()).await;
    (host, upstream)
}

/// Returns whether a process is there, and not only waiting to be collected.
fn lives(id: &Value) -> bool {
    let stat = std::fs::read_to_string(PathBuf::from(format!("/proc/{id}/stat"))).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
}

fn kill(id: &Value) {
    let killed = std::process::Command::new("kill").args(["-9", &id.to_string()]).status().unwrap();
    assert!(killed.success());
}

#[tokio::test]
async fn the_tools_of_a_program_become_tools_here() {
    let (host, upstream) = with(config("tools")).await;
    assert_eq!(names(&host), "up_add up_draw up_fork up_letters up_linger up_refuse up_variable");
    let add = &host.tools().list()[0];
    assert_eq!(add.spec().description, "Add two whole numbers.");
    assert_eq!(add.spec().annotations["readOnlyHint"], true);
    assert_eq!(call(&host, "up_add", json!({"a": 2, "b": 3})).await, Ok(json!({"result": 5})));
    assert_eq!(call(&host, "up_refuse", json!({})).await, Err("there is none today".to_owned()));
    let drawn = call(&host, "up_draw", json!({})).await.unwrap();
    assert_eq!(drawn["content"][1], json!({"type": "image", "mimeType": "image/png", "data": "AQI="}));
    let wrong = call(&host, "up_add", json!({"a": 2})).await.unwrap_err();
    assert!(wrong.contains("`b` is missing"), "{wrong}");
    within(upstream.stop()).await;
    until(|| host.tools().is_empty()).await;
}

#[tokio::test]
async fn wrong_arguments_are_refused_before_the_server_hears_of_them() {
    let (host, upstream) = with(config("tools")).await;
    let wrong = call(&host, "up_add", json!({"a": "x", "bb": 3})).await.unwrap_err();
    for part in [
        "invalid arguments: ",
        "`a`: expected an integer, got the string \"x\"",
        "`bb` is not an argument, did you mean `b`?",
        "`b` is missing",
    ] {
        assert!(wrong.contains(part), "{wrong}");
    }
    within(upstream.stop()).await;
}

#[tokio::test]
async fn the_platform_hears_that_the_tools_of_a_dead_server_are_down_and_when_they_are_not() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let entity = platform.entity_in("orders", "dev").unwrap();
    let connecting = Platools::builder()
        .url(entity.url())
        .secret(entity.secret().expose())
        .heartbeat_interval(Duration::from_secs(1))
        .tools([])
        .build()
        .unwrap();
    let handle = connecting.handle();
    let running = tokio::spawn(connecting.run_until(std::future::pending()));
    // Slow to come back, so that a heartbeat falls in between.
    let slow = Duration::from_secs(6);
    let upstream = Upstream::start(config("tools").backoff(slow, slow));
    tokio::spawn(keep_in_step(upstream.tools(), handle.tools().clone()));
    until(|| entity.tool("up_add").is_some()).await;
    let report = within(entity.calling("up_fork").arguments(json!({})).send()).await.unwrap();
    let Outcome::Result(pids) = report.outcome else { panic!("{report:?}") };
    assert!(!entity.health().contains_key("up_add"), "never called, nothing to tell");
    kill(&pids["result"][0]);
    let status =
        |status: HealthStatus| entity.health().get("up_add").is_some_and(|health| health.status == status);
    until(|| status(HealthStatus::Down)).await;
    let said = entity.health()["up_add"].last_error.clone().unwrap();
    assert!(said.contains("the MCP server `files` is down (its process ended)"), "{said}");
    until(|| status(HealthStatus::Healthy)).await;
    within(upstream.stop()).await;
    handle.shutdown().await;
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn only_what_is_named_is_taken_and_only_what_is_allowed_is_inherited() {
    let config = UpstreamConfig::program("files", program("tools").env("GIVEN", "s3cret").inherit(["PATH"]));
    let (host, upstream) = with(config.only(["variable", "no_such"])).await;
    assert_eq!(names(&host), "variable");
    // Whatever else there is to inherit.
    let other = std::env::vars().map(|(name, _)| name).find(|name| name != "PATH").unwrap();
    for (name, expected) in [("GIVEN", "s3cret"), (other.as_str(), "not set")] {
        let answer = call(&host, "variable", json!({"name": name})).await;
        assert_eq!(answer, Ok(json!({"result": expected})), "{name}");
    }
    within(upstream.stop()).await;
}

#[tokio::test]
async fn a_killed_program_is_started_again_and_its_tools_say_what_happened() {
    let slow = Duration::from_secs(4);
    let (host, upstream) = with(config("tools").backoff(slow, slow)).await;
    let ids = call(&host, "up_fork", json!({})).await.unwrap()["result"].clone();
    let waiting = tokio::spawn({
        let host = host.clone();
        async move { call(&host, "up_linger", json!({})).await }
    });
    until(|| host.in_flight() == 1).await;
    kill(&ids[0]);
    let error = within(waiting).await.unwrap().unwrap_err();
    assert!(error.contains("`files` went away during the call"), "{error}");
    assert!(matches!(within(upstream.down()).await, UpstreamState::Down { .. }));
    let error = call(&host, "up_add", json!({"a": 2, "b": 3})).await.unwrap_err();
    assert!(error.contains("`files` is down (its process ended); it is tried again in about"), "{error}");
    assert!(names(&host).contains("up_add"), "the tools stay");
    // What the program started is gone with it.
    until(|| !lives(&ids[1])).await;
    within(upstream.up()).await;
    assert_eq!(call(&host, "up_add", json!({"a": 2, "b": 3})).await, Ok(json!({"result": 5})));
    let again = call(&host, "up_fork", json!({})).await.unwrap()["result"].clone();
    assert_ne!(again[0], ids[0]);
    within(upstream.stop()).await;
    assert!(!lives(&again[0]), "it is gone at the end");
    until(|| !lives(&again[1])).await;
}

#[tokio::test]
async fn a_program_that_is_stopped_is_down_after_two_pings() {
    use rustix::process::{Pid, Signal, kill_process};

    let quick = Duration::from_millis(300);
    let (host, upstream) = with(config("tools").look_every(quick)).await;
    let id = process(&host).await;
    let id = Pid::from_raw(i32::try_from(id.as_u64().unwrap()).unwrap()).unwrap();
    kill_process(id, Signal::STOP).unwrap();
    let UpstreamState::Down { reason, .. } = within(upstream.down()).await else {
        panic!("it was stopped here")
    };
    assert_eq!(reason, "its process does not answer");
    // Another one takes its place.
    within(upstream.up()).await;
    assert_ne!(process(&host).await, json!(id.as_raw_nonzero().get()));
    within(upstream.stop()).await;
}

#[tokio::test]
async fn the_end_of_a_program_is_noticed_though_what_it_started_holds_its_output_open() {
    let this = std::env::current_exe().unwrap();
    // The shell's child inherits the standard output, and is there when the server is gone.
    let script = "sleep 1000 & exec \"$0\" --exact program::server --ignored --nocapture";
    let shell = ServerProgram::new("sh").arg("-c").arg(script).arg(this.to_str().unwrap()).env(KIND, "tools");
    let slow = Duration::from_secs(600);
    let (host, upstream) = with(UpstreamConfig::program("files", shell).backoff(slow, slow)).await;
    let ids = call(&host, "fork", json!({})).await.unwrap()["result"].clone();
    kill(&ids[0]);
    within(upstream.down()).await;
    until(|| !lives(&ids[1])).await;
    within(upstream.stop()).await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_fails_its_own_call_alone() {
    let (host, upstream) = with(config("tools").max_result(1_000)).await;
    let error = call(&host, "up_letters", json!({"count": 5_000})).await.unwrap_err();
    assert!(error.contains("more than 1000 bytes"), "{error}");
    // Beyond what is kept of a message at all.
    let error = call(&host, "up_letters", json!({"count": 20 << 20})).await.unwrap_err();
    assert!(error.contains("bytes, which is the limit for `files`"), "{error}");
    assert_eq!(call(&host, "up_letters", json!({"count": 3})).await, Ok(json!({"result": "xxx"})));
    assert_eq!(within(upstream.up()).await, UpstreamState::Up { tools: 7 });
    within(upstream.stop()).await;
}

#[tokio::test]
async fn a_call_that_runs_out_of_time_is_taken_back_upstream() {
    let host = empty();
    let short = config("tools").declared_as(|spec| spec.timeout(Duration::from_millis(200)));
    let upstream = Upstream::start(short);
    tokio::spawn(keep_in_step(upstream.tools(), host.tools().clone()));
    within(upstream.up()).await;
    until(|| !host.tools().is_empty()).await;
    let error = call(&host, "up_linger", json!({})).await.unwrap_err();
    assert_eq!(error, "timed out after 200 ms");
    assert_eq!(call(&host, "up_add", json!({"a": 2, "b": 3})).await, Ok(json!({"result": 5})));
    within(upstream.stop()).await;
}

#[tokio::test]
async fn programs_that_cannot_be_used_are_tried_again_and_the_reason_is_said() {
    let quick = Duration::from_millis(10);
    let missing =
        UpstreamConfig::program("files", ServerProgram::new("/no/such/program")).backoff(quick, quick);
    let silent = config("silent").start_timeout(Duration::from_millis(300));
    for (config, part) in [
        (missing, "`/no/such/program` cannot be started: No such file"),
        (config("gone"), "went away before it answered"),
        (silent, "gave no answer within 300ms"),
    ] {
        let upstream = Upstream::start(config);
        match within(upstream.first_outcome()).await {
            UpstreamState::Down { reason, .. } => assert!(reason.contains(part), "{reason}"),
            other => panic!("{part}: {other:?}"),
        }
        within(upstream.stop()).await;
    }
}

#[tokio::test]
async fn a_tool_whose_name_is_taken_is_left_out_and_the_others_are_not() {
    let host = empty();
    host.tools()
        .insert(Tool::new(platools::ToolSpec::new("up_add"), |_| async { Ok(platools::ToolOutput::null()) }))
        .unwrap();
    let upstream = Upstream::start(config("tools"));
    tokio::spawn(keep_in_step(upstream.tools(), host.tools().clone()));
    until(|| host.tools().len() == 7).await;
    let answer = host.call("up_add", json!({}).try_into().unwrap(), CallContext::builder().build()).await;
    assert_eq!(answer.unwrap().to_value(), json!(null), "the one that was there first stays");
    within(upstream.stop()).await;
    until(|| host.tools().len() == 1).await;
}

/// The server's own process id.
async fn process(host: &LocalHost) -> Value {
    call(host, "up_fork", json!({})).await.unwrap()["result"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_connection_takes_over_and_no_call_is_refused() {
    let (host, upstream) = with(config("tools")).await;
    let before = host.tools().changes().version();
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (host, stop) = (host.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = call(&host, "up_add", json!({"a": 2, "b": 3})).await;
                    assert_eq!(answer, Ok(json!({"result": 5})));
                }
            })
        })
        .collect();
    for _ in 0..3 {
        let old = process(&host).await;
        upstream.switch_to(config("tools"));
        // The old one ends once its calls have.
        until(|| !lives(&old)).await;
        assert_ne!(process(&host).await, old);
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        within(caller).await.unwrap();
    }
    assert_eq!(host.tools().changes().version(), before, "no tool was replaced");
    upstream.switch_to(config("few"));
    until(|| !names(&host).contains("up_letters")).await;
    assert_eq!(names(&host), "up_add up_draw up_fork up_linger up_refuse up_variable");
    within(upstream.stop()).await;
}

#[tokio::test]
async fn a_connection_that_does_not_come_up_leaves_the_old_one_in_place() {
    let (host, upstream) = with(config("tools")).await;
    let old = process(&host).await;
    upstream.switch_to(config("gone"));
    until(|| matches!(upstream.replacement(), Some(UpstreamState::Down { .. }))).await;
    assert_eq!((process(&host).await, upstream.state()), (old.clone(), UpstreamState::Up { tools: 7 }));
    // Without the old one there is nothing to wait for, and the tools stay.
    kill(&old);
    within(upstream.down()).await;
    assert!(upstream.replacement().is_none() && names(&host).contains("up_add"));
    upstream.switch_to(config("tools"));
    within(upstream.up()).await;
    assert_ne!(process(&host).await, old);
    within(upstream.stop()).await;
}

#[tokio::test]
async fn what_is_taken_and_how_it_is_declared_changes_without_another_process() {
    let (host, upstream) = with(config("tools").only(["add", "fork"])).await;
    let (old, before) = (process(&host).await, host.tools().changes().version());
    let changed = config("tools").only(["add", "fork", "draw"]);
    upstream
        .apply(changed.declared_as(|spec| if spec.name == "up_add" { spec.concurrency(1) } else { spec }));
    until(|| host.tools().get("up_draw").is_some()).await;
    assert_eq!(host.tools().get("up_add").unwrap().spec().concurrency, Some(1));
    assert_eq!((process(&host).await, host.tools().changes().version()), (old.clone(), before + 1));
    upstream.apply(config("tools").only(["fork"]).prefix("other_"));
    until(|| names(&host) == "other_fork").await;
    assert_eq!(call(&host, "other_fork", json!({})).await.unwrap()["result"][0], old);
    within(upstream.stop()).await;
}

#[tokio::test]
async fn after_a_restart_the_tools_of_a_server_that_is_down_are_those_of_the_last_run() {
    let folder = tempfile::tempdir().unwrap();
    let config = |kind| config(kind).remember_in(StateDir::open(folder.path()).unwrap());
    let slow = Duration::from_secs(60);
    assert!(!Upstream::start(config("gone")).is_known(), "nothing is remembered yet");
    let (_, upstream) = with(config("tools")).await;
    within(upstream.stop()).await;

    let (host, upstream) = (empty(), Upstream::start(config("gone").backoff(slow, slow)));
    assert!(upstream.is_known() && upstream.tools().current().len() == 7, "at once");
    tokio::spawn(keep_in_step(upstream.tools(), host.tools().clone()));
    within(upstream.down()).await;
    until(|| host.tools().len() == 7).await;
    let refused = call(&host, "up_add", json!({"a": 2, "b": 3})).await.unwrap_err();
    assert!(refused.contains("the MCP server `files` is down (went away before it answered)"), "{refused}");
    assert!(refused.contains("it is tried again in about"), "{refused}");
    // What the server has no more is gone once it says so, also from the memory.
    upstream.switch_to(config("few"));
    until(|| host.tools().len() == 6).await;
    assert_eq!(call(&host, "up_add", json!({"a": 2, "b": 3})).await, Ok(json!({"result": 5})));
    within(upstream.stop()).await;
    assert_eq!(Upstream::start(config("gone")).tools().current().len(), 6);
}

#[tokio::test]
async fn what_could_not_be_remembered_is_remembered_later() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let config = |kind| config(kind).remember_in(StateDir::open(&state).unwrap());
    let of_tools = config("tools");
    std::fs::remove_dir_all(&state).unwrap();
    let (_, upstream) = with(of_tools).await;
    std::fs::create_dir(&state).unwrap();
    // Nothing changes but the disk.
    until(|| std::fs::read_dir(&state).unwrap().next().is_some()).await;
    until(|| Upstream::start(config("gone")).tools().current().len() == 7).await;
    within(upstream.stop()).await;
}

#[tokio::test]
async fn another_name_is_another_name_in_messages_and_of_what_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let config = |name: &str, kind| {
        let slow = Duration::from_secs(60);
        let config = UpstreamConfig::program(name, program(kind)).backoff(slow, slow);
        config.prefix("up_").pin(true).remember_in(StateDir::open(folder.path()).unwrap())
    };
    let (host, upstream) = with(config("files", "tools")).await;
    let (old, before) = (process(&host).await, host.tools().changes().version());
    upstream.apply(config("documents", "tools"));
    until(|| upstream.name() == "documents").await;
    assert_eq!((process(&host).await, host.tools().changes().version()), (old.clone(), before));
    for name in ["mcp-accepted-documents-", "mcp-tools-documents-"] {
        until(|| {
            let mut files = std::fs::read_dir(folder.path()).unwrap();
            files.any(|file| file.unwrap().file_name().into_string().unwrap().starts_with(name))
        })
        .await;
    }
    kill(&old);
    within(upstream.down()).await;
    let refused = call(&host, "up_add", json!({"a": 2, "b": 3})).await.unwrap_err();
    assert!(refused.contains("the MCP server `documents` is down"), "{refused}");
    within(upstream.stop()).await;
    assert_eq!(Upstream::start(config("documents", "gone")).tools().current().len(), 7);
}
