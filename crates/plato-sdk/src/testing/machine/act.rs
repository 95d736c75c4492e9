//! The sixteen actions, done to the notepad and the pointer.

use std::time::Duration;

use serde_json::Value;

use super::{Machine, NOTES, screen};
use crate::desktop::Point;

/// What an action came to.
pub(in super::super) struct Done {
    pub(in super::super) output: Option<String>,
    /// How long it takes on purpose.
    pub(in super::super) took: Duration,
    /// What was saved, if anything was.
    pub(in super::super) saved: Option<String>,
}

impl Machine {
    /// Does what a request says, or says what is wrong with it.
    pub(in super::super) fn act(&mut self, request: &Value) -> Result<Done, String> {
        let name = request["action"].as_str().unwrap_or_default().to_owned();
        let at = self.point(&request["coordinate"])?;
        let text = || {
            let text = request["text"].as_str().map(str::to_owned);
            text.ok_or_else(|| format!("`text` is required for {name}"))
        };
        let duration = || request["duration"].as_f64().filter(|time| *time >= 0.0).unwrap_or(0.0);
        let mut done = Done { output: None, took: Duration::ZERO, saved: None };
        match name.as_str() {
            "screenshot" => return Ok(done),
            "cursor_position" => {
                done.output = Some(format!("X={}\nY={}", self.pointer.x, self.pointer.y));
                return Ok(done);
            }
            "mouse_move" => self.pointer = at.ok_or("`coordinate` is required for mouse_move")?,
            "left_click" | "right_click" | "middle_click" | "double_click" | "triple_click" => {
                self.pointer = at.unwrap_or(self.pointer);
                let layout = screen::Layout::of(self.size);
                if name != "right_click" && name != "middle_click" && layout.save.contains(self.pointer) {
                    done.saved = Some(self.save()?);
                } else {
                    // Three clicks take the line, and the notepad has but one way to take something.
                    self.notepad.is_selected = name == "triple_click" && layout.paper.contains(self.pointer);
                }
            }
            "left_click_drag" => self.pointer = at.ok_or("`coordinate` is required for left_click_drag")?,
            "left_mouse_down" | "left_mouse_up" => {
                if at.is_some() {
                    return Err(format!("{name} takes no coordinate"));
                }
                self.is_pressed = name == "left_mouse_down";
            }
            "type" => self.notepad.insert(&text()?),
            "key" => {
                for chord in text()?.split_whitespace() {
                    if self.notepad.press(chord) {
                        done.saved = Some(self.save()?);
                    }
                }
            }
            "hold_key" => {
                self.notepad.press(&text()?);
                done.took = Duration::from_secs_f64(duration());
            }
            "scroll" => {
                let (direction, amount) =
                    (request["scroll_direction"].as_str(), request["scroll_amount"].as_u64());
                if !matches!(direction, Some("up" | "down" | "left" | "right")) || amount.is_none() {
                    return Err("`scroll_direction` and `scroll_amount` are required for scroll".to_owned());
                }
                self.pointer = at.unwrap_or(self.pointer);
            }
            "wait" => done.took = Duration::from_secs_f64(duration()),
            _ => return Err(format!("unknown action `{name}`")),
        }
        self.last = format!("{name} at {},{}", self.pointer.x, self.pointer.y);
        Ok(done)
    }

    fn save(&mut self) -> Result<String, String> {
        let text = self.notepad.text.clone();
        self.files.write(NOTES, text.clone().into_bytes())?;
        Ok(text)
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
