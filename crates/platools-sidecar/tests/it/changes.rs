//! A file that changes while something is slow: an entity that drains, a server that holds a document, a tool of an
//! MCP server that runs, a file that is not there yet.

use std::sync::Arc;
use std::time::Duration;

use platools::{Platools, Tool, ToolCall, ToolOutput, ToolSpec};
use platools_dev::{ConnectedEntity, DevPlatform};
use platools_mcp::McpServer;
use rustix::process::Signal;
use serde_json::json;
use tokio::sync::Notify;

use crate::backend::Backend;
use crate::sidecar::{Folder, GUARD, Running, entity, outcome};

const IN_USE: &str = "the file is in use as it is now";

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(GUARD, so).await.is_ok(), "{what}");
}

/// A tool that begins, and ends once the folder holds `release`.
fn slow(folder: &Folder) -> String {
    format!(
        "[[tool.command]]\nname = \"slow\"\ndescription = \"d\"\nprogram = \"sh\"\nargs = [\"-c\", \
         \"touch {}; while [ ! -e {} ]; do sleep 0.05; done; echo done\"]\n",
        folder.path("begun").display(),
        folder.path("release").display()
    )
}

fn more(name: &str) -> String {
    format!("[[tool.command]]\nname = \"{name}\"\ndescription = \"d\"\nprogram = \"true\"\n")
}

#[tokio::test]
async fn an_entity_that_drains_keeps_neither_the_others_nor_the_next_change_nor_the_end() {
    let options = DevPlatform::options()
        .entity_with_random_secret("orders")
        .entity_with_random_secret("billing")
        .entity_with_random_secret("moved");
    let platform = Arc::new(options.start().await.unwrap());
    let folder = Folder::new();
    let file = |entities: &[&str], more: &str| {
        let heads: String = entities.iter().map(|name| entity(&platform, name)).collect();
        folder.write("platools.toml", format!("{heads}{}{more}", slow(&folder)))
    };
    let sidecar = Running::start(&file(&["orders", "billing"], ""), &folder, &[]);
    sidecar.says_times("the platform has the tools", 2).await;
    let running = tokio::spawn({
        let platform = Arc::clone(&platform);
        async move {
            let orders = platform.entity_in("orders", "dev").unwrap();
            outcome(orders.calling("slow").arguments(json!({})).send().await.unwrap())
        }
    });
    until("the call began", || folder.path("begun").exists()).await;

    file(&["moved", "billing"], &more("first"));
    sidecar.signal(Signal::HUP);
    sidecar.says(IN_USE).await;
    let (billing, moved) =
        (platform.entity_in("billing", "dev").unwrap(), platform.entity_in("moved", "dev").unwrap());
    until("the others change", || billing.tool("first").is_some() && moved.is_connected()).await;
    // It comes back while its predecessor still drains, and has to wait for that.
    file(&["orders", "billing"], &more("second"));
    sidecar.signal(Signal::HUP);
    sidecar.says_times(IN_USE, 2).await;
    until("the next change comes", || billing.tool("second").is_some()).await;
    assert!(!running.is_finished(), "its call runs on");
    sidecar.signal(Signal::TERM);
    sidecar.says("stopping: calls that run may finish").await;
    folder.write("release", "");
    assert_eq!(running.await.unwrap().unwrap(), json!("done"));
    let mut child = sidecar.child;
    let status = tokio::time::timeout(GUARD, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn an_entity_whose_connection_changed_is_connected_anew_while_its_calls_run() {
    let platform =
        Arc::new(DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap());
    let folder = Folder::new();
    let head = entity(&platform, "orders");
    let file = folder.write("platools.toml", format!("{head}{}", slow(&folder)));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let orders = || -> ConnectedEntity { platform.entity_in("orders", "dev").unwrap() };
    let first = orders().connection_id();
    let (report, ()) =
        tokio::join!(async { orders().calling("slow").arguments(json!({})).send().await.unwrap() }, async {
            until("the call began", || folder.path("begun").exists()).await;
            let changed = format!("{head}heartbeat_interval = \"20s\"\n{}{}", slow(&folder), more("new"));
            folder.write("platools.toml", changed);
            sidecar.signal(Signal::HUP);
            sidecar.says(IN_USE).await;
            let is_new = || orders().tool("new").is_some() && orders().connection_id() != first;
            until("it is connected anew", is_new).await;
            folder.write("release", "");
        });
    assert_eq!(outcome(report).unwrap(), json!("done"));
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn a_document_that_does_not_come_keeps_nothing_from_going_on() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let hanging = Backend::start(|_| Some(b"HTTP/1.1 200 OK\r\nx-test: hang\r\n\r\n".to_vec())).await;
    let folder = Folder::new();
    let head = entity(&platform, "orders");
    let file = folder.write("platools.toml", format!("{head}{}", more("kept")));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let section = format!(
        "[backend.b]\nurl = \"{0}\"\n[[openapi]]\nname = \"a\"\ndocument = \"{0}/openapi.json\"\nbackend = \"b\"\n",
        hanging.url
    );
    folder.write("platools.toml", format!("{head}{}{section}", more("kept")));
    sidecar.signal(Signal::HUP);
    until("the document is asked for", || !hanging.came().is_empty()).await;
    sidecar.signal(Signal::TERM);
    let mut child = sidecar.child;
    // The document itself is waited for for 30 s.
    let status = tokio::time::timeout(Duration::from_secs(20), child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_file_that_was_missing_is_noticed_when_it_comes() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let folder = Folder::new();
    let head = entity(&platform, "orders");
    let file = folder.write("platools.toml", format!("{head}{}", more("t")));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let section = "[[tool.command]]\nname = \"u\"\ndescription = \"d\"\nprogram = \"true\"\nstdin = \"json\"\n\
                   schema_file = \"late.json\"\n";
    folder.write("platools.toml", format!("{head}{}{section}", more("t")));
    sidecar.says("the file is not used, everything stays as it was").await;
    folder.write("late.json", "{\"type\": \"object\"}");
    sidecar.says(IN_USE).await;
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn a_server_that_leaves_the_file_finishes_its_calls_and_a_name_of_its_goes_to_the_file() {
    const TOKEN: &str = "a-token-of-the-mcp-server";
    let (begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let tools = ["wait", "other"].map(|name| {
        let (begun, release) = (Arc::clone(&begun), Arc::clone(&release));
        Tool::new(ToolSpec::new(name).description("Wait."), move |_: ToolCall| {
            let (begun, release) = (Arc::clone(&begun), Arc::clone(&release));
            async move {
                begun.notify_one();
                release.notified().await;
                Ok(ToolOutput::text("from the server"))
            }
        })
    });
    let host = Platools::builder().tools(tools).build_local().unwrap();
    let listener = McpServer::new(host.door()).http(TOKEN).unwrap().bind(("127.0.0.1", 0)).await.unwrap();
    let url = listener.url();
    tokio::spawn(listener.serve());

    let platform =
        Arc::new(DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap());
    let folder = Folder::new();
    folder.write("token", TOKEN);
    let head = entity(&platform, "orders");
    let section = format!("[[mcp]]\nname = \"m\"\nurl = \"{url}\"\nbearer = \"file:token\"\n");
    let file = folder.write("platools.toml", format!("{head}{}{section}", more("own")));
    let sidecar = Running::start(&file, &folder, &[]);
    let orders = || platform.entity_in("orders", "dev").unwrap();
    until("the server's tools come", || orders().tool("wait").is_some()).await;

    // The file takes the name of one of its tools; the other one stays.
    let own = "[[tool.command]]\nname = \"other\"\ndescription = \"d\"\nprogram = \"echo\"\nargs = [\"the file's\"]\n";
    folder.write("platools.toml", format!("{head}{own}{section}"));
    sidecar.signal(Signal::HUP);
    sidecar.says(IN_USE).await;
    until("the file's tools are there", || orders().tool("own").is_none() && orders().tool("wait").is_some())
        .await;
    let report = orders().calling("other").arguments(json!({})).send().await.unwrap();
    assert_eq!(outcome(report).unwrap(), json!("the file's"));

    let (report, ()) =
        tokio::join!(async { orders().calling("wait").arguments(json!({})).send().await.unwrap() }, async {
            begun.notified().await;
            folder.write("platools.toml", format!("{head}{}", more("own")));
            sidecar.signal(Signal::HUP);
            sidecar.says_times(IN_USE, 2).await;
            until("its tools are gone", || orders().tool("wait").is_none()).await;
            release.notify_one();
        });
    assert_eq!(outcome(report).unwrap(), json!("from the server"));
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn a_sidecar_that_stands_by_takes_over_on_its_signal_and_has_the_ping_of_the_file() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let folder = Folder::new();
    let text = format!("{}[sidecar]\nping = true\n", entity(&platform, "orders"));
    let file = folder.write("platools.toml", &text);
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let orders = platform.entity_in("orders", "dev").unwrap();
    assert_eq!(outcome(orders.call("ping", json!({})).await.unwrap()).unwrap()["ok"], json!(true));
    sidecar.signal(Signal::USR1);
    sidecar.says("no entity stands by").await;

    let other = Platools::builder().url(orders.url()).secret(orders.secret().expose()).tools([]);
    let other = other.build().unwrap();
    let handle = other.handle();
    let running = tokio::spawn(other.run_until(std::future::pending()));
    sidecar.says("standing by: dialling would evict the other process").await;
    sidecar.signal(Signal::USR1);
    sidecar.says("taking the connection over, which evicts the other process").await;
    let stood_by = tokio::time::timeout(GUARD, handle.wait_for(platools::host::HostState::Standby)).await;
    assert!(stood_by.unwrap(), "the other one is evicted");
    handle.shutdown().await;
    running.await.unwrap().unwrap();
    assert_eq!(outcome(orders.call("ping", json!({})).await.unwrap()).unwrap()["ok"], json!(true));
    assert_eq!(sidecar.stop().await, Some(0));

    let twice = format!("{text}[[tool.command]]\nname = \"ping\"\ndescription = \"d\"\nprogram = \"true\"\n");
    let found = crate::sidecar::problems(&twice).await;
    assert!(found[0].contains("the tool `ping` stands there twice"), "{found:?}");
}
