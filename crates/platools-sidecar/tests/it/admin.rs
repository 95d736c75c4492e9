//! A sidecar as a process: the admin listener, the service manager, readiness, and its ends.

use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use platools_dev::DevPlatform;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::backend::{Backend, client, json_answer};
use crate::sidecar::{Folder, GUARD, Running, entity, outcome};

async fn get(url: &str) -> (u16, String) {
    let answer = client().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Checks what is counted after one call of `orders`, which the backend had to be asked twice.
fn check_figures(figures: &str) {
    let version = env!("CARGO_PKG_VERSION");
    assert!(figures.contains(&format!("platools_build_info{{version=\"{version}\"}} 1")), "{figures}");
    for line in [
        "platools_calls_total{entity=\"orders\",tool=\"t\",outcome=\"ok\"} 1",
        "platools_call_duration_seconds_count{entity=\"orders\",tool=\"t\"} 1",
        "platools_calls_in_flight{entity=\"orders\"} 0",
        "platools_connections_total{entity=\"orders\"} 1",
        "platools_hosts{entity=\"orders\",state=\"active\"} 1",
        "platools_sidecar_retries_total{entity=\"orders\"} 1",
        "platools_connections_total{entity=\"billing\"} 1",
        "platools_hosts{entity=\"billing\",state=\"active\"} 1",
    ] {
        assert!(figures.contains(line), "{line}: {figures}");
    }
    // Of the library, only the version is that of the process.
    for line in figures.lines().filter(|line| line.starts_with("platools_") && !line.contains("_build_info"))
    {
        assert!(line.contains("entity=\"orders\"") || line.contains("entity=\"billing\""), "{line}");
    }
    for name in ["platools_calls_total", "platools_hosts", "platools_call_duration_seconds"] {
        assert!(figures.contains(&format!("# HELP {name} ")), "{name}: {figures}");
    }
}

#[tokio::test]
async fn probes_figures_and_states_are_shown_and_readiness_follows_the_platform() {
    let platform = DevPlatform::options()
        .entity_with_random_secret("orders")
        .entity_with_random_secret("billing")
        .start()
        .await
        .unwrap();
    // Tried again once.
    let is_well = AtomicBool::new(false);
    let answer =
        move || json_answer(if is_well.swap(true, Ordering::Relaxed) { 200 } else { 503 }, &json!({}));
    let backend = Backend::start(move |_| Some(answer())).await;
    let admin = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let folder = Folder::new();
    let text = format!(
        "{}{}[[tool.http]]\nname = \"t\"\ndescription = \"d\"\nurl = \"{}\"\n[admin]\nlisten = \"{admin}\"\n[log]\nformat = \"json\"\nlevel = \"debug\"\n",
        entity(&platform, "orders"),
        entity(&platform, "billing"),
        backend.url
    );
    let socket = folder.path("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(GUARD)).unwrap();
    let file = folder.write("platools.toml", text);
    let socket = socket.display().to_string();
    let sidecar = Running::start(&file, &folder, &[("NOTIFY_SOCKET", &socket), ("WATCHDOG_USEC", "400000")]);
    let told = tokio::task::spawn_blocking(move || {
        let mut told = String::new();
        let mut buffer = [0; 4096];
        while !(told.contains("READY=1") && told.matches("WATCHDOG=1").count() >= 3) {
            let length = manager.recv(&mut buffer).expect("the sidecar speaks to its manager");
            told.push_str(&String::from_utf8_lossy(&buffer[..length]));
            told.push('\n');
        }
        told
    });
    let told = told.await.unwrap();
    assert!(told.contains("STATUS=2 of 2 entities ready"), "{told}");

    let at = |path: &str| format!("http://{admin}{path}");
    assert_eq!(get(&at("/livez")).await, (200, "ok\n".to_owned()));
    assert_eq!(get(&at("/readyz")).await.0, 200);
    assert_eq!(platools_sidecar::health(&file).unwrap(), Some(admin));
    let entity = platform.entity_in("orders", "dev").unwrap();
    outcome(entity.calling("t").arguments(json!({})).send().await.unwrap()).unwrap();
    let figures = get(&at("/metrics")).await.1;
    check_figures(&figures);
    let tools: Value = serde_json::from_str(&get(&at("/tools")).await.1).unwrap();
    assert_eq!((&tools[0]["name"], &tools[0]["source"]), (&json!("t"), &json!("tool.http")));
    let state: Value = serde_json::from_str(&get(&at("/state")).await.1).unwrap();
    assert_eq!((&state["ready"], &state["tools"]), (&json!(true), &json!(1)));
    let shown = &state["entities"][0];
    assert!(
        shown["since"].is_string() && shown["problem"].is_null() && shown["waits_for"].is_null(),
        "{state}"
    );
    assert!(
        state["pid"].is_u64() && state["started"].is_string() && state["settings"].is_object(),
        "{state}"
    );
    let secret = entity.secret();
    assert!(!state.to_string().contains(secret.expose()) && !sidecar.log().contains(secret.expose()));
    let foreign = client().get(at("/state")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(foreign.status(), 403);

    platform.crash().await;
    let lost = async {
        while get(&at("/readyz")).await.0 != 503 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(GUARD, lost).await.expect("a lost platform is noticed");
    assert_eq!(get(&at("/livez")).await.0, 200);
    let state: Value = serde_json::from_str(&get(&at("/state")).await.1).unwrap();
    assert!(state["entities"][0]["problem"].is_string(), "{state}");
    // Once for each entity; attempts after it are not further ends.
    let log = sidecar.log();
    for entity in ["orders", "billing"] {
        let ended = |line: &&str| line.contains("disconnected: ") && line.contains(entity);
        assert_eq!(log.lines().filter(ended).count(), 1, "{log}");
    }
    let succeeded: Vec<_> = log.lines().filter(|line| line.contains("the call succeeded")).collect();
    assert!(matches!(succeeded[..], [line] if line.contains("\"level\":\"DEBUG\"")), "{log}");
    for line in sidecar.log().lines().filter(|line| line.starts_with('{')) {
        serde_json::from_str::<Value>(line).unwrap();
    }
    assert!(sidecar.log().lines().any(|line| line.starts_with('{') && line.contains("\"level\":\"INFO\"")));
    platform.resume().await.unwrap();
    let back = async {
        while get(&at("/readyz")).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(GUARD, back).await.expect("it is connected again");
    assert_eq!(sidecar.stop().await, Some(0));
    let dead = platools_sidecar::health(&file).unwrap_err().to_string();
    assert!(dead.contains(&format!("nothing answers at {admin}")), "{dead}");
    let nothing = folder.write("none.toml", "[log]\nlevel = \"info\"\n");
    assert_eq!(platools_sidecar::health(&nothing).unwrap(), None);
}

#[tokio::test]
async fn a_call_that_runs_at_the_end_is_answered() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let folder = Folder::new();
    let text = format!(
        "{}[[tool.command]]\nname = \"slow\"\ndescription = \"d\"\nprogram = \"sh\"\n\
         args = [\"-c\", \"touch {}; sleep 1; echo done\"]\n",
        entity(&platform, "orders"),
        folder.path("begun").display()
    );
    let file = folder.write("platools.toml", text);
    let mut sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let entity = platform.entity_in("orders", "dev").unwrap();
    let begun = folder.path("begun");
    let (report, ()) = tokio::join!(entity.calling("slow").arguments(json!({})).send(), async {
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sidecar.signal(Signal::TERM);
    });
    assert_eq!(outcome(report.unwrap()).unwrap(), json!("done"));
    let status = tokio::time::timeout(GUARD, sidecar.child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(!sidecar.log().contains("may not have arrived"), "it did: {}", sidecar.log());
}

#[tokio::test]
async fn a_secret_that_the_platform_refuses_ends_it_with_an_error() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let folder = Folder::new();
    let url = platform.entity_in("orders", "dev").unwrap().url();
    let text = format!("[[entity]]\nname = \"orders\"\nurl = \"{url}\"\nsecret = \"not-the-secret-of-it\"\n");
    let mut sidecar = Running::start(&folder.write("platools.toml", text), &folder, &[]);
    let status = tokio::time::timeout(GUARD, sidecar.child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(1), "{}", sidecar.log());
    assert!(sidecar.log().contains("no entity is connected any more"), "{}", sidecar.log());
}
