//! The double itself: where the client cannot see it.

use plato_sdk::testing::{FakePlato, Fault};
use plato_sdk::{Action, Env, Point};

#[tokio::test]
async fn the_screen_is_drawn_letter_by_letter() {
    let fake = FakePlato::start();
    let session = fake.client().session().env(Env::simulator("ubuntu-vm").alias("d")).start().await.unwrap();
    let (desktop, job) = (session.desktop().unwrap(), session.environment("d").unwrap().job_id().clone());
    let empty = fake.screen(&job).unwrap();
    desktop.perform(Action::Key { keys: "a".into() }).await.unwrap();
    let one = fake.screen(&job).unwrap();
    desktop.perform(Action::Key { keys: "BackSpace".into() }).await.unwrap();
    assert_eq!(fake.typed_text(&job), "");
    assert_ne!(one, empty);
    desktop.perform(Action::MouseMove { to: Point::new(0, 0) }).await.unwrap();
    assert_ne!(fake.screen(&job).unwrap(), empty);
}

#[tokio::test]
async fn orders_are_carried_out_one_after_the_other_and_requests_are_kept() {
    let fake = FakePlato::start();
    fake.fail(Fault::on("GET /artifacts/*").status(404).skip(1));
    let plato = fake.client();
    plato.artifact("art-a").await.unwrap();
    assert_eq!(plato.artifact("art-a").await.unwrap_err().status(), Some(404));
    plato.artifact("art-a").await.unwrap();
    let requests = fake.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].header("x-api-key"), Some(fake.api_key().as_str()));
    assert!(requests[0].header("user-agent").unwrap().starts_with("platools-rs/"));
}

#[tokio::test]
async fn a_desktop_is_asked_without_the_key_and_on_a_connection_of_its_own() {
    let fake = FakePlato::start();
    let session = fake.client().session().env(Env::simulator("ubuntu-vm")).start().await.unwrap();
    session.desktop().unwrap().screenshot().await.unwrap();
    let asked = fake.requests().into_iter().find(|request| request.is("POST", "/computer")).unwrap();
    assert_eq!((asked.header("x-api-key"), asked.header("authorization")), (None, None));
}
