//! The commands that there are.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::programs;
use super::run::Running;
use crate::testing::machine::files::Files;

/// What a command reads and writes.
pub(super) struct Io<'a> {
    pub(super) input: &'a [u8],
    pub(super) output: Vec<u8>,
}

impl Io<'_> {
    pub(super) fn say(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
    }
}

/// Runs a command, and says what it ends with.
pub(super) fn run(running: &mut Running<'_>, name: &str, arguments: &[String], io: &mut Io<'_>) -> i32 {
    let (flags, operands): (Vec<_>, Vec<_>) = arguments
        .iter()
        .map(String::as_str)
        .partition(|argument| argument.len() > 1 && argument.starts_with('-'));
    let has = |flag: char| flags.iter().any(|own| !own.starts_with("--") && own.contains(flag));
    let path = |running: &Running<'_>, name: &str| Files::absolute(&running.shell.folder, name);
    running.processes.note(name, arguments);
    match name {
        "true" | ":" => 0,
        "false" => 1,
        "exit" => {
            running.exited = true;
            operands.first().map_or(running.shell.last, |code| code.parse().unwrap_or(2))
        }
        "echo" => {
            let no_newline = arguments.first().is_some_and(|first| first == "-n");
            let words = if no_newline { &arguments[1..] } else { arguments };
            io.say(&words.join(" "));
            if !no_newline {
                io.say("\n");
            }
            0
        }
        "printf" => {
            let Some((format, values)) = arguments.split_first() else { return 2 };
            io.say(&printf(format, values));
            0
        }
        "pwd" => {
            io.say(&format!("{}\n", running.shell.folder));
            0
        }
        "cd" => {
            let to = operands.first().copied().unwrap_or("~");
            let folder = path(running, to);
            if running.files.is_folder(&folder) {
                running.shell.folder = folder;
                return 0;
            }
            let problem =
                if running.files.exists(&folder) { "Not a directory" } else { "No such file or directory" };
            running.complain(&format!("bash: cd: {to}: {problem}\n"));
            1
        }
        "export" => {
            for (name, value) in operands.iter().filter_map(|operand| operand.split_once('=')) {
                running.shell.variables.insert(name.to_owned(), value.to_owned());
            }
            0
        }
        "cat" => cat(running, &operands, io),
        "ls" => ls(running, &operands, has('a'), io),
        "mkdir" | "touch" | "rm" => change(running, name, &operands, &has),
        "base64" => base64(running, &operands, &has, io),
        "uname" => {
            io.say(if has('a') { "Linux fakeplato 6.1.0 #1 SMP x86_64 GNU/Linux\n" } else { "Linux\n" });
            0
        }
        "whoami" => {
            io.say("user\n");
            0
        }
        "sleep" => match operands.first().and_then(|time| time.trim_end_matches('s').parse().ok()) {
            Some(seconds) if (0.0..1e9).contains(&seconds) => {
                i32::from(!running.sleep(Duration::from_secs_f64(seconds)))
            }
            _ => {
                running.complain("sleep: missing or invalid time\n");
                1
            }
        },
        "curl" => curl(running, &operands, io),
        "break" => {
            running.broken_out = true;
            0
        }
        _ if programs::is_known(name) => programs::run(running, name, arguments, io),
        _ => {
            running.complain(&format!("bash: {name}: command not found\n"));
            127
        }
    }
}

fn cat(running: &mut Running<'_>, operands: &[&str], io: &mut Io<'_>) -> i32 {
    if operands.is_empty() {
        io.output.extend_from_slice(io.input);
    }
    let mut exit = 0;
    for name in operands {
        match running.files.read(&Files::absolute(&running.shell.folder, name)) {
            Ok(bytes) => io.output.extend_from_slice(bytes),
            Err(problem) => {
                running.complain(&format!("cat: {name}: {problem}\n"));
                exit = 1;
            }
        }
    }
    exit
}

fn base64(running: &mut Running<'_>, operands: &[&str], has: &dyn Fn(char) -> bool, io: &mut Io<'_>) -> i32 {
    // `-w 0`, `-w0` and nothing else are asked for.
    let wrapped = !has('w');
    let bytes = match operands.iter().find(|operand| **operand != "0") {
        Some(name) => running.files.read(&Files::absolute(&running.shell.folder, name)).map(<[u8]>::to_vec),
        None => Ok(io.input.to_vec()),
    };
    let Ok(bytes) = bytes else {
        running.complain("base64: No such file or directory\n");
        return 1;
    };
    if has('d') {
        let text: Vec<u8> = bytes.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let Ok(bytes) = BASE64.decode(text) else {
            running.complain("base64: invalid input\n");
            return 1;
        };
        io.output.extend(bytes);
        return 0;
    }
    let text = BASE64.encode(bytes);
    for line in text.as_bytes().chunks(if wrapped { 76 } else { usize::MAX }) {
        io.output.extend_from_slice(line);
        if wrapped {
            io.say("\n");
        }
    }
    0
}

fn ls(running: &mut Running<'_>, operands: &[&str], all: bool, io: &mut Io<'_>) -> i32 {
    let names = if operands.is_empty() { &["."] } else { operands };
    let mut exit = 0;
    for name in names {
        let path = Files::absolute(&running.shell.folder, name);
        if running.files.is_folder(&path) {
            for entry in running.files.list(&path) {
                if all || !entry.starts_with('.') {
                    io.say(&format!("{entry}\n"));
                }
            }
        } else if running.files.exists(&path) {
            io.say(&format!("{name}\n"));
        } else {
            running.complain(&format!("ls: cannot access '{name}': No such file or directory\n"));
            exit = 2;
        }
    }
    exit
}

fn change(running: &mut Running<'_>, command: &str, operands: &[&str], has: &dyn Fn(char) -> bool) -> i32 {
    let mut exit = 0;
    for name in operands {
        let path = Files::absolute(&running.shell.folder, name);
        let done = match command {
            "mkdir" => running.files.make_folder(&path),
            "touch" => running.files.append(&path, b""),
            _ if running.files.is_folder(&path) && !has('r') => Err("Is a directory".to_owned()),
            _ if running.files.remove(&path) || has('f') => Ok(()),
            _ => Err("No such file or directory".to_owned()),
        };
        if let Err(problem) = done {
            running.complain(&format!("{command}: '{name}': {problem}\n"));
            exit = 1;
        }
    }
    exit
}

/// Nothing is fetched; the one address that is known is that of the desktop's own Chrome.
fn curl(running: &mut Running<'_>, operands: &[&str], io: &mut Io<'_>) -> i32 {
    let Some(url) = operands.iter().find(|operand| operand.contains("://")) else {
        running.complain("curl: no URL specified\n");
        return 2;
    };
    let host = url.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next()).unwrap_or_default();
    match host {
        "localhost" | "127.0.0.1" if running.processes.chrome_answers() && url.contains("/json") => {
            io.say("{\"Browser\": \"Chrome\", \"Protocol-Version\": \"1.3\"}\n");
            0
        }
        "localhost" | "127.0.0.1" => 7,
        _ => {
            running.complain(&format!("curl: (6) Could not resolve host: {host}\n"));
            6
        }
    }
}

/// As long as there are values, the format begins anew.
fn printf(format: &str, values: &[String]) -> String {
    let mut values = values.iter();
    let mut text = String::new();
    loop {
        let before = values.len();
        let mut characters = format.chars();
        while let Some(character) = characters.next() {
            match character {
                '%' => match characters.next() {
                    Some('%') => text.push('%'),
                    Some('d') => text.push_str(values.next().map_or("0", String::as_str)),
                    Some('s' | 'b') => text.push_str(values.next().map_or("", String::as_str)),
                    other => {
                        text.push('%');
                        text.extend(other);
                    }
                },
                '\\' => match characters.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('\\') => text.push('\\'),
                    other => {
                        text.push('\\');
                        text.extend(other);
                    }
                },
                character => text.push(character),
            }
        }
        if values.len() == 0 || values.len() == before {
            return text;
        }
    }
}
