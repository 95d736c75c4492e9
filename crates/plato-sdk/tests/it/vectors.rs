//! Requests compared with those of the Python SDK in the same steps, except for the differences that the crate's
//! documentation lists.

use std::collections::BTreeMap;
use std::time::Duration;

use plato_sdk::testing::{FakePlato, FakeTestcase, RecordedRequest};
use plato_sdk::{
    Action, ActionRequest, AddEnv, BashRequest, Compute, EditCommand, Env, LoginOptions, Point,
    ScrollDirection, SnapshotKind, SnapshotOptions, TestcaseFilter,
};
use serde_json::{Value, json};

use super::stub_browser;

/// One request, with the parts that differ from run to run replaced.
type Line = String;

/// Gives ids names by the order in which they appear.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn name(&mut self, kind: &str, id: &str) -> String {
        let next = self.0.values().filter(|name| name.starts_with(kind)).count() + 1;
        self.0.entry(id.to_owned()).or_insert_with(|| format!("{kind}{next}")).clone()
    }

    fn line(
        &mut self,
        method: &str,
        host: &str,
        path: &str,
        query: Option<&str>,
        body: &Value,
    ) -> Option<Line> {
        let mut parts: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
        // A desktop is a host of its own, or a folder of the double.
        let mut desktop = host.split_once("--9000.").map(|(job, _)| job.to_owned());
        if parts[0] == "_desktop" {
            desktop = Some(parts[1].clone());
            let agent = if parts[2] == "9000" { 3 } else { 2 };
            // The browser's own requests are not in the recording.
            if parts[2] == "9224" {
                return None;
            }
            parts.drain(..agent);
        }
        for index in 1..parts.len() {
            let kind = match parts[index - 1].as_str() {
                "sessions" if parts[index] != "make" => "session",
                "jobs" => "job",
                _ => continue,
            };
            parts[index] = self.name(kind, &parts[index].clone());
        }
        let is_poll = path.ends_with("/wait_for_ready");
        let query = if is_poll { Some("timeout=…") } else { query };
        let mut body = body.clone();
        if body["command"].as_str().is_some_and(|command| command.contains("screensaver")) {
            body["command"] = json!("<screensaver off>");
        }
        if let Some(job) = body["job_id"].as_str() {
            body["job_id"] = json!(self.name("job", job));
        }
        if body["env"]["alias"].as_str().is_some_and(|alias| alias.starts_with("env-")) {
            body["env"]["alias"] = json!("env-…");
        }
        let place = desktop.map(|job| self.name("job", &job)).unwrap_or_default();
        // Objects are equal whatever the order of their fields.
        let body: Value = sorted(&body);
        Some(format!("{method} {place}/{}?{} {body}", parts.join("/"), query.unwrap_or_default()))
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            fields.into_iter().collect()
        }
        Value::Array(values) => values.iter().map(sorted).collect(),
        // Half a second is half a second.
        Value::Number(number) => json!(number.as_f64()),
        value => value.clone(),
    }
}

/// The part of a list that is compared: the screensaver is switched off once, at any time, and repeated requests of a
/// status count as one.
fn counted(lines: Vec<Line>) -> Vec<Line> {
    let is_saver = |line: &Line| line.contains("<screensaver off>");
    assert_eq!(lines.iter().filter(|line| is_saver(line)).count(), 1, "{lines:#?}");
    let mut lines: Vec<_> = lines.into_iter().filter(|line| !is_saver(line)).collect();
    lines.dedup_by(|second, first| first == second && first.contains("/status?"));
    lines
}

fn recorded(scenario: &str) -> Vec<Line> {
    let mut names = Names::default();
    let lines = include_str!("../vectors/plato-requests.jsonl").lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap_or_default();
        let query = line["query"].as_str();
        (text("scenario") == scenario)
            .then(|| names.line(text("method"), text("host"), text("path"), query, &line["body"]).unwrap())
    });
    let lines: Vec<_> = lines.collect();
    assert!(lines.len() > 10, "{scenario}");
    counted(lines)
}

fn sent(requests: &[RecordedRequest]) -> Vec<Line> {
    let mut names = Names::default();
    let lines = requests.iter().filter_map(|request| {
        let body = request.body.clone().unwrap_or(Value::Null);
        names.line(&request.method, "", &request.path, request.query.as_deref(), &body)
    });
    counted(lines.collect())
}

/// The lists are equal but for the lines that stand in one of them only, which are these.
#[track_caller]
fn assert_same(ours: &[Line], theirs: &[Line], only_ours: &[&str], only_theirs: &[&str]) {
    let (mut first, mut second) = (ours.to_vec(), theirs.to_vec());
    for (list, extra) in [(&mut first, only_ours), (&mut second, only_theirs)] {
        for wish in extra {
            let place = list.iter().position(|line| line.starts_with(wish));
            list.remove(place.unwrap_or_else(|| panic!("there is no {wish} in {list:#?}")));
        }
    }
    for (index, (one, other)) in first.iter().zip(&second).enumerate() {
        assert_eq!(one, other, "request {index}");
    }
    assert_eq!(first.len(), second.len(), "{first:#?}\n{second:#?}");
}

async fn fake() -> FakePlato {
    let testcase = |id: &str| FakeTestcase::new(id, "Do it.").simulator("ubuntu-vm").simulator("espocrm");
    FakePlato::builder()
        .testcase(testcase("tc_abc123"))
        .testcase(testcase("tc_1"))
        .chrome(stub_browser::start().await)
        .start()
}

#[expect(clippy::unnecessary_wraps, reason = "as the actions take it")]
fn at(x: u32, y: u32) -> Option<Point> {
    Some(Point::new(x, y))
}

#[tokio::test]
async fn a_session_with_a_desktop_sends_what_the_sdk_sends() {
    let fake = fake().await;
    let plato = fake.client();
    let lifetime = Duration::from_secs(600);
    let env = Env::simulator("ubuntu-vm").alias("desktop");
    let session = plato.session().env(env).lifetime(lifetime).start().await.unwrap();
    session.reset().await.unwrap();
    let desktop = session.desktop().unwrap();
    assert!(session.login(&LoginOptions::default()).await.unwrap().logged_in.is_empty());
    desktop.status().await.unwrap();
    desktop.screenshot().await.unwrap();
    for action in [
        Action::MouseMove { to: Point::new(500, 300) },
        Action::LeftClick { at: at(640, 360) },
        Action::LeftClick { at: None },
        Action::RightClick { at: at(10, 20) },
        Action::MiddleClick { at: at(10, 20) },
        Action::DoubleClick { at: at(10, 20) },
        Action::TripleClick { at: at(10, 20) },
        Action::LeftClickDrag { from: None, to: Point::new(800, 400) },
        Action::LeftMouseDown { at: None },
        Action::LeftMouseUp { at: None },
        Action::Type { text: "hello é\n".into() },
        Action::Key { keys: "ctrl+a".into() },
        Action::HoldKey { keys: "shift".into(), duration: Duration::from_millis(500) },
        Action::Scroll { at: at(640, 360), direction: ScrollDirection::Down, clicks: 3 },
        Action::Wait { duration: Duration::from_millis(1500) },
    ] {
        desktop.perform(action).await.unwrap();
    }
    desktop.cursor_position().await.unwrap();
    desktop.screenshot_after(Duration::from_millis(200)).await.unwrap();
    let click = ActionRequest::new(Action::LeftClick { at: at(1, 2) }).field("extra_field", "kept");
    desktop.perform(click).await.unwrap();
    desktop.bash("echo hi").await.unwrap();
    desktop.bash(BashRequest::new("uname -a").timeout(Duration::from_secs(10))).await.unwrap();
    desktop.bash("ls /nonexistent").await.unwrap();
    desktop.bash(BashRequest::restart()).await.unwrap();
    desktop.bash("echo once").await.unwrap();
    let path = || "/tmp/a.txt".to_owned();
    for command in [
        EditCommand::Create { path: path(), text: "one\ntwo\n".into() },
        EditCommand::View { path: path(), lines: None },
        EditCommand::View { path: path(), lines: Some((1, 1)) },
        EditCommand::Replace { path: path(), old: "two".into(), new: "2".into() },
        EditCommand::Insert { path: path(), line: 1, text: "mid".into() },
        EditCommand::Undo { path: path() },
    ] {
        desktop.edit(&command).await.unwrap();
    }
    desktop.edit(&EditCommand::View { path: "/tmp/missing".into(), lines: None }).await.unwrap_err();
    session.state().await.unwrap();
    session.public_urls(None).await.unwrap();
    session.link_testcase("tc_abc123").await.unwrap();
    session.evaluate(Some(&json!({"answer": 42, "none": null}))).await.unwrap();
    session.heartbeat().await.unwrap();
    session.close().await.unwrap();
    assert_same(&sent(&fake.requests()), &recorded("01-sync-desktop-base-127.0.0.1"), &[], &[]);
}

#[tokio::test]
async fn a_testcase_with_a_login_sends_what_the_sdk_sends() {
    let fake = fake().await;
    let plato = fake.client();
    let session = plato.session().testcase("tc_abc123").network(true).start().await.unwrap();
    session.login(&LoginOptions::default()).await.unwrap();
    session.public_urls(None).await.unwrap();
    session.public_urls(Some(8080)).await.unwrap();
    let env = session.environment("espocrm").unwrap();
    env.execute("whoami", Duration::from_secs(30)).await.unwrap();
    env.state(None).await.unwrap();
    env.reset().await.unwrap();
    session.evaluate(None).await.unwrap();
    session.close().await.unwrap();
    assert_same(&sent(&fake.requests()), &recorded("02-sync-testcase-default-base-plato.so"), &[], &[]);
}

#[tokio::test]
async fn everything_else_sends_what_the_sdk_sends() {
    let fake = fake().await;
    let plato = fake.client();
    let compute = Compute { cpus: 4, memory: 8192, disk: 20_000, ..Compute::default() };
    let theirs = recorded("03-async-full-surface");
    let made: Value = serde_json::from_str(theirs[0].split_once("300 ").unwrap().1).unwrap();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let session = plato
        .session()
        .env(Env::artifact("art-ubuntu-vm").alias("desktop"))
        .env(Env::resource("worker", compute).alias("w"))
        .lifetime(Duration::from_secs(900))
        .agent_artifact("agent-1")
        .shutdown_callback(text("shutdown_callback_url"), Some(text("shutdown_callback_token")))
        .network(true)
        .create()
        .await
        .unwrap();
    session.wait_until_ready(Duration::from_secs(60)).await.unwrap();
    let desktop = session.desktop().unwrap();
    desktop.status().await.unwrap();
    session.reset_for(None, Some("claude-x")).await.unwrap();
    desktop.screenshot().await.unwrap();
    desktop.bash("echo hi").await.unwrap();
    desktop.edit(&EditCommand::View { path: "/home/user/notes.txt".into(), lines: None }).await.unwrap_err();
    session.login(&LoginOptions::default()).await.unwrap();
    let mut add = AddEnv::new(Env::simulator("espocrm:staging"));
    (add.lifetime, add.heartbeat_timeout) = (Duration::from_secs(1200), Some(Duration::ZERO));
    let crm = session.add_env(add).await.unwrap();
    let mut add = AddEnv::new(Env::artifact("art-windows-vm").alias("win"));
    add.ready_timeout = None;
    session.add_env(add).await.unwrap();
    session.list_jobs().await.unwrap();
    session.remove_env(crm.alias()).await.unwrap();
    session.remove_env("win").await.unwrap();
    session.connect_urls(None).await.unwrap();
    session.connect_urls(Some(9000)).await.unwrap();
    session.execute("whoami", Duration::from_secs(30)).await.unwrap();
    session.set_date("2024-12-25T10:00:00").await.unwrap();
    session.setup_sandbox().await.unwrap();
    let plain = SnapshotOptions::default();
    let version = SnapshotOptions { override_version: Some("v2".into()), ..SnapshotOptions::default() };
    let blank = SnapshotOptions { override_dataset: Some("blank".into()), ..SnapshotOptions::default() };
    let target = SnapshotOptions { target: Some("sims.plato.so".into()), ..SnapshotOptions::default() };
    session.snapshot(SnapshotKind::Full, &plain).await.unwrap();
    session.snapshot(SnapshotKind::Store, &version).await.unwrap();
    session.snapshot(SnapshotKind::Disk, &blank).await.unwrap();
    let env = session.environment("desktop").unwrap();
    env.snapshot(SnapshotKind::Full, &plain).await.unwrap();
    env.snapshot(SnapshotKind::Store, &plain).await.unwrap();
    env.snapshot(SnapshotKind::Disk, &target).await.unwrap();
    session.add_ssh_key("ssh-ed25519 AAAA test", "root").await.unwrap();
    env.add_ssh_key("ssh-ed25519 AAAA test", "root").await.unwrap();
    env.routing_info().await.unwrap();
    session.state().await.unwrap();
    session.heartbeat().await.unwrap();
    plato.artifact("art-ubuntu-vm").await.unwrap();
    let filter = TestcaseFilter {
        simulator_ids: vec!["espocrm".into()],
        has_scoring_config: Some(true),
        ..TestcaseFilter::default()
    };
    plato.testcases(&filter).await.unwrap();
    plato.simulator_artifacts("ubuntu-vm", false).await.unwrap();
    session.link_testcase("tc_abc123").await.unwrap();
    session.evaluate(None).await.unwrap();
    env.close().await.unwrap();
    session.close().await.unwrap();
    // The first heartbeat of the SDK's async half comes at once; ours comes after 30 s, from the creation on.
    let early = &["POST /api/v2/sessions/session1/heartbeat"];
    assert_same(&sent(&fake.requests()), &theirs, &[], early);
}

#[tokio::test]
async fn the_smallest_lifecycle_sends_what_the_sdk_sends() {
    let fake = fake().await;
    // One address for all ports, as the SDK was made to use.
    let template = format!("{}/_desktop/{{job_id}}", fake.base_url());
    let plato = fake.client_builder().desktop_url(template).build().unwrap();
    let env = Env::simulator("ubuntu-vm").alias("desktop");
    let session = plato.session().env(env).start().await.unwrap();
    let desktop = session.desktop().unwrap();
    desktop.status().await.unwrap();
    session.reset().await.unwrap();
    desktop.status().await.unwrap();
    desktop.screenshot().await.unwrap();
    desktop.perform(Action::LeftClick { at: at(1, 2) }).await.unwrap();
    desktop.perform(Action::Type { text: "x".into() }).await.unwrap();
    desktop.bash("echo hi").await.unwrap();
    desktop.edit(&EditCommand::View { path: "/x".into(), lines: None }).await.unwrap_err();
    session.state().await.unwrap();
    session.public_urls(None).await.unwrap();
    session.link_testcase("tc_1").await.unwrap();
    session.evaluate(Some(&json!({"a": 1}))).await.unwrap();
    session.heartbeat().await.unwrap();
    session.close().await.unwrap();
    assert_same(&sent(&fake.requests()), &recorded("14-minimal-plain-http"), &[], &[]);
}
