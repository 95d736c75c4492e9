//! The sidecar, in a process of its own, and the platform that it connects to.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use platools_dev::DevPlatform;
use serde_json::Value;
use tests::process::Process;

use super::{Failure, mebibytes};

/// The longest that any step may take.
const GUARD: Duration = Duration::from_secs(120);

/// What a reload that was used says in the log.
const IN_USE: &str = "the file is in use as it is now";

/// What it took.
pub(crate) struct Figures {
    tools: usize,
    time: Duration,
    fresh: u64,
    reloaded: u64,
    /// After as many reloads with another document.
    changed: u64,
    peak: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tools, time, fresh, reloaded, changed, peak } = *self;
        let [fresh, reloaded, changed, peak] = [fresh, reloaded, changed, peak].map(mebibytes);
        write!(f, "{tools} | {:.2} | {fresh} | {reloaded} | {changed} | {peak} |", time.as_secs_f64())
    }
}

/// The lines that a program logs.
struct Lines(Receiver<String>);

impl Lines {
    fn of(output: ChildStderr) -> Self {
        let (lines, received) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        Self(received)
    }

    /// Waits until it says something.
    fn say(&self, part: &str) -> Result<(), Failure> {
        let until = Instant::now() + GUARD;
        let mut last = String::new();
        while let Ok(line) = self.0.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if line.contains(part) {
                return Ok(());
            }
            last = line;
        }
        Err(format!("it does not say {part:?}, its last line is: {last}").into())
    }
}

/// A folder that goes away.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("platools-documents-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, text: &str) -> std::io::Result<PathBuf> {
        let path = self.0.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts a sidecar with a document, reloads it, and measures it in between.
pub(crate) async fn measure(document: &mut Value, reloads: usize) -> Result<Figures, Failure> {
    let folder = Folder::new()?;
    let platform = DevPlatform::options().registrations_per_minute(100_000).start().await?;
    let text = format!(
        "[[entity]]\nname = \"{}\"\nurl = \"{}\"\nsecret = \"{}\"\n\
         [backend.b]\nurl = \"http://127.0.0.1:1\"\n\
         [[openapi]]\nname = \"d\"\nbackend = \"b\"\ndocument = \"document.json\"\n\
         [sidecar]\nwatch = false\n",
        platform.entity(),
        platform.url(),
        platform.secret().expose()
    );
    let file = folder.write("platools.toml", &text)?;
    folder.write("document.json", &document.to_string())?;
    let started = Instant::now();
    let mut child = start(&file)?;
    let lines = Lines::of(child.stderr.take().ok_or("no log")?);
    let (process, pid) = (child.id(), child.id().to_string());
    let sidecar = Process::new(child);
    lines.say("the platform has the tools")?;
    let time = started.elapsed();
    let settle = || tokio::time::sleep(Duration::from_secs(2));
    settle().await;
    let fresh = sidecar.resident()?;
    let reload = || -> Result<(), Failure> {
        if !Command::new("kill").args(["-HUP", &pid]).status()?.success() {
            return Err(format!("process {process} cannot be told to reload").into());
        }
        lines.say(IN_USE)
    };
    for _ in 0..reloads {
        reload()?;
    }
    settle().await;
    let reloaded = sidecar.resident()?;
    for number in 0..reloads {
        document["info"]["version"] = format!("0.0.{number}").into();
        folder.write("document.json", &document.to_string())?;
        reload()?;
    }
    settle().await;
    let (changed, peak) = (sidecar.resident()?, sidecar.peak()?);
    let tools = platform.tools().len();
    Ok(Figures { tools, time, fresh, reloaded, changed, peak })
}

fn start(file: &Path) -> Result<Child, Failure> {
    let program = std::env::current_exe()?.with_file_name("platools");
    if !program.is_file() {
        return Err("not there: cargo build --release -p platools-cli".into());
    }
    let mut command = Command::new(program);
    command.args(["sidecar", "run"]).arg(file).env("RUST_LOG", "info").env_remove("PLATOOLS_STATE_DIR");
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?)
}
