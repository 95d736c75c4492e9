//! Runs the command lines that this crate sends to desktops in a real shell, with stubs for all programs.

#![allow(clippy::unwrap_used, reason = "a helper of tests is not inside of a test function")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// Runs a command line whose programs are stubs that exit with the given codes and print `1`. Returns the command lines
/// of the stubs, one in each line.
pub(crate) fn run(line: &str, programs: &[(&str, i32)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    for (name, exit) in programs {
        let path = folder.path().join(name);
        let print = format!("printf '%s\\n' \"{name} $*\" >> '{}'", log.display());
        std::fs::write(&path, format!("#!/bin/sh\n{print}\necho 1\nexit {exit}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let line = line.replace("/tmp/plato-chrome.log", &folder.path().join("output").display().to_string());
    let mut shell = Command::new("/bin/sh");
    // A command in the background ends before the shell does.
    let output = shell.args(["-c", &format!("{line}\nwait")]).env("PATH", folder.path()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    std::fs::read_to_string(log).unwrap()
}
