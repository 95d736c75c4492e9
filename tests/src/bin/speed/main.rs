//! How close the host is to doing nothing: calls a second and CPU a call, beside hosts that do less.
//!
//! ```sh
//! cargo run --release -p tests --bin speed -- [--rounds N] [--seconds S] [--windows 1,16,64,256]
//! ```
//!
//! This program plays the platform over loopback, with calls that are signed beforehand, and starts one process after
//! the other as the host:
//!
//! * *floor*: finds the id of the call and answers a constant;
//! * *bare*: does what is needed and nothing else, in its read loop: a borrowed parse, the envelope cut out, the
//!   signature checked, typed arguments, `a + b`, an answer written by hand, one flush for a batch;
//! * *full*: `platools`, with all that it does;
//! * *python*: the package `platools` of Python, where `tests/interop/install platools` has put it.
//!
//! Rounds alternate, and medians are printed. CPU is read from `/proc`, so only Linux has it.
#![allow(clippy::unwrap_used, reason = "a program for developers")]

mod bare;
mod driver;
mod floor;
mod full;
mod loop_host;
mod process;

use std::time::{Duration, Instant};

use load::Calls;

use self::driver::{Driver, Latencies, Round};
use self::process::Kind;

/// What every call is made with.
const ARGUMENTS: &str = r#"{"a":1,"b":2,"note":"hi"}"#;
/// The most calls of one run: what fits into memory with room to spare.
const MOST: usize = 400_000;
/// The time from one call to the next where it is measured how long one takes.
const EVERY: Duration = Duration::from_millis(1);

const USAGE: &str = "usage: speed [--rounds N] [--seconds S] [--windows N,N,…]";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["host", "floor", address] => loop_host::run(address, floor::Floor::default()),
        ["host", "bare", address] => loop_host::run(address, bare::Bare::new()),
        ["host", "full", address] => full::run(address),
        _ => measure(&Options::read(&arguments)),
    }
}

struct Options {
    rounds: usize,
    time: Duration,
    windows: Vec<usize>,
}

impl Options {
    fn read(arguments: &[String]) -> Self {
        let mut options = Self { rounds: 5, time: Duration::from_secs(1), windows: vec![1, 16, 64, 256] };
        for pair in arguments.chunks(2) {
            match pair {
                [name, value] if name == "--rounds" => options.rounds = value.parse().expect(USAGE),
                [name, value] if name == "--seconds" => {
                    options.time = Duration::from_secs_f64(value.parse().expect(USAGE));
                }
                [name, value] if name == "--windows" => {
                    options.windows = value.split(',').map(|window| window.parse().expect(USAGE)).collect();
                }
                _ => panic!("{USAGE}"),
            }
        }
        options
    }
}

fn measure(options: &Options) {
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.is_there()).collect();
    if !kinds.contains(&Kind::Python) {
        println!("without Python: `tests/interop/install platools` would put it there");
    }
    let mut drivers: Vec<Driver> = kinds.iter().map(|kind| Driver::start(*kind)).collect();
    println!(
        "calls a second, and microseconds of CPU a call on the host's side; medians of {} rounds of {:?}; frames of {} \
         bytes",
        options.rounds,
        options.time,
        Calls::new("add", ARGUMENTS, 1, 0).bytes_each()
    );
    print!("{:>10}", "in flight");
    for kind in &kinds {
        print!("{:>20}", kind.name());
    }
    println!("{:>12}{:>12}{:>14}{:>14}", "full/bare", "full/floor", "CPU full/bare", "full/python");
    for &window in &options.windows {
        let medians = alternate(&mut drivers, "add", window, options);
        print!("{window:>10}");
        for round in &medians {
            print!("{:>12.0} {:>4.1} µs", round.per_second, round.cpu_micros);
        }
        let of = |kind: Kind| kinds.iter().position(|other| *other == kind).map(|index| medians[index]);
        let (floor, bare, full) =
            (of(Kind::Floor).unwrap(), of(Kind::Bare).unwrap(), of(Kind::Full).unwrap());
        print!(
            "{:>12.2}{:>12.2}{:>14.2}",
            full.per_second / bare.per_second,
            full.per_second / floor.per_second,
            full.cpu_micros / bare.cpu_micros
        );
        match of(Kind::Python) {
            Some(python) => println!("{:>14.1}", full.per_second / python.per_second),
            None => println!("{:>14}", "–"),
        }
    }
    println!("from a call to its answer, one call every {EVERY:?}:");
    for (kind, latencies) in kinds.iter().zip(paced(&mut drivers, options)) {
        let Latencies { p50, p99 } = latencies;
        println!("{:>10}: p50 {:>4} µs, p99 {:>4} µs", kind.name(), p50.as_micros(), p99.as_micros());
    }
    let full = kinds.iter().position(|kind| *kind == Kind::Full).unwrap();
    let nap = alternate(&mut drivers[full..=full], "nap", 64, options)[0];
    let floor = naps(64, options.time);
    println!(
        "a tool that waits 10 ms, 64 in flight: {:.0} calls a second, {:.2} of the ideal 6400; 64 tasks that do nothing \
         but wait 10 ms, again and again: {:.0}, {:.2}",
        nap.per_second,
        nap.per_second / 6_400.0,
        floor,
        floor / 6_400.0
    );
}

/// How long single calls take on each host.
fn paced(drivers: &mut [Driver], options: &Options) -> Vec<Latencies> {
    let count = (options.time.as_micros() / EVERY.as_micros()) as usize;
    let mut rounds = vec![vec![]; drivers.len()];
    for _ in 0..options.rounds {
        for (driver, rounds) in drivers.iter_mut().zip(&mut rounds) {
            rounds.push(driver.paced("add", EVERY, count));
        }
    }
    rounds.iter().map(|rounds| Latencies::median(rounds)).collect()
}

/// How often, a second, so many tasks can wait 10 ms: the timers of tokio tick in milliseconds.
fn naps(tasks: usize, time: Duration) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let started = Instant::now();
        let mut napping = tokio::task::JoinSet::new();
        for _ in 0..tasks {
            napping.spawn(async move {
                let mut count = 0_u32;
                while started.elapsed() < time {
                    tokio::time::sleep(full::NAP).await;
                    count += 1;
                }
                count
            });
        }
        let count: u32 = napping.join_all().await.into_iter().sum();
        f64::from(count) / started.elapsed().as_secs_f64()
    })
}

/// The medians of alternating rounds.
fn alternate(drivers: &mut [Driver], tool: &str, window: usize, options: &Options) -> Vec<Round> {
    let mut rounds = vec![Vec::new(); drivers.len()];
    // How many calls fill a round is not known before.
    let mut counts: Vec<usize> = drivers
        .iter_mut()
        .map(|driver| driver.round(tool, window, window.max(500)).calls_in(options.time))
        .collect();
    for _ in 0..options.rounds {
        for ((driver, count), rounds) in drivers.iter_mut().zip(&mut counts).zip(&mut rounds) {
            let round = driver.round(tool, window, (*count).clamp(window, MOST));
            *count = round.calls_in(options.time);
            rounds.push(round);
        }
    }
    rounds.iter_mut().map(|rounds| Round::median(rounds)).collect()
}
