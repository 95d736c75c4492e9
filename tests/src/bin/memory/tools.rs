//! By the number of tools: what an idle host takes, and how long it needs to get ready.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use platools::prelude::*;
use platools_dev::DevPlatform;
use tests::process::Process;
use tests::small_tool;

/// Runs one host after the other and prints a line for each.
pub(crate) async fn measure() -> Result<(), Box<dyn Error>> {
    println!("| tools | resident, idle | built | registered |\n| ---: | ---: | ---: | ---: |");
    for tools in [1, 100, 1_000, 10_000] {
        let platform = DevPlatform::start().await?;
        let started = Instant::now();
        let (host, built) = start(&platform, tools, Duration::from_secs(30))?;
        platform.wait_for_tool("tool_00000").await?;
        let registered = started.elapsed();
        // Idle means that everything that was needed to get ready is done with.
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!(
            "| {tools} | {:.1} MiB | {} ms | {} ms |",
            host.resident()? as f64 / 1_048_576.0,
            built.as_millis(),
            registered.as_millis()
        );
    }
    Ok(())
}

/// A host with as many small tools, and how long it took to build.
pub(crate) fn start(
    platform: &DevPlatform,
    tools: usize,
    heartbeat: Duration,
) -> Result<(Process, Duration), Box<dyn Error>> {
    let (tools, heartbeat) = (tools.to_string(), heartbeat.as_secs().to_string());
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["host", &platform.url(), platform.secret().expose(), &tools, &heartbeat]);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let process = Process::new(child);
    let mut built = String::new();
    BufReader::new(output).read_line(&mut built)?;
    Ok((process, Duration::from_millis(built.trim().parse()?)))
}

/// The host. It says how long it took to build, in milliseconds.
pub(crate) async fn host(
    url: &str,
    secret: &str,
    tools: usize,
    heartbeat: u64,
) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let host = Platools::builder()
        .url(url)
        .secret(secret)
        .heartbeat_interval(Duration::from_secs(heartbeat))
        .tools((0..tools).map(small_tool))
        .build()?;
    println!("{}", started.elapsed().as_millis());
    Ok(host.run().await?)
}
