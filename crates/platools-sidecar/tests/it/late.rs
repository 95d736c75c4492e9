//! MCP servers that are late, and sections that change while calls run: nothing is withdrawn from the platform, and no
//! call is refused.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use platools::LocalHost;
use platools_dev::{ConnectedEntity, DevPlatform, Event};
use platools_mcp::McpServer;
use rustix::process::Signal;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::backend::client;
use crate::mcp::{TOKEN, has, server, tool};
use crate::sidecar::{Folder, Running, entity, outcome};

const IN_USE: &str = "the file is in use as it is now";

/// A platform that counts the tools that declarations have removed.
struct Platform {
    platform: Arc<DevPlatform>,
    pruned: Arc<AtomicU64>,
}

impl Platform {
    async fn start() -> Self {
        let options = DevPlatform::options().entity_with_random_secret("orders");
        let platform = Arc::new(options.registrations_per_minute(1_000).start().await.unwrap());
        let (mut events, pruned) = (platform.events(), Arc::new(AtomicU64::new(0)));
        let count = Arc::clone(&pruned);
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if let Event::Registered { counts, .. } = event {
                    count.fetch_add(counts.pruned, Ordering::Relaxed);
                }
            }
        });
        Self { platform, pruned }
    }

    fn orders(&self) -> ConnectedEntity {
        self.platform.entity_in("orders", "dev").unwrap()
    }

    fn pruned(&self) -> u64 {
        self.pruned.load(Ordering::Relaxed)
    }

    async fn call(&self, tool: &str) -> Result<serde_json::Value, String> {
        outcome(self.orders().calling(tool).arguments(json!({})).send().await.unwrap())
    }

    /// Calls the tools in turn until it is told to stop.
    fn storm(&self, tools: &'static [&'static str]) -> Storm {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers = (0..4).map(|_| {
            let (platform, stop, calls) = (Arc::clone(&self.platform), Arc::clone(&stop), Arc::clone(&calls));
            tokio::spawn(async move {
                let entity = platform.entity_in("orders", "dev").unwrap();
                for tool in tools.iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let report = entity.calling(tool).arguments(json!({})).send().await.unwrap();
                    outcome(report).unwrap_or_else(|error| panic!("{tool}: {error}"));
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        Storm { callers: callers.collect(), stop, calls }
    }
}

/// Calls that all have to be answered.
struct Storm {
    callers: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

impl Storm {
    /// Waits until some more calls were answered.
    async fn goes_on(&self) {
        let before = self.calls.load(Ordering::Relaxed);
        until(|| {
            self.calls.load(Ordering::Relaxed) > before + 20
                || self.callers.iter().any(JoinHandle::is_finished)
        })
        .await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
    }
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::sidecar::GUARD, so).await.expect("in time");
}

/// Starts the MCP server at an address where one was before.
async fn serve_at(address: SocketAddr, tools: &[&str]) -> LocalHost {
    let tools = tools.iter().map(|name| tool(name));
    let host = platools::Platools::builder().tools(tools).build_local().unwrap();
    let address = (address.ip(), address.port());
    let listener = McpServer::new(host.door()).http(TOKEN).unwrap().bind(address).await.unwrap();
    tokio::spawn(listener.serve());
    host
}

/// An address where nothing listens.
fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn section(url: &str, more: &str) -> String {
    format!("[[mcp]]\nname = \"m\"\nurl = \"{url}\"\nbearer = \"file:token\"\nprefix = \"m_\"\n{more}")
}

const OWN: &str = "[[tool.command]]\nname = \"own\"\ndescription = \"d\"\nprogram = \"true\"\n";

#[tokio::test]
async fn the_first_declaration_waits_for_a_server_and_not_for_ever() {
    let platform = Platform::start().await;
    let folder = Folder::new();
    folder.write("token", TOKEN);
    let address = free();
    let head = entity(&platform.platform, "orders");
    let section = section(&format!("http://{address}/mcp"), "");
    let file = folder.write("platools.toml", format!("{head}{OWN}{section}[sidecar]\nmcp_wait = \"55s\"\n"));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the MCP server is down").await;
    assert!(!platform.orders().is_connected() && platform.platform.counters().registrations == 0);
    let _server = serve_at(address, &["who"]).await;
    has(&platform.orders(), &["m_who", "own"]).await;
    assert_eq!((platform.platform.counters().registrations, platform.pruned()), (1, 0));
    assert_eq!(sidecar.stop().await, Some(0));

    let nowhere = section.replace(&address.to_string(), &free().to_string());
    folder.write("platools.toml", format!("{head}{OWN}{nowhere}[sidecar]\nmcp_wait = \"300ms\"\n"));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("its tools are not known: they are declared once it is up").await;
    sidecar.says("the platform has the tools").await;
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn a_sidecar_that_waits_for_a_server_ends_at_once() {
    let platform = Platform::start().await;
    let folder = Folder::new();
    let head = entity(&platform.platform, "orders");
    let section = format!("[[mcp]]\nname = \"m\"\nurl = \"http://{}/mcp\"\n", free());
    let file = folder.write("platools.toml", format!("{head}{section}[sidecar]\nmcp_wait = \"10min\"\n"));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the MCP server is down").await;
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn after_a_restart_a_server_that_is_down_keeps_its_tools() {
    let platform = Platform::start().await;
    let folder = Folder::new();
    folder.write("token", TOKEN);
    let (first, url) = server(&["who", "gone"]).await;
    let head = entity(&platform.platform, "orders");
    let state = "[sidecar]\nstate_dir = \"state\"\nmcp_wait = \"10min\"\n";
    let file = folder.write("platools.toml", format!("{head}{OWN}{}{state}", section(&url, "")));
    let sidecar = Running::start(&file, &folder, &[]);
    has(&platform.orders(), &["m_gone", "m_who", "own"]).await;
    assert_eq!(sidecar.stop().await, Some(0));

    // What is remembered belongs to this URL: the server refuses the token instead of being elsewhere.
    folder.write("token", "another-token");
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    has(&platform.orders(), &["m_gone", "m_who", "own"]).await;
    assert_eq!(platform.pruned(), 0);
    let refused = platform.call("m_who").await.unwrap_err();
    assert!(refused.contains("the MCP server `m` is down (refuses access (401)"), "{refused}");
    assert!(refused.contains("it is tried again in about"), "{refused}");
    assert_eq!(platform.call("own").await, Ok(json!({"ok": true})));

    // Up again, with a tool less: that one is gone, and forgotten.
    first.tools().remove("gone");
    folder.write("token", TOKEN);
    has(&platform.orders(), &["m_who", "own"]).await;
    assert_eq!((platform.call("m_who").await, platform.pruned()), (Ok(json!("who")), 1));
    assert_eq!(sidecar.stop().await, Some(0));
    folder.write("token", "another-token");
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    assert_eq!(platform.orders().tools().len(), 2);
    assert_eq!(sidecar.stop().await, Some(0));

    // Another version of it in this section, under another URL, and then under another name, too.
    let away = section(&format!("http://{}/mcp", free()), "");
    folder.write("platools.toml", format!("{head}{OWN}{away}{state}"));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("of the last run, when its command or URL was another, until it is up").await;
    sidecar.says("the platform has the tools").await;
    assert_eq!((platform.orders().tools().len(), platform.pruned()), (2, 1));
    assert_eq!(sidecar.stop().await, Some(0));
    let renamed = section(&url, "").replace("\"m\"", "\"renamed\"");
    folder.write("platools.toml", format!("{head}{OWN}{renamed}{state}"));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("that it had under another name until it is up").await;
    sidecar.says("the platform has the tools").await;
    assert_eq!((platform.orders().tools().len(), platform.pruned()), (2, 1));
    let refused = platform.call("m_who").await.unwrap_err();
    assert!(refused.contains("the MCP server `renamed` is down (refuses access (401)"), "{refused}");
    assert_eq!(sidecar.stop().await, Some(0));

    // A file that something has spoiled.
    folder.write("platools.toml", format!("{head}{OWN}{}{state}", section(&url, "")));
    for entry in std::fs::read_dir(folder.path("state")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().contains("mcp-tools-m-") {
            std::fs::write(path, "{\"version\":1").unwrap();
        }
    }
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("it is not what was written").await;
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_mcp_section_withdraws_no_tool_and_refuses_no_call() {
    let platform = Platform::start().await;
    let folder = Folder::new();
    folder.write("token", TOKEN);
    let (_first, url) = server(&["who", "other"]).await;
    let (_second, elsewhere) = server(&["who", "other"]).await;
    let head = entity(&platform.platform, "orders");
    let write = |section: String| folder.write("platools.toml", format!("{head}{OWN}{section}"));
    let sidecar = Running::start(&write(section(&url, "")), &folder, &[]);
    has(&platform.orders(), &["m_other", "m_who", "own"]).await;

    let storm = platform.storm(&["m_who", "m_other"]);
    let sections = [
        section(&url, "timeout = \"9s\"\nconcurrency = 64\nrate_limit = \"100000/s\"\n"),
        section(&url, "max_result = \"2 MiB\"\n"),
        section(&elsewhere, ""),
        section(&elsewhere, "auth = \"none\"\n"),
        section(&url, ""),
    ];
    for (index, section) in sections.into_iter().cycle().take(15).enumerate() {
        storm.goes_on().await;
        write(section);
        sidecar.signal(Signal::HUP);
        sidecar.says_times(IN_USE, index + 1).await;
    }
    storm.goes_on().await;
    // One that does not come up leaves the other in place.
    write(section(&format!("http://{}/mcp", free()), ""));
    sidecar.signal(Signal::HUP);
    sidecar.says_times(IN_USE, 16).await;
    sidecar.says("the MCP server is down").await;
    storm.goes_on().await;
    storm.end().await;
    assert_eq!((platform.pruned(), platform.orders().tools().len()), (0, 3));
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_section_with_another_name_keeps_its_tools_and_refuses_no_call() {
    let platform = Platform::start().await;
    let folder = Folder::new();
    folder.write("token", TOKEN);
    let (_first, url) = server(&["who", "other"]).await;
    let (_second, elsewhere) = server(&["who", "other"]).await;
    let head = entity(&platform.platform, "orders");
    let wait = "[sidecar]\nmcp_wait = \"10min\"\n";
    let write = |sections: &str| folder.write("platools.toml", format!("{head}{OWN}{sections}{wait}"));
    let named = |name: &str, url: &str| section(url, "").replace("\"m\"", &format!("\"{name}\""));
    let sidecar = Running::start(&write(&named("m", &url)), &folder, &[]);
    has(&platform.orders(), &["m_other", "m_who", "own"]).await;
    let reload = async |sections: &str, times| {
        write(sections);
        sidecar.signal(Signal::HUP);
        sidecar.says_times(IN_USE, times).await;
    };

    let storm = platform.storm(&["m_who", "m_other"]);
    storm.goes_on().await;
    // The same server: nothing is connected anew.
    reload(&named("renamed", &url), 1).await;
    storm.goes_on().await;
    assert_eq!(sidecar.log().matches("the MCP server is up").count(), 1);
    // Another server with the same tools under another name.
    reload(&named("another", &elsewhere), 2).await;
    sidecar.says_times("the MCP server is up", 2).await;
    storm.goes_on().await;
    // One that is not there yet.
    let late = free();
    reload(&named("late", &format!("http://{late}/mcp")), 3).await;
    sidecar.says("the MCP server is down").await;
    storm.goes_on().await;
    let _late = serve_at(late, &["who", "other"]).await;
    sidecar.says_times("the MCP server is up", 3).await;
    storm.goes_on().await;
    // Back to one that was about to leave.
    reload(&named("gone", &format!("http://{}/mcp", free())), 4).await;
    storm.goes_on().await;
    reload(&named("late", &format!("http://{late}/mcp")), 5).await;
    storm.goes_on().await;
    storm.end().await;
    assert_eq!((platform.pruned(), platform.orders().tools().len()), (0, 3));
    assert_eq!(sidecar.log().matches("the MCP server is up").count(), 3);
    // One that never comes is not waited for longer than it says.
    let never = named("never", &format!("http://{}/mcp", free()));
    folder.write("platools.toml", format!("{head}{OWN}{never}[sidecar]\nmcp_wait = \"300ms\"\n"));
    sidecar.signal(Signal::HUP);
    has(&platform.orders(), &["own"]).await;
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_entity_section_refuses_no_call_and_limits_change_in_place() {
    let platform = Platform::start().await;
    let folder = Folder::new();
    folder.write("token", TOKEN);
    let (_server, url) = server(&["who"]).await;
    let head = entity(&platform.platform, "orders");
    let write = |more: &str| folder.write("platools.toml", format!("{head}{more}{OWN}{}", section(&url, "")));
    let sidecar = Running::start(&write(""), &folder, &[]);
    has(&platform.orders(), &["m_who", "own"]).await;
    let first = platform.orders().connection_id();

    let storm = platform.storm(&["m_who", "own"]);
    write("max_running = 64\nmax_waiting = 128\nmax_argument_bytes = 9000000\nmax_unsent_bytes = 1000000\n");
    sidecar.signal(Signal::HUP);
    sidecar.says("the limits are those of the file").await;
    storm.goes_on().await;
    assert_eq!(platform.orders().connection_id(), first, "nothing was connected anew");
    let mut last = first;
    for interval in 40..45 {
        storm.goes_on().await;
        write(&format!("heartbeat_interval = \"{interval}s\"\n"));
        sidecar.signal(Signal::HUP);
        until(|| platform.orders().connection_id().is_some_and(|id| Some(&id) != last.as_ref())).await;
        last = platform.orders().connection_id();
    }
    // Faster than connections come.
    for interval in 50..60 {
        write(&format!("heartbeat_interval = \"{interval}s\"\n"));
        sidecar.signal(Signal::HUP);
        sidecar.says_times(IN_USE, interval - 50 + 7).await;
    }
    storm.goes_on().await;
    storm.end().await;
    assert_eq!((platform.pruned(), platform.orders().tools().len()), (0, 2));
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn a_reload_keeps_the_state_directory_also_for_an_entity_that_is_connected_anew() {
    let platform = Platform::start().await;
    let folder = Folder::new();
    let head = entity(&platform.platform, "orders");
    let write = |interval: u32, state: &str| {
        let more = format!("heartbeat_interval = \"{interval}s\"\n");
        let state = format!("[sidecar]\nstate_dir = \"{state}\"\n");
        folder.write("platools.toml", format!("{head}{more}{OWN}{state}"))
    };
    let sidecar = Running::start(&write(30, "one"), &folder, &[]);
    has(&platform.orders(), &["own"]).await;
    let first = platform.orders().connection_id();
    write(31, "two");
    sidecar.signal(Signal::HUP);
    sidecar.says("`state_dir` of `[sidecar]` changed: that needs a restart").await;
    until(|| platform.orders().connection_id().is_some_and(|id| Some(id) != first)).await;
    sidecar.says_times("the platform has the tools", 2).await;
    assert!(folder.path("one").exists() && !folder.path("two").exists());
    assert_eq!(sidecar.stop().await, Some(0));
    // A restart is what it needs.
    let sidecar = Running::start(&folder.path("platools.toml"), &folder, &[]);
    sidecar.says("the platform has the tools").await;
    assert!(folder.path("two").exists());
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn calls_over_http_wait_for_the_first_tools() {
    let platform = Platform::start().await;
    let folder = Folder::new();
    folder.write("token", TOKEN);
    let (late, callback) = (free(), free());
    let head = entity(&platform.platform, "orders");
    let keys = format!(
        "allow_insecure = true\ncallback_url = \"http://{callback}/calls\"\ncallback_listen = \"{callback}\"\n"
    );
    let section = section(&format!("http://{late}/mcp"), "");
    let wait = "[sidecar]\nmcp_wait = \"10min\"\n";
    let file = folder.write("platools.toml", format!("{head}{keys}{OWN}{section}{wait}"));
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the MCP server is down").await;
    let post = async || client().post(format!("http://{callback}/calls")).body("{}").send().await.unwrap();
    let early = post().await;
    assert_eq!((early.status().as_u16(), early.headers()["retry-after"].as_bytes()), (503, &b"1"[..]));
    assert!(early.text().await.unwrap().contains("call again in a moment"));
    let _server = serve_at(late, &["who"]).await;
    has(&platform.orders(), &["m_who", "own"]).await;
    while post().await.status().as_u16() == 503 {
        tokio::task::yield_now().await;
    }
    assert_eq!(post().await.status().as_u16(), 401, "it is not signed");
    platform.platform.crash().await;
    assert_eq!(platform.call("m_who").await, Ok(json!("who")));
    assert_eq!(sidecar.stop().await, Some(0));
}
