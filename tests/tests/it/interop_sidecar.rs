//! The sidecar with six MCP servers that others use: restarts withdraw no tool, and reloads refuse no call.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use platools_dev::{DevPlatform, Event};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::MutexGuard;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::interop::{node_packages, python};
use super::support::{ALONE, Folder, GUARD};

/// Names the file of a sidecar that is a process of its own.
const FILE: &str = "PLATOOLS_TESTS_SIDECAR";
/// For how long calls and reloads go on, in seconds; 30 unless said otherwise.
const STORM: &str = "PLATOOLS_STORM_SECONDS";
/// Six interpreters that start at once take their time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// How many calls come in a second.
const RATE: u32 = 200;

#[tokio::test]
#[ignore = "this is the sidecar of the other tests"]
async fn a_sidecar_of_its_own() {
    let Some(file) = std::env::var_os(FILE) else { return };
    if let Err(error) = platools_sidecar::run(Path::new(&file)).await {
        eprintln!("ended: {error}");
        std::process::exit(1);
    }
}

/// A sidecar as a process of its own, whose log is in the folder.
struct Sidecar {
    child: Child,
    log: String,
}

impl Sidecar {
    fn start(file: &str, folder: &Folder, log: &str) -> Self {
        let log = folder.path(log);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "interop_sidecar::a_sidecar_of_its_own", "--nocapture"])
            .env_remove("NOTIFY_SOCKET")
            .env_remove("RUST_LOG")
            .env(FILE, file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn said(&self, text: &str) -> usize {
        std::fs::read_to_string(&self.log).unwrap().matches(text).count()
    }

    fn reload(&self) {
        let id = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }

    async fn stop(mut self) {
        let id = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert_eq!(timeout(GUARD, self.child.wait()).await.expect("in time").unwrap().code(), Some(0));
    }
}

/// What the servers are given to work with.
struct World {
    _alone: MutexGuard<'static, ()>,
    folder: Folder,
    platform: Arc<DevPlatform>,
    pruned: Arc<AtomicU64>,
    /// Command lines by name.
    servers: BTreeMap<&'static str, (String, Vec<String>)>,
    page: String,
}

impl World {
    /// `None` when the servers are not installed.
    async fn new(name: &str) -> Option<Self> {
        let (node, python) = (node_packages("mcp-servers")?, python("mcp-servers-python")?);
        let alone = ALONE.lock().await;
        let folder = Folder::new(name);
        let path = |name: &str| {
            std::fs::canonicalize(folder.path("")).unwrap().join(name).to_str().unwrap().to_owned()
        };
        std::fs::create_dir_all(path("files")).unwrap();
        folder.file("files/note.txt", "from the disk");
        let git = std::process::Command::new("git").args(["init", "-q", &path("files")]).status().unwrap();
        assert!(git.success());
        let script = |name: &str| {
            let script = node.join("node_modules/@modelcontextprotocol").join(name).join("dist/index.js");
            assert!(script.exists(), "{} is missing", script.display());
            vec![script.to_str().unwrap().to_owned()]
        };
        // The scripts that pip writes name the folder that they were installed in; modules are found wherever it is now.
        let module = |name: &str, more: &[&str]| {
            let arguments = ["-m", name].into_iter().chain(more.iter().copied());
            (python.to_str().unwrap().to_owned(), arguments.map(str::to_owned).collect::<Vec<_>>())
        };
        let with = |mut arguments: Vec<String>, more: &str| {
            arguments.push(more.to_owned());
            arguments
        };
        let servers = BTreeMap::from([
            ("everything", ("node".to_owned(), script("server-everything"))),
            ("filesystem", ("node".to_owned(), with(script("server-filesystem"), &path("files")))),
            ("memory", ("node".to_owned(), script("server-memory"))),
            ("time", module("mcp_server_time", &["--local-timezone", "UTC"])),
            ("git", module("mcp_server_git", &["--repository", &path("files")])),
            ("fetch", module("mcp_server_fetch", &["--ignore-robots-txt", "--allow-private-ips"])),
        ]);
        // As the server waits for the answers of a connection that it closes: a busy machine needs more than 2 s for some.
        let options = DevPlatform::options().close_wait(Duration::from_secs(30));
        let platform = Arc::new(options.start().await.unwrap());
        let (mut events, pruned) = (platform.events(), Arc::new(AtomicU64::new(0)));
        let count = Arc::clone(&pruned);
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if let Event::Registered { counts, .. } = event {
                    count.fetch_add(counts.pruned, Ordering::Relaxed);
                }
            }
        });
        Some(Self { _alone: alone, folder, platform, pruned, servers, page: page().await })
    }

    /// Writes the file; `sidecar`, `entity` and `servers` are more keys of the sections.
    fn write(&self, sidecar: &str, entity: &str, servers: impl Fn(&str) -> String) -> String {
        let mut text = format!(
            "[sidecar]\nstate_dir = \"state\"\nwatch = false\n{sidecar}\n[[entity]]\nname = \"{}\"\nurl = \"{}\"\nsecret = \"{}\"\n\
             {entity}\n",
            self.platform.entity(),
            self.platform.url(),
            self.platform.secret().expose()
        );
        for (name, (command, args)) in &self.servers {
            let more = servers(name);
            let section =
                format!("[[mcp]]\nname = \"{name}\"\ncommand = {command:?}\nargs = {args:?}\n{more}\n");
            text.push_str(&section);
        }
        self.folder.file("platools.toml", &text)
    }

    fn names(&self) -> Vec<String> {
        self.platform.tools().into_iter().map(|tool| tool.name.clone()).collect()
    }

    /// Calls of every server, often of those that are quick.
    fn calls(&self) -> Vec<(&'static str, Value)> {
        let (echo, graph) = (("echo", json!({"message": "hi"})), ("read_graph", json!({})));
        let folder = std::fs::canonicalize(self.folder.path("files")).unwrap();
        let read = ("read_text_file", json!({"path": folder.join("note.txt")}));
        let time = ("get_current_time", json!({"timezone": "UTC"}));
        let mut calls: Vec<_> =
            (0..12).flat_map(|_| [echo.clone(), graph.clone(), read.clone(), time.clone()]).collect();
        calls.push(("git_status", json!({"repo_path": folder})));
        calls.push(("fetch", json!({"url": self.page})));
        calls
    }
}

/// Waits until something is so that no event tells.
async fn until(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("in time");
}

/// The URL of a page on this machine.
async fn page() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/page", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4_096];
                let _ = stream.read(&mut request).await;
                let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn a_restart_withdraws_no_tool_of_six_servers_even_if_none_of_them_comes_up() {
    let Some(world) = World::new("sidecar-restart").await else { return };
    // Nothing is remembered yet, and a busy machine may need more than the default for six interpreters.
    let file = world.write("mcp_wait = \"3min\"", "", |_| String::new());
    let sidecar = Sidecar::start(&file, &world.folder, "first.log");
    until(|| world.platform.tool("fetch").is_some()).await;
    // All six were waited for: the first declaration is complete.
    let names = world.names();
    assert_eq!(world.platform.counters().registrations, 1, "{names:?}");
    eprintln!("{} tools of six servers: {}", names.len(), names.join(" "));
    for (tool, arguments) in world.calls().into_iter().skip(44) {
        let report = world.platform.call(tool, arguments).await.unwrap();
        report.into_result().unwrap_or_else(|error| panic!("{tool}: {error:?}"));
    }
    sidecar.stop().await;

    world.write("", "", |_| String::new());
    let sidecar = Sidecar::start(&file, &world.folder, "second.log");
    until(|| sidecar.said("the platform has the tools") > 0).await;
    assert_eq!((world.names(), world.pruned.load(Ordering::Relaxed)), (names.clone(), 0));
    sidecar.stop().await;

    // No interpreter starts with these.
    let broken = |_: &str| {
        "env.NODE_OPTIONS = \"--no-such-option\"\nenv.PYTHONHOME = \"/no/such/folder\"\n".to_owned()
    };
    world.write("", "", broken);
    let sidecar = Sidecar::start(&file, &world.folder, "third.log");
    until(|| sidecar.said("the platform has the tools") > 0).await;
    assert_eq!((world.names(), world.pruned.load(Ordering::Relaxed)), (names.clone(), 0));
    for (tool, server) in [("echo", "everything"), ("git_status", "git")] {
        let refused = world.platform.call(tool, json!({})).await.unwrap().error().unwrap().to_owned();
        let expected =
            [format!("the MCP server `{server}` is down"), "it is tried again in about".to_owned()];
        // Wrong arguments are told before anything else.
        let refused = if refused.contains("invalid arguments") {
            let (_, arguments) = world.calls().into_iter().find(|(name, _)| *name == tool).unwrap();
            world.platform.call(tool, arguments).await.unwrap().error().unwrap().to_owned()
        } else {
            refused
        };
        assert!(expected.iter().all(|part| refused.contains(part)), "{refused}");
    }
    world.write("", "", |_| String::new());
    sidecar.reload();
    until(|| sidecar.said("the MCP server is up") == 6).await;
    let (tool, arguments) = world.calls().swap_remove(0);
    world.platform.call(tool, arguments).await.unwrap().into_result().unwrap();
    assert_eq!((world.names(), world.pruned.load(Ordering::Relaxed)), (names, 0));
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_of_entity_and_servers_refuse_no_call() {
    let Some(world) = World::new("sidecar-storm").await else { return };
    let seconds = std::env::var(STORM).ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(30);
    let file = world.write("", "", |_| String::new());
    let sidecar = Sidecar::start(&file, &world.folder, "storm.log");
    // Each has a tool that is called.
    let called = world.calls();
    until(|| called.iter().all(|(tool, _)| world.platform.tool(tool).is_some())).await;
    let names = world.names();

    let end = Instant::now() + Duration::from_secs(seconds);
    let storm = tokio::spawn(storm(Arc::clone(&world.platform), world.calls(), end));
    let servers: Vec<&str> = world.servers.keys().copied().collect();
    let (mut reloads, mut connections, mut restarts) = (0, 0, 0);
    while Instant::now() < end {
        // The entity's connection, its limits, the limits of tools, and one server after the other.
        let (entity, restarted) = (reloads / 4, reloads / 2);
        (connections, restarts) = (entity, restarted);
        let entity = format!("heartbeat_interval = \"{}s\"\nmax_running = {}\n", 30 + entity, 500 + reloads);
        world.write("", &entity, |name| {
            let place = servers.iter().position(|server| *server == name).unwrap();
            // How often it was this server's turn.
            let turns = (restarted + servers.len() - 1 - place) / servers.len();
            format!("timeout = \"{}s\"\nenv.TURN = \"{turns}\"\n", 20 + reloads % 5)
        });
        reloads += 1;
        sidecar.reload();
        until(|| sidecar.said("the file is in use as it is now") >= reloads).await;
        let pause = Instant::now() + Duration::from_millis(400);
        until(|| Instant::now() >= pause.min(end)).await;
    }
    let outcome = storm.await.unwrap();
    eprintln!(
        "{} calls in {seconds} s, {} of them refused, the slowest, {}, took {:?}; {reloads} reloads with {connections} \
         other connections of the entity and {restarts} of servers; {} tools pruned",
        outcome.calls,
        outcome.refused.len(),
        outcome.slowest.1,
        outcome.slowest.0,
        world.pruned.load(Ordering::Relaxed)
    );
    assert_eq!(outcome.refused, [""; 0], "of {} calls", outcome.calls);
    assert!(outcome.calls >= seconds as usize * RATE as usize * 9 / 10, "{} calls", outcome.calls);
    assert!(reloads > 4 && connections > 0 && restarts > 1);
    assert_eq!((world.names(), world.pruned.load(Ordering::Relaxed)), (names, 0));
    sidecar.stop().await;
}

/// What became of the calls.
struct Outcome {
    calls: usize,
    refused: Vec<String>,
    slowest: (Duration, &'static str),
}

/// Calls at a steady rate, whatever becomes of the calls before.
async fn storm(platform: Arc<DevPlatform>, calls: Vec<(&'static str, Value)>, end: Instant) -> Outcome {
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut running = JoinSet::new();
    for (tool, arguments) in calls.into_iter().cycle() {
        ticks.tick().await;
        if Instant::now() >= end {
            break;
        }
        let platform = Arc::clone(&platform);
        running.spawn(async move {
            let started = Instant::now();
            let report = platform.call(tool, arguments).await.unwrap();
            (report.into_result().map_err(|error| format!("{tool}: {error:?}")), (started.elapsed(), tool))
        });
    }
    let mut outcome = Outcome { calls: 0, refused: Vec::new(), slowest: (Duration::ZERO, "none") };
    while let Some(ended) = running.join_next().await {
        let (answer, time) = ended.unwrap();
        outcome.calls += 1;
        outcome.slowest = outcome.slowest.max(time);
        outcome.refused.extend(answer.err());
    }
    outcome
}
