//! The real Python package `platools` as a host on our platform.

use std::path::Path;
use std::process::Stdio;

use platools_dev::DevPlatform;
use serde_json::json;
use tokio::process::{Child, Command};

use super::interop::{python, script};

fn start(python: &Path, platform: &DevPlatform) -> Child {
    Command::new(python)
        .arg(script("platools_host.py"))
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
