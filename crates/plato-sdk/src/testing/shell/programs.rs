//! Programs that look at what runs on the machine, or start it.

use super::commands::{self, Io};
use super::run::Running;
use crate::testing::machine::processes::{By, Processes};

/// Whether a program is one of these.
pub(super) fn is_known(name: &str) -> bool {
    let known = ["seq", "command", "nohup", "timeout", "exec", "pkill", "pgrep"];
    let screen = ["xset", "xfconf-query", "xfce4-screensaver-command"];
    known.contains(&name) || screen.contains(&name) || Processes::is_chrome(name)
}

/// Runs one, and says what it ends with.
pub(super) fn run(running: &mut Running<'_>, name: &str, arguments: &[String], io: &mut Io<'_>) -> i32 {
    let (flags, operands): (Vec<_>, Vec<_>) =
        arguments.iter().map(String::as_str).partition(|argument| argument.starts_with('-'));
    match name {
        "seq" => {
            let numbers: Vec<i64> = operands.iter().filter_map(|operand| operand.parse().ok()).collect();
            let (first, last) = match numbers[..] {
                [last] => (1, last),
                [first, last, ..] => (first, last),
                [] => return 1,
            };
            for number in first..=last.min(first.saturating_add(10_000)) {
                io.say(&format!("{number}\n"));
            }
            0
        }
        "command" => match operands.first().filter(|_| flags.contains(&"-v")) {
            Some(program) if Processes::is_chrome(program) => {
                io.say(&format!("/usr/bin/{program}\n"));
                0
            }
            _ => 1,
        },
        // What a program would do without them is done with them, too.
        "nohup" | "timeout" | "exec" => {
            let program = usize::from(name == "timeout");
            match arguments.get(program..).and_then(<[String]>::split_first) {
                Some((program, arguments)) => commands::run(running, program, arguments, io),
                None => 125,
            }
        }
        "pkill" | "pgrep" => signal(running, name, &flags, &operands, io),
        "xset" | "xfconf-query" => 0,
        "xfce4-screensaver-command" => i32::from(!running.processes.has_screensaver()),
        _ => chrome(running, arguments),
    }
}

/// `pkill` and `pgrep`: by name with `-x`, by the whole command line with `-f`, which that of the shell itself is one
/// of.
fn signal(running: &mut Running<'_>, name: &str, flags: &[&str], operands: &[&str], io: &mut Io<'_>) -> i32 {
    let Some(pattern) = operands.last() else {
        running.complain(&format!("{name}: no matching criteria specified\n"));
        return 2;
    };
    let by = match () {
        () if flags.contains(&"-f") => By::Line,
        () if flags.contains(&"-x") => By::WholeName,
        () => By::Name,
    };
    if name == "pgrep" {
        let found = running.processes.find(pattern, by);
        for (number, _) in found.iter().enumerate() {
            io.say(&format!("{}\n", 100 + number));
        }
        return i32::from(found.is_empty());
    }
    let found = running.processes.end(pattern, by);
    if by == By::Line && By::Line.fits(pattern, "bash", running.text) {
        running.killed = Some(if flags.contains(&"-9") { 9 } else { 15 });
    }
    i32::from(found == 0)
}

/// A browser that is started: there is one for each profile, and the first one stays.
fn chrome(running: &mut Running<'_>, arguments: &[String]) -> i32 {
    let value = |flag: &str| arguments.iter().find_map(|argument| argument.strip_prefix(flag));
    if !arguments.iter().any(|argument| argument == "--no-sandbox") {
        running.complain("Running as root without --no-sandbox is not supported.\n");
        return 1;
    }
    let lock = format!("{}/SingletonLock", value("--user-data-dir=").unwrap_or("/home/user/.config/chrome"));
    if running.processes.has_chrome() || running.files.exists(&lock) {
        return 0;
    }
    if let Some((folder, _)) = lock.rsplit_once('/') {
        // The files are in memory, where every folder can be made.
        let _ = running.files.make_folder(folder);
    }
    let _ = running.files.write(&lock, Vec::new());
    running.processes.start_chrome(value("--remote-debugging-port=") == Some("9225"));
    0
}
