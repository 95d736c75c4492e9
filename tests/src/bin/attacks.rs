//! Attacks on a host, by its connection and by HTTP, all at once; and genuine calls among them.
//!
//! ```sh
//! cargo run --release -p tests --bin attacks -- [--seconds N] [--seed S]
//! cargo run --release -p tests --bin attacks -- --frames 1000000 [--seed S]
//! ```
//!
//! By the connection: changed frames, captured ones, floods of pings, calls of tools that there are not, frames of some
//! MiB and deep JSON. By HTTP: calls without a signature, with a wrong and with an old one, bodies that never end, requests
//! that never do, connections that say nothing. With `--frames`, as many changed frames alone.
//!
//! Exit code 1 when a call ran that was not signed or ran twice, when a genuine one has no answer, when the host left its
//! connection, or when its memory grew by more than a tenth after the first tenth of the time, besides the ids and nonces
//! of the calls that ran. Memory is read from `/proc`, so only Linux has it.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use load::{Connection, SECRET, push_frame};
use platools::fallback::HttpFallback;
use platools::prelude::*;
use platools::tools;
use tests::attacks::{self, marked};
use tests::process::Process;

const USAGE: &str = "usage: attacks [--seconds N] [--seed S] | --frames N [--seed S]";
/// What memory may vary by besides, in bytes: a host at rest has little.
const SLACK: u64 = 8 << 20;
/// What the host remembers of a call that ran, its nonce and its id, in bytes.
const REMEMBERED: u64 = 64;
/// How many threads attack by HTTP.
const THREADS: u64 = 4;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let ["host", url] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        host(url)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (mut seconds, mut frames, mut seed) = (60, None, fastrand::u64(..));
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return Err(USAGE.into()) };
        match name.as_str() {
            "--seconds" => seconds = value.parse()?,
            "--frames" => frames = Some(value.parse::<usize>()?),
            "--seed" => seed = value.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    println!("seed {seed}");
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let url = format!("ws://{}?entity=attacked", listener.local_addr()?);
    let mut child = Command::new(std::env::current_exe()?)
        .args(["host", &url])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut said = child.stdout.take().ok_or("no standard output")?;
    let process = Process::new(child);
    let mut connection = Connection::accept(&listener)?;
    // As it is printed: one line.
    let mut address = Vec::new();
    let mut byte = [0];
    while said.read(&mut byte)? == 1 && byte != *b"\n" {
        address.push(byte[0]);
    }
    let address: SocketAddr = String::from_utf8(address)?.parse()?;

    let end = Instant::now() + Duration::from_secs(seconds);
    let started = Instant::now();
    let (stop, requests) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut settled = None;
    let outcome = thread::scope(|scope| {
        if frames.is_none() {
            for thread in 0..THREADS {
                let (stop, requests) = (&stop, &requests);
                scope
                    .spawn(move || by_http(address, stop, requests, fastrand::Rng::with_seed(seed + thread)));
            }
        }
        let goes_on = |sent: usize| {
            let (is_settled, goes_on) = match frames {
                Some(frames) => (sent >= frames / 10, sent < frames),
                None => (started.elapsed() * 10 >= end - started, Instant::now() < end),
            };
            if is_settled && settled.is_none() {
                settled = process.resident().ok();
            }
            goes_on
        };
        let mut more = fastrand::Rng::with_seed(!seed);
        let other = |bytes: &mut Vec<u8>, genuine: &str| {
            if frames.is_none() {
                by_connection(bytes, genuine, &mut more);
            }
        };
        let outcome = attacks::send(&mut connection, goes_on, other, &mut random);
        stop.store(true, Ordering::Release);
        outcome
    })?;
    let (settled, after, peak) = (settled.ok_or("too short")?, process.resident()?, process.peak()?);
    let mut genuine = outcome.genuine;
    genuine.sort_unstable();
    let percentile = |share: usize| genuine[(genuine.len() - 1) * share / 100];
    println!(
        "changed frames {}, of which {} changed nothing that is read",
        outcome.changed, outcome.harmless
    );
    println!("HTTP requests {}", requests.into_inner());
    println!(
        "genuine calls {}, all answered, behind 200 changed frames each: p50 {:?}, p99 {:?}, slowest {:?}",
        genuine.len(),
        percentile(50),
        percentile(99),
        percentile(100)
    );
    let mib = |bytes: u64| bytes >> 20;
    println!("memory of the host: {} MiB, then {} MiB, at most {} MiB", mib(settled), mib(after), mib(peak));
    println!("in {:.1} s", started.elapsed().as_secs_f64());
    let remembered = REMEMBERED * (genuine.len() + outcome.harmless) as u64;
    let is_flat = after <= settled + settled / 10 + SLACK + remembered;
    Ok(if is_flat { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn host(url: &str) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        platools::logging::init();
        let host = Platools::builder().url(url).secret(SECRET).tools(tools![marked]).build()?;
        let app = axum::Router::new().nest("/calls", HttpFallback::new(&host.handle()).into_router());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(host.run().await?)
    })
}

/// Adds attacks to what is sent on the connection.
fn by_connection(bytes: &mut Vec<u8>, genuine: &str, random: &mut fastrand::Rng) {
    match random.u8(..8) {
        0 => (0..2_000).for_each(|_| bytes.extend_from_slice(&[0x89, 4, b'p', b'i', b'n', b'g'])),
        1 => push_frame(bytes, &"x".repeat(random.usize(..4 << 20))),
        2 => push_frame(bytes, &genuine.replacen("marked", "no_such_tool", 2)),
        3 => push_frame(bytes, &genuine.replacen("\"number\":", &"[".repeat(400_000), 1)),
        4 => push_frame(bytes, &format!(r#"{{"type":"error","error":"{}"}}"#, "e".repeat(100_000))),
        5 => push_frame(bytes, &format!(r#"{{"type":"{}"}}"#, "unknown".repeat(1_000))),
        6 => bytes.extend_from_slice(&[0x82, 3, 1, 2, 3]),
        _ => {}
    }
}

/// Attacks by HTTP until told to stop. Each connection is left in whatever state it is.
fn by_http(address: SocketAddr, stop: &AtomicBool, requests: &AtomicU64, mut random: fastrand::Rng) {
    let mut left_open = Vec::new();
    while !stop.load(Ordering::Acquire) {
        // Where the host takes no more connections, it has none to give.
        let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { continue };
        let head = format!("POST /calls HTTP/1.1\r\nhost: {address}\r\n");
        let signed = "x-platos-timestamp: 2020-01-01T00:00:00.000Z\r\nx-platos-nonce: 00000000000000000000000000000000\r\n\
                      x-platos-signature: sha256=00\r\n";
        let request = match random.u8(..6) {
            0 => format!("{head}content-length: 2\r\n\r\n{{}}"),
            1 => format!("{head}{signed}content-length: 2\r\n\r\n{{}}"),
            2 => format!(
                "{head}{signed}content-length: 10000000\r\n\r\n{}",
                "x".repeat(random.usize(..100_000))
            ),
            3 => format!("{head}x-filler: {}", "y".repeat(random.usize(..4_000))),
            4 => "\0".repeat(random.usize(1..2_000)),
            _ => String::new(),
        };
        requests.fetch_add(1, Ordering::Relaxed);
        let _ = stream.set_read_timeout(Some(Duration::from_millis(20)));
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read(&mut [0; 512]));
        left_open.push(stream);
        if left_open.len() > 100 {
            left_open.swap_remove(random.usize(..left_open.len()));
        }
    }
}
