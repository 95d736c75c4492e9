//! A desktop through the client: what arrives there, and what comes back.

use std::time::{Duration, Instant};

use plato_sdk::testing::{BashReply, FakePlato, Fault};
use plato_sdk::{
    Action, BashRequest, Desktop, EditCommand, Env, Error, Point, ScrollDirection, Session, Size,
};
use serde_json::json;

async fn start(fake: &FakePlato) -> (Session, Desktop) {
    let request = fake.client().session().env(Env::simulator("ubuntu-vm").alias("desktop"));
    let session = request.start().await.unwrap();
    let desktop = session.desktop().unwrap();
    (session, desktop)
}

#[tokio::test]
async fn every_action_arrives_as_it_was_meant_and_is_answered_with_the_screen_after_it() {
    let fake = FakePlato::start();
    let (session, desktop) = start(&fake).await;
    let job = session.environment("desktop").unwrap().job_id().clone();
    let at = Some(Point::new(300, 200));
    let (ten, half) = (Duration::from_millis(10), Duration::from_millis(500));
    let to = Point::new(500, 300);
    let mut before = desktop.screenshot().await.unwrap();
    for (action, sent) in [
        (Action::MouseMove { to }, json!({"action": "mouse_move", "coordinate": [500, 300]})),
        (Action::LeftClick { at }, json!({"action": "left_click", "coordinate": [300, 200]})),
        (Action::LeftClick { at: None }, json!({"action": "left_click"})),
        (Action::RightClick { at }, json!({"action": "right_click", "coordinate": [300, 200]})),
        (Action::MiddleClick { at }, json!({"action": "middle_click", "coordinate": [300, 200]})),
        (Action::DoubleClick { at }, json!({"action": "double_click", "coordinate": [300, 200]})),
        (Action::TripleClick { at }, json!({"action": "triple_click", "coordinate": [300, 200]})),
        (
            Action::LeftClickDrag { from: at, to },
            json!({"action": "left_click_drag", "coordinate": [500, 300]}),
        ),
        (Action::LeftMouseDown { at }, json!({"action": "left_mouse_down"})),
        (Action::LeftMouseUp { at: None }, json!({"action": "left_mouse_up"})),
        (Action::Type { text: "a\nb".into() }, json!({"action": "type", "text": "a\nb"})),
        (Action::Key { keys: "ctrl+a x".into() }, json!({"action": "key", "text": "ctrl+a x"})),
        (
            Action::HoldKey { keys: "y".into(), duration: ten },
            json!({"action": "hold_key", "text": "y", "duration": 0.01}),
        ),
        (
            Action::Scroll { at, direction: ScrollDirection::Left, clicks: 2 },
            json!({"action": "scroll", "coordinate": [300, 200], "scroll_direction": "left", "scroll_amount": 2}),
        ),
        (Action::Wait { duration: half }, json!({"action": "wait", "duration": 0.5})),
    ] {
        let begin = Instant::now();
        let takes = match &action {
            Action::Wait { duration } | Action::HoldKey { duration, .. } => *duration,
            _ => Duration::ZERO,
        };
        let seen = desktop.perform(action).await.unwrap().screenshot.unwrap();
        assert!(begin.elapsed() >= takes, "{sent}");
        let asked =
            fake.requests().into_iter().rev().find(|request| request.is("POST", "/computer")).unwrap();
        assert_eq!(asked.body.unwrap(), sent);
        assert_ne!(seen, before, "{sent}");
        assert_eq!(seen, fake.screen(&job).unwrap(), "{sent}");
        before = seen;
    }
    // Neither looking nor asking changes the screen.
    assert_eq!(desktop.screenshot().await.unwrap(), before);
    assert_eq!(desktop.cursor_position().await.unwrap(), Point::new(300, 200));
    assert_eq!(fake.screen(&job).unwrap(), before);
    assert_eq!(before.size(), Size::new(1280, 720));
    assert_eq!(fake.typed_text(&job), "a\nbxy");
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
    let file = async || desktop.bash("cat /tmp/list.txt").await.unwrap().stdout;
    desktop.edit(&EditCommand::Create { path: path(), text: "milk\nbread\n".into() }).await.unwrap();
    assert_eq!(file().await, "milk\nbread\n");
    let insert = EditCommand::Insert { path: path(), line: 1, text: "eggs".into() };
    desktop.edit(&insert).await.unwrap();
    let replace = EditCommand::Replace { path: path(), old: "milk".into(), new: "oats".into() };
    desktop.edit(&replace).await.unwrap();
    assert_eq!(file().await, "oats\neggs\nbread\n");
    desktop.edit(&EditCommand::Undo { path: path() }).await.unwrap();
    let view = EditCommand::View { path: path(), lines: Some((1, 2)) };
    assert_eq!(desktop.edit(&view).await.unwrap(), "     1\tmilk\n     2\teggs\n");
    let error =
        desktop.edit(&EditCommand::Replace { path: path(), old: "e".into(), new: String::new() }).await;
    let Err(Error::Tool { action: "str_replace", message }) = error else { panic!("{error:?}") };
    assert!(message.contains("appears"), "{message}");
}

#[tokio::test]
async fn a_command_is_answered_with_both_of_its_outputs_and_a_restart_runs_none() {
    let fake = FakePlato::start();
    let (_session, desktop) = start(&fake).await;
    let complaint = "ls: cannot access '/nowhere': No such file or directory\n";
    fake.on_bash(move |command| {
        (command == "ls / /nowhere").then(|| BashReply::new("bin\n").stderr(complaint).exit(2))
    });
    let failed = desktop.bash("ls / /nowhere").await.unwrap();
    assert_eq!((failed.stdout.as_str(), failed.stderr.as_str()), ("bin\n", complaint));
    let slow = BashRequest::new("sleep 5").timeout(Duration::from_secs(1));
    assert!(desktop.bash(slow).await.unwrap().stderr.contains("timed out after 1 s"));
    desktop.bash(BashRequest::restart()).await.unwrap();
    let last = fake.requests().pop().unwrap().body.unwrap();
    assert_eq!((&last["command"], &last["restart"]), (&json!(""), &json!(true)));
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
