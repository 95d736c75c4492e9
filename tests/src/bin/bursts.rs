//! Bursts of large answers: whether each call is answered, and what the host's memory comes to.
//!
//! ```sh
//! cargo run --release -p tests --bin bursts -- [--calls N] [--bytes N] [--pause S] [--later MS]
//! ```
//!
//! Without options: a thousand answers of 200 KB and four hundred of 1 MiB, to a platform that reads and to one that
//! first pauses for 6 s; from handlers that return at once, and from handlers that all wait for 20 ms first. Exit code 1
//! when a call is not answered, when the host's memory exceeds 300 MiB, or when an answer is an error. Only handlers that
//! wait, for a platform that reads nothing meanwhile, may together exceed `max_kept_bytes`. Memory is read from `/proc`,
//! so only Linux has it.
#![allow(clippy::unwrap_used, reason = "a program for developers")]

use std::net::TcpListener;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use load::{Answers, Calls, Connection, SECRET};
use platools::prelude::*;
use platools::tools;
use tests::process::Process;
use tests::sizes::large;

const USAGE: &str = "usage: bursts [--calls N] [--bytes N] [--pause S] [--later MS]";

/// The memory that the host may take, in bytes.
const MOST_MEMORY: u64 = 300 << 20;

#[derive(Debug, Clone, Copy)]
struct Burst {
    calls: usize,
    bytes: usize,
    pause: u64,
    later: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let ["host", address] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        host(address);
        return ExitCode::SUCCESS;
    }
    let mut bursts = Vec::new();
    if arguments.is_empty() {
        for (calls, bytes) in [(1_000, 200_000), (400, 1 << 20)] {
            for (pause, later) in [(0, 0), (0, 20), (6, 0), (6, 20)] {
                bursts.push(Burst { calls, bytes, pause, later });
            }
        }
    } else {
        let mut burst = Burst { calls: 1_000, bytes: 200_000, pause: 0, later: 0 };
        for pair in arguments.chunks(2) {
            let [name, value] = pair else { panic!("{USAGE}") };
            match name.as_str() {
                "--calls" => burst.calls = value.parse().expect(USAGE),
                "--bytes" => burst.bytes = value.parse().expect(USAGE),
                "--pause" => burst.pause = value.parse().expect(USAGE),
                "--later" => burst.later = value.parse().expect(USAGE),
                _ => panic!("{USAGE}"),
            }
        }
        bursts.push(burst);
    }
    println!(
        "{:>6} {:>9} {:>7} {:>8} {:>8} {:>7} {:>11} {:>7} {:>9}",
        "calls", "bytes", "pause", "later", "results", "errors", "unanswered", "time", "peak"
    );
    let sound = bursts.into_iter().map(measure).filter(|sound| !sound).count() == 0;
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn host(address: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let url = format!("ws://{address}?entity=bursts");
    runtime.block_on(async {
        let host = Platools::builder().url(url).secret(SECRET).tools(tools![large]).build().unwrap();
        host.run().await.unwrap();
    });
}

/// Makes all calls at once. Returns whether all is as it should be.
fn measure(burst: Burst) -> bool {
    let Burst { calls: count, bytes, pause, later } = burst;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["host", &listener.local_addr().unwrap().to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let process = Process::new(command.spawn().unwrap());
    let mut connection = Connection::accept(&listener).expect("a host that connects");
    let calls = Calls::new("large", &format!(r#"{{"bytes":{bytes},"later":{later}}}"#), count, 0);
    let started = Instant::now();
    connection.send(calls.frames(0, count)).unwrap();
    std::thread::sleep(Duration::from_secs(pause));
    let mut answers = Answers::of(count, bytes);
    let last = started + Duration::from_secs(30);
    while answers.unanswered() > 0 && Instant::now() < last {
        answers.read(&mut connection).expect("an answer in time");
    }
    let (results, errors, unanswered) = (answers.results(), answers.errors().len(), answers.unanswered());
    let peak = process.peak().unwrap();
    println!(
        "{count:>6} {bytes:>9} {pause:>5} s {later:>5} ms {results:>8} {errors:>7} {unanswered:>11} {:>5.1} s {:>5} MiB",
        started.elapsed().as_secs_f64(),
        peak >> 20,
    );
    unanswered == 0 && peak < MOST_MEMORY && (errors == 0 || later > 0 && pause > 0)
}
