//! Running what was parsed.

use std::time::Duration;

use super::commands::{self, Io};
use super::parse::{Command, Redirect, Step, When, parse};
use super::{Ran, Shell};
use crate::testing::machine::files::Files;
use crate::testing::machine::processes::Processes;

/// A file, and whether is written behind what stands there.
type Target = (String, bool);

/// How deep commands may stand in commands.
const MAX_DEPTH: usize = 20;

/// One line while it runs.
pub(super) struct Running<'a> {
    pub(super) shell: &'a mut Shell,
    pub(super) files: &'a mut Files,
    pub(super) processes: &'a mut Processes,
    /// The whole line, which is what its shell was started with.
    pub(super) text: &'a str,
    pub(super) took: Duration,
    timeout: Duration,
    pub(super) timed_out: bool,
    /// Set by `exit`.
    pub(super) exited: bool,
    /// Set by `break`, until its loop has ended.
    pub(super) broken_out: bool,
    /// The signal that ended the shell itself.
    pub(super) killed: Option<i32>,
    complaints: Vec<u8>,
    depth: usize,
}

impl Shell {
    /// Runs a line. Nobody waits here: how long it would take is told.
    pub(in super::super) fn run(
        &mut self,
        files: &mut Files,
        processes: &mut Processes,
        line: &str,
        timeout: Duration,
    ) -> Ran {
        let mut running = Running {
            shell: self,
            files,
            processes,
            text: line,
            took: Duration::ZERO,
            timeout,
            timed_out: false,
            exited: false,
            broken_out: false,
            killed: None,
            complaints: Vec::new(),
            depth: 0,
        };
        let stdout = running.line(line, &[]);
        let (took, timed_out, killed) = (running.took, running.timed_out, running.killed);
        let stderr = String::from_utf8_lossy(&running.complaints).into_owned();
        let exit = match killed {
            _ if timed_out => 124,
            Some(signal) => {
                *self = Self::new();
                128 + signal
            }
            None => self.last,
        };
        Ran { stdout: String::from_utf8_lossy(&stdout).into_owned(), stderr, exit, took, timed_out }
    }
}

impl Running<'_> {
    /// What a line writes.
    fn line(&mut self, line: &str, input: &[u8]) -> Vec<u8> {
        if self.depth >= MAX_DEPTH {
            return self.broken("too many commands in commands");
        }
        self.depth += 1;
        let output = match parse(line) {
            Ok(steps) => self.steps(&steps, input),
            Err(problem) => self.broken(&problem),
        };
        self.depth -= 1;
        output
    }

    fn broken(&mut self, problem: &str) -> Vec<u8> {
        self.complain(&format!("bash: {problem}\n"));
        self.shell.last = 2;
        Vec::new()
    }

    pub(super) fn output_of(&mut self, line: &str) -> String {
        let folder = self.shell.folder.clone();
        let output = self.line(line, &[]);
        // It was a shell of its own, as far as it matters here.
        self.shell.folder = folder;
        self.exited = false;
        String::from_utf8_lossy(&output).into_owned()
    }

    pub(super) fn complain(&mut self, text: &str) {
        self.complaints.extend_from_slice(text.as_bytes());
    }

    /// Takes time; false when there is none left.
    pub(super) fn sleep(&mut self, time: Duration) -> bool {
        self.took = self.took.saturating_add(time);
        if self.took > self.timeout {
            self.took = self.timeout;
            self.timed_out = true;
        }
        !self.timed_out
    }

    fn steps(&mut self, steps: &[Step], input: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        for step in steps {
            if self.timed_out || self.exited || self.broken_out || self.killed.is_some() {
                break;
            }
            let succeeded = self.shell.last == 0;
            match step.when {
                When::AfterSuccess if !succeeded => continue,
                When::AfterFailure if succeeded => continue,
                _ => {}
            }
            output.extend(self.pipeline(&step.pipeline, input));
            if step.negated {
                self.shell.last = i32::from(self.shell.last == 0);
            }
        }
        output
    }

    fn pipeline(&mut self, commands: &[Command], input: &[u8]) -> Vec<u8> {
        let mut flowing = input.to_vec();
        for command in commands {
            flowing = self.command(command, &flowing);
        }
        flowing
    }

    fn command(&mut self, command: &Command, input: &[u8]) -> Vec<u8> {
        let mut input = input.to_vec();
        let mut targets = Vec::new();
        for redirect in &command.redirects {
            match redirect {
                Redirect::From(word) => {
                    let name = self.text(word);
                    match self.files.read(&Files::absolute(&self.shell.folder, &name)) {
                        Ok(bytes) => input = bytes.to_vec(),
                        Err(problem) => {
                            self.complain(&format!("bash: {name}: {problem}\n"));
                            self.shell.last = 1;
                            return Vec::new();
                        }
                    }
                }
                Redirect::To { stream, append, file } => {
                    let name = self.text(file);
                    targets.push((Some((name, *append)), *stream));
                }
                Redirect::Merge => targets.push((None, 2)),
                Redirect::Complain => targets.push((None, 1)),
            }
        }
        let before = std::mem::take(&mut self.complaints);
        let output = match (&command.group, &command.each) {
            (None, Some(each)) => {
                let mut output = Vec::new();
                for value in self.fields(&each.words) {
                    self.shell.variables.insert(each.name.clone(), value);
                    output.extend(self.steps(&each.steps, &input));
                    if std::mem::take(&mut self.broken_out) {
                        break;
                    }
                }
                output
            }
            (Some((steps, own_shell)), _) => {
                let kept = self.shell.clone();
                let output = self.steps(steps, &input);
                if *own_shell {
                    let last = self.shell.last;
                    *self.shell = Shell { last, ..kept };
                    self.exited = false;
                }
                output
            }
            (None, None) => self.simple(command, &input),
        };
        let complaints = std::mem::replace(&mut self.complaints, before);
        self.redirect(targets, output, complaints)
    }

    /// Sends both streams where they are to go, and hands over what is left of the output.
    fn redirect(
        &mut self,
        targets: Vec<(Option<Target>, u8)>,
        mut output: Vec<u8>,
        mut complaints: Vec<u8>,
    ) -> Vec<u8> {
        // Where each stream goes: nowhere special, or into a file.
        let (mut first, mut second) = (None, None);
        let (mut merged, mut complaining) = (false, false);
        for (file, stream) in targets {
            match (file, stream) {
                (Some(file), 1) => first = Some(file),
                (Some(file), 2) => second = Some(file),
                (Some(file), _) => (first, merged) = (Some(file), true),
                (None, 2) => merged = true,
                (None, _) => complaining = true,
            }
        }
        if merged {
            output.append(&mut complaints);
        }
        if complaining {
            complaints.append(&mut output);
        }
        if let Some((name, append)) = second {
            self.write(&name, append, &std::mem::take(&mut complaints));
        }
        if let Some((name, append)) = first {
            self.write(&name, append, &std::mem::take(&mut output));
        }
        self.complaints.extend(complaints);
        output
    }

    fn write(&mut self, name: &str, append: bool, bytes: &[u8]) {
        let path = Files::absolute(&self.shell.folder, name);
        let written =
            if append { self.files.append(&path, bytes) } else { self.files.write(&path, bytes.to_vec()) };
        if let Err(problem) = written {
            self.complain(&format!("bash: {name}: {problem}\n"));
            self.shell.last = 1;
        }
    }

    fn simple(&mut self, command: &Command, input: &[u8]) -> Vec<u8> {
        let mut fields = self.fields(&command.words);
        // Variables before the command; those of a command alone stay.
        let is_assignment = |field: &String| {
            field.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty()
                    && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
            })
        };
        let count = fields.iter().take_while(|field| is_assignment(field)).count();
        let assignments: Vec<_> = fields.drain(..count).collect();
        for (name, value) in assignments.iter().filter_map(|field| field.split_once('=')) {
            self.shell.variables.insert(name.to_owned(), value.to_owned());
        }
        if fields.is_empty() {
            self.shell.last = 0;
            return Vec::new();
        }
        let name = fields.remove(0);
        let mut io = Io { input, output: Vec::new() };
        self.shell.last = commands::run(self, &name, &fields, &mut io);
        io.output
    }
}
