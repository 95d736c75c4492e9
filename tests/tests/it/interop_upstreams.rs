//! MCP servers that others use, bridged to the platform by the sidecar's upstreams and called by signed calls.

use std::path::PathBuf;
use std::time::Duration;

use platools::Platools;
use platools_dev::DevPlatform;
use platools_upstream::{ServerProgram, Upstream, UpstreamConfig, UpstreamState, keep_in_step};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::interop::node_packages;
use super::support::{Folder, GUARD, Running, answer, error};

fn server(name: &str) -> Option<ServerProgram> {
    let home = node_packages("mcp-servers")?;
    let script = home.join("node_modules/@modelcontextprotocol").join(name).join("dist/index.js");
    assert!(script.exists(), "{} is missing", script.display());
    Some(ServerProgram::new("node").arg(script.to_str().unwrap()))
}

/// A platform with a host that has the tools of an upstream.
async fn bridged(config: UpstreamConfig, witness: &str) -> (DevPlatform, Running, Upstream) {
    let platform = DevPlatform::start().await.unwrap();
    let builder = Platools::builder().url(platform.url()).secret(platform.secret().expose()).tools([]);
    let host = Running::start(builder.build().unwrap());
    let upstream = Upstream::start(config);
    tokio::spawn(keep_in_step(upstream.tools(), host.handle.tools().clone()));
    let state = timeout(GUARD, upstream.first_outcome()).await.expect("in time");
    assert!(matches!(state, UpstreamState::Up { .. }), "{state:?}");
    timeout(GUARD, platform.wait_for_tool(witness)).await.expect("in time").unwrap();
    (platform, host, upstream)
}

/// The process whose command line has `word` in it.
fn process(word: &str) -> u32 {
    let found = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let id = entry.ok()?.file_name().to_str()?.parse::<u32>().ok()?;
        let line = std::fs::read(PathBuf::from(format!("/proc/{id}/cmdline"))).ok()?;
        (id != std::process::id() && String::from_utf8_lossy(&line).contains(word)).then_some(id)
    });
    let found: Vec<u32> = found.collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0]
}

#[tokio::test]
async fn the_filesystem_server_is_called_through_the_platform_and_heals_when_it_is_killed() {
    let Some(program) = server("server-filesystem") else { return };
    let folder = Folder::new("upstream-files");
    folder.file("note.txt", "from the disk");
    let root = std::fs::canonicalize(folder.path("")).unwrap();
    let program = program.arg(root.to_str().unwrap());
    let wait = Duration::from_secs(2);
    let config = UpstreamConfig::program("files", program).prefix("fs_").backoff(wait, wait);
    let (platform, host, upstream) = bridged(config, "fs_read_text_file").await;

    let tool = host.handle.tools().get("fs_read_text_file").unwrap();
    assert_eq!(tool.spec().annotations["readOnlyHint"], true);
    assert_eq!(tool.spec().input_schema["properties"]["path"]["type"], "string");
    let read = json!({"path": root.join("note.txt")});
    let said = answer(&platform, "fs_read_text_file", read.clone()).await;
    assert_eq!(said, json!({"content": "from the disk"}));
    let outside = error(&platform, "fs_read_text_file", json!({"path": "/etc/hostname"})).await;
    assert!(outside.contains("Access denied"), "{outside}");
    let wrong = error(&platform, "fs_read_text_file", json!({})).await;
    assert!(wrong.contains("path"), "{wrong}");
    let written = json!({"path": root.join("new.txt"), "content": "by a signed call"});
    answer(&platform, "fs_write_file", written).await;
    assert_eq!(std::fs::read_to_string(root.join("new.txt")).unwrap(), "by a signed call");

    let old = process(root.to_str().unwrap());
    let killed = std::process::Command::new("kill").args(["-9", &old.to_string()]).status().unwrap();
    assert!(killed.success());
    timeout(GUARD, upstream.down()).await.expect("in time");
    let down = error(&platform, "fs_read_text_file", read.clone()).await;
    assert!(
        down.contains("the MCP server `files` is down (its process ended); it is tried again in about"),
        "{down}"
    );
    timeout(GUARD, upstream.up()).await.expect("in time");
    assert_eq!(answer(&platform, "fs_read_text_file", read).await, json!({"content": "from the disk"}));
    assert_ne!(process(root.to_str().unwrap()), old);
    timeout(GUARD, upstream.stop()).await.expect("in time");
}

#[tokio::test]
async fn the_server_with_everything_answers_in_every_form() {
    let Some(program) = server("server-everything") else { return };
    let (platform, host, upstream) = bridged(UpstreamConfig::program("all", program), "echo").await;
    let names: Vec<_> = host.handle.tools().list().iter().map(|tool| tool.name().to_owned()).collect();
    eprintln!("everything: {}", names.join(" "));
    assert_eq!(answer(&platform, "echo", json!({"message": "hi"})).await, "Echo: hi");
    let sum = answer(&platform, "get-sum", json!({"a": 2, "b": 3})).await;
    assert!(sum.as_str().unwrap().contains('5'), "{sum}");
    let image = answer(&platform, "get-tiny-image", json!({})).await;
    let parts = image["content"].as_array().unwrap();
    assert!(parts.iter().any(|part| part["type"] == "image" && part["mimeType"] == "image/png"), "{parts:?}");
    let structured = answer(&platform, "get-structured-content", json!({"location": "New York"})).await;
    assert!(structured["temperature"].is_number() && structured["conditions"].is_string(), "{structured}");
    let links = answer(&platform, "get-resource-links", json!({"count": 2})).await;
    assert!(links.to_string().contains("resource demo://"), "{links}");
    let wrong = error(&platform, "get-sum", json!({"a": "two"})).await;
    assert!(wrong.contains('a') && wrong.len() > 10, "{wrong}");
    let variables: Value = answer(&platform, "get-env", json!({})).await;
    assert!(!variables.to_string().contains("CARGO_MANIFEST_DIR"), "nothing is inherited unasked");
    timeout(GUARD, upstream.stop()).await.expect("in time");
}
