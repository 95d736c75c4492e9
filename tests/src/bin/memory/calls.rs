//! By the number of calls that wait in a handler: what each of them takes.
//!
//! All of it counts that is there while they wait and was not there before: the call's own state, its arguments and
//! envelope, its place in the tables, and the nonce, which stays when the call ends.

use std::error::Error;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use load::{Calls, Connection, SECRET};
use platools::prelude::*;
use platools::{Limits, tools};
use tests::process::{Process, resident};
use tokio::sync::Notify;

/// What every call is made with.
const ARGUMENTS: &str = r#"{"a":1,"b":2,"note":"hi"}"#;
const COUNTS: [usize; 4] = [1, 1_000, 10_000, 50_000];
/// How often it is asked how many calls have come.
const LOOK: Duration = Duration::from_millis(20);

/// What the host says about itself.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Figures {
    waiting: usize,
    /// Bytes that are allocated, and in how many pieces.
    bytes: usize,
    pieces: usize,
    resident: u64,
}

/// Where calls wait.
#[derive(Default)]
struct Gate {
    waiting: AtomicUsize,
    open: Notify,
}

/// Add two whole numbers, once everybody may.
#[tool(register = false)]
async fn wait(gate: State<Gate>, a: i64, b: i64, note: String) -> i64 {
    let open = gate.open.notified();
    gate.waiting.fetch_add(1, Ordering::Relaxed);
    open.await;
    gate.waiting.fetch_sub(1, Ordering::Relaxed);
    let _ = note;
    a + b
}

/// Let all calls go that wait.
#[tool(register = false)]
async fn release(gate: State<Gate>) {
    gate.open.notify_waiters();
}

/// Say how much memory is in use.
#[tool(register = false)]
async fn figures(gate: State<Gate>) -> Result<Figures, ToolError> {
    let stats = super::ALLOCATOR.stats();
    Ok(Figures {
        waiting: gate.waiting.load(Ordering::Relaxed),
        bytes: stats.bytes_allocated - stats.bytes_deallocated,
        pieces: stats.allocations - stats.deallocations,
        resident: resident(std::process::id()).map_err(|error| ToolError::internal(error.to_string()))?,
    })
}

/// The host. No limit is in the way of as many calls as come.
pub(crate) async fn host(address: &str) -> Result<(), Box<dyn Error>> {
    let mut limits = Limits::default();
    limits.max_running = 100_000;
    let host = Platools::builder()
        .url(format!("ws://{address}?entity=speed"))
        .secret(SECRET)
        .limits(limits)
        .state(Gate::default())
        .tools(tools![wait, release, figures])
        .build()?;
    Ok(host.run().await?)
}

/// Runs one host after the other and prints a line for each.
pub(crate) fn measure() -> Result<(), Box<dyn Error>> {
    println!(
        "| calls that wait | allocated, each | pieces, each | resident, each | resident | allocated, each, when they \
         are over |\n| ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    for count in COUNTS {
        let mut platform = Platform::start()?;
        // The tables that every host has are made with the first calls.
        platform.round(16)?;
        let before = platform.figures()?;
        platform.send(count)?;
        let during = loop {
            let figures = platform.figures()?;
            if figures.waiting == count {
                break figures;
            }
            std::thread::sleep(LOOK);
        };
        platform.release(count)?;
        let after = platform.figures()?;
        let each = |more: usize, less: usize| more.saturating_sub(less) as f64 / count as f64;
        println!(
            "| {count} | {:.0} B | {:.1} | {:.0} B | {:.1} MiB | {:.0} B |",
            each(during.bytes, before.bytes),
            each(during.pieces, before.pieces),
            each(during.resident as usize, before.resident as usize),
            during.resident as f64 / 1_048_576.0,
            each(after.bytes, before.bytes),
        );
    }
    Ok(())
}

/// The platform, and the host behind it.
struct Platform {
    connection: Connection,
    /// The number of the next call.
    next: usize,
    _host: Process,
}

impl Platform {
    fn start() -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["waiting-host", &listener.local_addr()?.to_string()]).stdout(Stdio::null());
        let host = Process::new(command.spawn()?);
        Ok(Self { connection: Connection::accept(&listener)?, next: 0, _host: host })
    }

    /// Sends so many calls that wait.
    fn send(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        let calls = Calls::new("wait", ARGUMENTS, count, self.next);
        self.next += count;
        Ok(self.connection.send(calls.frames(0, count))?)
    }

    /// Lets those go that wait, and takes their answers.
    fn release(&mut self, waiting: usize) -> Result<(), Box<dyn Error>> {
        self.call("release", waiting + 1).map(drop)
    }

    fn round(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        self.send(count)?;
        while self.figures()?.waiting < count {}
        self.release(count)
    }

    fn figures(&mut self) -> Result<Figures, Box<dyn Error>> {
        #[derive(Deserialize)]
        struct Answer {
            result: Figures,
        }
        let answer: Answer = serde_json::from_slice(&self.call("figures", 1)?)?;
        Ok(answer.result)
    }

    /// Makes one call, takes so many answers, and returns the last one.
    fn call(&mut self, tool: &str, answers: usize) -> Result<Vec<u8>, Box<dyn Error>> {
        let call = Calls::new(tool, "{}", 1, self.next);
        self.next += 1;
        self.connection.send(call.frames(0, 1))?;
        let (mut left, mut last) = (answers, Vec::new());
        while left > 0 {
            self.connection.receive()?;
            let replies = self.connection.answers(|answer| {
                assert!(
                    answer.starts_with(br#"{"type":"tool_result""#),
                    "{}",
                    String::from_utf8_lossy(answer)
                );
                last = answer.to_vec();
                left -= 1;
            });
            self.connection.send(&replies)?;
        }
        Ok(last)
    }
}
