//! Tools that take all sorts of ways through a call: they panic, print, wait, fail, and change the tools.

use std::io::Read as _;
use std::time::Duration;

use platools::caller::LogLevel;
use platools::prelude::*;
use platools::{Tool, ToolSpec};
use tokio::time::sleep;

use super::Itself;
use super::journal::Journal;

/// Notes how a call ended when its handler does not get to say it.
struct Held {
    journal: State<Journal>,
    name: String,
    ended: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.ended {
            self.journal.note(format!("{} dropped", self.name));
        }
    }
}

/// Wait until the call is taken back.
#[tool]
async fn hold(
    progress: Progress,
    cancelled: CancellationToken,
    journal: State<Journal>,
    /// What the journal calls it.
    name: String,
) -> Result<(), &'static str> {
    let mut held = Held { journal, name, ended: false };
    held.journal.note(format!("{} begun", held.name));
    progress.report(0.0, None);
    cancelled.cancelled().await;
    held.ended = true;
    held.journal.note(format!("{} cancelled", held.name));
    Err("taken back")
}

/// Wait for others, and give back the own number once all are there.
#[tool]
async fn meet(
    journal: State<Journal>,
    /// Where they meet.
    place: &str,
    number: u32,
    /// How many have to come.
    of: usize,
) -> u32 {
    journal.note(place.to_owned());
    journal.reaches(place, of).await;
    number
}

/// Wait for some milliseconds, and give back the own number.
#[tool]
async fn wait(progress: Progress, journal: State<Journal>, ms: u64, number: u32) -> u32 {
    journal.note(format!("{number} begun"));
    progress.report(0.0, None);
    sleep(Duration::from_millis(ms)).await;
    number
}

/// Say how far it is, three times, and end once the client has noted `steps seen`.
#[tool]
async fn climb(progress: Progress, journal: State<Journal>) {
    progress.report_with(0.0, 100.0, "begun");
    progress.report(50.0, 100.0);
    progress.report(100.0, 100.0);
    journal.reaches("steps seen", 1).await;
}

/// Say something at four levels.
#[tool]
async fn speak(progress: Progress) {
    for level in [LogLevel::Debug, LogLevel::Info, LogLevel::Warning, LogLevel::Error] {
        progress.log(level, format!("{level:?}"));
    }
}

/// Panic.
#[tool]
async fn explode() -> u32 {
    panic!("the password is hunter2")
}

/// Fail inside.
#[tool]
async fn fail_inside() -> Result<u32, ToolError> {
    Err(std::io::Error::other("the password is hunter2").into())
}

/// Print what looks like the protocol, and read what there is.
#[tool]
fn print() -> std::io::Result<String> {
    println!(r#"{{"jsonrpc":"2.0","id":1,"result":{{}}}}"#);
    print!("and a line that does not end");
    let mut read = String::new();
    std::io::stdin().read_to_string(&mut read)?;
    Ok(format!("read {} bytes", read.len()))
}

/// Add a tool that says hello.
#[tool]
async fn insert_tool(host: State<Itself>, name: &str) -> Result<(), String> {
    let spec = ToolSpec::new(name).description("Say hello.");
    let tool = Tool::new(spec, |_| async { Ok(ToolOutput::text("hello")) });
    let host = host.get().ok_or("the host is not there yet")?;
    host.tools().insert(tool).map_err(|error| error.to_string())
}

/// Take a tool out, and say whether there was one.
#[tool]
async fn remove_tool(host: State<Itself>, name: &str) -> Option<bool> {
    Some(host.get()?.tools().remove(name))
}
