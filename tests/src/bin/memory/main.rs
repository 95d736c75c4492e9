//! What a host takes while little happens: its memory by the number of tools, and of calls that wait in a handler; and
//! how often an idle one wakes up.
//!
//! ```sh
//! cargo run --release -p tests --bin memory              # tools, and calls in flight
//! cargo run --release -p tests --bin memory -- wake-ups  # two minutes of idling
//! ```
//!
//! Each host runs in a process of its own; figures are read from `/proc`, so only Linux has them.

mod calls;
mod tools;
mod wake_ups;

use std::error::Error;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// The system's allocator, and what it was asked for.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const USAGE: &str = "usage: memory [tools | calls | wake-ups]";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            tools::measure().await?;
            println!();
            calls::measure()
        }
        ["tools"] => tools::measure().await,
        ["calls"] => calls::measure(),
        ["wake-ups"] => wake_ups::measure().await,
        ["host", url, secret, tools, heartbeat] => {
            tools::host(url, secret, tools.parse()?, heartbeat.parse()?).await
        }
        ["waiting-host", address] => calls::host(address).await,
        _ => Err(USAGE.into()),
    }
}
