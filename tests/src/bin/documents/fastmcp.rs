//! `FastMCP.from_openapi`, in a process of its own.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::process::Process;

use super::{Failure, interop, mebibytes};

/// What it took.
pub(crate) struct Figures {
    tools: u64,
    time: Duration,
    resident: u64,
    peak: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tools, time, resident, peak } = self;
        write!(f, "{tools} | {:.2} | {} | {} |", time.as_secs_f64(), mebibytes(*resident), mebibytes(*peak))
    }
}

/// Starts it with a document, and measures it when it has listed its tools. The time begins with the process, as for the
/// sidecar.
pub(crate) fn measure(document: &Path) -> Result<Figures, Failure> {
    let python = interop().join("fastmcp/bin/python");
    if !python.is_file() {
        return Err("not there: tests/interop/install fastmcp".into());
    }
    let started = Instant::now();
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/interop/fastmcp_openapi.py")).arg(document);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    // Held open: it ends with its input.
    let _input = child.stdin.take();
    let output = child.stdout.take().ok_or("no output")?;
    let process = Process::new(child);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let time = started.elapsed();
    let said: Value = serde_json::from_str(&line).map_err(|_| "it failed")?;
    let tools = said["tools"].as_u64().ok_or("it says no number")?;
    Ok(Figures { tools, time, resident: process.resident()?, peak: process.peak()? })
}
