//! Processes that are measured from outside, by `/proc`: only Linux has these figures.

use std::collections::BTreeMap;
use std::io;
use std::process::Child;
use std::time::Duration;

/// `/proc` counts CPU in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// A process that ends with this value.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Takes a process that was started.
    pub fn new(child: Child) -> Self {
        Self(child)
    }

    /// The resident memory, in bytes.
    ///
    /// # Errors
    /// When there is no `/proc`, or the process is gone.
    pub fn resident(&self) -> io::Result<u64> {
        resident(self.0.id())
    }

    /// The most that was resident so far, in bytes.
    ///
    /// # Errors
    /// When there is no `/proc`, or the process is gone.
    pub fn peak(&self) -> io::Result<u64> {
        Ok(number(&self.status("status")?, "VmHWM:")? * 1024)
    }

    /// The time on a processor so far, user and system. Zero where nobody counts.
    pub fn cpu(&self) -> Duration {
        cpu(self.0.id())
    }

    /// How often each thread has gone to sleep so far, by its id, with its name.
    ///
    /// # Errors
    /// When there is no `/proc`, or the process is gone.
    pub fn switches(&self) -> io::Result<BTreeMap<u64, (String, u64)>> {
        let mut threads = BTreeMap::new();
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            // One may end meanwhile.
            let Ok(status) = std::fs::read_to_string(thread?.path().join("status")) else { continue };
            let name = status.lines().find_map(|line| line.strip_prefix("Name:")).unwrap_or_default();
            let switches = number(&status, "voluntary_ctxt_switches:")?;
            threads.insert(number(&status, "Pid:")?, (name.trim().to_owned(), switches));
        }
        Ok(threads)
    }

    fn status(&self, file: &str) -> io::Result<String> {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

/// The time that a process was on a processor so far, user and system. Zero where nobody counts.
pub fn cpu(process: u32) -> Duration {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return Duration::ZERO };
    // Behind the name, which stands in brackets: user and system are the 12th and 13th.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).map(|ticks| TICK * ticks.parse::<u32>().unwrap_or(0)).sum()
}

/// The resident memory of a process, in bytes.
///
/// # Errors
/// When there is no `/proc`, or no such process.
pub fn resident(process: u32) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    Ok(number(&status, "VmRSS:")? * 1024)
}

/// The number behind a name, at the start of a line.
fn number(status: &str, name: &str) -> io::Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or(io::ErrorKind::Unsupported)?;
    let number = line.trim().trim_end_matches(" kB").parse();
    number.map_err(|_| io::ErrorKind::InvalidData.into())
}
