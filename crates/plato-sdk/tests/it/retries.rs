//! Requests that are retried, and those that are not.

use std::time::Duration;

use plato_sdk::testing::{FakePlato, Fault};
use plato_sdk::{Action, BashRequest, EditCommand, Env, Retries, Session};
use serde_json::json;

async fn start(fake: &FakePlato) -> Session {
    fake.client().session().env(Env::simulator("ubuntu-vm").alias("desktop")).start().await.unwrap()
}

#[tokio::test]
async fn what_only_reads_is_asked_again_after_429_5xx_and_broken_connections() {
    let fake = FakePlato::start();
    let session = start(&fake).await;
    let desktop = session.desktop().unwrap();
    for fault in ["GET /sessions/*/state", "GET /status", "POST /sessions/*/heartbeat"] {
        fake.fail(Fault::on(fault).status(502));
        fake.fail(Fault::on(fault).disconnect());
        fake.fail(Fault::on(fault).status(429));
    }
    session.state().await.unwrap();
    session.heartbeat().await.unwrap();
    desktop.status().await.unwrap();
    for _ in 0..2 {
        fake.fail(Fault::on("POST /computer").status(503));
    }
    desktop.screenshot().await.unwrap();
    fake.fail(Fault::on("POST /computer").disconnect());
    desktop.cursor_position().await.unwrap();
    fake.fail(Fault::on("POST /edit").status(500));
    let view = EditCommand::View { path: "/etc/hostname".into(), lines: None };
    assert_eq!(desktop.edit(&view).await.unwrap(), "     1\tfakeplato\n");
    fake.fail(Fault::on("GET /sessions/*/state").status(500).times(4));
    assert_eq!(session.state().await.unwrap_err().status(), Some(500));
}

#[tokio::test]
async fn what_changes_something_is_never_sent_twice() {
    for (after, fault) in [false, true].into_iter().flat_map(|after| {
        [
            Fault::on("POST /x").status(503),
            Fault::on("POST /x").status(429),
            Fault::on("POST /x").disconnect(),
        ]
        .map(|fault| (after, fault))
    }) {
        let fake = FakePlato::start();
        let session = start(&fake).await;
        let desktop = session.desktop().unwrap();
        let env = session.environment("desktop").unwrap();
        // The command that switches the screensaver off is sent in the background.
        let guard = Duration::from_secs(60);
        tokio::time::timeout(guard, fake.wait_for_request("POST", "/bash")).await.unwrap();
        let fail = |request: &str| {
            let (method, path) = request.split_once(' ').unwrap();
            let before = fake.count(method, path);
            fake.fail(fault.clone().on_instead(request, after));
            before
        };
        let before = fail("POST /computer");
        desktop.perform(Action::Type { text: "once".into() }).await.unwrap_err();
        assert_eq!(fake.count("POST", "/computer"), before + 1);
        assert_eq!(fake.typed_text(env.job_id()), if after { "once" } else { "" });

        let before = fail("POST /bash");
        desktop.bash(BashRequest::new("echo x >> f")).await.unwrap_err();
        assert_eq!(fake.count("POST", "/bash"), before + 1);

        let before = fail("POST /edit");
        let create = EditCommand::Create { path: "/tmp/a".into(), text: "a".into() };
        desktop.edit(&create).await.unwrap_err();
        assert_eq!(fake.count("POST", "/edit"), before + 1);

        let before = fail("POST /sessions/*/evaluate");
        session.evaluate(Some(&json!({"a": 1}))).await.unwrap_err();
        assert_eq!(fake.count("POST", "/sessions/*/evaluate"), before + 1);

        let before = fail("POST /jobs/*/execute");
        env.execute("true", Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(fake.count("POST", "/jobs/*/execute"), before + 1);
    }
}

#[tokio::test]
async fn both_forms_of_retry_after_are_waited_for_and_told() {
    let fake = FakePlato::start();
    let session = start(&fake).await;
    let begin = tokio::time::Instant::now();
    fake.fail(Fault::on("GET /sessions/*/state").status(429).header("retry-after", "0.2"));
    session.state().await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(200));
    // A date of long ago is no reason to wait, and one of a far day is not waited for.
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    fake.fail(Fault::on("GET /sessions/*/state").status(429).header("retry-after", past));
    session.state().await.unwrap();
    let asked = fake.count("GET", "/sessions/*/state");
    let future = "Tue, 01 Jan 2999 00:00:00 GMT";
    fake.fail(Fault::on("GET /sessions/*/state").status(429).header("retry-after", future));
    let error = session.state().await.unwrap_err();
    assert!(error.retry_after().unwrap() > Duration::from_secs(1_000_000), "{error:?}");
    assert_eq!(fake.count("GET", "/sessions/*/state"), asked + 1);
    // What is not asked again says how long the server asked to wait.
    fake.fail(Fault::on("POST /sessions/make").status(429).header("retry-after", "7"));
    let plato = fake.client();
    let error = plato.session().env(Env::simulator("x")).start().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert!(error.to_string().contains("try again in 7 s"), "{error}");
}

#[tokio::test]
async fn a_request_that_never_left_is_sent_again_whatever_it_is() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let base = format!("http://127.0.0.1:{port}");
    let retries = Retries {
        attempts: 50,
        base: Duration::from_millis(20),
        max_delay: Duration::from_millis(20),
        ..Retries::default()
    };
    let plato = plato_sdk::Plato::builder().api_key("pk").base_url(&base).retries(retries);
    let plato = plato.desktop_url(format!("{base}/_desktop/{{job_id}}/{{port}}")).build().unwrap();
    let starting = plato.session().env(Env::simulator("ubuntu-vm")).start();
    let serving = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        FakePlato::builder().port(port).api_key("pk").start()
    };
    let (session, fake) = tokio::join!(starting, serving);
    session.unwrap();
    assert_eq!(fake.sessions().len(), 1);
}
