//! Calls without pause while connections break in every way, and an account of each call at the end.
//!
//! ```sh
//! cargo run --release -p tests --bin soak -- [--seconds N] [--calls-per-second M] [--seed S]
//! cargo run --release -p tests --bin soak -- --burst 20000
//! cargo run --release -p tests --bin soak -- --sizes 64 [--seconds N] [--seed S]
//! ```
//!
//! Exit code 1 when a call was lost that had time, or a handler ran twice for one call. With `--burst` as
//! many calls of a tool that takes 200 ms are made at once; each has to end with a result or `overloaded`.
//! With `--sizes`, as many calls as that are always in flight, with results from one byte to 8 MiB, to a platform that
//! pauses now and then; each has to end with its own result or the error that there is no room for it, and once.
//! Memory is read from `/proc`, so only Linux has it.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::TcpListener;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use platools::prelude::*;
use platools::tools;
use platools_dev::{DevPlatform, DevPlatformOptions, Outcome};
use serde_json::json;
use tests::fleet::{Fleet, Member};
use tests::process::Process;
use tests::proxy::{Cut, Flow, Way};
use tests::sizes::{self, large};
use tokio::time::{sleep, timeout};

const USAGE: &str = "usage: soak [--seconds N] [--calls-per-second M] [--seed S] | --burst N | --sizes N [--seconds N] [--seed S]";
/// How many hosts there are, each with its own bad luck.
const HOSTS: usize = 8;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let ["host", url, secret] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return burst_host(url, secret).await;
    }
    let (mut seconds, mut per_second, mut seed) = (10, 400, fastrand::u64(..));
    let (mut burst_of, mut sizes_of) = (None, None);
    let mut arguments = arguments.iter();
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        match option.as_str() {
            "--seconds" => seconds = value.parse()?,
            "--calls-per-second" => per_second = value.parse()?,
            "--seed" => seed = value.parse()?,
            "--burst" => burst_of = Some(value.parse()?),
            "--sizes" => sizes_of = Some(value.parse()?),
            _ => return Err(USAGE.into()),
        }
    }
    let time = Duration::from_secs(seconds);
    let is_sound = match (burst_of, sizes_of) {
        (Some(calls), _) => burst(calls).await?,
        (None, Some(at_once)) => {
            tokio::task::spawn_blocking(move || all_sizes(at_once, time, seed)).await??
        }
        (None, None) => soak(time, per_second, seed).await?,
    };
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn soak(time: Duration, per_second: u32, seed: u64) -> Result<bool, Box<dyn Error>> {
    println!("{HOSTS} hosts, {per_second} calls a second for {} s, seed {seed}", time.as_secs());
    let options = DevPlatformOptions::new().wait_limit(Duration::from_secs(120));
    let fleet = Fleet::start(options, HOSTS).await?;
    let until = Instant::now() + time;
    let chaos: Vec<_> = (fleet.members.iter().cloned())
        .zip(seed..)
        .map(|(member, seed)| tokio::spawn(break_connections(member, until, fastrand::Rng::with_seed(seed))))
        .collect();
    let (unsent, restarts) = tokio::join!(
        fleet.load(per_second, until, seed),
        restart(&fleet.platform, until, fastrand::Rng::with_seed(!seed)),
    );
    let mut faults = BTreeMap::from([("platform restarted", restarts?)]);
    for task in chaos {
        for (fault, count) in task.await? {
            *faults.entry(fault).or_default() += count;
        }
    }

    let (tally, counters) = (fleet.tally(), fleet.platform.counters());
    let line = |what: &str, count: u64| println!("{what:<44} {count:>10}");
    line("sent", tally.sent);
    line("not sent, no host was connected", unsent);
    line("answered: ok", tally.ok);
    for (kind, count) in &tally.errors {
        line(&format!("answered: {kind}"), *count);
    }
    line("expired: never arrived at its host", tally.never_arrived);
    line("expired: no time to deliver the answer", tally.expired);
    line("LOST although there was time", tally.lost.len() as u64);
    line("RAN TWICE", tally.ran_twice.len() as u64);
    line("answers that came again", counters.repeated_answers);
    line("answers that came late", counters.late_answers);
    line("answers to calls long settled", counters.unknown_answers);
    line("reconnects", counters.connected - HOSTS as u64);
    line("registrations", counters.registrations);
    line("registrations throttled", counters.throttled);
    line("malformed frames", counters.malformed_frames);
    for (fault, count) in faults {
        line(&format!("fault: {fault}"), count);
    }
    println!("{:<44} {:>6.1} MiB", "peak RSS, hosts and platform", peak(std::process::id())? / 1024.0);
    for (what, calls) in [("lost", &tally.lost), ("ran twice", &tally.ran_twice)] {
        for call_id in calls.iter().take(10) {
            println!("{what}: {call_id}");
        }
    }
    Ok(tally.is_sound())
}

/// Restarts the platform now and then, as in a deploy or in a crash. Returns how often.
async fn restart(
    platform: &DevPlatform,
    until: Instant,
    mut random: fastrand::Rng,
) -> Result<u64, Box<dyn Error>> {
    let mut restarts = 0;
    loop {
        let pause = Duration::from_millis(random.u64(1_000..9_000));
        if Instant::now() + pause >= until {
            return Ok(restarts);
        }
        sleep(pause).await;
        if random.bool() {
            platform.stop().await;
        } else {
            platform.crash().await;
        }
        sleep(Duration::from_millis(random.u64(0..300))).await;
        platform.resume().await?;
        restarts += 1;
    }
}

/// Breaks the connection of one host again and again. Returns how often in which way.
async fn break_connections(
    member: Arc<Member>,
    until: Instant,
    mut random: fastrand::Rng,
) -> BTreeMap<&'static str, u64> {
    let mut faults = BTreeMap::new();
    loop {
        // Once in a while a connection lasts, which resets the backoff.
        let peace = if random.u8(0..6) == 0 { 31_000 } else { random.u64(100..2_000) };
        let left = until.saturating_duration_since(Instant::now());
        let peaceful = async {
            sleep(Duration::from_millis(peace)).await;
            let _ = member.entity.wait_connected().await;
        };
        if timeout(left, peaceful).await.is_err() {
            return faults;
        }
        member.ledger.disturbed(true);
        let fault = break_connection(&member, &mut random).await;
        member.proxy.set_both(Flow::Open);
        let _ = member.entity.faults().thaw();
        member.ledger.disturbed(false);
        *faults.entry(fault).or_default() += 1;
    }
}

/// Breaks the connection in one way, and says in which.
async fn break_connection(member: &Member, random: &mut fastrand::Rng) -> &'static str {
    let way = if random.bool() { Way::ToPlatform } else { Way::ToHost };
    let how = if random.bool() { Cut::Reset } else { Cut::Finish };
    let for_a_while = Duration::from_millis(random.u64(50..1_000));
    let (proxy, faults) = (&member.proxy, member.entity.faults());
    match random.u8(0..10) {
        0 => {
            proxy.cut(how);
            "cut"
        }
        1 => {
            let _ = faults.drop_connection();
            "dropped by the platform"
        }
        2 => {
            let cuts = proxy.counts().cut;
            proxy.set(way, Flow::HalfThenCut(how));
            let _ = timeout(for_a_while * 2, proxy.wait_for(|counts| counts.cut > cuts)).await;
            "half delivered, then cut"
        }
        3 => {
            // What is swallowed is lost with the connection.
            proxy.set(way, Flow::Swallowed);
            sleep(for_a_while).await;
            proxy.cut(how);
            "swallowed, then cut"
        }
        4 => {
            proxy.set(way, Flow::Stalled);
            sleep(for_a_while * 2).await;
            "one direction stalled"
        }
        5 => {
            proxy.set_both(Flow::Stalled);
            sleep(for_a_while * 2).await;
            proxy.cut(how);
            "both directions stalled, then cut"
        }
        6 => {
            proxy.set(way, Flow::Slow { bytes_per_second: 50_000 });
            sleep(for_a_while).await;
            "slow"
        }
        7 => {
            proxy.set(way, Flow::SingleBytes);
            sleep(for_a_while).await;
            "bytes one at a time"
        }
        8 => {
            let _ = faults.freeze();
            sleep(for_a_while * 2).await;
            "platform frozen"
        }
        _ => {
            proxy.refuse(true);
            proxy.cut(how);
            sleep(for_a_while).await;
            proxy.refuse(false);
            "cut and refused"
        }
    }
}

/// Take 200 ms.
#[tool(register = false)]
async fn slow() -> bool {
    sleep(Duration::from_millis(200)).await;
    true
}

/// The host of a burst or of results of all sizes, in a process of its own.
async fn burst_host(url: &str, secret: &str) -> Result<ExitCode, Box<dyn Error>> {
    Platools::builder().url(url).secret(secret).tools(tools![slow, large]).build()?.run().await?;
    Ok(ExitCode::SUCCESS)
}

async fn burst(calls: usize) -> Result<bool, Box<dyn Error>> {
    let platform = Arc::new(DevPlatform::start().await?);
    let mut host = Command::new(std::env::current_exe()?)
        .args(["host", &platform.url(), platform.secret().expose()])
        .spawn()?;
    platform.wait_for_tool("slow").await?;
    let before = peak(host.id())?;
    let started = Instant::now();
    let tasks: Vec<_> = (0..calls)
        .map(|_| {
            let platform = Arc::clone(&platform);
            tokio::spawn(async move { platform.call("slow", json!({})).await })
        })
        .collect();
    let (mut answered, mut overloaded, mut other) = (0, 0, BTreeMap::<String, u64>::new());
    for task in tasks {
        match task.await??.outcome {
            Outcome::Result(_) => answered += 1,
            Outcome::Error(error) if error.starts_with("overloaded: ") => overloaded += 1,
            outcome => *other.entry(format!("{outcome:?}")).or_default() += 1,
        }
    }
    println!("{calls} calls at once, in {:.2} s", started.elapsed().as_secs_f64());
    println!("answered {answered}, overloaded {overloaded}, otherwise {other:?}");
    let after = peak(host.id())? / 1024.0;
    println!("peak RSS of the host: {after:.1} MiB, {:.1} MiB before", before / 1024.0);
    host.kill()?;
    host.wait()?;
    Ok(other.is_empty() && answered + overloaded == calls)
}

fn all_sizes(at_once: usize, time: Duration, seed: u64) -> std::io::Result<bool> {
    println!("{at_once} calls in flight for {} s, seed {seed}", time.as_secs());
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let url = format!("ws://{}?entity=sizes", listener.local_addr()?);
    let host = Command::new(std::env::current_exe()?).args(["host", &url, load::SECRET]).spawn()?;
    let host = Process::new(host);
    let mut connection = load::Connection::accept(&listener)?;
    let until = Instant::now() + time;
    let mut random = fastrand::Rng::with_seed(seed);
    let goes_on = |_| Instant::now() < until;
    let answers = sizes::soak(&mut connection, goes_on, at_once, Duration::from_secs(6), &mut random)?;
    let unexplained = sizes::unexplained(&answers).count();
    println!("calls {}, results {} with {} MiB", answers.calls(), answers.results(), answers.bytes() >> 20);
    println!("no room for a result {}, other errors {unexplained}", answers.errors().len() - unexplained);
    println!("UNANSWERED {}", answers.unanswered());
    println!("peak RSS of the host: {} MiB", host.peak()? >> 20);
    Ok(answers.unanswered() == 0 && unexplained == 0)
}

/// The most memory that a process ever had resident, in KiB.
fn peak(process: u32) -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
