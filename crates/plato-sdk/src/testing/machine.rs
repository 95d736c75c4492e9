//! A machine of the double: a text that was typed, a pointer, files in memory, and the state of its Chrome. Its screen
//! is one fixed picture for each number of actions.

use std::collections::BTreeMap;
use std::time::Duration;

use image::{DynamicImage, Rgb, RgbImage};
use serde_json::Value;

use crate::desktop::{Point, Size, write_png};

/// Where `ctrl+s` saves the typed text.
const NOTES: &str = "/home/user/notes.txt";

/// The state of a desktop's browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chrome {
    Absent,
    Up,
    /// It runs and does not answer, like one that woke from a snapshot.
    Hanging,
}

pub(super) struct Machine {
    pub(super) size: Size,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) typed: String,
    pub(super) chrome: Chrome,
    /// Whether a Chrome has left the lock of its profile behind, which keeps another one from starting.
    pub(super) is_profile_locked: bool,
    /// Earlier contents of edited files, the latest last.
    pub(super) undo: BTreeMap<String, Vec<Option<Vec<u8>>>>,
    pointer: Point,
    actions: u8,
}

/// The outcome of an action.
#[derive(Default)]
pub(super) struct Done {
    pub(super) output: Option<String>,
    /// The time that the action takes.
    pub(super) takes: Duration,
    /// The saved text, after `ctrl+s`.
    pub(super) saved: Option<String>,
}

impl Machine {
    pub(super) fn new(size: Size, chrome: Chrome) -> Self {
        Self {
            size,
            files: BTreeMap::from([("/etc/hostname".to_owned(), b"fakeplato\n".to_vec())]),
            typed: String::new(),
            chrome,
            is_profile_locked: chrome != Chrome::Absent,
            undo: BTreeMap::new(),
            pointer: Point::new(size.width / 2, size.height / 2),
            actions: 0,
        }
    }

    /// The screen as a PNG: a gradient of small squares in a colour that every action changes. Like a real screen it
    /// is larger as a PNG than as a JPEG.
    pub(super) fn screenshot(&self) -> Vec<u8> {
        let Size { width, height } = self.size;
        let area = u64::from(width) * u64::from(height) / 16 + 1;
        let colour = self.actions.wrapping_mul(37);
        let pixel =
            |x: u32, y: u32| Rgb([(u64::from(x / 4) * u64::from(y / 4) * 255 / area) as u8, 128, colour]);
        write_png(&DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel))).unwrap_or_default()
    }

    /// Performs an action (plato-api §8.3), or returns the agent's complaint about its arguments.
    pub(super) fn act(&mut self, request: &Value) -> Result<Done, String> {
        let name = request["action"].as_str().unwrap_or_default();
        let at = self.point(&request["coordinate"])?;
        let required = |field: &str| format!("`{field}` is required for {name}");
        let text = || request["text"].as_str().ok_or_else(|| required("text"));
        let duration = || {
            let seconds = request["duration"].as_f64().ok_or_else(|| required("duration"))?;
            Duration::try_from_secs_f64(seconds).map_err(|error| format!("`duration`: {error}"))
        };
        let mut done = Done::default();
        match name {
            "screenshot" => return Ok(done),
            "cursor_position" => {
                done.output = Some(format!("X={}\nY={}", self.pointer.x, self.pointer.y));
                return Ok(done);
            }
            "left_click" | "right_click" | "middle_click" | "double_click" | "triple_click" => {
                self.pointer = at.unwrap_or(self.pointer);
            }
            "mouse_move" | "left_click_drag" => self.pointer = at.ok_or_else(|| required("coordinate"))?,
            "left_mouse_down" | "left_mouse_up" => {
                if at.is_some() {
                    return Err(format!("{name} takes no coordinate"));
                }
            }
            "type" => self.typed.push_str(text()?),
            "key" => done.saved = self.press(text()?),
            "hold_key" => {
                done.saved = self.press(text()?);
                done.takes = duration()?;
            }
            "scroll" => {
                if !matches!(request["scroll_direction"].as_str(), Some("up" | "down" | "left" | "right")) {
                    return Err(required("scroll_direction"));
                }
                request["scroll_amount"].as_u64().ok_or_else(|| required("scroll_amount"))?;
                self.pointer = at.unwrap_or(self.pointer);
            }
            "wait" => done.takes = duration()?,
            _ => return Err(format!("unknown action `{name}`")),
        }
        self.actions = self.actions.wrapping_add(1);
        Ok(done)
    }

    /// Presses chords one after the other, and returns the text if they save it.
    fn press(&mut self, chords: &str) -> Option<String> {
        let mut saved = None;
        for chord in chords.split_whitespace() {
            match chord {
                "ctrl+s" => {
                    self.files.insert(NOTES.to_owned(), self.typed.clone().into_bytes());
                    saved = Some(self.typed.clone());
                }
                "Return" => self.typed.push('\n'),
                "BackSpace" => drop(self.typed.pop()),
                key if key.chars().count() == 1 => self.typed.push_str(key),
                _ => {}
            }
        }
        saved
    }

    fn point(&self, value: &Value) -> Result<Option<Point>, String> {
        if value.is_null() {
            return Ok(None);
        }
        let number = |index: usize| value[index].as_u64().and_then(|number| u32::try_from(number).ok());
        let (Some(x), Some(y)) = (number(0), number(1)) else {
            return Err("`coordinate` must be two whole numbers".to_owned());
        };
        let point = Point::new(x, y);
        if !self.size.contains(point) {
            return Err(format!("{point} is outside of the screen"));
        }
        Ok(Some(point))
    }
}
