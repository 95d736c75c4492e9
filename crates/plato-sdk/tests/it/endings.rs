//! However a session's use comes to its end, the session is closed: for each step of its life, and each way to end.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use plato_sdk::testing::{FakePlato, FakeTestcase, Fault, SessionEnd};
use plato_sdk::{Action, AddEnv, BashRequest, EditCommand, Env, Error, Plato, Point, Result};
use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::Runtime;

/// The requests of a session's life, in their order.
const STEPS: [&str; 13] = [
    "POST /sessions/make",
    "GET /sessions/*/wait_for_ready",
    "GET /status",
    "POST /sessions/*/reset",
    "POST /sessions/*/connect_network",
    "POST /computer",
    "POST /bash",
    "POST /edit",
    "GET /sessions/*/state",
    "POST /sessions/*/execute",
    "POST /sessions/*/jobs",
    "GET /jobs/*/wait_for_ready",
    "POST /sessions/*/evaluate",
];

/// How the use of a session ends at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Refused,
    Gone,
    Html,
    Disconnected,
    /// The future is dropped while the request is under way.
    Cancelled,
    /// The task panics while the request is under way.
    Panicked,
    /// The runtime is shut down while the request is under way.
    RuntimeGone,
}

const KINDS: [Kind; 7] = [
    Kind::Refused,
    Kind::Gone,
    Kind::Html,
    Kind::Disconnected,
    Kind::Cancelled,
    Kind::Panicked,
    Kind::RuntimeGone,
];

/// A whole life, without a closing at its end.
async fn live(plato: Plato) -> Result<()> {
    let session = plato.session().testcase("tc_1").network(true).start().await?;
    let desktop = session.desktop()?;
    desktop.perform(Action::LeftClick { at: Some(Point::new(3, 4)) }).await?;
    desktop.bash(BashRequest::new("echo hi")).await?;
    desktop.edit(&EditCommand::Create { path: "/tmp/a".into(), text: "a".into() }).await?;
    session.state().await?;
    session.execute("true", Duration::from_secs(5)).await?;
    session.add_env(AddEnv::new(Env::simulator("espocrm"))).await?;
    session.evaluate(Some(&json!({"a": 1}))).await?;
    Ok(())
}

fn fake() -> FakePlato {
    FakePlato::builder().testcase(FakeTestcase::new("tc_1", "Do it.").simulator("ubuntu-vm")).start()
}

/// Lets a life end at a step; nothing of the client is left then.
fn end(fake: &FakePlato, step: &str, kind: Kind, after: bool, skip: u32) {
    let slow = Duration::from_millis(100);
    let fault = Fault::on(step).skip(skip).times(u32::MAX);
    let fault = match kind {
        Kind::Refused => fault.status(500),
        Kind::Gone => fault.status(410),
        Kind::Html => fault.status(200).body("<html>busy</html>"),
        Kind::Disconnected => fault.disconnect(),
        Kind::Cancelled | Kind::Panicked | Kind::RuntimeGone => fault.delay(slow),
    };
    fake.fail(if after { fault.after_effect() } else { fault });
    let plato = fake.client();
    let runtime = Runtime::new().unwrap();
    let (method, path) = step.split_once(' ').unwrap();
    let seen = async {
        fake.wait_for_requests(skip as usize + 1, method, path).await;
    };
    match kind {
        Kind::Refused | Kind::Gone | Kind::Html | Kind::Disconnected => {
            // Which of them is an error is not the question here.
            let _ = runtime.block_on(live(plato));
        }
        Kind::Cancelled => runtime.block_on(async {
            tokio::select! {
                _ = live(plato) => {}
                () = seen => {}
            }
        }),
        Kind::Panicked => {
            let task = async {
                tokio::select! {
                    _ = live(plato) => {}
                    () = seen => std::panic::resume_unwind(Box::new("by order")),
                }
            };
            let _ = runtime.block_on(AssertUnwindSafe(task).catch_unwind());
        }
        Kind::RuntimeGone => {
            let lives = runtime.spawn(live(plato));
            runtime.block_on(async {
                tokio::select! {
                    _ = lives => {}
                    () = seen => {}
                }
            });
        }
    }
    drop(runtime);
}

/// The drop of the last handle waits until everything is closed, so that there is nothing to wait for here.
fn all_are_closed(fake: &FakePlato) -> std::result::Result<(), String> {
    let ends: Vec<_> = fake.sessions().iter().map(|id| fake.session_end(id)).collect();
    if ends.iter().all(|end| *end == Some(SessionEnd::Closed)) { Ok(()) } else { Err(format!("{ends:?}")) }
}

/// The answer to the creation is the only way to the id: when that is lost, nobody but the server can close.
fn is_unknowable(step: &str, kind: Kind, after: bool) -> bool {
    let lost = matches!(kind, Kind::Refused | Kind::Gone | Kind::Html | Kind::Disconnected);
    step == STEPS[0] && after && lost
}

#[test]
fn no_step_and_no_way_to_end_leaves_a_session_open() {
    let cases = STEPS.into_iter().flat_map(|step| KINDS.map(|kind| (step, kind)));
    let cases: Vec<_> = cases.flat_map(|(step, kind)| [(step, kind, false), (step, kind, true)]).collect();
    let cases =
        Mutex::new(cases.into_iter().filter(|(step, kind, after)| !is_unknowable(step, *kind, *after)));
    let problems = Mutex::new(Vec::new());
    let next = || cases.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some((step, kind, after)) = next() {
                    let fake = fake();
                    end(&fake, step, kind, after, 0);
                    if let Err(problem) = all_are_closed(&fake) {
                        problems.lock().unwrap().push(format!("{step} {kind:?} after={after}: {problem}"));
                    }
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{problems:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nor_does_a_failure_of_a_later_request_or_of_the_closing_itself(
        step in prop::sample::select(STEPS.to_vec()), kind in prop::sample::select(KINDS.to_vec()),
        after in any::<bool>(), skip in 0_u32..2, closings in 0_u32..3,
    ) {
        prop_assume!(!is_unknowable(step, kind, after));
        let fake = fake();
        fake.fail(Fault::on("POST /sessions/*/close").status(503).times(closings));
        end(&fake, step, kind, after, skip);
        prop_assert_eq!(all_are_closed(&fake), Ok(()));
    }
}

#[tokio::test]
async fn a_session_whose_creation_was_answered_by_nobody_is_ended_by_the_server() {
    let testcase = FakeTestcase::new("tc_1", "Do it.").simulator("ubuntu-vm");
    let silence = Duration::from_millis(200);
    let fake = FakePlato::builder().heartbeat_timeout(silence).testcase(testcase).start();
    fake.fail(Fault::on(STEPS[0]).disconnect().after_effect());
    live(fake.client()).await.unwrap_err();
    fake.all_closed().await;
    assert_eq!(fake.session_end("sess-0001"), Some(SessionEnd::HeartbeatMissing));
    assert_eq!(fake.sessions().len(), 1, "a creation is never asked for twice");
}

#[tokio::test]
async fn dropping_the_handle_closes_in_the_background_and_close_all_waits_for_it() {
    let fake = fake();
    let plato = fake.client();
    fake.fail(Fault::on("POST /sessions/*/close").delay(Duration::from_millis(100)));
    let session = plato.session().testcase("tc_1").start().await.unwrap();
    let other = plato.session().testcase("tc_1").start().await.unwrap();
    drop(session);
    plato.close_all().await;
    assert!(fake.open_sessions().is_empty());
    assert_eq!(plato.open_sessions(), 0);
    assert!(matches!(other.state().await, Err(Error::Closed)));
    other.close().await.unwrap();
    // The client is as good as before.
    let third = plato.session().testcase("tc_1").start().await.unwrap();
    third.close().await.unwrap();
    third.close().await.unwrap();
    assert_eq!(fake.count("POST", "/sessions/*/close"), 3);
}

#[tokio::test]
async fn a_closing_that_fails_leaves_the_session_open_and_is_tried_again_at_the_drop() {
    let fake = fake();
    let plato = fake.client();
    let session = plato.session().testcase("tc_1").start().await.unwrap();
    fake.fail(Fault::on("POST /sessions/*/close").status(500).times(4));
    let error = session.close().await.unwrap_err();
    assert_eq!(error.status(), Some(500));
    assert_eq!(fake.open_sessions().len(), 1);
    session.state().await.unwrap();
    drop(session);
    fake.all_closed().await;
}

#[tokio::test]
async fn a_session_that_was_let_go_lives_on_and_can_be_taken_up() {
    let fake = fake();
    let plato = fake.client();
    let session = plato.session().testcase("tc_1").start().await.unwrap();
    let saved = session.detach().await.unwrap();
    drop(plato);
    assert_eq!(fake.open_sessions().len(), 1);

    let text = serde_json::to_string(&saved).unwrap();
    assert!(!text.contains(&fake.api_key()), "{text}");
    let plato = fake.client();
    let session = plato.resume(&serde_json::from_str(&text).unwrap()).unwrap();
    session.desktop().unwrap().bash("echo back").await.unwrap();
    drop(session);
    fake.all_closed().await;
}

/// The child process of the tests below; a no-op unless they start it.
#[test]
#[ignore = "a part of other tests, which start it"]
fn child() {
    let Ok(base) = std::env::var("PLATO_CHILD_BASE") else { return };
    let plato = Plato::builder()
        .api_key(std::env::var("PLATO_CHILD_KEY").unwrap())
        .base_url(&base)
        .desktop_url(format!("{base}/_desktop/{{job_id}}/{{port}}"))
        .build()
        .unwrap();
    let work = async {
        live(plato.clone()).await.unwrap();
        std::future::pending::<()>().await;
    };
    let ended = Runtime::new().unwrap().block_on(plato.until_signal(work));
    assert!(matches!(ended, Err(Error::Interrupted("SIGTERM"))), "{ended:?}");
}

fn child_process(fake: &FakePlato) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "endings::child", "--ignored", "--nocapture"])
        .env("PLATO_CHILD_BASE", fake.base_url())
        .env("PLATO_CHILD_KEY", fake.api_key())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Child(command.spawn().unwrap())
}

/// A process that does not outlive its test.
struct Child(std::process::Child);

impl Child {
    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_process_that_is_told_to_end_closes_its_session_at_whatever_step() {
    for step in
        ["POST /sessions/make", "GET /sessions/*/wait_for_ready", "POST /bash", "POST /sessions/*/evaluate"]
    {
        let fake = Arc::new(fake());
        fake.fail(Fault::on(step).delay(Duration::from_millis(300)).times(u32::MAX));
        let mut child = child_process(&fake);
        let (method, path) = step.split_once(' ').unwrap();
        guarded(fake.wait_for_request(method, path)).await;
        child.signal("-TERM");
        let status = tokio::task::spawn_blocking(move || child.0.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{step}: {status}");
        all_are_closed(&fake).unwrap();
        assert_eq!(fake.sessions().len(), 1, "{step}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn after_a_process_was_killed_the_servers_heartbeat_timeout_ends_its_session() {
    let testcase = FakeTestcase::new("tc_1", "Do it.").simulator("ubuntu-vm");
    let fake = FakePlato::builder().heartbeat_timeout(Duration::from_secs(1)).testcase(testcase).start();
    let child = child_process(&fake);
    guarded(fake.wait_for_request("POST", "/computer")).await;
    child.signal("-KILL");
    guarded(fake.all_closed()).await;
    assert_eq!(fake.session_end("sess-0001"), Some(SessionEnd::HeartbeatMissing));
}

async fn guarded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("it takes far too long")
}
