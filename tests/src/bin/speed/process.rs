//! The hosts, each in a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use load::SECRET;
use tests::process::Process;

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

/// Starts a host that connects to `platform`.
pub(crate) fn start(kind: Kind, platform: SocketAddr) -> Process {
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
    Process::new(command.spawn().unwrap())
}
