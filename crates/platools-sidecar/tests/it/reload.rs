//! A file that changes while calls run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use platools_dev::DevPlatform;
use rustix::process::Signal;
use serde_json::json;

use crate::backend::Backend;
use crate::sidecar::{Folder, Running, entity, outcome};

fn tools(url: &str, description: &str, more: &str) -> String {
    format!(
        "[[tool.http]]\nname = \"kept\"\ndescription = \"{description}\"\nurl = \"{url}\"\n\
         [[tool.http]]\nname = \"{more}\"\ndescription = \"d\"\nurl = \"{url}\"\n"
    )
}

#[tokio::test]
async fn tools_change_under_load_without_losing_a_call_and_a_broken_file_changes_nothing() {
    let platform =
        Arc::new(DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap());
    let backend = Backend::echo().await;
    let folder = Folder::new();
    let head = entity(&platform, "orders");
    let file = folder.write("platools.toml", format!("{head}{}", tools(&backend.url, "v0", "gone")));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;

    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (platform, stop, answered) =
                (Arc::clone(&platform), Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let entity = platform.entity_in("orders", "dev").unwrap();
                    let report = entity.calling("kept").arguments(json!({})).send().await.unwrap();
                    outcome(report).unwrap();
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut between = 0;
    for version in 1..=10 {
        // Each version is met by calls before the next one comes.
        while answered.load(Ordering::Relaxed) < between + 20 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        between = answered.load(Ordering::Relaxed);
        folder.write(
            "platools.toml",
            format!("{head}{}", tools(&backend.url, &format!("v{version}"), &format!("new{version}"))),
        );
        sidecar.signal(Signal::HUP);
        sidecar.says_times("the file is in use as it is now", version).await;
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    let entity = platform.entity_in("orders", "dev").unwrap();
    let declared = async {
        while entity.tool("new10").is_none() || entity.tool("gone").is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::sidecar::GUARD, declared).await.expect("the platform hears of it");

    folder.write(
        "platools.toml",
        format!("{head}{}colour = 3\nflavour = 4\n", tools(&backend.url, "v11", "x")),
    );
    sidecar.signal(Signal::HUP);
    sidecar.says("the file is not used, everything stays as it was").await;
    // Each mistake is a line of its own.
    let log = sidecar.log();
    for key in ["colour", "flavour"] {
        let said = format!("there is no key `{key}` here");
        let lines: Vec<_> = log.lines().filter(|line| line.contains(&said)).collect();
        assert!(matches!(lines[..], [line] if line.matches("there is no key").count() == 1), "{log}");
    }
    assert!(!log.contains("\\n"), "no line break is escaped: {log}");
    outcome(entity.calling("new10").arguments(json!({})).send().await.unwrap()).unwrap();
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn a_changed_file_is_noticed_and_so_is_a_rotated_secret_and_an_entity_more() {
    let options =
        DevPlatform::options().entity_with_random_secret("orders").entity_with_random_secret("billing");
    let platform = options.start().await.unwrap();
    let backend = Backend::echo().await;
    let folder = Folder::new();
    folder.write("token", "one\n");
    let tool = format!(
        "[[tool.http]]\nname = \"t\"\ndescription = \"d\"\nurl = \"{}\"\nbearer = \"file:token\"\n",
        backend.url
    );
    let file = folder.write("platools.toml", format!("{}{tool}", entity(&platform, "orders")));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let call = async |name: &str| {
        let entity = platform.entity_in(name, "dev").unwrap();
        outcome(entity.calling("t").arguments(json!({})).send().await.unwrap()).unwrap();
        backend.came().last().unwrap().headers["authorization"].clone()
    };
    assert_eq!(call("orders").await, "Bearer one");
    folder.write("token", "two\n");
    sidecar.says("the file is in use as it is now").await;
    assert_eq!(call("orders").await, "Bearer two");
    let both = format!("{}{}{tool}", entity(&platform, "orders"), entity(&platform, "billing"));
    folder.write("platools.toml", both);
    sidecar.says_times("the file is in use as it is now", 2).await;
    // The log does not tell: tools are declared again some seconds after a connect.
    platform.entity_in("billing", "dev").unwrap().wait_for_tool("t").await.unwrap();
    assert_eq!(call("billing").await, "Bearer two");
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn the_level_of_the_log_changes_at_once_and_what_does_not_is_said() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let folder = Folder::new();
    let head = entity(&platform, "orders");
    let tool =
        "[[tool.command]]\nname = \"t\"\ndescription = \"d\"\nprogram = \"true\"\n[sidecar]\nwatch = false\n";
    let text = |more: &str| format!("{head}{tool}{more}");
    let file = folder.write("platools.toml", text("[log]\nlevel = \"warn\"\n"));
    // Warnings alone: nothing is heard until the level is another one.
    let sidecar = Running::start(&file, &folder, &[]);
    let entity = platform.entity_in("orders", "dev").unwrap();
    let declared = async {
        while entity.tool("t").is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::sidecar::GUARD, declared).await.expect("it connects");
    assert!(!sidecar.log().contains(" INFO "), "{}", sidecar.log());
    folder.write("platools.toml", text("[log]\nlevel = \"info\"\n"));
    sidecar.signal(Signal::HUP);
    sidecar.says("the log is written at this level").await;
    sidecar.says("the file is in use as it is now").await;

    let restart = "[log]\nlevel = \"warn\"\nformat = \"json\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    folder.write("platools.toml", text(restart));
    sidecar.signal(Signal::HUP);
    sidecar.says("`format` of `[log]` changed: that needs a restart").await;
    sidecar.says("`[admin]` changed: that needs a restart").await;
    folder.write("platools.toml", text("[colour]\n"));
    sidecar.signal(Signal::HUP);
    sidecar.says("the file is not used, everything stays as it was").await;
    assert_eq!(sidecar.log().matches("the file is in use as it is now").count(), 1, "{}", sidecar.log());
    assert_eq!(sidecar.stop().await, Some(0));

    folder.write("platools.toml", text("[log]\nlevel = \"warn\"\n"));
    let sidecar = Running::start(&file, &folder, &[("RUST_LOG", "info")]);
    sidecar.says("the platform has the tools").await;
    folder.write("platools.toml", text("[log]\nlevel = \"error\"\n"));
    sidecar.signal(Signal::HUP);
    sidecar.says("`level` of `[log]` changed, but RUST_LOG is set and wins").await;
    sidecar.says("the file is in use as it is now").await;
    assert_eq!(sidecar.stop().await, Some(0));
}
