//! Errors say what to do, and leave nothing behind.

use std::time::Duration;

use base64::Engine as _;
use plato_sdk::testing::{Boot, FakePlato, Fault};
use plato_sdk::{Action, AddEnv, Compute, ConfigError, Env, Error, Plato, PlatoBuilder, Point};
use serde_json::json;

fn desktop_env() -> Env {
    Env::simulator("ubuntu-vm").alias("desktop")
}

#[test]
fn a_client_without_a_key_or_with_a_bad_url_is_not_made() {
    let error = PlatoBuilder::from_lookup(|_| None).build().unwrap_err();
    assert!(matches!(error, Error::Config(ConfigError::NoKey)));
    assert!(error.to_string().contains("PLATO_API_KEY"), "{error}");
    for url in ["plato.so", "http://plato.so", "https://me:s3cret@plato.so", "ftp://plato.so"] {
        let error = Plato::builder().api_key("pk").base_url(url).build().unwrap_err().to_string();
        assert!(error.contains("PLATO_BASE_URL") && !error.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn the_production_gateway_is_refused_for_an_api_on_this_machine() {
    let fake = FakePlato::start();
    let builder = Plato::builder().api_key(fake.api_key()).base_url(fake.base_url());
    let gateway = "https://{job_id}--{port}.connect.plato.so";
    let error = builder.clone().desktop_url(gateway).build().unwrap_err();
    assert!(matches!(error, Error::Config(ConfigError::ProductionGateway)), "{error}");
    let plato = builder.build().unwrap();
    let session = plato.session().env(desktop_env()).start().await.unwrap();
    let error = session.desktop().unwrap_err().to_string();
    assert!(error.contains("PLATO_DESKTOP_URL"), "{error}");
}

#[tokio::test]
async fn a_wrong_key_is_told_apart_from_a_server_that_is_not_there() {
    let fake = FakePlato::start();
    let plato = fake.client_builder().api_key("pk-wrong").build().unwrap();
    let error = plato.session().env(desktop_env()).start().await.unwrap_err().to_string();
    assert!(error.contains("status 401") && error.contains("PLATO_API_KEY"), "{error}");
    let base = fake.base_url();
    drop((plato, fake));
    let plato = Plato::builder().api_key("pk").base_url(base).retries(plato_sdk::Retries::never());
    let error = plato.build().unwrap().artifact("a").await.unwrap_err();
    assert!(error.was_not_sent(), "{error}");
}

#[tokio::test]
async fn a_session_of_nothing_or_of_too_much_is_not_asked_for() {
    let fake = FakePlato::start();
    let plato = fake.client();
    let session = || plato.session();
    for (request, part) in [
        (session(), "a session of nothing"),
        (session().env(desktop_env()).testcase("tc"), "give one of them"),
        (session().artifacts(["a"]).testcase("tc"), "give one of them"),
        (session().testcase(" "), "tc_abc123"),
        (session().env(desktop_env()).env(desktop_env()), "the alias `desktop`"),
        (session().env(desktop_env()).lifetime(Duration::from_millis(900)), "whole seconds"),
        (session().testcase("tc").agent_artifact("a"), "leave them out"),
        (session().env(Env::resource("w", Compute { cpus: 99, ..Compute::default() })), "1 to 8"),
    ] {
        let error = request.start().await.unwrap_err();
        assert!(matches!(error, Error::InvalidInput(_)) && error.to_string().contains(part), "{error}");
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn environments_that_cannot_be_created_are_named_and_the_session_is_closed() {
    let fake = FakePlato::start();
    fake.boot("broken", Boot::Refused("no slot for 0f8fad5b-d9cb-469f-a165-70867728950e".into()));
    let envs = [desktop_env(), Env::simulator("broken").alias("b")];
    let error = fake.client().session().envs(envs).start().await.unwrap_err();
    assert_eq!(error.to_string(), "environments could not be created: b: no slot for 0f8f…");
    assert!(fake.open_sessions().is_empty());

    let session = fake.client().session().env(desktop_env()).start().await.unwrap();
    let error = session.add_env(AddEnv::new(Env::simulator("broken").alias("b"))).await.unwrap_err();
    assert!(matches!(error, Error::EnvironmentsFailed { action: "created", .. }), "{error}");
    let error = session.add_env(AddEnv::new(desktop_env())).await.unwrap_err();
    assert!(error.to_string().contains("another alias"), "{error}");
}

#[tokio::test]
async fn a_session_that_is_ready_in_part_says_which_part_is_not_and_is_closed() {
    let fake = FakePlato::start();
    fake.boot("espocrm", Boot::Never);
    let envs = [desktop_env(), Env::simulator("espocrm").alias("crm")];
    let budget = Duration::from_millis(2300);
    let request = fake.client().session().envs(envs).ready_timeout(budget);
    let error = request.start().await.unwrap_err();
    let Error::NotReady { pending, .. } = &error else { panic!("{error}") };
    assert_eq!(pending.iter().map(|env| env.alias.as_str()).collect::<Vec<_>>(), ["crm"]);
    assert!(error.to_string().contains("crm: queued"), "{error}");
    assert!(fake.open_sessions().is_empty());
    // Against a server that does not hold the answer back, there is a second between two looks.
    assert_eq!(fake.count("GET", "/sessions/*/wait_for_ready"), 3);
}

#[tokio::test]
async fn a_machine_that_fails_to_boot_ends_the_waiting_at_once() {
    let fake = FakePlato::start();
    fake.boot("espocrm", Boot::Fails("disk full".into()));
    let plato = fake.client();
    let request = plato.session().env(Env::simulator("espocrm").alias("crm"));
    let error = request.start().await.unwrap_err();
    assert_eq!(error.to_string(), "failed before being ready: crm: failed (disk full)");
    assert!(fake.open_sessions().is_empty());

    let session = plato.session().env(desktop_env()).start().await.unwrap();
    let error = session.add_env(AddEnv::new(Env::simulator("espocrm").alias("crm"))).await.unwrap_err();
    assert!(matches!(error, Error::StartFailed(_)), "{error}");
    assert_eq!(session.list_jobs().await.unwrap().len(), 1, "what failed is removed again");
    let error = session.environment("crm").unwrap_err().to_string();
    assert!(error.contains("it has: `desktop`"), "{error}");
}

#[tokio::test]
async fn a_testcase_that_is_not_there_is_told_by_the_server() {
    let fake = FakePlato::start();
    let plato = fake.client();
    let error = plato.session().testcase("tc_none").start().await.unwrap_err();
    assert_eq!(error.status(), Some(404));
    assert!(error.to_string().contains("Testcase tc_none not found"), "{error}");
    let session = plato.session().env(desktop_env()).start().await.unwrap();
    assert_eq!(session.link_testcase("tc_none").await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn a_value_that_is_no_object_is_not_sent() {
    let fake = FakePlato::start();
    let session = fake.client().session().env(desktop_env()).start().await.unwrap();
    for (value, part) in
        [(json!(42), "a number"), (json!([1]), "an array"), (json!("x"), "a text"), (json!(null), "null")]
    {
        let error = session.evaluate(Some(&value)).await.unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("wrap it"), "{error}");
    }
    assert_eq!(fake.count("POST", "/sessions/*/evaluate") + fake.count("GET", "/sessions/*/state"), 0);
}

#[tokio::test]
async fn html_in_the_place_of_json_is_said_to_be_html() {
    let fake = FakePlato::start();
    let plato = fake.client();
    fake.fail(Fault::on("GET /artifacts/*").status(200).body("<!doctype html><title>Log in</title>"));
    let error = plato.artifact("art-x").await.unwrap_err().to_string();
    assert!(error.contains("GET /artifacts/{artifact_id}") && error.contains("HTML"), "{error}");
    fake.fail(Fault::on("POST /sessions/make").status(502).body("<html>Bad gateway</html>"));
    let error = plato.session().env(desktop_env()).start().await.unwrap_err().to_string();
    assert!(error.contains("status 502") && error.contains("HTML") && !error.contains('<'), "{error}");
    fake.fail(Fault::on("POST /sessions/make").json(&json!({"envs": []})));
    let error = plato.session().env(desktop_env()).start().await.unwrap_err().to_string();
    assert!(error.contains("missing field `session_id`"), "{error}");
}

#[tokio::test]
async fn pictures_that_are_none_are_taken_again_and_then_told() {
    let fake = FakePlato::start();
    let session = fake.client().session().env(desktop_env()).start().await.unwrap();
    let desktop = session.desktop().unwrap();
    let picture = |bytes: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        Fault::on("POST /computer").json(&json!({"base64_image": text}))
    };
    fake.fail(picture(b"\xff\xd8\xff\xe0 a jpeg"));
    desktop.screenshot().await.unwrap();
    assert_eq!(fake.count("POST", "/computer"), 2);

    fake.fail(picture(b"\x89PNG\r\n\x1a\nbroken").times(3));
    let error = desktop.screenshot().await.unwrap_err();
    assert!(matches!(error, Error::Picture(_)) && error.to_string().contains("broken PNG"), "{error}");
    assert_eq!(fake.count("POST", "/computer"), 5);

    // An action is done, whatever its picture is like, and is not done again.
    fake.fail(picture(b"GIF89a").times(1));
    let done = desktop.perform(Action::Type { text: "a".into() }).await.unwrap();
    assert!(done.screenshot.is_none() && done.screenshot_problem.is_some(), "{done:?}");
    assert_eq!(fake.count("POST", "/computer"), 6);

    let huge = format!(r#"{{"base64_image": "{}"}}"#, "A".repeat(50 << 20));
    fake.fail(Fault::on("POST /computer").status(200).body(huge));
    let error = desktop.screenshot().await.unwrap_err().to_string();
    assert!(error.contains("more than 25165824 bytes"), "{error}");
    desktop.screenshot().await.unwrap();
}

#[tokio::test]
async fn points_off_the_screen_are_refused_unless_the_screen_has_grown() {
    let fake = FakePlato::start();
    let session = fake.client().session().env(desktop_env()).start().await.unwrap();
    let desktop = session.desktop().unwrap();
    let click = Action::LeftClick { at: Some(Point::new(1280, 10)) };
    let error = desktop.perform(click.clone()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "(1280, 10) is not on the screen, which is 1280x720: x goes from 0 to 1279, y from 0 to 719"
    );
    assert_eq!(fake.count("POST", "/computer"), 0);
    let job = session.environment("desktop").unwrap().job_id().clone();
    fake.set_screen(&job, plato_sdk::Size::new(1920, 1080));
    desktop.perform(click).await.unwrap();
}

#[tokio::test]
async fn points_off_the_screen_are_refused_also_by_a_desktop_that_was_never_looked_at() {
    let fake = FakePlato::start();
    let plato = fake.client();
    let session = plato.session().env(desktop_env()).create().await.unwrap();
    session.wait_until_ready(Duration::from_secs(5)).await.unwrap();
    let click = Action::LeftClick { at: Some(Point::new(1280, 10)) };
    let error = session.desktop().unwrap().perform(click).await.unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_)), "{error}");
    assert_eq!((fake.count("GET", "/status"), fake.count("POST", "/computer")), (2, 0));
}

#[tokio::test]
async fn errors_and_logs_hold_no_job_id_and_no_key() {
    let fake = FakePlato::start();
    let session = fake.client().session().env(desktop_env()).start().await.unwrap();
    let job = session.environment("desktop").unwrap().job_id().clone();
    let detail = json!({"detail": format!("https://{}--9000.connect.plato.so is down", job.as_str())});
    fake.fail(Fault::on("POST /bash").status(503).json(&detail).times(2));
    let error = session.desktop().unwrap().bash("true").await.unwrap_err();
    let url = session.desktop().unwrap().liveview_url();
    let public = session.public_urls(None).await.unwrap();
    let shown = format!("{error} {error:?} {session:?} {url:?} {public:?} {:?}", session.save());
    assert!(!shown.contains(job.as_str()) && !shown.contains(&fake.api_key()), "{shown}");
    assert!(url.expose().contains(job.as_str()));
}
