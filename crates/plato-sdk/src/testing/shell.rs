//! Commands on a machine. Nothing is interpreted: the test's scripts answer, and else a few canned replies, mostly to
//! command lines that clients of Plato send by themselves.

use std::time::Duration;

use regex::Regex;

use super::machine::{Chrome, Machine};
use super::script::BashReply;
use super::world::Shared;

/// Chrome's process, by its name and by its command line.
const CHROME: (&str, &str) = ("chrome", "/opt/google/chrome/chrome --remote-debugging-port=9225");

/// Printed by the clients' probes if Chrome does not answer.
const NO_ANSWER: &str = "__NO_CDP__";

/// Characters that end a command within a line.
const END_OF_COMMAND: [char; 3] = [';', '&', '\n'];

/// The result of a command line.
pub(super) struct Ran {
    pub(super) reply: BashReply,
    pub(super) timed_out: bool,
}

/// Runs a command line on a job's machine; `None` if the machine is not up.
pub(super) async fn run(shared: &Shared, job: &str, command: &str, timeout: Duration) -> Option<Ran> {
    let scripts = shared.with(|world| world.running(job).is_some().then(|| world.scripts.clone()))?;
    let reply = match scripts.iter().rev().find_map(|script| script(command)) {
        Some(reply) => reply,
        None => shared.with(|world| Some(canned(&mut world.running(job)?.machine, command)))?,
    };
    tokio::time::sleep(reply.takes.min(timeout)).await;
    Some(Ran { timed_out: reply.takes > timeout, reply })
}

fn canned(machine: &mut Machine, command: &str) -> BashReply {
    let command = command.trim();
    // `pkill -f` finds the shell of its own command line as well, and nothing after it runs.
    let end = suicide(command);
    let runs = &command[..end.unwrap_or(command.len())];
    let ends_chrome = ends(runs, CHROME);
    if ends_chrome {
        machine.chrome = Chrome::Absent;
    }
    let clears_lock = runs.contains("rm -f") && runs.contains("Singleton");
    if clears_lock {
        machine.is_profile_locked = false;
    }
    if end.is_some() {
        return BashReply::new("").exit(143);
    }
    if runs.contains("/json/version") {
        return match machine.chrome {
            Chrome::Up => BashReply::new("{\"Browser\": \"Chrome\", \"Protocol-Version\": \"1.3\"}\n"),
            _ if runs.contains(NO_ANSWER) => BashReply::new(format!("{NO_ANSWER}\n")),
            _ => BashReply::new("").exit(7),
        };
    }
    if runs.contains("--remote-debugging-port=") {
        return launch(machine, runs);
    }
    if ends_chrome || clears_lock || runs.contains("screensaver") {
        return BashReply::default();
    }
    simple(machine, runs).unwrap_or_else(|| {
        BashReply::new("")
            .stderr("FakePlato has no reply to this command: script one by `on_bash`\n")
            .exit(127)
    })
}

/// The reply to one command without quotes, pipes or redirections.
fn simple(machine: &Machine, command: &str) -> Option<BashReply> {
    if command.contains(['"', '\'', '`', '$', '|', '&', ';', '<', '>', '\n']) {
        return None;
    }
    Some(match command.split_once(' ').unwrap_or((command, "")) {
        ("" | "true", _) => BashReply::default(),
        ("echo", words) => BashReply::new(format!("{words}\n")),
        ("cat", path) => match machine.files.get(path) {
            Some(bytes) => BashReply::new(String::from_utf8_lossy(bytes)),
            None => BashReply::new("").stderr(format!("cat: {path}: No such file or directory\n")).exit(1),
        },
        ("sleep", seconds) => {
            BashReply::default().takes(Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?)
        }
        _ => return None,
    })
}

/// Starts Chrome. A profile has one Chrome: a second one gives way to the first, or to its lock.
fn launch(machine: &mut Machine, command: &str) -> BashReply {
    if !command.contains("--no-sandbox") {
        let complaint = "Running as root without --no-sandbox is not supported.\n";
        return BashReply::new("").stderr(complaint).exit(1);
    }
    if machine.chrome == Chrome::Absent && !machine.is_profile_locked {
        let answers = command.contains("--remote-debugging-port=9225 ");
        machine.chrome = if answers { Chrome::Up } else { Chrome::Hanging };
        machine.is_profile_locked = true;
    }
    BashReply::default()
}

/// The end of the part of a command line that runs, if it ends its own shell.
fn suicide(command: &str) -> Option<usize> {
    let ends_itself = |at: usize| {
        let (flags, pattern) = pkill(&command[at..]);
        flags.contains('f') && Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(command))
    };
    let at = command.match_indices("pkill ").map(|(at, _)| at).find(|at| ends_itself(*at))?;
    Some(command[at..].find(END_OF_COMMAND).map_or(command.len(), |length| at + length))
}

/// Whether a command line ends a process, given by its name and its command line.
fn ends(command: &str, (name, line): (&str, &str)) -> bool {
    command.match_indices("pkill ").any(|(at, _)| {
        let (flags, pattern) = pkill(&command[at..]);
        let whole = format!("^(?:{pattern})$");
        let pattern = Regex::new(if flags.contains('x') { &whole } else { pattern });
        pattern.is_ok_and(|pattern| pattern.is_match(if flags.contains('f') { line } else { name }))
    })
}

/// The flags and the pattern of a `pkill` at the beginning of a text.
fn pkill(text: &str) -> (String, &str) {
    let words = || text.split(END_OF_COMMAND).next().unwrap_or_default().split_whitespace().skip(1);
    let flags = words().take_while(|word| word.starts_with('-')).collect();
    let pattern = words().find(|word| !word.starts_with('-')).unwrap_or_default();
    (flags, pattern.trim_matches(['\'', '"']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desktop::Size;

    #[test]
    fn pkill_by_a_command_line_ends_its_own_shell_too_unless_its_pattern_does_not_match_itself() {
        let mut machine = Machine::new(Size::new(1, 1), Chrome::Up);
        let reply = canned(&mut machine, "pkill -f remote-debugging-port; rm -f /tmp/p/SingletonLock");
        assert_eq!((reply.exit, machine.chrome, machine.is_profile_locked), (143, Chrome::Absent, true));
        let reply = canned(&mut machine, "pkill -9 -f '[r]emote-debugging-port'; rm -f /tmp/p/SingletonLock");
        assert_eq!((reply.exit, machine.chrome, machine.is_profile_locked), (0, Chrome::Absent, false));
        machine.chrome = Chrome::Hanging;
        assert_eq!(canned(&mut machine, "pkill -x 'chromium|chrome' 2>/dev/null; true").exit, 0);
        assert_eq!(machine.chrome, Chrome::Absent);
    }
}
