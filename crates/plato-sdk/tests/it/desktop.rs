//! A desktop through the client: what is done is seen.

use std::time::Duration;

use plato_sdk::testing::{FakePlato, Fault};
use plato_sdk::{
    Action, BashRequest, Desktop, EditCommand, Env, Error, Point, ScrollDirection, Session, Size,
};

async fn start(fake: &FakePlato) -> (Session, Desktop) {
    let request = fake.client().session().env(Env::simulator("ubuntu-vm").alias("desktop"));
    let session = request.start().await.unwrap();
    let desktop = session.desktop().unwrap();
    (session, desktop)
}

#[tokio::test]
async fn every_action_arrives_and_the_screen_changes_with_it() {
    let fake = FakePlato::start();
    let (_session, desktop) = start(&fake).await;
    let at = Some(Point::new(300, 200));
    let mut last = desktop.screenshot().await.unwrap();
    for action in [
        Action::MouseMove { to: Point::new(10, 10) },
        Action::LeftClick { at },
        Action::RightClick { at },
        Action::MiddleClick { at },
        Action::DoubleClick { at },
        Action::TripleClick { at },
        Action::LeftClickDrag { from: at, to: Point::new(500, 300) },
        Action::LeftMouseDown { at },
        Action::LeftMouseUp { at: None },
        Action::Type { text: "a\nb".into() },
        Action::Key { keys: "ctrl+a BackSpace x".into() },
        Action::HoldKey { keys: "y".into(), duration: Duration::from_millis(10) },
        Action::Scroll { at: None, direction: ScrollDirection::Left, clicks: 2 },
        Action::Wait { duration: Duration::from_millis(10) },
    ] {
        let name = action.name();
        let seen = desktop.perform(action).await.unwrap().screenshot.unwrap();
        assert_ne!(seen, last, "{name}");
        last = seen;
    }
    assert_eq!(desktop.cursor_position().await.unwrap(), Point::new(300, 200));
    assert_eq!(last.size(), Size::new(1280, 720));
}

#[tokio::test]
async fn a_start_is_a_move_before_the_drag() {
    let fake = FakePlato::start();
    let (_session, desktop) = start(&fake).await;
    let from = Some(Point::new(1, 2));
    desktop.perform(Action::LeftClickDrag { from, to: Point::new(3, 4) }).await.unwrap();
    let sent = fake.requests().into_iter().filter(|request| request.path.ends_with("/computer"));
    let sent: Vec<_> = sent.map(|request| request.body.unwrap().to_string()).collect();
    let expected = [
        r#"{"action":"mouse_move","coordinate":[1,2]}"#,
        r#"{"action":"left_click_drag","coordinate":[3,4]}"#,
    ];
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn points_and_pictures_are_scaled_for_a_model_with_a_smaller_screen() {
    let fake = FakePlato::builder().screen(Size::new(2560, 1440)).start();
    let (_session, real) = start(&fake).await;
    let desktop = real.scaled_to(Size::new(1280, 720));
    assert_eq!(desktop.screenshot().await.unwrap().size(), Size::new(1280, 720));
    desktop.perform(Action::MouseMove { to: Point::new(1279, 719) }).await.unwrap();
    assert_eq!(real.cursor_position().await.unwrap(), Point::new(2559, 1439));
    assert_eq!(desktop.cursor_position().await.unwrap(), Point::new(1279, 719));
    let error = desktop.perform(Action::MouseMove { to: Point::new(1280, 0) }).await.unwrap_err();
    assert!(error.to_string().contains("1280x720"), "{error}");
    assert_eq!(desktop.screen().await.unwrap(), Size::new(1280, 720));
}

#[tokio::test]
async fn commands_and_files_are_one_machine() {
    let fake = FakePlato::start();
    let (_session, desktop) = start(&fake).await;
    let path = || "/tmp/list.txt".to_owned();
    desktop.edit(&EditCommand::Create { path: path(), text: "milk\nbread\n".into() }).await.unwrap();
    assert_eq!(
        desktop.bash("cd /tmp && cat list.txt | base64 -w0").await.unwrap().stdout,
        "bWlsawpicmVhZAo="
    );
    assert_eq!(desktop.bash("pwd").await.unwrap().stdout, "/tmp\n");
    desktop.bash(BashRequest::restart()).await.unwrap();
    assert_eq!(desktop.bash("pwd").await.unwrap().stdout, "/home/user\n");
    let insert = EditCommand::Insert { path: path(), line: 1, text: "eggs".into() };
    desktop.edit(&insert).await.unwrap();
    desktop
        .edit(&EditCommand::Replace { path: path(), old: "milk".into(), new: "oats".into() })
        .await
        .unwrap();
    assert_eq!(desktop.bash("cat /tmp/list.txt").await.unwrap().stdout, "oats\neggs\nbread\n");
    desktop.edit(&EditCommand::Undo { path: path() }).await.unwrap();
    let view = EditCommand::View { path: path(), lines: Some((1, 2)) };
    assert_eq!(desktop.edit(&view).await.unwrap(), "     1\tmilk\n     2\teggs\n");
    let error =
        desktop.edit(&EditCommand::Replace { path: path(), old: "e".into(), new: String::new() }).await;
    let Err(Error::Tool { action: "str_replace", message }) = error else { panic!("{error:?}") };
    assert!(message.contains("appears"), "{message}");
    let failed = desktop.bash("ls /nowhere").await.unwrap();
    assert!(failed.stdout.is_empty() && failed.stderr.contains("No such file"), "{failed:?}");
    let slow = BashRequest::new("sleep 5").timeout(Duration::from_secs(1));
    assert!(desktop.bash(slow).await.unwrap().stderr.contains("timed out after 1 s"));
}

#[tokio::test]
async fn a_desktop_that_boots_is_waited_for_and_one_that_says_no_is_not() {
    let fake = FakePlato::start();
    let session =
        fake.client().session().env(Env::simulator("ubuntu-vm").alias("desktop")).create().await.unwrap();
    session.wait_until_ready(Duration::from_secs(9)).await.unwrap();
    let desktop = session.desktop().unwrap();
    fake.fail(Fault::on("GET /status").status(502));
    fake.fail(Fault::on("GET /status").disconnect());
    let status = desktop.wait_until_ready(Duration::from_secs(60)).await.unwrap();
    assert_eq!(status.resolution, Some(Size::new(1280, 720)));
    fake.fail(Fault::on("GET /status").status(403));
    let error = desktop.wait_until_ready(Duration::from_secs(60)).await.unwrap_err();
    assert_eq!(error.status(), Some(403));
    fake.fail(Fault::on("GET /status").status(503).times(u32::MAX));
    let error = desktop.wait_until_ready(Duration::from_millis(10)).await.unwrap_err();
    assert!(matches!(error, Error::NotReady { .. }) && error.to_string().contains("503"), "{error}");
}

#[tokio::test]
async fn a_desktop_that_is_not_up_yet_is_no_reason_not_to_start() {
    let fake = FakePlato::start();
    fake.fail(Fault::on("GET /status").status(503).times(4));
    let (_session, desktop) = start(&fake).await;
    desktop.screenshot().await.unwrap();
}
