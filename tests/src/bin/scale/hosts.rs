//! The hosts that are measured, all in one process.

use std::error::Error;
use std::sync::Arc;

use load::SECRET;
use platools::prelude::*;
use platools::{Limits, tools};
use tests::small_tool;
use tokio::task::JoinSet;

/// Add two whole numbers.
#[tool(register = false)]
async fn add(a: i64, b: i64, note: String) -> i64 {
    let _ = note;
    a + b
}

/// Say how long a text is.
#[tool(register = false)]
async fn measure(text: String) -> usize {
    text.len()
}

/// Runs so many hosts, each with so many tools beside `add` and `measure`. No limit is in the way of the calls.
#[tokio::main]
pub(crate) async fn run(address: &str, hosts: usize, small_tools: usize) -> Result<(), Box<dyn Error>> {
    let mut limits = Limits::default();
    limits.max_running = 100_000;
    let mut running = JoinSet::new();
    let small: Arc<[_]> = (0..small_tools).map(small_tool).collect();
    for number in 0..hosts {
        let host = Platools::builder()
            .url(format!("ws://{address}?entity=host-{number}"))
            .secret(SECRET)
            .limits(limits.clone())
            .tools(tools![add, measure])
            .tools(small.iter().cloned())
            .build()?;
        running.spawn(host.run_until(std::future::pending()));
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}
