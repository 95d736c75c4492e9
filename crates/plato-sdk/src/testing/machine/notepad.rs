//! The text in the notepad, and what keys do to it.

/// A text without a cursor: what is typed goes to its end, or in the place of all of it when it is selected.
#[derive(Debug, Default)]
pub(in super::super) struct Notepad {
    pub(in super::super) text: String,
    pub(super) is_selected: bool,
}

impl Notepad {
    pub(super) fn insert(&mut self, text: &str) {
        if std::mem::take(&mut self.is_selected) {
            self.text.clear();
        }
        self.text.push_str(text);
    }

    /// Presses keys together; true when they ask to save.
    pub(super) fn press(&mut self, chord: &str) -> bool {
        match chord.to_ascii_lowercase().as_str() {
            "ctrl+a" => self.is_selected = !self.text.is_empty(),
            "ctrl+s" => return true,
            "return" | "enter" | "kp_enter" => self.insert("\n"),
            "tab" => self.insert("\t"),
            "space" => self.insert(" "),
            "backspace" | "delete" => {
                if std::mem::take(&mut self.is_selected) {
                    self.text.clear();
                } else {
                    self.text.pop();
                }
            }
            key if key.chars().count() == 1 => self.insert(chord),
            _ => {}
        }
        false
    }
}
