//! What is measured.

use std::error::Error;
use std::time::Duration;

use super::drive::{Hosts, Kind};
use super::sweep::Sweep;

/// How long a row may take, and how far the rows go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) time: Duration,
    pub(crate) is_quick: bool,
}

impl Effort {
    /// The numbers that are tried: the first and every third of them where it should be quick.
    fn of(self, numbers: &[usize]) -> impl Iterator<Item = usize> {
        numbers.iter().copied().step_by(if self.is_quick { 3 } else { 1 })
    }
}

const ARGUMENTS: &str = r#"{"a":1,"b":2,"note":"hi"}"#;
/// How many calls are in flight where that is not what grows.
const WINDOW: usize = 64;

fn add() -> Kind<'static> {
    Kind { tool: &|_| "add".to_owned(), arguments: ARGUMENTS }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// The tools of a host, all of which are called in turn.
pub(crate) fn tools(effort: Effort) -> Result<Sweep, Box<dyn Error>> {
    let mut sweep = Sweep::new(
        "tools",
        "tools",
        &[
            ("declared after, ms", true),
            ("resident, MiB", true),
            ("a call, µs", false),
            ("CPU a call, µs", true),
        ],
    );
    for count in effort.of(&[1, 10, 100, 1_000, 3_000, 10_000]) {
        let mut hosts = Hosts::start(1, count)?;
        let resident = hosts.process.resident()?;
        // Neighbours in time are no neighbours in memory.
        let tool = |number: usize| format!("tool_{:05}", number.wrapping_mul(7_919) % count);
        let kind = Kind { tool: &tool, arguments: r#"{"id":"thing-17","times":2}"# };
        let round = hosts.one(&kind, WINDOW, effort.time)?;
        let figures = vec![millis(hosts.ready), mebibytes(resident), micros(round.each), micros(round.cpu)];
        sweep.push(count, figures);
    }
    Ok(sweep)
}

/// Calls in flight over one connection, of a tool that answers at once.
pub(crate) fn in_flight(effort: Effort) -> Result<Sweep, Box<dyn Error>> {
    let mut sweep = Sweep::new(
        "in-flight",
        "calls in flight",
        &[
            ("a call, µs", true),
            ("CPU a call, µs", true),
            ("calls a second", false),
            ("resident at most, MiB", true),
        ],
    );
    for window in effort.of(&[1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 50_000]) {
        let mut hosts = Hosts::start(1, 0)?;
        let round = hosts.one(&add(), window, effort.time)?;
        let per_second = 1.0 / round.each.as_secs_f64();
        let peak = mebibytes(hosts.process.peak()?);
        sweep.push(window, vec![micros(round.each), micros(round.cpu), per_second, peak]);
    }
    Ok(sweep)
}

/// Hosts in one process, each with ten tools and a connection of its own. Four calls go out to each of them, and the next
/// ones when all are answered.
pub(crate) fn hosts(effort: Effort) -> Result<Sweep, Box<dyn Error>> {
    let mut sweep = Sweep::new(
        "hosts",
        "hosts in a process",
        &[
            ("all declared after, ms", true),
            ("resident, MiB", true),
            ("a call, µs", false),
            ("CPU a call, µs", true),
            ("threads", false),
        ],
    );
    for count in effort.of(&[1, 5, 20, 50, 100, 200]) {
        let mut hosts = Hosts::start(count, 8)?;
        let resident = hosts.process.resident()?;
        let round = hosts.all(&add(), 4, effort.time)?;
        let threads = hosts.process.switches()?.len() as f64;
        let figures =
            vec![millis(hosts.ready), mebibytes(resident), micros(round.each), micros(round.cpu), threads];
        sweep.push(count, figures);
    }
    Ok(sweep)
}

/// The size of the arguments, four calls in flight.
pub(crate) fn arguments(effort: Effort) -> Result<Sweep, Box<dyn Error>> {
    let mut sweep = Sweep::new(
        "arguments",
        "bytes of arguments",
        &[
            ("a call, µs", true),
            ("CPU a call, µs", true),
            ("MiB a second", false),
            ("resident at most, MiB", true),
        ],
    );
    for bytes in effort.of(&[100, 1_024, 10_240, 102_400, 1_048_576, 8_388_608]) {
        let mut hosts = Hosts::start(1, 0)?;
        let text = "The quick brown fox jumps over the lazy dog. ".repeat(bytes / 45 + 1);
        let arguments = format!(r#"{{"text":"{}"}}"#, &text[..bytes - 11]);
        let kind = Kind { tool: &|_| "measure".to_owned(), arguments: &arguments };
        let round = hosts.one(&kind, 4, effort.time)?;
        let rate = mebibytes(bytes as u64) / round.each.as_secs_f64();
        let peak = mebibytes(hosts.process.peak()?);
        sweep.push(bytes, vec![micros(round.each), micros(round.cpu), rate, peak]);
    }
    Ok(sweep)
}
