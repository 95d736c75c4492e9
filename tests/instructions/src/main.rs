//! How many instructions the path of a call takes, and whether that is more than it was.
//!
//! ```sh
//! cargo run --profile instructions -p instructions               # compares with tests/instructions/counts.json
//! cargo run --profile instructions -p instructions -- --write    # accepts what it counts
//! cargo run --profile instructions -p instructions -- --repeat 5 # how much the counts wobble
//! ```
//!
//! Unlike times, counts are the same on a busy machine. `valgrind --tool=callgrind` counts; without it nothing is
//! compared, and that is said. Each step runs twice, with few rounds and with many, and the difference divided by the
//! rounds is what one takes, so that the start of the process cancels out.
//!
//! What is **not** counted: the compression function of SHA-256, which runs on instructions of its own where the
//! processor has them, but never under valgrind; the kernel; and the thread that watches for handlers that block, whose
//! looks come by time. What is counted is the user's side of one connection on a runtime of one thread.
//!
//! Counts belong to a compiler and a C library. With other ones than those that are written down the figures are shown
//! and not judged. Those of each function are left for `callgrind_annotate`, in `target/instructions-counted`.

mod callgrind;
mod counts;
mod steps;
mod whole;

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

use self::callgrind::Callgrind;
use self::counts::{Counts, Machine};

const USAGE: &str = "usage: instructions [--write | --repeat N]";

/// Fewer and more rounds of a step.
const ROUNDS: [usize; 2] = [500, 1_500];

enum Wish {
    Compare,
    Write,
    Repeat(usize),
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wish = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["step", name, rounds] => {
            steps::run(name, rounds.parse()?)?;
            return Ok(ExitCode::SUCCESS);
        }
        ["host", address] => {
            whole::host(address)?;
            return Ok(ExitCode::SUCCESS);
        }
        [] => Wish::Compare,
        ["--write"] => Wish::Write,
        ["--repeat", times] => Wish::Repeat(times.parse().map_err(|_| USAGE)?),
        _ => return Err(USAGE.into()),
    };
    let Some(callgrind) = Callgrind::find()? else {
        eprintln!("instructions: SKIPPED: valgrind is not installed (`apt-get install valgrind`)");
        return Ok(ExitCode::SUCCESS);
    };
    match wish {
        Wish::Compare => compare(&callgrind),
        Wish::Write => {
            let counts = Counts::new(Machine::this(&callgrind)?, count(&callgrind)?);
            counts.write()?;
            println!("{}", counts::table(None, &counts));
            println!("written to {}", counts::PATH);
            Ok(ExitCode::SUCCESS)
        }
        Wish::Repeat(times) => {
            let runs = (0..times).map(|_| count(&callgrind)).collect::<Result<Vec<_>, _>>()?;
            println!("{}", counts::spread(&runs));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What everything takes now, by its name.
fn count(callgrind: &Callgrind) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
    let mut counts = BTreeMap::new();
    for name in steps::names() {
        let mut totals = [0; 2];
        for (total, rounds) in totals.iter_mut().zip(ROUNDS) {
            let counted = callgrind.count(name, &["step", name, &rounds.to_string()], || Ok(()))?;
            if steps::needs_hash(name) && counted.hash == 0 {
                return Err("the hash cannot be told apart from the rest: see `Counted::hash`".into());
            }
            *total = counted.instructions;
        }
        counts.insert(name.to_owned(), each(totals, ROUNDS));
    }
    for window in whole::WINDOWS {
        let name = whole::name(window);
        let mut totals = [0; 2];
        for (total, calls) in totals.iter_mut().zip(ROUNDS) {
            *total = whole::count(callgrind, &name, window, calls)?.instructions;
        }
        counts.insert(name, each(totals, ROUNDS));
    }
    Ok(counts)
}

/// What one round takes, when so many rounds take so much.
fn each([few, many]: [u64; 2], rounds: [usize; 2]) -> u64 {
    many.saturating_sub(few) / (rounds[1] - rounds[0]) as u64
}

fn compare(callgrind: &Callgrind) -> Result<ExitCode, Box<dyn Error>> {
    let kept = Counts::read()?;
    let now = Counts::new(Machine::this(callgrind)?, count(callgrind)?);
    println!("{}", counts::table(Some(&kept), &now));
    if kept.machine != now.machine {
        println!(
            "NOT COMPARED: the figures in {} are of {}, these are of {}. To go on from these: --write",
            counts::PATH,
            kept.machine,
            now.machine
        );
        return Ok(ExitCode::SUCCESS);
    }
    let (worse, better) = (kept.worse(&now), kept.better(&now));
    if !better.is_empty() {
        println!("better by more than {} %: {}; keep that with --write", kept.tolerance, better.join(", "));
    }
    if worse.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "worse by more than {} %, or not known: {}. Where that is the price of something, accept it and say so in the \
         commit:\n    cargo run --profile instructions -p instructions -- --write\nWhere it went: \
         callgrind_annotate {}/<step>.out-01",
        kept.tolerance,
        worse.join(", "),
        callgrind.folder().display()
    );
    Ok(ExitCode::FAILURE)
}
