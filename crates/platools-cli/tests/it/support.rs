//! Running the program, and a host for its platform.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use platools::host::HostError;
use platools::prelude::*;
use platools::{HostHandle, tools};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// No wait of these tests is longer; it only ends a test that hangs.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// The program, with nothing of this process's environment that would change what it does.
pub(crate) fn program(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_platools"));
    // Everything that is ever logged is, so that a secret among it would be seen.
    command.env_clear().env("RUST_LOG", "trace").args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// What a run printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) errors: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks how a run failed: with nothing on standard output.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, message: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.errors.contains(message), "`{message}` is not in {self:?}");
        assert_eq!(self.out, "");
    }
}

/// Runs the program to its end; none of the variables' secrets may be among its errors.
pub(crate) async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let output = timeout(GUARD, program(arguments, variables).output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ran = Ran {
        code: output.status.code().expect("it ended by itself"),
        out: text(output.stdout),
        errors: text(output.stderr),
    };
    for (name, value) in variables {
        if name.contains("SECRET") || name.contains("TOKEN") {
            assert!(value.is_empty() || !ran.errors.contains(value), "{name} is printed: {ran:?}");
        }
    }
    ran
}

/// `platools dev --json`, running.
pub(crate) struct Dev {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The first line: how to connect.
    pub(crate) banner: Value,
    pub(crate) url: String,
    pub(crate) token: String,
    errors: JoinHandle<String>,
}

impl Dev {
    /// Starts it at a free port, with more arguments.
    pub(crate) async fn start(more: &[&str]) -> Self {
        Self::start_with(more, &[]).await
    }

    pub(crate) async fn start_with(more: &[&str], variables: &[(&str, &str)]) -> Self {
        let arguments = [&["dev", "--json", "--port", "0"], more].concat();
        Self::run_as(program(&arguments, variables)).await
    }

    /// Starts it in another folder.
    pub(crate) async fn start_in(folder: &Scratch, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let arguments = [&["dev", "--json", "--port", "0"], more].concat();
        let mut command = program(&arguments, variables);
        command.current_dir(&folder.0);
        Self::run_as(command).await
    }

    /// What it shows people at its start.
    pub(crate) async fn shown(more: &[&str]) -> String {
        let arguments = [&["dev", "--port", "0"], more].concat();
        let mut child = program(&arguments, &[]).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut shown = String::new();
        while let Some(line) = timeout(GUARD, lines.next_line()).await.unwrap().unwrap() {
            shown.push_str(&line);
            shown.push('\n');
            if line.contains("Ctrl-C stops it.") {
                break;
            }
        }
        child.kill().await.unwrap();
        shown
    }

    async fn run_as(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = child.stderr.take().unwrap();
        let errors = tokio::spawn(async move {
            let mut text = String::new();
            stderr.read_to_string(&mut text).await.unwrap();
            text
        });
        let Some(first) = timeout(GUARD, lines.next_line()).await.unwrap().unwrap() else {
            panic!("it did not start: {}", errors.await.unwrap())
        };
        let banner: Value = serde_json::from_str(&first).unwrap();
        let url = banner["url"].as_str().unwrap().trim_end_matches('/').to_owned();
        let token = banner["api_token"].as_str().unwrap().to_owned();
        Self { child, lines, banner, url, token, errors }
    }

    /// The URL and the secret of an entity.
    pub(crate) fn entity(&self, name: &str) -> (String, String) {
        let entities = self.banner["entities"].as_array().unwrap();
        let found = entities.iter().find(|entity| entity["entity"] == name).expect("it is there");
        (found["url"].as_str().unwrap().to_owned(), found["secret"].as_str().unwrap().to_owned())
    }

    /// Waits until something of this kind is told, and returns its line.
    pub(crate) async fn tells(&mut self, event: &str) -> Value {
        loop {
            let line = timeout(GUARD, self.lines.next_line()).await.unwrap().unwrap().expect("it runs");
            let told: Value = serde_json::from_str(&line).unwrap();
            if told["event"] == event {
                return told;
            }
        }
    }

    /// Connects a host as this entity; its tools are registered.
    pub(crate) async fn connect(&mut self, entity: &str) -> Host {
        let (url, secret) = self.entity(entity);
        let tools = tools![add, hang, refuse, verbatim, whoami];
        let host = Platools::builder().url(url).secret(secret).tools(tools).build().unwrap();
        let host = Host { handle: host.handle(), task: tokio::spawn(host.run_until(std::future::pending())) };
        assert_eq!(self.tells("registered").await["entity"], entity);
        host
    }

    /// Runs another command against it.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        run(arguments, &[("PLATOOLS_DEV_URL", &self.url), ("PLATOOLS_DEV_TOKEN", &self.token)]).await
    }

    /// Ends it as Ctrl-C or a supervisor does; nothing that it printed as an error holds a secret.
    pub(crate) async fn stop(self) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        self.end(Some(0)).await;
    }

    /// Ends it without a chance to do anything.
    pub(crate) async fn kill(mut self) {
        self.child.start_kill().unwrap();
        self.end(None).await;
    }

    async fn end(mut self, code: Option<i32>) {
        // Whoever prints may not be kept waiting for a reader.
        while timeout(GUARD, self.lines.next_line()).await.unwrap().unwrap().is_some() {}
        assert_eq!(timeout(GUARD, self.child.wait()).await.unwrap().unwrap().code(), code);
        let errors = self.errors.await.unwrap();
        let secrets = self.banner["entities"].as_array().unwrap().iter().map(|entity| &entity["secret"]);
        for secret in secrets.map(|secret| secret.as_str().unwrap()).chain([&*self.token]) {
            assert!(!errors.contains(secret), "a secret is printed: {errors}");
        }
    }
}

/// A host in this process.
pub(crate) struct Host {
    handle: HostHandle,
    task: JoinHandle<Result<(), HostError>>,
}

impl Host {
    /// Lets it go while calls still run.
    pub(crate) fn abandon(self) {
        self.task.abort();
    }

    pub(crate) async fn stop(self) {
        self.handle.shutdown().await;
        timeout(GUARD, self.task).await.unwrap().unwrap().unwrap();
    }
}

/// Add two whole numbers.
#[tool(register = false, read_only)]
pub(crate) async fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// Say who is calling.
#[tool(register = false, auth = "user", roles = ["support"])]
async fn whoami(ctx: CallContext) -> Value {
    serde_json::json!([ctx.user_id(), ctx.agent_id(), ctx.thread_id(), ctx.user_token(), ctx.context()])
}

/// Refuse.
#[tool(register = false)]
pub(crate) async fn refuse(
    /// Why.
    why: Option<String>,
) -> Result<(), ToolError> {
    Err(ToolError::user(why.unwrap_or_else(|| "not today".to_owned())))
}

/// Answer with this JSON, as it is.
#[tool(register = false)]
pub(crate) async fn verbatim(text: String) -> Result<ToolOutput, ToolError> {
    let json = RawValue::from_string(text).map_err(|error| ToolError::user(error.to_string()))?;
    ToolOutput::json(&json)
}

/// Never answer.
#[tool(register = false)]
pub(crate) async fn hang() {
    std::future::pending::<()>().await;
}

/// A path that is this test's alone, and gone with it.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("platools-cli-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    /// Waits until a file in it holds this text. Nothing tells when another process has written.
    pub(crate) async fn holds(&self, text: &str) {
        let is_there = || {
            let files = std::fs::read_dir(&self.0).unwrap().flatten();
            let mut contents = files.filter_map(|file| std::fs::read(file.path()).ok());
            contents.any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
        };
        let waiting = async {
            while !is_there() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(GUARD, waiting).await.expect("it is written in time");
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        std::fs::create_dir_all(&self.0).unwrap();
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
