//! The real Python SDK of Plato goes through the life of a session with a desktop, against the double.

use std::process::{Output, Stdio};

use plato_sdk::JobId;
use plato_sdk::testing::{BashReply, FakePlato, FakeTestcase, SessionEnd};
use serde_json::{Value, json};
use tokio::process::Command;

use super::interop::{python, script};

async fn sdk(fake: &FakePlato, manner: &str) -> Option<Output> {
    let output = Command::new(python("plato")?)
        .arg(script("plato_sdk.py"))
        .arg(manner)
        .env("PLATO_BASE_URL", fake.base_url())
        .env("PLATO_API_KEY", fake.api_key())
        .env("PLATO_DESKTOP_URL", fake.desktop_url())
        // A proxy of this machine knows nothing of its own addresses.
        .env("NO_PROXY", "*")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    Some(output.await.unwrap())
}

async fn goes_through(manner: &str) {
    let testcase = FakeTestcase::new("tc_1", "Note that there is no milk.")
        .simulator("ubuntu-vm")
        .expects_mutation("notes", "INSERT");
    let fake = FakePlato::builder().testcase(testcase).start();
    fake.on_bash(|command| {
        (command == "echo out; echo bad >&2").then(|| BashReply::new("out\n").stderr("bad\n"))
    });
    let Some(output) = sdk(&fake, manner).await else { return };
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let expected = json!({
        "status": "ready", "resolution": [1280, 720], "sizes": [[1280, 720], [1280, 720]], "changed": true,
        "position": "X=800\nY=400", "bash": ["out\n", "bad\n"], "edits": [null, null, null, null, null],
        "view": "     1\tzero\n     2\tone\n     3\tzwei\n", "mutations": [1], "executed": ["milk\n"],
        "urls": ["desktop"], "heartbeat": true, "correct": true, "score": 1.0,
        "added": "crm", "aliases": ["desktop"],
    });
    assert_eq!(said, expected, "{complaints}");

    let sessions = fake.sessions();
    assert_eq!(sessions.len(), 1);
    assert_eq!(fake.session_end(&sessions[0]), Some(SessionEnd::Closed));
    let requests = fake.requests();
    let asked = requests.iter().find(|request| request.path.starts_with("/_desktop/")).unwrap();
    let job = JobId::from(asked.path.split('/').nth(2).unwrap());
    assert_eq!(fake.typed_text(&job), "milk\n");
    assert_eq!(fake.file(&job, "/tmp/a.txt").unwrap(), b"one\nzwei\n");
}

#[tokio::test]
async fn the_python_sdk_goes_through_a_session_with_a_desktop() {
    goes_through("sync").await;
}

#[tokio::test]
async fn the_python_sdk_brings_up_a_chrome_that_hangs() {
    let testcase = FakeTestcase::new("tc_1", "Look.").simulator("ubuntu-vm");
    let fake = FakePlato::builder().testcase(testcase).chrome_hangs().start();
    let Some(output) = sdk(&fake, "chrome").await else { return };
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().last(), Some("{\"chrome\": \"up\"}"));
}

#[tokio::test]
async fn the_python_sdks_asynchronous_client_does_too() {
    goes_through("async").await;
}
