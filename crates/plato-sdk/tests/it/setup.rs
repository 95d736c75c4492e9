//! Setting sessions up once their machines are ready, and the server's refusals.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use plato_sdk::testing::{Boot, FakePlato, FakeTestcase, Fault};
use plato_sdk::{Env, Error, LoginOptions, Session};
use serde_json::{Value, json};

use super::stub_browser;

const WAIT: Duration = Duration::from_secs(30);

fn fake() -> FakePlato {
    FakePlato::builder().testcase(FakeTestcase::new("tc_1", "Do it.").simulator("ubuntu-vm")).start()
}

async fn pair(fake: &FakePlato) -> Session {
    let envs = ["ubuntu-vm", "espocrm"].map(|name| Env::simulator(name).alias(name));
    fake.client().session().envs(envs).start().await.unwrap()
}

/// An answer that says the same of one environment.
fn of(session: &Session, alias: &str, what: &Value) -> Value {
    let job = session.environment(alias).unwrap().job_id().as_str().to_owned();
    json!({"success": true, "session_id": session.id(), "results": {job: what}})
}

/// Where the requests of a kind stand among all.
fn place(fake: &FakePlato, method: &str, pattern: &str) -> usize {
    let requests = fake.requests();
    let found = requests.iter().position(|request| request.is(method, pattern));
    found.unwrap_or_else(|| panic!("{method} {pattern} in {requests:#?}"))
}

#[tokio::test]
async fn a_testcase_that_is_created_and_waited_for_is_reset_as_one_that_is_started() {
    let fake = fake();
    let session = fake.client().session().testcase("tc_1").create().await.unwrap();
    assert_eq!(fake.count("POST", "/sessions/*/reset"), 0);
    session.wait_until_ready(WAIT).await.unwrap();
    session.wait_until_ready(WAIT).await.unwrap();
    assert_eq!(fake.count("POST", "/sessions/*/reset"), 1);
    // Without a testcase the record is begun by whoever wants one.
    let session = fake.client().session().env(Env::simulator("espocrm")).create().await.unwrap();
    session.wait_until_ready(WAIT).await.unwrap();
    assert_eq!(fake.count("POST", "/sessions/*/reset"), 1);
}

#[tokio::test]
async fn who_wants_to_know_how_far_it_is_is_told_also_after_a_creation() {
    let fake = fake();
    fake.boot("ubuntu-vm", Boot::AfterLooks(1));
    let told = Arc::new(Mutex::new(0));
    let count = Arc::clone(&told);
    let request = fake.client().session().testcase("tc_1").on_progress(move |_| *count.lock().unwrap() += 1);
    let session = request.create().await.unwrap();
    session.wait_until_ready(WAIT).await.unwrap();
    assert_eq!(*told.lock().unwrap(), 2);
}

#[tokio::test]
async fn environments_that_were_not_reset_are_an_error_with_their_reasons() {
    let fake = fake();
    fake.fail_resets("ubuntu-vm", "the disk of 0f8fad5b-d9cb-469f-a165-70867728950e is full");
    let error = fake.client().session().testcase("tc_1").start().await.unwrap_err();
    assert_eq!(error.to_string(), "environments could not be reset: desktop: the disk of 0f8f… is full");
    assert!(fake.open_sessions().is_empty());

    let session = pair(&fake).await;
    let error = session.reset().await.unwrap_err();
    let Error::EnvironmentsFailed { action: "reset", environments } = &error else { panic!("{error}") };
    assert_eq!(environments.iter().map(|env| env.alias.as_str()).collect::<Vec<_>>(), ["ubuntu-vm"]);
    let each = session.reset_each().await.unwrap();
    assert_eq!((each["ubuntu-vm"].success, each["espocrm"].success), (false, true));
    let error = session.environment("ubuntu-vm").unwrap().reset().await.unwrap_err();
    assert!(matches!(error, Error::EnvironmentsFailed { .. }), "{error}");
    session.environment("espocrm").unwrap().reset().await.unwrap();
    // The whole of it may fail, too.
    fake.fail(Fault::on("POST /sessions/*/reset").json(&json!({"success": false, "message": "no worker"})));
    let error = session.reset().await.unwrap_err();
    assert_eq!(error.to_string(), "environments could not be reset: the session: no worker");
}

#[tokio::test]
async fn machines_that_are_not_connected_are_told_and_asked_for_again() {
    let fake = fake();
    let session = pair(&fake).await;
    let connect = "POST /sessions/*/connect_network";
    fake.fail(Fault::on(connect).json(&of(&session, "espocrm", &json!(false))));
    let error = session.connect_network().await.unwrap_err();
    assert_eq!(error.to_string(), "environments could not be connected: espocrm: no reason was given");
    fake.fail(Fault::on(connect).json(&json!({"success": false, "message": "no subnet is free"})));
    let error = session.connect_network().await.unwrap_err();
    assert_eq!(error.to_string(), "environments could not be connected: the network: no subnet is free");
    session.connect_network().await.unwrap();

    // A session that is to have a network does not start without one.
    fake.fail(Fault::on(connect).json(&json!({"success": false})));
    let request = fake.client().session().testcase("tc_1").network(true);
    let error = request.start().await.unwrap_err();
    assert!(matches!(error, Error::EnvironmentsFailed { action: "connected", .. }), "{error}");
    assert_eq!(fake.open_sessions(), [session.id()]);
}

#[tokio::test]
async fn the_desktop_is_the_environment_that_is_flagged_as_one() {
    let fake = fake();
    let context = json!({"session_id": "sess-0001", "envs": [
        {"job_id": "j1", "alias": "books", "simulator": "quickbooks", "artifact_id": "a1", "provider": "qemu"},
        {"job_id": "j2", "alias": "desk", "simulator": "my-desktop", "artifact_id": "a2", "is_desktop": true},
    ]});
    let ready = json!({"session_id": "sess-0001", "ready": true, "status": "ready", "context": context});
    fake.fail(Fault::on("GET /sessions/*/wait_for_ready").json(&ready));
    let session = fake.client().session().env(Env::simulator("quickbooks")).create().await.unwrap();
    session.wait_until_ready(WAIT).await.unwrap();
    assert_eq!(session.desktop().unwrap().alias(), "desk");
    // An app that runs on Windows has an agent all the same.
    let books = session.environment("books").unwrap();
    assert!(!books.is_desktop() && books.desktop().unwrap().is_windows());
}

#[tokio::test]
async fn an_environment_that_was_closed_is_not_listed_any_more() {
    let fake = fake();
    let session = pair(&fake).await;
    let crm = session.environment("espocrm").unwrap();
    fake.fail(Fault::on("POST /jobs/*/close").json(&json!({"success": false, "message": "busy"})));
    let error = crm.close().await.unwrap_err();
    assert_eq!(error.to_string(), "environments could not be closed: espocrm: busy");
    assert_eq!(session.environments().len(), 2);
    crm.close().await.unwrap();
    let left: Vec<_> = session.environments().iter().map(|env| env.alias().to_owned()).collect();
    assert_eq!(left, ["ubuntu-vm"]);
    assert_eq!(session.save().envs.len(), 1);
    let error = session.environment("espocrm").unwrap_err();
    assert!(error.to_string().contains("it has: `ubuntu-vm`"), "{error}");
}

#[tokio::test]
async fn a_public_url_that_there_is_not_keeps_its_reason() {
    let fake = fake();
    let session = pair(&fake).await;
    let desktop = session.environment("ubuntu-vm").unwrap().job_id().as_str().to_owned();
    let crm = session.environment("espocrm").unwrap().job_id().as_str().to_owned();
    let results = json!({
        &desktop: {"success": true, "job_id": &desktop, "url": "https://app.example/"},
        &crm: {"success": false, "job_id": &crm, "error": format!("{crm} has no port 80")},
    });
    fake.fail(Fault::on("GET /sessions/*/public_url").json(&json!({"session_id": "s", "results": results})));
    let urls = session.public_urls(Some(80)).await.unwrap();
    assert_eq!(urls["ubuntu-vm"].as_ref().unwrap().expose(), "https://app.example/");
    let problem = urls["espocrm"].as_ref().unwrap_err().to_string();
    let shown = format!("the environment `espocrm` has no public URL: {}… has no port 80", &crm[..4]);
    assert_eq!(problem, shown);
}

#[tokio::test]
async fn a_route_that_the_server_does_not_have_is_not_a_session_that_has_ended() {
    let fake = fake();
    let session = pair(&fake).await;
    let no_route = json!({"detail": "Not Found"});
    fake.fail(Fault::on("POST /edit").status(404).json(&no_route));
    let edit = plato_sdk::EditCommand::View { path: "/tmp/a".into(), lines: None };
    let error = session.desktop().unwrap().edit(&edit).await.unwrap_err();
    assert!(!error.is_gone() && error.to_string().contains("no such route"), "{error}");
    fake.fail(Fault::on("GET /sessions/*/state").status(404).json(&no_route));
    let error = session.state().await.unwrap_err();
    assert!(!error.is_gone() && error.status() == Some(404), "{error}");
    // What has no route is not closed, either.
    fake.fail(Fault::on("POST /sessions/*/close").status(404).json(&no_route));
    assert!(!session.close().await.unwrap_err().is_gone());
    assert_eq!(fake.open_sessions(), [session.id()]);

    fake.fail(Fault::on("POST /bash").status(404).body("no such machine"));
    let error = session.desktop().unwrap().bash("true").await.unwrap_err();
    assert!(matches!(error, Error::Gone(_)), "{error}");
    fake.fail(Fault::on("GET /sessions/*/state").status(404).json(&json!({"detail": "Session not found"})));
    assert!(session.state().await.unwrap_err().is_gone());
    session.close().await.unwrap();
}

#[tokio::test]
async fn two_environments_of_one_alias_lose_nothing_and_an_unknown_job_shows_no_id() {
    let testcase = FakeTestcase::new("tc_2", "Compare.").simulator("espocrm").simulator("espocrm");
    let fake = FakePlato::builder().testcase(testcase).start();
    let session = fake.client().session().testcase("tc_2").start().await.unwrap();
    let second = session.environment("espocrm (2)").unwrap();
    assert_eq!(second.job_id(), session.environments()[1].job_id());
    fake.mutate(second.job_id(), json!({"table": "leads", "operation": "INSERT"}));
    let states = session.state().await.unwrap();
    assert_eq!(states.keys().collect::<Vec<_>>(), ["espocrm", "espocrm (2)"]);
    assert_eq!((states["espocrm"].mutations().len(), states["espocrm (2)"].mutations().len()), (0, 1));

    let unknown = ["0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b-0000-4000-8000-000000000001"];
    let results =
        json!({unknown[0]: {"success": true, "state": 1}, unknown[1]: {"success": true, "state": 2}});
    fake.fail(Fault::on("GET /sessions/*/state").json(&json!({"session_id": "s", "results": results})));
    let states = session.state().await.unwrap();
    assert_eq!(states.keys().collect::<Vec<_>>(), ["job 0f8f…", "job 0f8f… (2)"]);
}

#[tokio::test]
async fn a_session_is_logged_in_and_prepared_when_its_start_returns() {
    let testcase = FakeTestcase::new("tc_1", "Sell.").simulator("ubuntu-vm").simulator("espocrm");
    let fake = FakePlato::builder().testcase(testcase).chrome(stub_browser::start().await).start();
    fake.flows("espocrm", json!([{"name": "login", "steps": [{"type": "wait", "duration": 1}]}]));
    let order = Arc::new(Mutex::new(Vec::new()));
    let (first, second) = (Arc::clone(&order), Arc::clone(&order));
    let request = fake
        .client()
        .session()
        .testcase("tc_1")
        .network(true)
        .login(LoginOptions::default())
        .prepare(move |session| {
            let order = Arc::clone(&first);
            async move {
                let ran = session.environment("espocrm")?.execute("echo seeded", WAIT).await?;
                order.lock().unwrap().push(ran.stdout);
                Ok(())
            }
        })
        .prepare(move |_| {
            second.lock().unwrap().push("second".to_owned());
            async { Ok(()) }
        });
    let session = request.start().await.unwrap();
    assert_eq!(*order.lock().unwrap(), ["seeded\n", "second"]);
    let places = [
        place(&fake, "POST", "/sessions/*/reset"),
        place(&fake, "POST", "/sessions/*/connect_network"),
        place(&fake, "GET", "/jobs/*/public_url"),
        place(&fake, "POST", "/jobs/*/execute"),
    ];
    assert!(places.is_sorted(), "{places:?}");
    session.close().await.unwrap();
    fake.all_closed().await;
}

#[tokio::test]
async fn a_session_of_environments_that_is_logged_in_to_is_reset_before() {
    let fake = FakePlato::builder().chrome(stub_browser::start().await).start();
    let envs = [Env::simulator("ubuntu-vm").alias("d"), Env::simulator("espocrm").alias("crm")];
    let request = fake.client().session().envs(envs).login(LoginOptions::default());
    let session = request.create().await.unwrap();
    session.wait_until_ready(WAIT).await.unwrap();
    assert!(place(&fake, "POST", "/sessions/*/reset") < place(&fake, "GET", "/jobs/*/public_url"));
}

#[tokio::test]
async fn a_session_that_cannot_be_prepared_is_closed_and_one_that_was_created_can_be_tried_again() {
    let fake = fake();
    let request = fake.client().session().testcase("tc_1");
    let error = request.prepare(|_| async { Err(Error::other("no orders")) }).start().await.unwrap_err();
    assert_eq!(error.to_string(), "no orders");
    fake.all_closed().await;

    let tries = Arc::new(Mutex::new(0));
    let count = Arc::clone(&tries);
    let request = fake.client().session().testcase("tc_1").prepare(move |_| {
        let first = {
            let mut tries = count.lock().unwrap();
            *tries += 1;
            *tries == 1
        };
        async move { if first { Err(Error::other("not yet")) } else { Ok(()) } }
    });
    let session = request.create().await.unwrap();
    session.wait_until_ready(WAIT).await.unwrap_err();
    session.wait_until_ready(WAIT).await.unwrap();
    session.wait_until_ready(WAIT).await.unwrap();
    assert_eq!(*tries.lock().unwrap(), 2);
}

#[tokio::test]
async fn a_session_ends_with_the_last_of_its_clones() {
    let fake = fake();
    let session = fake.client().session().testcase("tc_1").start().await.unwrap();
    let other = session.clone();
    drop(session);
    other.state().await.unwrap();
    assert_eq!(fake.open_sessions().len(), 1);
    drop(other);
    fake.all_closed().await;
}

#[tokio::test]
async fn the_screensaver_is_switched_off_once_before_a_desktop_is_used() {
    let fake = fake();
    let session = fake.client().session().testcase("tc_1").start().await.unwrap();
    let desktop = session.desktop().unwrap();
    let commands = || {
        let requests = fake.requests().into_iter().filter(|request| request.is("POST", "/bash"));
        requests
            .map(|request| request.body.unwrap()["command"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    tokio::time::timeout(WAIT, fake.wait_for_request("POST", "/bash")).await.unwrap();
    desktop.bash("true").await.unwrap();
    let [saver, own] = &commands()[..] else { panic!("{:?}", commands()) };
    assert!(saver.contains("pkill -x xfce4-screensav") && own == "true", "{saver} {own}");
}
