//! A machine of the double: a screen with a notepad, files, and a shell.

mod act;
mod edit;
pub(super) mod files;
mod font;
mod notepad;
pub(super) mod processes;
mod screen;

use std::time::Duration;

pub(super) use self::act::Done;
use self::files::Files;
use self::notepad::Notepad;
use self::processes::Processes;
use self::screen::Frame;
use super::shell::{Ran, Shell};
use crate::desktop::{Point, Size};

/// Where the notepad saves.
const NOTES: &str = "/home/user/notes.txt";

/// All of one machine.
pub(super) struct Machine {
    pub(super) size: Size,
    pub(super) processes: Processes,
    pub(super) files: Files,
    pub(super) notepad: Notepad,
    pointer: Point,
    is_pressed: bool,
    last: String,
    shell: Shell,
    undo: edit::History,
}

impl Machine {
    pub(super) fn new(size: Size, processes: Processes) -> Self {
        let mut files = Files::new();
        processes.leave_files(&mut files);
        Self {
            size,
            processes,
            files,
            notepad: Notepad::default(),
            pointer: Point::new(size.width / 2, size.height / 2),
            is_pressed: false,
            last: "booted".to_owned(),
            shell: Shell::new(),
            undo: edit::History::default(),
        }
    }

    pub(super) fn restart_shell(&mut self) {
        self.shell = Shell::new();
    }

    pub(super) fn bash(&mut self, command: &str, timeout: Duration) -> Ran {
        self.shell.run(&mut self.files, &mut self.processes, command, timeout)
    }

    /// What is to be drawn; drawing it needs the machine no more.
    pub(super) fn frame(&self) -> Frame {
        Frame {
            size: self.size,
            text: self.notepad.text.clone(),
            is_selected: self.notepad.is_selected,
            pointer: self.pointer,
            is_pressed: self.is_pressed,
            status: self.last.clone(),
        }
    }

    pub(super) fn screenshot(&self) -> Vec<u8> {
        self.frame().png()
    }
}
