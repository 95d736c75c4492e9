//! The real Python package `platools` as a host on our platform.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use platools_dev::DevPlatform;
use serde_json::json;
use tokio::process::{Child, Command};

/// The interpreter of an interop set, or `None` when the set is not installed, which is said loudly.
///
/// # Panics
/// When the set is missing although `PLATOOLS_INTEROP=required` is set.
fn python(set: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let python = root.join("target/interop").join(set).join("bin/python");
    if python.exists() {
        return Some(python);
    }
    let hint = format!("the interop set `{set}` is not installed: run tests/interop/install {set}");
    assert!(std::env::var_os("PLATOOLS_INTEROP").is_none_or(|value| value != "required"), "{hint}");
    eprintln!("SKIPPED: {hint}");
    None
}

fn start(python: &Path, platform: &DevPlatform) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/platools_host.py");
    Command::new(python)
        .arg(script)
        .env("PLATOS_URL", platform.url())
        .env("PLATOS_SECRET", platform.secret().expose())
        .stdin(Stdio::null())
        // It logs an error for every frame type that it does not know, such as `tools_registered`.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn the_python_package_connects_registers_and_answers() {
    let Some(python) = python("platools") else { return };
    let platform = DevPlatform::start().await.unwrap();
    let _host = start(&python, &platform);
    platform.wait_for_tool("lookup_order").await.unwrap();

    let tool = platform.tool("lookup_order").unwrap();
    assert_eq!((tool.auth.as_deref(), tool.roles), (Some("user"), vec!["support".to_owned()]));
    assert!(tool.description.contains("Look up one order by id."), "{}", tool.description);
    assert_eq!(tool.input_schema["properties"]["quantity"]["type"], "integer");

    let report = platform.call("lookup_order", json!({"order_id": "ord-1", "quantity": 2})).await.unwrap();
    let expected = json!({"order_id": "ord-1", "quantity": 2, "gift": false, "text": "naïve ☕ 🚀"});
    assert_eq!(report.into_result().unwrap(), expected);

    let calling =
        platform.calling("whoami").user("usr_7").call_id("call-7").context(json!({"user.plan": "pro"}));
    let who = calling.send().await.unwrap().into_result().unwrap();
    assert_eq!(
        (&who["user"], &who["call"], &who["context_call"]),
        (&json!("usr_7"), &json!("call-7"), &json!("call-7"))
    );
    assert_eq!(who["context"]["user.plan"], "pro");

    let failed = platform.call("fail", json!({"message": "not today"})).await.unwrap();
    assert!(failed.error().is_some_and(|error| error.contains("not today")), "{failed:?}");
    let long = platform.call("huge", json!({"bytes": 300_000})).await.unwrap().into_result().unwrap();
    assert_eq!(long["truncated"], json!(true));

    platform.restart().await.unwrap();
    platform.wait_for_registrations(2).await.unwrap();
    let report = platform.call("lookup_order", json!({"order_id": "ord-2", "quantity": 1})).await.unwrap();
    assert_eq!(report.into_result().unwrap()["order_id"], "ord-2");
}
