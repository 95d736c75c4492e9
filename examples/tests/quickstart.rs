//! Runs quickstart as a newcomer does, and pastes its first suggestion.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside of a test function")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

/// Ends the program also when a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_first_suggestion_succeeds_when_pasted() {
    let command = &mut Command::new(env!("CARGO_BIN_EXE_quickstart"));
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut running = Running(child);
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut input = running.0.stdin.take().unwrap();

    lines.find(|line| line.starts_with("Your turn")).unwrap();
    let suggestion = lines.find(|line| line.starts_with("    ")).unwrap();
    lines.find(|line| line.contains("in a browser")).unwrap();
    writeln!(input, "{suggestion}").unwrap();
    let answer = lines.next().unwrap();
    assert!(answer.contains("answer") && answer.contains("usr_ada"), "{suggestion}: {answer}");
    writeln!(input, "quit").unwrap();
    assert!(running.0.wait().unwrap().success());
}

#[test]
fn hello_says_what_is_missing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hello"));
    for variable in ["PLATOS_URL", "PLATOS_SECRET", "PLATOS_SECRET_FILE"] {
        command.env_remove(variable);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("set PLATOS_URL"), "{text}");
}
