//! Data that outlives the process (feature `sqlite`).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs};

use platools::verify::Secret;
use platools_dev::{CallStage, DevError, DevPlatform, DevPlatformOptions, Outcome, Tamper, Transport};
use serde_json::json;

use crate::api::Client;
use crate::host::RawHost;

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("platools-dev-data-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn options(&self) -> DevPlatformOptions {
        DevPlatform::options().data_dir(&self.0)
    }

    fn file(&self) -> PathBuf {
        self.0.join("platools-dev.sqlite3")
    }

    /// The content of the folder, as bytes.
    fn holds(&self, text: &str) -> bool {
        let files = fs::read_dir(&self.0).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
        files.into_iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }

    async fn refusal(&self) -> String {
        self.options().start().await.unwrap_err().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(format!("{text}-0123456789abcdef")).unwrap()
}

fn ids(platform: &DevPlatform) -> Vec<u64> {
    platform.history(1_000).iter().map(|entry| entry.id).collect()
}

async fn make_calls(platform: &DevPlatform, host: &mut RawHost, count: u64) {
    for number in 0..count {
        let (report, ()) = tokio::join!(platform.call("a", json!({"number": number})), async {
            let call = host.next_call().await;
            host.answer(&call, json!(number)).await;
        });
        assert_eq!(report.unwrap().outcome, Outcome::Result(json!(number)));
    }
}

#[tokio::test]
async fn a_restart_keeps_entities_with_their_secrets_in_their_order() {
    let folder = Folder::new();
    let first = folder.options().entity_with_random_secret("zoo").entity("art", secret("art"));
    let platform = first.start().await.unwrap();
    let random = platform.secret();
    drop(platform);

    let platform = folder.options().start().await.unwrap();
    assert_eq!(
        (platform.entity(), platform.secret()),
        ("zoo", random.clone()),
        "the first one, with its secret"
    );
    assert_eq!(platform.entity_in("art", "prod").unwrap().secret(), secret("art"));
    drop(platform);

    let named = folder.options().entity("bus", secret("bus")).entity("art", secret("new"));
    let platform = named.entity_with_random_secret("zoo").start().await.unwrap();
    assert_eq!(platform.entity(), "bus", "what is named comes first");
    drop(platform);

    let platform = folder.options().start().await.unwrap();
    assert_eq!(platform.entities(), ["art", "bus", "zoo"], "and stays");
    assert_eq!(platform.entity(), "zoo");
    let now = |entity| platform.entity_in(entity, "dev").unwrap().secret();
    assert_eq!((now("zoo"), now("art"), now("bus")), (random, secret("new"), secret("bus")));
}

#[tokio::test]
async fn without_names_there_is_local_and_its_secret_stays() {
    let folder = Folder::new();
    let platform = folder.options().start().await.unwrap();
    let before = platform.secret();
    drop(platform);
    let platform = folder.options().start().await.unwrap();
    assert_eq!((platform.entity(), platform.secret()), ("local", before));
}

#[tokio::test]
async fn the_last_rotated_secret_is_the_one_that_stays() {
    let folder = Folder::new();
    let platform = folder.options().start().await.unwrap();
    platform.faults().rotate_secret_to(secret("passing"));
    platform.faults().rotate_secret_to(secret("lasting"));
    drop(platform);
    assert_eq!(folder.options().start().await.unwrap().secret(), secret("lasting"));
    assert!(!folder.holds("passing"), "what was replaced is not in the file any more");
}

#[tokio::test]
async fn calls_are_listed_looked_at_and_made_again_after_a_restart() {
    let folder = Folder::new();
    let platform = folder.options().start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    make_calls(&platform, &mut host, 3).await;
    let refused = async {
        let call = host.next_call().await;
        let error = json!({"type": "tool_error", "call_id": call["call_id"], "error": "no"});
        host.send(error).await;
    };
    let (report, ()) = tokio::join!(platform.calling("a").tamper(Tamper::Nonce).send(), refused);
    assert_eq!(report.unwrap().error(), Some("no"));
    let client = Client::new(&platform);
    let timed_out = r#"{"tool":"a","arguments":{"x":"\u0000é"},"options":{"timeout_ms":1}}"#;
    client.post("/api/v1/entities/local/dev/calls", timed_out).await;
    let page = client.get("/api/v1/history").await.json();
    let one = client.get("/api/v1/history/2").await.text;
    drop(platform);

    let platform = folder.options().start().await.unwrap();
    let client = Client::new(&platform);
    let after = client.get("/api/v1/history").await.json();
    assert_eq!((&after["calls"], &after["kept"]), (&page["calls"], &page["kept"]));
    assert_eq!(client.get("/api/v1/history/2").await.text, one);
    assert_eq!(platform.recorded(4).unwrap().tamper, Some(Tamper::Nonce));
    assert!(platform.recorded(5).unwrap().sent.contains("é"));

    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    let replaying = client.post("/api/v1/history/2/replay", r#"{"mode":"exact"}"#);
    let (answer, ()) = tokio::join!(replaying, async {
        let call = host.next_call().await;
        assert_eq!(call["params"]["number"], 1);
        host.answer(&call, json!("again")).await;
    });
    let view = answer.json();
    assert_eq!((&view["id"], &view["repeated"], &view["result"]), (&json!(6), &json!(true), &json!("again")));
    assert_eq!(view["signature"]["valid"], true, "the secret is the same");
}

#[tokio::test]
async fn a_call_that_ran_when_the_platform_ended_is_kept_as_abandoned_and_an_ended_one_as_it_ended() {
    let folder = Folder::new();
    let platform = folder.options().start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    let silent = platform.calling("a").pending_time(Duration::from_millis(1)).send().await.unwrap();
    let call = host.next_call().await;
    host.answer(&call, json!("late")).await;
    platform.wait_for_counters(|counters| counters.late_answers == 1).await.unwrap();
    let late = platform.recorded(1).unwrap();
    assert_eq!((late.stage, late.ok, late.report().outcome), (CallStage::TimedOut, false, silent.outcome));
    assert!(late.late.unwrap() >= late.latency && late.reply.as_ref().unwrap().contains("late"));

    let (client, body) = (Client::new(&platform), r#"{"tool":"a","options":{"wait_ms":0}}"#);
    let answer = client.post("/api/v1/entities/local/dev/calls", body).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["outcome"]), (202, &json!("running")));
    drop(platform);

    let platform = folder.options().start().await.unwrap();
    let kept = platform.recorded(1).unwrap();
    assert_eq!((kept.stage, kept.late, &kept.reply), (CallStage::TimedOut, late.late, &late.reply));
    let cut_off = platform.recorded(2).unwrap();
    assert_eq!((cut_off.stage, cut_off.abandoned), (CallStage::Running, true));
}

#[tokio::test]
async fn limits_hold_for_what_was_kept_and_numbers_go_on() {
    let folder = Folder::new();
    let platform = folder.options().history_limits(4, 1 << 20).start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    make_calls(&platform, &mut host, 6).await;
    assert_eq!(ids(&platform), [6, 5, 4, 3]);
    drop(platform);

    let platform = folder.options().history_limits(2, 1 << 20).start().await.unwrap();
    assert_eq!(ids(&platform), [6, 5]);
    drop(platform);
    let platform = folder.options().start().await.unwrap();
    assert_eq!(ids(&platform), [6, 5], "and the others are gone for good");
    drop(platform);
    let platform = folder.options().history_limits(10, 1).start().await.unwrap();
    assert_eq!(ids(&platform), [0; 0], "bytes count too");
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    make_calls(&platform, &mut host, 1).await;
    assert_eq!(ids(&platform), [0; 0], "a call that does not fit at all has a number nevertheless");
    drop(platform);
    let platform = folder.options().start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    make_calls(&platform, &mut host, 1).await;
    assert_eq!(ids(&platform), [8]);
}

#[tokio::test]
async fn what_is_cleared_leaves_no_trace() {
    let folder = Folder::new();
    let platform = folder.options().start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    let large = "do-not-keep ".repeat(100_000);
    let (report, ()) = tokio::join!(platform.calling("a").user_token("tok-do-not-keep").send(), async {
        let call = host.next_call().await;
        host.answer(&call, json!(large)).await;
    });
    report.unwrap();
    // Stopping waits for what is to be written.
    platform.restart().await.unwrap();
    assert!(folder.holds("tok-do-not-keep"));
    let client = Client::new(&platform);
    let (name, token) = client.identity();
    let headers = [("host", &*name), ("authorization", &*token)];
    client.ask(axum::http::Method::DELETE, "/api/v1/history", &headers, "").await;
    platform.stop().await;
    assert!(!folder.holds("do-not-keep"));
    drop(platform);
    assert!(fs::metadata(folder.file()).unwrap().len() < 100_000, "and takes no room");
    let platform = folder.options().start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    make_calls(&platform, &mut host, 1).await;
    assert_eq!(ids(&platform), [2]);
}

#[tokio::test]
async fn a_folder_is_one_platforms_at_a_time() {
    let folder = Folder::new();
    let platform = folder.options().start().await.unwrap();
    let refusal = folder.refusal().await;
    assert!(refusal.contains("platools-dev.sqlite3` cannot be used: another platform uses it"), "{refusal}");
    platform.restart().await.unwrap();
    assert!(folder.refusal().await.contains("another platform uses it"), "also after a restart in place");
    // Whoever still holds an entity does not hold the folder.
    let entity = platform.entity_in("local", "dev").unwrap();
    drop(platform);
    folder.options().start().await.unwrap();
    drop(entity);
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_and_left_as_it_is() {
    for (bytes, part) in [
        (
            b"this is not a database, whatever its name says".repeat(100),
            "file is not a database; move it away",
        ),
        (b"SQLite format 3\0".repeat(64), "move it away"),
    ] {
        let folder = Folder::new();
        fs::create_dir_all(&folder.0).unwrap();
        fs::write(folder.file(), &bytes).unwrap();
        let refusal = folder.refusal().await;
        assert!(refusal.contains(part) && refusal.contains("platools-dev.sqlite3"), "{refusal}");
        assert_eq!(fs::read(folder.file()).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_file_that_was_damaged_later_is_refused_too() {
    let folder = Folder::new();
    let platform = folder.options().start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    make_calls(&platform, &mut host, 50).await;
    drop(platform);
    let mut bytes = fs::read(folder.file()).unwrap();
    // The first page has the tables' definitions; what follows are their rows.
    bytes[4096..].fill(0xa5);
    fs::write(folder.file(), bytes).unwrap();
    let refusal = folder.refusal().await;
    assert!(refusal.contains("malformed") && refusal.contains("move it away"), "{refusal}");
}

/// Changes the file as other programs would.
fn change(folder: &Folder, sql: &str) {
    fs::create_dir_all(&folder.0).unwrap();
    rusqlite::Connection::open(folder.file()).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn files_of_a_newer_version_and_of_other_programs_are_told_apart() {
    let folder = Folder::new();
    drop(folder.options().start().await.unwrap());
    change(&folder, "PRAGMA user_version = 4");
    let refusal = folder.refusal().await;
    assert!(refusal.contains("a newer platools wrote it (format 4, this one knows 3); update"), "{refusal}");

    for sql in ["CREATE TABLE notes (text TEXT)", "PRAGMA application_id = 7; PRAGMA user_version = 1"] {
        let folder = Folder::new();
        change(&folder, sql);
        let before = fs::read(folder.file()).unwrap();
        let refusal = folder.refusal().await;
        assert!(refusal.contains("a database of another program"), "{refusal}");
        assert_eq!(fs::read(folder.file()).unwrap(), before);
    }

    let folder = Folder::new();
    drop(folder.options().start().await.unwrap());
    change(&folder, "UPDATE entities SET secret = 'short-s3cret'");
    let refusal = folder.refusal().await;
    assert!(refusal.contains("the secret of its entity `local` cannot be used; move it away"), "{refusal}");
    assert!(!refusal.contains("short-s3cret"));
}

#[tokio::test]
async fn a_file_of_the_first_version_is_read_and_calls_over_http_are_kept() {
    let folder = Folder::new();
    let platform = folder.options().start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    make_calls(&platform, &mut host, 1).await;
    drop((platform, host));
    change(
        &folder,
        "ALTER TABLE calls DROP COLUMN http_url; ALTER TABLE calls DROP COLUMN http_status; \
         ALTER TABLE calls DROP COLUMN stage; ALTER TABLE calls DROP COLUMN abandoned; \
         ALTER TABLE calls DROP COLUMN late_ns; PRAGMA user_version = 1",
    );
    let platform = folder.options().start().await.unwrap();
    let first = platform.recorded(1).unwrap();
    assert_eq!((&first.transport, first.stage), (&Transport::WebSocket, CallStage::Answered));
    drop(RawHost::with_callback(&platform, &["a"], "https://127.0.0.1:22/").await);
    platform.wait_disconnected().await.unwrap();
    let report = platform.call("a", json!({})).await.unwrap();
    assert!(report.error().unwrap().contains("port 22"), "{report:?}");
    drop(platform);

    let platform = folder.options().start().await.unwrap();
    let kept = platform.recorded(2).unwrap();
    assert_eq!(kept.report(), report);
    assert_eq!(kept.transport, Transport::Http { url: "https://127.0.0.1:22/".to_owned(), status: None });
}

#[cfg(unix)]
#[tokio::test]
async fn the_folder_and_the_file_are_for_nobody_else() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let platform = folder.options().start().await.unwrap();
    assert_eq!((mode(&folder.0), mode(&folder.file())), (0o700, 0o600));
    for entry in fs::read_dir(&folder.0).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    drop(platform);
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o644)).unwrap();
    drop(folder.options().start().await.unwrap());
    assert_eq!(mode(&folder.file()), 0o600, "a copied file is narrowed");

    let elsewhere = Folder::new();
    fs::create_dir_all(&elsewhere.0).unwrap();
    fs::rename(folder.file(), elsewhere.file()).unwrap();
    std::os::unix::fs::symlink(elsewhere.file(), folder.file()).unwrap();
    let refusal = folder.refusal().await;
    assert!(refusal.contains("platools-dev.sqlite3` cannot be used"), "no link is followed: {refusal}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named_with_advice() {
    use std::os::unix::fs::PermissionsExt as _;

    let read_only = Folder::new();
    fs::create_dir_all(&read_only.0).unwrap();
    fs::set_permissions(&read_only.0, fs::Permissions::from_mode(0o500)).unwrap();
    let mut folders = vec![PathBuf::from("/dev/null/data")];
    // Permissions do not bind root.
    if fs::write(read_only.0.join("probe"), "").is_err() {
        folders.push(read_only.0.clone());
    }
    if cfg!(target_os = "linux") {
        folders.push(PathBuf::from("/proc/self"));
    }
    for folder in folders {
        let error = DevPlatform::options().data_dir(&folder).start().await.unwrap_err();
        let DevError::Data { file, problem } = error else { panic!("{error}") };
        assert!(file.starts_with(&folder), "{}", file.display());
        assert!(problem.ends_with("or use another folder"), "{problem}");
    }
}

#[tokio::test]
async fn many_calls_at_once_are_all_kept_in_their_order() {
    let folder = Folder::new();
    let platform = folder.options().start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["a"]).await;
    let calls =
        futures_util::future::join_all((0..200).map(|number| platform.call("a", json!({"n": number}))));
    let (reports, ()) = tokio::join!(calls, async {
        for _ in 0..200 {
            let call = host.next_call().await;
            let number = call["params"]["n"].clone();
            host.answer(&call, number).await;
        }
    });
    assert!(reports.into_iter().all(|report| report.unwrap().error().is_none()));
    let before: Vec<_> =
        platform.history(500).iter().map(|entry| (entry.id, entry.call_id.clone())).collect();
    drop(platform);
    let platform = folder.options().start().await.unwrap();
    let after: Vec<_> = platform.history(500).iter().map(|entry| (entry.id, entry.call_id.clone())).collect();
    assert_eq!(before.len(), 200);
    assert_eq!(before, after);
}
