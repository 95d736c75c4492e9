//! How often an idle host wakes up: voluntary context switches, each of which is a thread that went to sleep.

use std::error::Error;
use std::time::Duration;

use platools_dev::DevPlatform;
use serde_json::json;
use tokio::time::sleep;

use super::tools;

/// How long the host is left alone first: what is due once, half a minute after it connected, is over then.
const SETTLED: Duration = Duration::from_secs(32);
const TIME: Duration = Duration::from_secs(60);

/// Runs two hosts of 100 tools side by side, one of which has many more heartbeats, and prints a line for each. Each is
/// called once, before.
pub(crate) async fn measure() -> Result<(), Box<dyn Error>> {
    let intervals = [Duration::from_secs(30), Duration::from_secs(1)];
    let mut hosts = Vec::new();
    for interval in intervals {
        let platform = DevPlatform::start().await?;
        let (host, _) = tools::start(&platform, 100, interval)?;
        platform.wait_for_tool("tool_00000").await?;
        // So that all threads were there that a call needs.
        platform.call("tool_00000", json!({"id": "thing-17"})).await?;
        hosts.push((platform, host, interval));
    }
    sleep(SETTLED).await;
    let mut before = Vec::new();
    for (platform, host, _) in &hosts {
        before.push((platform.counters().heartbeats, host.switches()?));
    }
    sleep(TIME).await;
    println!(
        "{} s of a host with 100 tools that nobody calls any more, from {} s after it connected\n",
        TIME.as_secs(),
        SETTLED.as_secs()
    );
    println!(
        "| heartbeat every | heartbeats | wake-ups | threads that woke | resident |\n| --- | ---: | ---: | --- | ---: |"
    );
    for ((platform, host, interval), (heartbeats, switches)) in hosts.iter().zip(before) {
        let heartbeats = platform.counters().heartbeats - heartbeats;
        let now = host.switches()?;
        let woken = now.iter().map(|(thread, (name, count))| {
            let before = switches.get(thread).map_or(0, |(_, count)| *count);
            (name, count - before)
        });
        let woken: Vec<_> = woken.filter(|(_, count)| *count > 0).collect();
        let names: Vec<_> = woken.iter().map(|(name, count)| format!("{name} {count}")).collect();
        println!(
            "| {} s | {heartbeats} | {} | {} | {:.1} MiB |",
            interval.as_secs(),
            woken.iter().map(|(_, count)| count).sum::<u64>(),
            names.join(", "),
            host.resident()? as f64 / 1_048_576.0
        );
    }
    Ok(())
}
