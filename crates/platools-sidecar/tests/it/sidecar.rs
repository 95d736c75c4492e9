//! A sidecar of tests: its file, its process, the platform that it connects to.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use platools::{Arguments, CallContext, LocalHost};
use platools_dev::{CallReport, DevPlatform, Outcome};
use serde_json::Value;
use tokio::process::{Child, Command};

/// Nothing here takes as long.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// Names the file of a sidecar that is a process of its own.
const FILE: &str = "PLATOOLS_SIDECAR_UNDER_TEST";

#[tokio::test]
#[ignore = "this is the sidecar of other tests"]
async fn a_process_of_its_own() {
    let Some(file) = std::env::var_os(FILE) else { return };
    if let Err(error) = platools_sidecar::run(Path::new(&file)).await {
        eprintln!("ended: {error}");
        std::process::exit(1);
    }
}

/// Names the file whose tools are served over MCP by a process of its own.
const SERVED: &str = "PLATOOLS_SIDECAR_SERVED";

#[tokio::test]
#[ignore = "this is the MCP server of other tests"]
async fn a_server_of_its_own() {
    let Some(file) = std::env::var_os(SERVED) else { return };
    let local = platools_sidecar::local(Path::new(&file)).await.unwrap();
    local.init_logging("info");
    platools_mcp::McpServer::new(local.host().door()).serve_stdio().await.unwrap();
    local.stop().await;
    std::process::exit(0);
}

/// Starts this test program again, as an MCP server on standard input and output.
#[cfg_attr(not(any(feature = "otlp", target_os = "linux")), expect(dead_code))]
pub(crate) fn server(file: &Path, folder: &Folder) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "sidecar::a_server_of_its_own", "--nocapture"])
        .env(SERVED, file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(folder.path("log")).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// A folder that goes away with the test.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("platools-sidecar-it-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        // As configurations are put in place: whole, or not at all.
        let new = self.path(&format!("{name}.new"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &path).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What is wrong with a file of this text.
pub(crate) async fn problems(text: &str) -> Vec<String> {
    let folder = Folder::new();
    let file = folder.write("platools.toml", text);
    match platools_sidecar::check(&file).await {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.iter().map(ToString::to_string).collect(),
    }
}

/// The tools of a file of this text, without a platform.
pub(crate) async fn local(text: &str) -> LocalHost {
    let folder = Folder::new();
    let file = folder.write("platools.toml", text);
    platools_sidecar::local(&file).await.unwrap().host().clone()
}

/// Calls one of them.
pub(crate) async fn call(host: &LocalHost, tool: &str, arguments: Value) -> Result<Value, String> {
    call_as(host, tool, arguments, CallContext::builder().build()).await
}

pub(crate) async fn call_as(
    host: &LocalHost,
    tool: &str,
    arguments: Value,
    context: CallContext,
) -> Result<Value, String> {
    let answer = host.call(tool, Arguments::try_from(arguments).unwrap(), context);
    let answer = tokio::time::timeout(GUARD, answer).await.expect("a call ends");
    answer.map(|output| output.to_value()).map_err(|error| error.to_string())
}

/// What a call over the wire ended with.
pub(crate) fn outcome(report: CallReport) -> Result<Value, String> {
    match report.outcome {
        Outcome::Result(value) => Ok(value),
        other => Err(format!("{other:?}")),
    }
}

/// A sidecar that runs as a process of its own: signals and logging are a process's.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) log: PathBuf,
}

impl Running {
    /// Starts this test program again, as a sidecar.
    pub(crate) fn start(file: &Path, folder: &Folder, variables: &[(&str, &str)]) -> Self {
        Self::launch(Command::new(std::env::current_exe().unwrap()), file, folder, variables)
    }

    /// The same, started by another program.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_by(
        program: &str,
        arguments: &[&str],
        file: &Path,
        folder: &Folder,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).arg(std::env::current_exe().unwrap());
        Self::launch(command, file, folder, variables)
    }

    /// The same with few file descriptors: `soft` at first, and `hard` at most.
    pub(crate) fn start_limited(file: &Path, folder: &Folder, soft: usize, hard: usize) -> Self {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -S -n {soft} && ulimit -H -n {hard} && exec \"$0\" \"$@\"");
        shell.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
        Self::launch(shell, file, folder, &[])
    }

    /// The same in a control group with so much memory; `None`, and a line that says so, where none can be made.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_in_group(file: &Path, folder: &Folder, bytes: usize) -> Option<(Self, MemoryGroup)> {
        let group = MemoryGroup::new(bytes)
            .inspect_err(|problem| eprintln!("SKIPPED: no control group can be made: {problem}"))
            .ok()?;
        let mut shell = Command::new("sh");
        let script = "echo $$ > \"$0\" && exec \"$@\"";
        shell.arg("-c").arg(script).arg(group.path("cgroup.procs")).arg(std::env::current_exe().unwrap());
        Some((Self::launch(shell, file, folder, &[]), group))
    }

    fn launch(mut command: Command, file: &Path, folder: &Folder, variables: &[(&str, &str)]) -> Self {
        let log = folder.path("log");
        let child = command
            .args(["--ignored", "--exact", "sidecar::a_process_of_its_own", "--nocapture"])
            .env_remove("NOTIFY_SOCKET")
            .env(FILE, file)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log says something.
    pub(crate) async fn says(&self, part: &str) {
        self.says_times(part, 1).await;
    }

    pub(crate) async fn says_times(&self, part: &str, times: usize) {
        let said = async {
            while self.log().matches(part).count() < times {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let said = tokio::time::timeout(GUARD, said).await;
        assert!(said.is_ok(), "{part:?} {times} times in:\n{}", self.log());
    }

    /// Ends it in order, and says how it ended.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        tokio::time::timeout(GUARD, self.child.wait()).await.expect("it ends").unwrap().code()
    }
}

/// A control group of memory, below the one that the tests run in. It goes away with its processes.
#[cfg(target_os = "linux")]
pub(crate) struct MemoryGroup {
    folder: PathBuf,
    is_v2: bool,
}

#[cfg(target_os = "linux")]
impl MemoryGroup {
    fn new(bytes: usize) -> std::io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let own = std::fs::read_to_string("/proc/self/cgroup")?;
        let v1 = own.lines().find_map(|line| line.split_once(":memory:"));
        let (root, own, is_v2) = match v1 {
            Some((_, own)) => ("/sys/fs/cgroup/memory", own, false),
            None => ("/sys/fs/cgroup", own.trim().trim_start_matches("0::"), true),
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("platools-test-{}-{number}", std::process::id());
        let folder = Path::new(root).join(own.trim_start_matches('/')).join(name);
        std::fs::create_dir(&folder)?;
        let group = Self { folder, is_v2 };
        // A group of the second version without the controller has no such file.
        let limit = std::fs::OpenOptions::new().write(true).open(group.path(group.limit_name()));
        std::io::Write::write_all(&mut limit?, bytes.to_string().as_bytes())?;
        Ok(group)
    }

    fn limit_name(&self) -> &str {
        if self.is_v2 { "memory.max" } else { "memory.limit_in_bytes" }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// How many of its processes were killed for want of memory.
    pub(crate) fn killed(&self) -> usize {
        let events = if self.is_v2 { "memory.events" } else { "memory.oom_control" };
        let events = std::fs::read_to_string(self.path(events)).unwrap();
        let killed = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        killed.map_or(0, |killed| killed.trim().parse().unwrap())
    }
}

#[cfg(target_os = "linux")]
impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Its processes were killed just now, and leave in a moment.
        for _ in 0..500 {
            if std::fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The section of the file that connects to a development platform.
pub(crate) fn entity(platform: &DevPlatform, name: &str) -> String {
    let entity = platform.entity_in(name, "dev").unwrap();
    format!(
        "[[entity]]\nname = \"{name}\"\nurl = \"{}\"\nsecret = \"{}\"\n",
        entity.url(),
        entity.secret().expose()
    )
}
