//! Logging in: the flow, its retries, and the browser that it happens in.

use std::time::Duration;

use plato_sdk::testing::{FakePlato, FakeTestcase, Fault};
use plato_sdk::{Browser, Env, Error, LoginOptions, Session};
use serde_json::{Value, json};

use super::chromium::Chromium;
use super::stub_browser;

/// The double's own app is logged in to by these steps. The pause and the last step take longer than any test.
fn flows() -> Value {
    json!([
        {"name": "login", "steps": [
            {"type": "wait_for_selector", "selector": "#user"},
            {"type": "fill", "selector": "#user", "value": "admin"},
            {"type": "fill", "selector": "css=#password", "value": "password"},
            {"type": "click", "selector": "button:has-text(\"Log in\")"},
            {"type": "verify_text", "text": "Home"},
        ]},
        {"name": "slow", "steps": [
            {"type": "wait", "duration": 3_600_000},
            {"type": "fill", "selector": "#user", "value": "admin"},
            {"type": "fill", "selector": "#password", "value": "password"},
            {"type": "click", "selector": "button"},
            {"type": "wait_for_selector", "selector": "#never", "timeout": 3_600_000},
        ]},
        {"name": "astray", "steps": [
            {"type": "wait_for_selector", "selector": "#user", "timeout": 5_000},
            {"type": "navigate", "url": "home"},
            {"type": "check_element", "selector": "#never", "timeout": 1},
        ]},
    ])
}

fn fake(chrome: &str) -> FakePlato {
    let testcase = FakeTestcase::new("tc_1", "Sell.").simulator("ubuntu-vm").simulator("espocrm");
    let fake = FakePlato::builder().testcase(testcase).chrome(chrome).start();
    fake.flows("espocrm", flows());
    fake
}

async fn app(fake: &FakePlato) -> Session {
    let request = fake.client().session().env(Env::simulator("espocrm").alias("crm"));
    request.start().await.unwrap()
}

fn logins(fake: &FakePlato) -> usize {
    fake.count("POST", "/_app/*/login")
}

#[tokio::test]
async fn a_login_that_failed_is_tried_again_from_the_apps_address() {
    let (address, commands) = stub_browser::start_recording().await;
    let fake = fake(&address);
    fake.flows(
        "espocrm",
        json!([{"name": "login", "steps":
        [{"type": "wait_for_selector", "selector": "#user", "timeout": 1}]}]),
    );
    let session = fake.client().session().testcase("tc_1").start().await.unwrap();
    let options = LoginOptions { retries: 2, retry_delay: Duration::ZERO, ..LoginOptions::default() };
    let error = session.login(&options).await.unwrap_err();
    assert!(error.to_string().contains("`espocrm` cannot be logged in to: step 1"), "{error}");
    let commands = commands.lock().unwrap();
    let named = |name: &str| commands.iter().filter(|command| command["method"] == name).collect::<Vec<_>>();
    let opened = named("Page.navigate");
    assert_eq!((opened.len(), named("Page.reload").len()), (3, 0));
    assert!(opened.iter().all(|command| command["params"] == opened[0]["params"]), "{opened:?}");
}

#[tokio::test]
async fn an_attempt_that_went_astray_does_not_spoil_the_next_one() {
    let Some(chromium) = Chromium::start().await else { return };
    let fake = fake(chromium.address());
    let session = fake.client().session().testcase("tc_1").start().await.unwrap();
    let options = LoginOptions {
        flow: "astray".into(),
        retries: 1,
        retry_delay: Duration::ZERO,
        ..LoginOptions::default()
    };
    // The second attempt gets as far as the first: it began on the page where the first one did.
    let error = session.login(&options).await.unwrap_err();
    assert!(error.to_string().contains("step 3 of `astray`"), "{error}");
}

#[tokio::test]
async fn a_session_of_apps_is_logged_in_to_in_a_browser_of_ones_own() {
    let Some(chromium) = Chromium::start().await else { return };
    let fake = fake(chromium.address());
    let session = app(&fake).await;
    let browser = Browser::connect(&format!("http://{}", chromium.address())).await.unwrap();
    let login = session.login_in(&browser, &LoginOptions::default()).await.unwrap();
    assert_eq!(login.logged_in, ["crm"]);
    assert_eq!((logins(&fake), login.pages.len()), (1, 1));
    assert_eq!(format!("{browser:?}"), "Browser { .. }");

    // Its pauses, and what it looks at after the last click, are left out where it has to be fast.
    let options = LoginOptions {
        flow: "slow".into(),
        alias: Some("crm".into()),
        fast: true,
        ..LoginOptions::default()
    };
    session.login_in(&browser, &options).await.unwrap();
    let second = fake.wait_for_requests(2, "POST", "/_app/*/login");
    tokio::time::timeout(Duration::from_secs(60), second).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_logged_in_to_is_told_before_a_browser_is_asked() {
    let fake = fake(&stub_browser::start().await);
    let browser = Browser::connect(&format!("http://{}", stub_browser::start().await)).await.unwrap();
    let session = app(&fake).await;
    let with = |flow: &str, alias: Option<&str>| LoginOptions {
        flow: flow.into(),
        alias: alias.map(str::to_owned),
        ..LoginOptions::default()
    };
    let error = session.login_in(&browser, &with("login", Some("shop"))).await.unwrap_err();
    assert!(error.to_string().contains("it has: `crm`"), "{error}");
    let error = session.login_in(&browser, &with("blank", None)).await.unwrap_err();
    assert!(error.to_string().contains("no flow `blank`; it has: `login`, `slow`, `astray`"), "{error}");
    let error = session.login(&LoginOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::NoEnvironment(_)) && error.to_string().contains("login_in"), "{error}");

    let desk = fake.client().session().testcase("tc_1").start().await.unwrap();
    let error = desk.login_in(&browser, &LoginOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_)) && error.to_string().contains("use `login`"), "{error}");
    let error = desk.login(&with("login", Some("desktop"))).await.unwrap_err();
    assert!(error.to_string().contains("is a desktop"), "{error}");
}

#[tokio::test]
async fn an_app_that_has_no_public_url_is_told_with_the_servers_reason() {
    let fake = fake(&stub_browser::start().await);
    let session = fake.client().session().testcase("tc_1").start().await.unwrap();
    let answer = json!({"success": false, "job_id": "j", "error": "port 8080 is closed"});
    fake.fail(Fault::on("GET /jobs/*/public_url").json(&answer));
    let error = session.login(&LoginOptions::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "the environment `espocrm` has no public URL: port 8080 is closed");
}
