//! What a sidecar leaves to others: programs when it is killed, secrets while it runs.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use platools_dev::DevPlatform;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::sidecar::{Folder, GUARD, Running, entity, outcome};

/// Waits until something is there.
async fn found<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(GUARD, found).await.expect("it comes")
}

fn stat(process: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{process}/stat")).ok()
}

/// Waits until a process is gone, or dead and not yet collected.
async fn is_gone(process: &str) {
    found(|| stat(process).is_none_or(|stat| stat.contains(") Z ")).then_some(())).await;
}

/// Whether a process runs.
fn runs(process: &str) -> bool {
    stat(process).is_some_and(|stat| !stat.contains(") Z "))
}

/// The process that watches over the programs of the sidecar.
async fn watchdog(sidecar: u32) -> String {
    found(|| {
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let mut names = processes.filter_map(|entry| entry.file_name().into_string().ok());
        names.find(|name| {
            let command = std::fs::read(format!("/proc/{name}/cmdline")).unwrap_or_default();
            let parent =
                stat(name).and_then(|stat| stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok());
            command.ends_with(b"platools-watchdog\0") && parent == Some(sidecar) && runs(name)
        })
    })
    .await
}

fn kill(process: &str) {
    kill_process(Pid::from_raw(process.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

/// A script that notes its process and that of a child in a file, and then neither ends nor listens.
fn stubborn(file: &Path) -> String {
    let file = file.display();
    format!(
        "trap '' TERM; (trap '' TERM; sleep 1000; sleep 1000) & echo $$ $! > {file}.new; mv {file}.new {file}; \
         sleep 1000; sleep 1000"
    )
}

#[tokio::test]
async fn a_sidecar_that_is_killed_leaves_no_program_behind() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let folder = Folder::new();
    let (of_tool, of_server) = (folder.path("of-tool"), folder.path("of-server"));
    let file = format!(
        "{}[[tool.command]]\nname = \"stay\"\ndescription = \"d\"\nprogram = \"sh\"\nargs = [\"-c\", {:?}]\n\
         [[tool.command]]\nname = \"quick\"\ndescription = \"d\"\nprogram = \"true\"\n\
         [[mcp]]\nname = \"m\"\ncommand = \"sh\"\nargs = [\"-c\", {:?}]\n[sidecar]\nmcp_wait = \"1ms\"\n",
        entity(&platform, "orders"),
        stubborn(&of_tool),
        stubborn(&of_server),
    );
    let mut sidecar = Running::start(&folder.write("platools.toml", file), &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let read = |file: PathBuf| found(move || std::fs::read_to_string(&file).ok());
    let server = read(of_server).await;
    let id = sidecar.child.id().unwrap();
    // One that is killed itself is replaced, and knows what the first one knew.
    let first = watchdog(id).await;
    kill(&first);
    let orders = platform.entity_in("orders", "dev").unwrap();
    outcome(orders.calling("quick").arguments(json!({})).send().await.unwrap()).unwrap();
    let call = tokio::spawn(async move { orders.calling("stay").arguments(json!({})).send().await });
    let tool = read(of_tool).await;
    let second = watchdog(id).await;
    assert_ne!(first, second);
    let all: Vec<&str> = server.split_whitespace().chain(tool.split_whitespace()).collect();
    assert!(all.len() == 4 && all.iter().all(|process| runs(process)), "{all:?}");
    sidecar.signal(Signal::KILL);
    sidecar.child.wait().await.unwrap();
    for process in all {
        is_gone(process).await;
    }
    is_gone(&second).await;
    call.abort();
}

#[tokio::test]
async fn a_sidecar_that_ends_in_order_leaves_nothing_behind_either() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let folder = Folder::new();
    let file = format!(
        "{}[[tool.command]]\nname = \"quick\"\ndescription = \"d\"\nprogram = \"true\"\n",
        entity(&platform, "orders"),
    );
    let sidecar = Running::start(&folder.write("platools.toml", file), &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let orders = platform.entity_in("orders", "dev").unwrap();
    outcome(orders.calling("quick").arguments(json!({})).send().await.unwrap()).unwrap();
    let watchdog = watchdog(sidecar.child.id().unwrap()).await;
    assert_eq!(sidecar.stop().await, Some(0));
    is_gone(&watchdog).await;
}

#[tokio::test]
async fn a_program_does_not_read_the_secrets_that_the_sidecar_has_in_its_environment() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let folder = Folder::new();
    let script = "cat /proc/$PPID/environ || echo hidden";
    let file = format!(
        "{}[[tool.command]]\nname = \"peek\"\ndescription = \"d\"\nprogram = \"sh\"\nargs = [\"-c\", {script:?}]\n\
         [[tool.http]]\nname = \"t\"\ndescription = \"d\"\nurl = \"http://127.0.0.1:1/\"\nbearer = \"env:PEEKED\"\n",
        entity(&platform, "orders"),
    );
    let file = folder.write("platools.toml", file);
    let sidecar = if rustix::process::geteuid().is_root() {
        // Root reads everything, by capabilities that nobody else has.
        if std::process::Command::new("setpriv").arg("--version").output().is_err() {
            eprintln!("SKIPPED: `setpriv` is not there, and root reads everything");
            return;
        }
        Running::start_by("setpriv", &["--bounding-set", "-all"], &file, &folder, &[("PEEKED", "s3cret")])
    } else {
        Running::start(&file, &folder, &[("PEEKED", "s3cret")])
    };
    sidecar.says("the platform has the tools").await;
    let orders = platform.entity_in("orders", "dev").unwrap();
    let seen = outcome(orders.calling("peek").arguments(json!({})).send().await.unwrap()).unwrap();
    assert_eq!(seen, json!("hidden"), "{}", sidecar.log());
    assert_eq!(sidecar.stop().await, Some(0));
}
