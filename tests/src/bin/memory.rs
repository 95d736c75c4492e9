//! How much memory an idle host takes, and how long it needs to get ready, by its number of tools.
//!
//! ```sh
//! cargo run --release -p tests --bin memory
//! ```
//!
//! The host runs in a process of its own; figures are read from `/proc`, so only Linux has them.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use platools::prelude::*;
use platools::{Tool, ToolSpec};
use platools_dev::DevPlatform;
use serde_json::json;

const USAGE: &str = "usage: memory";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => measure().await,
        ["host", url, secret, tools] => host(url, secret, tools.parse()?).await,
        _ => Err(USAGE.into()),
    }
}

/// Runs one host after the other and prints a line for each.
async fn measure() -> Result<(), Box<dyn std::error::Error>> {
    println!("{:>8} {:>12} {:>12} {:>14}", "tools", "RSS idle", "build", "registered");
    for tools in [1, 100, 1_000, 10_000] {
        let platform = DevPlatform::start().await?;
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["host", &platform.url(), platform.secret().expose(), &tools.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut build = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut build)?;
        platform.wait_for_tool("tool_00000").await?;
        let registered = started.elapsed();
        // Idle means that everything that was needed to get ready is done with.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let resident = resident(child.id())?;
        println!(
            "{tools:>8} {:>8.1} MiB {:>9} ms {:>11} ms",
            resident as f64 / 1024.0,
            build.trim(),
            registered.as_millis()
        );
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

/// The resident memory of a process, in KiB.
fn resident(process: u32) -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// A host with as many small tools, which says how long it took to build, in milliseconds.
async fn host(url: &str, secret: &str, tools: usize) -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let host = Platools::builder().url(url).secret(secret).tools((0..tools).map(small_tool)).build()?;
    println!("{}", started.elapsed().as_millis());
    Ok(host.run().await?)
}

fn small_tool(index: usize) -> Tool {
    let spec = ToolSpec::new(format!("tool_{index:05}"))
        .description("Does one small thing to one thing, and says how it went.")
        .category("things")
        .input_schema(json!({
            "type": "object",
            "properties": {
                "id": {"type": "string", "description": "Which thing, such as `thing-17`."},
                "times": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
            },
            "required": ["id"],
            "additionalProperties": false,
        }));
    Tool::new(spec, |_| async { Ok(ToolOutput::null()) })
}
