//! How a turn of very many events is streamed: their rate, and the memory of the process that reads them.
//!
//! ```sh
//! cargo run --release -p tests --bin stream
//! ```
//!
//! The reader runs in a process of its own, beside a test double of the platform in this one; figures are read from
//! `/proc`, so only Linux has them. It fails when an event is missing, when memory grows with the number of events, or
//! when ten thousand of them a second are too many.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use platos_client::testing::{PlatosDouble, Script};
use platos_client::{AgentEvent, NewMessage, PlatosClient};
use serde::{Deserialize, Serialize};
use serde_json::json;

const USAGE: &str = "usage: stream [--seconds N]";

/// Events a second.
const RATE: u32 = 10_000;

/// How much the reader may grow after its first second, in KiB: what the allocator keeps, and no more.
const GROWTH: u64 = 4 * 1024;

/// What the reader saw.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    events: u64,
    seconds: f64,
    /// Resident memory in KiB: after a tenth of the events, at most after that, and at the end.
    first: u64,
    most: u64,
    last: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => measure(10).await,
        ["--seconds", seconds] => measure(seconds.parse::<u64>()?.max(1)).await,
        ["read", url, token, events] => read(url, token, events.parse()?).await,
        _ => Err(USAGE.into()),
    }
}

/// Streams at the rate for some seconds, then as many events as fast as they are read.
async fn measure(seconds: u64) -> Result<(), Box<dyn std::error::Error>> {
    let events = seconds * u64::from(RATE);
    println!("{:>22} {:>10} {:>12} {:>22}", "asked for", "events", "events/s", "RSS first, most, last");
    for rate in [Some(RATE), None] {
        let seen = stream(events, rate).await?;
        let per_second = seen.events as f64 / seen.seconds;
        let mebibytes = [seen.first, seen.most, seen.last].map(|kib| format!("{:.1}", kib as f64 / 1024.0));
        let asked = rate.map_or("as many as are read".to_owned(), |rate| format!("{rate} a second"));
        println!("{asked:>22} {:>10} {per_second:>12.0} {:>18} MiB", seen.events, mebibytes.join(", "));
        if seen.events != events {
            return Err(format!("{} of {events} events came", seen.events).into());
        }
        if seen.most > seen.first + GROWTH {
            return Err(format!("the reader grew by {} KiB", seen.most - seen.first).into());
        }
        // A pace that is kept, but for what a busy machine takes.
        if rate.is_some() && per_second < f64::from(RATE) * 0.9 {
            return Err("the events came too slowly".into());
        }
    }
    Ok(())
}

async fn stream(events: u64, rate: Option<u32>) -> Result<Seen, Box<dyn std::error::Error>> {
    let platos = PlatosDouble::start().await?;
    let token =
        json!({"type": "token", "text": "A word or two, ", "threadId": "thr_1", "agentId": "agt_support"});
    platos.script(Script::new().repeat(token, events, rate).done());
    let mut reader = Command::new(std::env::current_exe()?);
    reader.args(["read", &platos.url(), platos.session_token(), &events.to_string()]).stdout(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || reader.spawn()?.wait_with_output()).await??;
    if !output.status.success() {
        return Err("the reader failed; it says why above".into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The reader: one turn, from its first event to `done`.
async fn read(url: &str, token: &str, events: u64) -> Result<(), Box<dyn std::error::Error>> {
    let client = PlatosClient::builder(url).session_token(token).build()?;
    let mut turn = client.threads().send("thr_1", NewMessage::new("Tell me everything.").agent("agt_1"));
    let mut seen = Seen { events: 0, seconds: 0.0, first: 0, most: 0, last: 0 };
    let (mut began, mut characters) = (Instant::now(), 0_usize);
    while let Some(event) = tokio::time::timeout(Duration::from_secs(60), turn.next()).await? {
        match event? {
            AgentEvent::Connected => began = Instant::now(),
            AgentEvent::Token(token) => {
                seen.events += 1;
                characters += token.text.len();
                if seen.events.is_multiple_of((events / 10).max(1)) {
                    seen.last = resident()?;
                    seen.most = seen.most.max(seen.last);
                    seen.first = if seen.first == 0 { seen.last } else { seen.first };
                }
            }
            AgentEvent::Done(_) => seen.seconds = began.elapsed().as_secs_f64(),
            other => return Err(format!("an event that nobody sent: {other:?}").into()),
        }
    }
    assert_eq!(characters as u64, seen.events * "A word or two, ".len() as u64);
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}

/// The resident memory of this process, in KiB.
fn resident() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
