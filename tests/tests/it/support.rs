//! What the tests share: a host that is connected to a platform, and the tools it offers.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use platools::host::{HostError, HostState};
use platools::prelude::*;
use platools::{Host, HostHandle, Tool, tools};
use platools_dev::{ConnectedEntity, DevPlatform};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Twelve interpreters at once, or six beside a browser, would make calls late that six alone do not: the tests that start
/// them run one after the other.
pub(crate) static ALONE: Mutex<()> = Mutex::const_new(());

/// No wait of these tests is longer; it only ends a test that hangs.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// Add two whole numbers.
#[tool(register = false)]
pub(crate) async fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// Say who is calling, by parameter and from the ambient accessors.
#[tool(register = false)]
pub(crate) async fn whoami(ctx: CallContext) -> Value {
    tokio::task::yield_now().await;
    json!([
        ctx.user_id(),
        platools::caller::current_user_id(),
        platools::caller::current_call_id(),
        ctx.context()
    ])
}

/// Say who is calling, if anybody knows.
#[tool(register = false)]
pub(crate) async fn perhaps(ctx: Option<CallContext>) -> Option<String> {
    ctx.map(|ctx| ctx.user_id().to_owned())
}

/// Sleep.
#[tool(register = false)]
pub(crate) async fn sleep(ms: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    ms
}

/// Block a thread.
#[tool(register = false)]
pub(crate) fn block(ms: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

/// Panic.
#[tool(register = false)]
pub(crate) async fn panic() -> Value {
    panic!("password=hunter2")
}

/// Answer with a long text.
#[tool(register = false)]
pub(crate) async fn huge(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Say how long a text is.
#[tool(register = false)]
pub(crate) async fn length(text: &str) -> usize {
    text.len()
}

/// Fail for the user, or inside.
#[tool(register = false)]
pub(crate) async fn fail(inside: bool) -> Result<(), ToolError> {
    if inside {
        return Err(std::io::Error::other("password=hunter2").into());
    }
    Err(ToolError::user("not today"))
}

pub(crate) fn all_tools() -> Vec<Tool> {
    tools![add, whoami, perhaps, sleep, block, panic, huge, length, fail]
}

/// A builder that connects to `entity`, with all tools.
pub(crate) fn builder(entity: &ConnectedEntity) -> Platools {
    Platools::builder().url(entity.url()).secret(entity.secret().expose()).tools(all_tools())
}

/// A host that runs in the background.
pub(crate) struct Running {
    pub(crate) handle: HostHandle,
    pub(crate) task: JoinHandle<Result<(), HostError>>,
}

impl Running {
    pub(crate) fn start(host: Host) -> Self {
        let handle = host.handle();
        Self { handle, task: tokio::spawn(host.run_until(std::future::pending())) }
    }

    /// Waits until the host is in `state`.
    pub(crate) async fn reaches(&self, state: HostState) {
        let reached = timeout(GUARD, self.handle.wait_for(state)).await;
        assert!(reached.expect("in time"), "the host is {} and never was {state}", self.handle.state());
    }

    /// Waits for the end of the host.
    pub(crate) async fn ended(self) -> Result<(), HostError> {
        timeout(GUARD, self.task).await.expect("in time").expect("no panic")
    }
}

/// A platform with a host that has registered all tools.
pub(crate) async fn connected() -> (DevPlatform, Running) {
    let platform = DevPlatform::start().await.unwrap();
    let host = Running::start(builder(&platform).build().unwrap());
    platform.wait_for_tool("add").await.unwrap();
    (platform, host)
}

/// The answer of a call that has to succeed.
pub(crate) async fn answer(entity: &ConnectedEntity, tool: &str, arguments: Value) -> Value {
    entity.call(tool, arguments).await.unwrap().into_result().unwrap()
}

/// The error of a call that has to fail.
pub(crate) async fn error(entity: &ConnectedEntity, tool: &str, arguments: Value) -> String {
    let report = entity.call(tool, arguments).await.unwrap();
    report.error().unwrap_or_else(|| panic!("{report:?}")).to_owned()
}

/// Waits until something is so that no event tells.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GUARD, waiting).await.expect("in time");
}

/// The conformance host as a process of its own.
pub(crate) fn conformance_host(variables: &[(&str, &str)]) -> Child {
    program(env!("CARGO_BIN_EXE_conformance-host"), variables).stderr(Stdio::piped()).spawn().unwrap()
}

/// A program with nothing of this process's configuration.
pub(crate) fn program(path: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(path);
    for variable in
        ["URL", "SECRET", "SECRET_FILE", "ENTITY", "ENV", "CA_FILE", "CALLBACK_URL", "ALLOW_INSECURE"]
    {
        command.env_remove(format!("PLATOS_{variable}"));
    }
    command
        .env_remove("PLATOOLS_HEARTBEAT_INTERVAL")
        .env_remove("PLATOOLS_STATE_DIR")
        .env_remove("PLATOOLS_FLEET")
        .env_remove("RUST_LOG")
        .env("RUST_BACKTRACE", "0");
    command.envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Waits for a process and returns whether it succeeded, with what it wrote.
pub(crate) async fn finished(child: Child) -> (bool, String) {
    let output = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = timeout(GUARD, output).await.expect("in time").unwrap().unwrap();
    let written = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&written).into_owned())
}

/// Asks a process to end, as a service manager does.
pub(crate) fn terminate(child: &Child) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", child.id())).status().unwrap();
    assert!(sent.success());
}

/// A folder of this test's own, emptied when the test ends.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("platools-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
