//! How time and memory grow: with the tools of a host, the calls in flight, the hosts in a process, and the size of the
//! arguments.
//!
//! ```sh
//! cargo run --release -p tests --bin scale                              # tables, in Markdown
//! cargo run --release -p tests --bin scale -- --plots docs/performance  # and a picture of each
//! cargo run --release -p tests --bin scale -- --quick                   # a look, in seconds
//! ```
//!
//! This program plays the platform over loopback; hosts run in a process of their own. Figures are read from `/proc`, so
//! only Linux has them.

mod drive;
mod hosts;
mod plot;
mod sweep;
mod sweeps;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use self::sweeps::Effort;

const USAGE: &str = "usage: scale [--quick] [--plots FOLDER]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let ["hosts", address, hosts, tools] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return hosts::run(address, hosts.parse()?, tools.parse()?);
    }
    let (mut effort, mut plots) = (Effort { time: Duration::from_secs(1), is_quick: false }, None);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => effort = Effort { time: Duration::from_millis(100), is_quick: true },
            "--plots" => plots = Some(PathBuf::from(arguments.next().ok_or(USAGE)?)),
            _ => return Err(USAGE.into()),
        }
    }
    if let Some(folder) = &plots {
        std::fs::create_dir_all(folder)?;
    }
    for sweep in [sweeps::tools, sweeps::in_flight, sweeps::hosts, sweeps::arguments] {
        let sweep = sweep(effort)?;
        println!("{}", sweep.table());
        if let Some(folder) = &plots {
            std::fs::write(folder.join(format!("{}.svg", sweep.name)), plot::svg(&sweep))?;
        }
    }
    Ok(())
}
