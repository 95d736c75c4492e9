//! An agent uses a computer through tools: it looks, clicks, types, runs a command, and is scored. The apps of its testcase
//! are open and logged in to when it comes.
//!
//! The agent is a script and the platform is embedded. Each call is signed and verified on its way to the desktop. Without
//! a key the desktop is a test double in this process; with `PLATO_API_KEY` it is a desktop of Plato. Every screenshot that
//! the agent receives is saved.
//!
//! ```sh
//! cargo run -p computer-use -- --pictures /tmp/pictures
//! PLATO_API_KEY=pk-… cargo run -p computer-use
//! ```
//!
//! The double has no browser of its own. Give it one, and it gets an app, which is logged in to:
//!
//! ```sh
//! chromium --headless --remote-debugging-port=9222 &
//! cargo run -p computer-use -- --chrome 127.0.0.1:9222
//! ```

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Parser;
use plato_sdk::testing::{FakePlato, FakeTestcase};
use plato_sdk::tools::{DesktopTools, SessionPerThread};
use plato_sdk::{Env, LoginOptions, Plato};
use platools::Platools;
use platools_dev::DevPlatform;
use serde_json::{Value, json};

/// How often a call is repeated while the desktop starts; each call waits up to 20 s.
const TRIES: u32 = 30;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// An agent uses a computer through tools.
#[derive(Parser)]
#[command(version)]
#[command(
    after_help = "PLATO_API_KEY is a key of Plato's; without it the desktop is a double in this process."
)]
struct Options {
    /// Where screenshots are saved
    #[arg(long, value_name = "FOLDER", default_value = "target/computer-use")]
    pictures: PathBuf,
    /// What a real desktop is started from, and scored by; a bare one without it
    #[arg(long, value_name = "ID")]
    testcase: Option<String>,
    /// The debugging port of a browser for the double, such as 127.0.0.1:9222
    #[arg(long, value_name = "ADDRESS")]
    chrome: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    if std::env::var_os("RUST_LOG").is_some() {
        platools::logging::init();
    }
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("computer-use: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<()> {
    std::fs::create_dir_all(&options.pictures).map_err(|error| {
        format!(
            "the folder {} cannot be made: {error}; name another one by --pictures",
            options.pictures.display()
        )
    })?;
    let fake = if std::env::var("PLATO_API_KEY").is_ok_and(|key| !key.trim().is_empty()) {
        None
    } else {
        Some(double(options.chrome))
    };
    let (plato, testcase) = match &fake {
        Some(fake) => (fake.client(), Some("tc_note".to_owned())),
        None => (Plato::from_env()?, options.testcase),
    };
    let kind = if fake.is_some() { "a double in this process" } else { "a real one" };
    say("desktop", kind)?;

    // Whatever happens from here on, also Ctrl-C: no machine is left running.
    let work = use_computer(&plato, testcase, &options.pictures);
    let done = plato.until_signal(work).await;
    plato.close_all().await;
    done??;
    if let Some(fake) = fake {
        say(
            "sessions",
            &format!("{} opened, {} left open", fake.sessions().len(), fake.open_sessions().len()),
        )?;
    }
    Ok(())
}

/// A double whose testcase is to save a note. With a browser it has an app, too, and how that is logged in to.
fn double(chrome: Option<String>) -> FakePlato {
    let note = FakeTestcase::new("tc_note", "Note what is missing, and save it.")
        .simulator("ubuntu-vm")
        .expects_mutation("notes", "INSERT");
    let Some(chrome) = chrome else { return FakePlato::builder().testcase(note).start() };
    let fake = FakePlato::builder().testcase(note.simulator("espocrm")).chrome(chrome).start();
    let steps = json!([
        {"type": "fill", "selector": "#user", "value": "admin"},
        {"type": "fill", "selector": "#password", "value": "password"},
        {"type": "click", "selector": "button"},
        {"type": "verify_text", "text": "Home"},
    ]);
    fake.flows("espocrm", json!([{"name": "login", "steps": steps}]));
    fake
}

/// Connects the desktop's tools to a platform and runs the agent.
async fn use_computer(plato: &Plato, testcase: Option<String>, pictures: &Path) -> Result<()> {
    let has_testcase = testcase.is_some();
    let desktops = DesktopTools::per_conversation(plato, move |plato| match &testcase {
        Some(testcase) => plato.session().testcase(testcase).login(LoginOptions::default()),
        None => plato.session().env(Env::simulator("ubuntu-vm").alias("desktop")),
    });
    // One desktop for each thread of each user, with the operator's tools beside the model's.
    let policy = SessionPerThread { max_sessions: 2, ..SessionPerThread::default() };
    let tools = desktops.policy(policy).lifecycle(true).build();

    let platform = DevPlatform::start().await?;
    let host = Platools::builder().url(platform.url()).secret(platform.secret().expose());
    let host = host.tools(tools).build()?;
    let handle = host.handle();
    let running = tokio::spawn(host.run_until(std::future::pending()));
    platform.wait_for_tool("computer").await?;

    let mut agent = Agent { platform: &platform, pictures, taken: 0 };
    let worked = agent.work(has_testcase).await;
    // An operator would close it too; it also ends with the tools.
    let closed = agent.call("session_close", json!({})).await;
    handle.shutdown().await;
    running.await??;
    worked.and(closed.map(drop))
}

/// The script that takes the place of a model.
struct Agent<'a> {
    platform: &'a DevPlatform,
    pictures: &'a Path,
    taken: u32,
}

impl Agent<'_> {
    async fn work(&mut self, has_testcase: bool) -> Result<()> {
        self.call("session_start", json!({})).await?;
        self.call("computer", json!({"action": "screenshot"})).await?;
        self.call("computer", json!({"action": "left_click", "coordinate": [400, 300]})).await?;
        self.call("computer", json!({"action": "type", "text": "There is no milk.\nBuy some."})).await?;
        self.call("computer", json!({"action": "key", "text": "ctrl+s"})).await?;
        self.call("bash", json!({"command": "cat /home/user/notes.txt"})).await?;
        let path = "/tmp/list.txt";
        self.call("edit", json!({"command": "create", "path": path, "file_text": "milk\n"})).await?;
        self.call("edit", json!({"command": "view", "path": path})).await?;
        if has_testcase {
            self.call("session_state", json!({})).await?;
            self.call("session_evaluate", json!({})).await?;
        }
        Ok(())
    }

    /// Makes one signed call and prints its outcome.
    async fn call(&mut self, tool: &str, arguments: Value) -> Result<Value> {
        say(tool, &arguments.to_string())?;
        for _ in 0..TRIES {
            let calling = self.platform.calling(tool).user("usr_ada").thread("thread_1");
            let report = calling.arguments(arguments.clone()).send().await?;
            let time = report.latency.as_millis();
            match report.into_result() {
                Ok(result) => {
                    let shown = self.keep(&result)?;
                    say("", &format!("{shown}   ({time} ms)"))?;
                    return Ok(result);
                }
                // As a model would, which reads the same words.
                Err(error) if error.to_string().contains("still starting") => {
                    say("", &error.to_string())?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(format!("{tool}: {error}").into()),
            }
        }
        Err(format!("{tool}: the desktop did not start").into())
    }

    /// Saves the picture of a result, if there is one, and returns its text.
    fn keep(&mut self, result: &Value) -> Result<String> {
        let parts = result["content"].as_array().map_or(std::slice::from_ref(result), Vec::as_slice);
        let mut shown = Vec::new();
        for part in parts {
            if part["type"] == "image" {
                let kind = part["mimeType"].as_str().unwrap_or_default().trim_start_matches("image/");
                let picture = BASE64.decode(part["data"].as_str().unwrap_or_default())?;
                self.taken += 1;
                let path = self.pictures.join(format!("{:02}.{kind}", self.taken));
                std::fs::write(&path, &picture)?;
                shown.push(format!("{} ({} bytes)", path.display(), picture.len()));
            } else {
                let text = part["text"].as_str().or(part.as_str()).map(str::to_owned);
                let text = text.unwrap_or_else(|| part.to_string());
                shown.push(text.trim_end().replace('\n', "\n                 "));
            }
        }
        Ok(shown.join("; "))
    }
}

/// Writes one line.
fn say(name: &str, what: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{name:<16} {what}")
}
