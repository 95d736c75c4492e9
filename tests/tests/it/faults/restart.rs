//! Calls that were captured before a host restarts.

use std::process::Child;

use platools_dev::{DevPlatform, Events};
use serde_json::{Value, json};

use super::{patient, signed, unexpected};
use crate::support::{Folder, builder, conformance_host, finished, terminate};

/// A platform, and hosts that are processes, one after the other.
struct Restarts {
    platform: DevPlatform,
    answers: Events,
    state_dir: Option<String>,
    started: u64,
}

impl Restarts {
    async fn new(state_dir: Option<String>) -> Self {
        let platform = patient().await;
        let answers = platform.events();
        Self { platform, answers, state_dir, started: 0 }
    }

    fn spawn(&self) -> Child {
        let (url, secret) = (self.platform.url(), self.platform.secret());
        let mut variables = vec![("PLATOS_URL", &*url), ("PLATOS_SECRET", secret.expose())];
        variables.extend(self.state_dir.as_deref().map(|directory| ("PLATOOLS_STATE_DIR", directory)));
        conformance_host(&variables)
    }

    /// A host that is connected.
    async fn start(&mut self) -> Child {
        let host = self.spawn();
        self.started += 1;
        let started = self.started;
        self.platform.wait_for_counters(|counters| counters.connected == started).await.unwrap();
        self.platform.wait_for_tool("add").await.unwrap();
        host
    }

    /// Sends a captured frame, and returns its answer.
    async fn send(&mut self, frame: &str) -> Value {
        self.platform.faults().send_text(frame.to_owned()).unwrap();
        unexpected(&mut self.answers).await
    }

    fn call(&self, call_id: &str) -> String {
        signed(&self.platform, call_id, "add", &json!({"a": 1, "b": 2}))
    }
}

/// The reason of a refusal.
fn reason(answer: &Value) -> &str {
    answer["error"].as_str().unwrap_or_else(|| panic!("{answer}")).split(':').next().unwrap()
}

#[tokio::test]
async fn a_call_captured_before_a_restart_is_refused_after_it() {
    let folder = Folder::new("restart");
    let mut restarts = Restarts::new(Some(folder.path("state"))).await;
    let host = restarts.start().await;
    let captured = restarts.call("call-1");
    assert_eq!(restarts.send(&captured).await["result"], json!(3));

    // It stops in order: the next one knows all nonces.
    terminate(&host);
    assert!(finished(host).await.0);
    let mut host = restarts.start().await;
    assert_eq!(reason(&restarts.send(&captured).await), "nonce_replay");
    let second = restarts.call("call-2");
    assert_eq!(restarts.send(&second).await["result"], json!(3));

    // It is killed: the next one does not know them, and refuses whatever was signed before.
    host.kill().unwrap();
    assert!(!finished(host).await.0);
    let never_sent = restarts.call("call-3");
    let host = restarts.start().await;
    for frame in [&captured, &second, &never_sent] {
        assert_eq!(reason(&restarts.send(frame).await), "signed_before_restart");
    }
    let new = restarts.call("call-4");
    assert_eq!(restarts.send(&new).await["result"], json!(3));
    terminate(&host);
    assert!(finished(host).await.0);
}

#[tokio::test]
async fn without_a_state_directory_a_captured_call_runs_again() {
    let mut restarts = Restarts::new(None).await;
    let host = restarts.start().await;
    let captured = restarts.call("call-1");
    assert_eq!(restarts.send(&captured).await["result"], json!(3));
    terminate(&host);
    assert!(finished(host).await.0);
    let host = restarts.start().await;
    assert_eq!(restarts.send(&captured).await["result"], json!(3));
    terminate(&host);
    assert!(finished(host).await.0);
}

#[tokio::test]
async fn two_processes_of_one_entity_need_two_directories() {
    let folder = Folder::new("restart-shared");
    let directory = folder.path("state");
    let mut restarts = Restarts::new(Some(directory.clone())).await;
    let host = restarts.start().await;
    let (succeeded, written) = finished(restarts.spawn()).await;
    assert!(!succeeded && written.contains("is in use by another process for entity `local`"), "{written}");
    assert!(written.contains(&directory) && written.contains("a directory of its own"), "{written}");
    // Another entity may share it.
    let url = restarts.platform.url().replace("local", "another");
    let other = builder(&restarts.platform).url(url).state_dir(&directory).build();
    other.unwrap();
    terminate(&host);
    assert!(finished(host).await.0);
}
