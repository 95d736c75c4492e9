//! A member: a host whose tools write to standard output when they begin and when they end.

use std::io::Write as _;
use std::time::Duration;

use platools::prelude::*;
use platools::{Limits, tools};
use platools_fleet::Fleet;

/// Writes a line at once, so that it outlives a kill.
fn note(what: char, ctx: &CallContext) {
    let line = format!("{what} {}\n", ctx.call_id());
    let _ = std::io::stdout().write_all(line.as_bytes());
}

/// Sleep, then say which build ran.
#[tool(register = false)]
async fn work(ctx: CallContext, ms: u64) -> String {
    note('b', &ctx);
    tokio::time::sleep(Duration::from_millis(ms)).await;
    note('e', &ctx);
    build()
}

/// The same; a call may run twice.
#[tool(register = false, read_only)]
async fn again(ctx: CallContext, ms: u64) -> String {
    note('b', &ctx);
    tokio::time::sleep(Duration::from_millis(ms)).await;
    note('e', &ctx);
    build()
}

/// Block a thread.
#[tool(register = false, concurrency = 8)]
fn block(ms: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

/// Say what was said.
#[tool(register = false)]
async fn echo(text: String) -> String {
    text
}

/// Say which process this is.
#[tool(register = false)]
async fn process() -> u32 {
    std::process::id()
}

fn build() -> String {
    std::env::var("PLATOOLS_FLEET_BUILD").unwrap_or_default()
}

pub(crate) fn run() {
    platools::logging::init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let fleet = Fleet::from_env()?;
        let mut limits = Limits::default();
        limits.max_running = 8_192;
        let host = Platools::from_env()?
            .limits(limits)
            .tools(tools![work, again, block, echo, process])
            .coordinator(fleet.clone());
        let host = host.build()?;
        tokio::spawn(async move {
            while !fleet.attached().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            println!("a");
        });
        host.run().await?;
        Ok::<_, platools::Error>(())
    });
    if let Err(error) = ended {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
