//! Heartbeats, and what they find out.

use std::time::Duration;

use plato_sdk::testing::{FakePlato, Fault, SessionEnd};
use plato_sdk::{Env, Error, Session, SessionHealth};

const OFTEN: Duration = Duration::from_millis(20);

async fn start(fake: &FakePlato) -> Session {
    let plato = fake.client_builder().heartbeat_interval(OFTEN).build().unwrap();
    plato.session().env(Env::simulator("ubuntu-vm").alias("desktop")).start().await.unwrap()
}

async fn health(session: &Session, is_right: impl Fn(&SessionHealth) -> bool) -> SessionHealth {
    let guard = tokio::time::Instant::now() + Duration::from_secs(60);
    while !is_right(&session.health()) {
        assert!(tokio::time::Instant::now() < guard, "{:?}", session.health());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    session.health()
}

#[tokio::test]
async fn a_session_beats_from_its_creation_on_while_nobody_polls_anything() {
    let fake = FakePlato::builder().heartbeat_timeout(Duration::from_millis(400)).start();
    fake.fail(Fault::on("GET /sessions/*/wait_for_ready").delay(Duration::from_secs(1)));
    let session = start(&fake).await;
    assert!(fake.heartbeats(session.id()) > 5, "{}", fake.heartbeats(session.id()));
    // The program's runtime is blocked; the thread that keeps sessions is another one.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(fake.session_end(session.id()), None);
    assert_eq!(session.health(), SessionHealth::Alive);
    session.close().await.unwrap();
    let beats = fake.heartbeats(session.id());
    tokio::time::sleep(OFTEN * 4).await;
    assert_eq!(fake.heartbeats(session.id()), beats, "a closed session beats no more");
    assert_eq!(fake.session_end(session.id()), Some(SessionEnd::Closed));
}

#[tokio::test]
async fn heartbeats_that_fail_are_seen_and_do_not_stop() {
    let fake = FakePlato::start();
    fake.fail(Fault::on("POST /sessions/*/heartbeat").status(500).times(9));
    let session = start(&fake).await;
    let failing =
        health(&session, |health| matches!(health, SessionHealth::Failing { failures: 2.., .. })).await;
    assert!(format!("{failing:?}").contains("status 500"), "{failing:?}");
    session.state().await.unwrap();
    health(&session, |health| *health == SessionHealth::Alive).await;
}

#[tokio::test]
async fn a_session_that_dies_is_known_to_be_gone_and_nothing_more_is_asked() {
    let fake = FakePlato::start();
    let session = start(&fake).await;
    let desktop = session.desktop().unwrap();
    fake.kill_session(session.id());
    // Before a heartbeat has found out, the answers say it.
    assert!(desktop.screenshot().await.unwrap_err().is_gone());
    let ended = tokio::time::timeout(Duration::from_secs(60), session.ended()).await.unwrap();
    assert!(matches!(ended, SessionHealth::Gone { .. }), "{ended:?}");
    let asked = fake.requests().len();
    let error = session.state().await.unwrap_err();
    assert!(matches!(error, Error::Gone(_)) && error.to_string().contains("start another one"), "{error}");
    assert_eq!(fake.requests().len(), asked);
    session.close().await.unwrap();
}

#[tokio::test]
async fn one_machine_that_has_ended_is_not_the_end_of_the_session() {
    let fake = FakePlato::start();
    let plato = fake.client_builder().heartbeat_interval(OFTEN).build().unwrap();
    let envs = [Env::simulator("ubuntu-vm").alias("desktop"), Env::simulator("espocrm").alias("crm")];
    let session = plato.session().envs(envs).start().await.unwrap();
    session.environment("crm").unwrap().close().await.unwrap();
    let beat = session.heartbeat().await.unwrap();
    assert_eq!(beat.results.values().filter(|job| job.gone).count(), 1);
    assert!(!beat.is_gone());
    session.environment("desktop").unwrap().close().await.unwrap();
    health(&session, |health| matches!(health, SessionHealth::Gone { .. })).await;
}
