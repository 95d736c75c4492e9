//! The hosts, each in a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::calls::SECRET;

/// `/proc` counts in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Floor,
    Bare,
    Full,
    Python,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Floor, Self::Bare, Self::Full, Self::Python];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Bare => "bare",
            Self::Full => "full",
            Self::Python => "python",
        }
    }

    pub(crate) fn is_there(self) -> bool {
        self != Self::Python || python().is_file()
    }
}

/// Python with the package.
fn python() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/interop/platools/bin/python"))
}

pub(crate) struct Process(Child);

impl Process {
    /// Starts a host that connects to `platform`.
    pub(crate) fn start(kind: Kind, platform: SocketAddr) -> Self {
        let url = format!("ws://{platform}?entity=speed");
        let mut command = if kind == Kind::Python {
            let mut command = Command::new(python());
            command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/interop/platools_speed.py"));
            command.env("PLATOS_URL", url).env("PLATOS_SECRET", SECRET);
            command
        } else {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["host", kind.name(), &platform.to_string()]);
            command
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        Self(command.spawn().unwrap())
    }

    /// What the process has used, user and system.
    pub(crate) fn cpu(&self) -> Duration {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())) else {
            return Duration::ZERO;
        };
        // Behind the name, which stands in brackets: user and system are the 12th and 13th.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        fields.skip(11).take(2).map(|ticks| TICK * ticks.parse::<u32>().unwrap_or(0)).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}
