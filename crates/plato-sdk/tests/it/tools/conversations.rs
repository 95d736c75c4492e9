//! Whose desktop a call is for, and how long it is kept.

use std::time::Duration;

use plato_sdk::testing::{Boot, FakePlato, FakeTestcase, Fault, SessionEnd};
use plato_sdk::tools::{DesktopTools, SessionPerThread, Sharing};
use plato_sdk::{Env, LoginOptions};
use platools::tool::ToolErrorKind;
use platools::{CallContext, Identity, ToolError};
use serde_json::json;

use super::{call, call_in, call_until, desktops, guarded, host, job, refused};
use crate::stub_browser;

#[tokio::test]
async fn two_conversations_never_share_a_desktop_and_there_is_a_limit() {
    let fake = FakePlato::start();
    let policy = SessionPerThread { max_sessions: 2, ..SessionPerThread::default() };
    let host = host(desktops(&fake.client()).policy(policy).lifecycle(true));
    let write = |text: &str| json!({"command": "create", "path": "/tmp/mine", "file_text": text});
    let (first, second) =
        (call_in(&host, "t1", "edit", write("a\n")), call_in(&host, "t2", "edit", write("b\n")));
    let (first, second) = tokio::join!(first, second);
    first.unwrap();
    second.unwrap();
    for (thread, text) in [("t1", "a\n"), ("t2", "b\n")] {
        let said = call_in(&host, thread, "bash", json!({"command": "cat /tmp/mine"})).await.unwrap();
        assert_eq!(said.to_value(), text);
    }
    let error = call_in(&host, "t3", "bash", json!({"command": "true"})).await.unwrap_err();
    assert_eq!(error.kind(), ToolErrorKind::Overloaded);
    assert!(error.to_string().contains("all 2 desktops are in use"), "{error}");
    call_in(&host, "t1", "session_close", json!({})).await.unwrap();
    call_in(&host, "t3", "bash", json!({"command": "true"})).await.unwrap();
    // The same thread of another user is another conversation.
    let context = CallContext::builder().user_id("usr_8").thread_id("t2").build();
    let other = host.call("bash", json!({"command": "true"}).try_into().unwrap(), context).await;
    assert_eq!(other.unwrap_err().kind(), ToolErrorKind::Overloaded);
    assert_eq!((fake.sessions().len(), fake.open_sessions().len()), (3, 2));
}

#[tokio::test]
async fn calls_of_one_conversation_that_come_at_once_share_one_desktop_in_turn() {
    let fake = FakePlato::start();
    let policy = SessionPerThread { sharing: Sharing::User, ..SessionPerThread::default() };
    let host = host(desktops(&fake.client()).policy(policy));
    let calls = (0..8).map(|index| {
        let text = json!({"action": "type", "text": index.to_string()});
        call_in(&host, if index % 2 == 0 { "t1" } else { "t2" }, "computer", text)
    });
    for done in futures_util::future::join_all(calls).await {
        done.unwrap();
    }
    let mut typed: Vec<_> = fake.typed_text(&job(&fake)).chars().collect();
    typed.sort_unstable();
    assert_eq!(typed, ['0', '1', '2', '3', '4', '5', '6', '7']);
    assert_eq!(fake.sessions().len(), 1);
}

#[tokio::test]
async fn a_desktop_that_nobody_uses_is_closed_and_the_next_call_has_a_new_one() {
    let fake = FakePlato::start();
    let idle_timeout = Duration::from_secs(1);
    let policy = SessionPerThread { idle_timeout, ..SessionPerThread::default() };
    let host = host(desktops(&fake.client()).policy(policy));
    call(&host, "bash", json!({"command": "true"})).await;
    // The time of a call does not count, however long it is.
    call(&host, "bash", json!({"command": "sleep 3"})).await;
    call(&host, "bash", json!({"command": "true"})).await;
    assert_eq!(fake.sessions().len(), 1);
    guarded(fake.all_closed()).await;
    call(&host, "bash", json!({"command": "true"})).await;
    assert_eq!(fake.sessions().len(), 2);
}

#[tokio::test]
async fn a_desktop_that_is_starting_is_waited_for_and_not_for_ever() {
    let fake = FakePlato::start();
    fake.boot("ubuntu-vm", Boot::AfterLooks(1));
    let policy = SessionPerThread { start_wait: Duration::from_millis(50), ..SessionPerThread::default() };
    let host = host(desktops(&fake.client()).policy(policy));
    let error = refused(&host, "bash", json!({"command": "true"})).await;
    assert!(error.contains("still starting") && error.contains("call again"), "{error}");
    call_until(&host, "t1", "bash", Result::is_ok).await.unwrap();
    assert_eq!(fake.sessions().len(), 1);
    fake.boot("ubuntu-vm", Boot::Refused("no slot".into()));
    // The first answer may come before the refusal is known.
    let refused = call_until(&host, "t9", "bash", |result| {
        !result.as_ref().is_err_and(|error| error.to_string().contains("still starting"))
    });
    let error = refused.await.unwrap_err().to_string();
    assert!(error.contains("no desktop could be started") && error.contains("no slot"), "{error}");
}

#[tokio::test]
async fn a_desktop_that_died_is_told_and_replaced() {
    let fake = FakePlato::start();
    let plato = fake.client_builder().heartbeat_interval(Duration::from_millis(20)).build().unwrap();
    let host = host(desktops(&plato));
    call(&host, "bash", json!({"command": "true"})).await;
    let dead = fake.open_sessions().remove(0);
    fake.kill_session(&dead);
    let error = refused(&host, "bash", json!({"command": "true"})).await;
    assert!(error.contains("gone") || error.contains("has ended"), "{error}");
    call_until(&host, "t1", "bash", Result::is_ok).await.unwrap();
    assert_eq!(fake.sessions().len(), 2);
    assert_eq!(fake.session_end(&dead), Some(SessionEnd::Killed));
}

#[tokio::test]
async fn an_operator_starts_resets_scores_and_closes() {
    let testcase =
        FakeTestcase::new("tc_1", "Save.").simulator("ubuntu-vm").expects_mutation("notes", "INSERT");
    let fake = FakePlato::builder().testcase(testcase).start();
    let tools = DesktopTools::per_conversation(&fake.client(), |plato| plato.session().testcase("tc_1"))
        .lifecycle(true);
    let host = host(tools);
    let error = refused(&host, "session_state", json!({})).await;
    assert!(error.contains("has no desktop"), "{error}");
    let started = call(&host, "session_start", json!({})).await.to_value();
    assert_eq!((started["session_id"].as_str(), &started["screen"]), (Some("sess-0001"), &json!("1280x720")));
    call(&host, "computer", json!({"action": "key", "text": "ctrl+s"})).await;
    let state = call(&host, "session_state", json!({})).await.to_value();
    assert_eq!(state["changes"]["desktop"][0]["table"], "notes");
    let scored = call(&host, "session_evaluate", json!({"value": {"a": 1}})).await.to_value();
    assert_eq!((&scored["correct"], &scored["scored_by"]), (&json!(true), &json!(["MUTATION"])));
    let error = refused(&host, "session_evaluate", json!({"value": 7})).await;
    assert!(error.contains("value"), "{error}");
    call(&host, "session_reset", json!({})).await;
    assert_eq!(call(&host, "session_evaluate", json!({})).await.to_value()["correct"], json!(false));
    assert_eq!(call(&host, "session_close", json!({})).await.to_value(), "closed");
    assert_eq!(fake.session_end("sess-0001"), Some(SessionEnd::Closed));
}

#[tokio::test]
async fn a_model_gets_a_desktop_that_is_logged_in_and_a_reset_logs_in_again() {
    let testcase = FakeTestcase::new("tc_1", "Sell.").simulator("ubuntu-vm").simulator("espocrm");
    let fake = FakePlato::builder().testcase(testcase).chrome(stub_browser::start().await).start();
    fake.flows("espocrm", json!([{"name": "login", "steps": [{"type": "wait", "duration": 1}]}]));
    let tools = DesktopTools::per_conversation(&fake.client(), |plato| {
        plato.session().testcase("tc_1").login(LoginOptions::default())
    });
    let host = host(tools.lifecycle(true));
    call(&host, "bash", json!({"command": "true"})).await;
    let logins = || fake.count("GET", "/jobs/*/flows");
    assert_eq!(logins(), 1);
    fake.fail_resets("espocrm", "no disk for 0f8fad5b-d9cb-469f-a165-70867728950e");
    let reset = call(&host, "session_reset", json!({})).await.to_value();
    let expected =
        json!({"reset": {"desktop": "done", "espocrm": "failed: no disk for 0f8f…"}, "prepared": "done"});
    assert_eq!((reset, logins()), (expected, 2));
}

#[tokio::test]
async fn a_desktop_that_is_given_becomes_tools_and_stays_open() {
    let fake = FakePlato::start();
    let session = fake.client().session().env(Env::simulator("ubuntu-vm").alias("d")).start().await.unwrap();
    let host = host(DesktopTools::of(&session.desktop().unwrap()));
    call(&host, "computer", json!({"action": "type", "text": "x"})).await;
    drop(host);
    assert_eq!(fake.open_sessions().len(), 1);
    session.close().await.unwrap();
}

#[tokio::test]
async fn policies_at_their_limits_do_what_they_say() {
    let fake = FakePlato::start();
    let policy = SessionPerThread {
        idle_timeout: Duration::MAX,
        start_wait: Duration::MAX,
        max_sessions: 1,
        ..SessionPerThread::default()
    };
    let endless = host(desktops(&fake.client()).policy(policy).longest_call(Duration::MAX));
    call(&endless, "bash", json!({"command": "true", "timeout": 5})).await;
    call(&endless, "computer", json!({"action": "wait", "duration": 0.01})).await;
    assert_eq!(fake.open_sessions().len(), 1);
    drop(endless);
    guarded(fake.all_closed()).await;
    let policy = SessionPerThread { idle_timeout: Duration::ZERO, ..SessionPerThread::default() };
    let fleeting = host(desktops(&fake.client()).policy(policy));
    call(&fleeting, "bash", json!({"command": "true"})).await;
    guarded(fake.all_closed()).await;
}

#[tokio::test]
async fn a_verified_user_is_not_the_one_of_that_name_whom_only_the_platform_names() {
    let fake = FakePlato::start();
    let host = host(desktops(&fake.client()));
    let as_caller = async |identity: Option<Identity>| {
        let context = CallContext::builder().user_id("usr_7").thread_id("t1");
        let context = identity.into_iter().fold(context, platools::caller::CallContextBuilder::identity);
        let command = json!({"command": "true"}).try_into().unwrap();
        host.call("bash", command, context.build()).await.unwrap();
        fake.sessions().len()
    };
    assert_eq!(as_caller(None).await, 1);
    assert_eq!(as_caller(Some(Identity::new("usr_7"))).await, 2);
    assert_eq!(as_caller(Some(Identity::new("usr_8"))).await, 3);
    assert_eq!(as_caller(Some(Identity::new("usr_7"))).await, 3);
}

#[tokio::test]
async fn a_desktop_that_is_closed_or_whose_tools_go_while_it_starts_leaves_nothing_behind() {
    let fake = FakePlato::start();
    fake.boot("ubuntu-vm", Boot::Never);
    let policy = SessionPerThread { start_wait: Duration::from_millis(20), ..SessionPerThread::default() };
    let tools = || host(desktops(&fake.client()).policy(policy.clone()).lifecycle(true));
    let operated = tools();
    for (index, thread) in ["t1", "t1", "t2"].into_iter().enumerate() {
        let error = call_in(&operated, thread, "bash", json!({"command": "true"})).await.unwrap_err();
        assert!(error.to_string().contains("still starting"), "{error}");
        let error = call_in(&operated, thread, "session_state", json!({})).await.unwrap_err();
        assert!(error.to_string().contains("still starting"), "{error}");
        guarded(fake.wait_for_sessions(index + 1)).await;
        let closed = call_in(&operated, thread, "session_close", json!({})).await.unwrap();
        assert_eq!(closed.to_value(), "closed before it was up");
        guarded(fake.all_closed()).await;
    }
    let dropped = tools();
    call_in(&dropped, "t1", "bash", json!({"command": "true"})).await.unwrap_err();
    guarded(fake.wait_for_sessions(4)).await;
    drop(dropped);
    guarded(fake.all_closed()).await;
}

#[tokio::test]
async fn an_operator_closes_a_desktop_that_is_busy_and_what_waits_is_told() {
    let fake = FakePlato::start();
    let host = host(desktops(&fake.client()).lifecycle(true));
    call(&host, "session_start", json!({})).await;
    let before = fake.count("POST", "/bash");
    fake.fail(Fault::on("POST /bash").delay(Duration::from_millis(200)).times(9));
    let bash = || call_in(&host, "t1", "bash", json!({"command": "true"}));
    let close = async {
        guarded(fake.wait_for_requests(before + 1, "POST", "/bash")).await;
        call(&host, "session_close", json!({})).await.to_value()
    };
    let (first, second, closed) = tokio::join!(bash(), bash(), close);
    assert_eq!(closed, "closed");
    assert!(first.unwrap_err().to_string().contains("gone"));
    assert!(second.unwrap_err().to_string().contains("has ended"));
    assert_eq!((fake.open_sessions().len(), fake.sessions().len()), (0, 1));
}

#[tokio::test]
async fn a_place_that_is_of_no_use_is_given_to_whoever_needs_one() {
    let fake = FakePlato::start();
    let plato = fake.client_builder().heartbeat_interval(Duration::from_millis(20)).build().unwrap();
    let policy = SessionPerThread { max_sessions: 1, ..SessionPerThread::default() };
    let host = host(desktops(&plato).policy(policy).lifecycle(true));
    call_in(&host, "t1", "session_start", json!({})).await.unwrap();
    fake.kill_session("sess-0001");
    call_until(&host, "t2", "bash", Result::is_ok).await.unwrap();
    fake.kill_session("sess-0002");
    let ended = |result: &Result<_, ToolError>| {
        result.as_ref().is_err_and(|error| error.to_string().contains("next call starts another"))
    };
    call_until(&host, "t2", "session_state", ended).await.unwrap_err();
    // An operator who starts one has one, whatever became of the one before.
    call_in(&host, "t2", "session_start", json!({})).await.unwrap();
    assert_eq!(fake.sessions().len(), 3);
}

#[tokio::test]
async fn a_start_that_panics_is_told_and_takes_no_place() {
    let fake = FakePlato::start();
    let first = std::sync::atomic::AtomicBool::new(true);
    let tools = DesktopTools::per_conversation(&fake.client(), move |plato| {
        if first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            std::panic::resume_unwind(Box::new("by order"));
        }
        plato.session().env(Env::simulator("ubuntu-vm"))
    });
    let policy =
        SessionPerThread { max_sessions: 1, start_wait: Duration::ZERO, ..SessionPerThread::default() };
    let host = host(tools.policy(policy));
    // Its answer may come before the panic, and then it is not this call that hears of it.
    let error = refused(&host, "bash", json!({"command": "true"})).await;
    assert!(error.contains("call again"), "{error}");
    let started = |result: &Result<_, ToolError>| {
        !result.as_ref().is_err_and(|error| error.to_string().contains("call again"))
    };
    call_until(&host, "t2", "bash", started).await.unwrap();
}

#[test]
fn a_runtime_that_goes_down_leaves_no_desktop_open() {
    let command = || json!({"command": "true"});
    for boot in [Boot::AtOnce, Boot::Never] {
        let fake = FakePlato::start();
        fake.boot("ubuntu-vm", boot.clone());
        let policy =
            SessionPerThread { start_wait: Duration::from_millis(300), ..SessionPerThread::default() };
        let host = host(desktops(&fake.client()).policy(policy));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let done = runtime.block_on(call_in(&host, "t1", "bash", command()));
        assert_eq!(done.is_ok(), boot == Boot::AtOnce);
        assert_eq!(fake.open_sessions().len(), 1);
        drop(runtime);
        // With the last of the client, what is still open is closed and waited for.
        drop(host);
        assert_eq!(fake.session_end("sess-0001"), Some(SessionEnd::Closed), "{boot:?}");
    }
}
