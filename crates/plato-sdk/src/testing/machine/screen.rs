//! Drawing the screen: a title, the notepad, its button, and the pointer.

use image::{DynamicImage, Rgb, RgbImage};

use super::font;
use crate::desktop::{Point, Size, write_png};

const WALL: Rgb<u8> = Rgb([38, 70, 83]);
const BAR: Rgb<u8> = Rgb([29, 53, 64]);
const PAPER: Rgb<u8> = Rgb([250, 248, 240]);
const SELECTED: Rgb<u8> = Rgb([170, 205, 240]);
const INK: Rgb<u8> = Rgb([30, 30, 30]);
const LIGHT: Rgb<u8> = Rgb([235, 240, 240]);
const BUTTON: Rgb<u8> = Rgb([42, 157, 143]);
const POINTER: Rgb<u8> = Rgb([231, 111, 81]);

/// How much larger than the font letters are.
const SCALE: u32 = 2;
/// The room of a letter, in pixels.
const ADVANCE: u32 = 6 * SCALE;
const LINE: u32 = 9 * SCALE;

/// A rectangle on the screen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Area {
    pub(super) fn contains(self, point: Point) -> bool {
        (self.left..self.left + self.width).contains(&point.x)
            && (self.top..self.top + self.height).contains(&point.y)
    }
}

/// Where everything is: in shares of the screen, so that it is on a screen of any size.
pub(super) struct Layout {
    bar: Area,
    window: Area,
    pub(super) paper: Area,
    pub(super) save: Area,
}

impl Layout {
    pub(super) fn of(size: Size) -> Self {
        let area = |left: u32, top: u32, right: u32, bottom: u32| {
            let (x, y) = (|share| size.width * share / 100, |share| size.height * share / 100);
            Area { left: x(left), top: y(top), width: x(right) - x(left), height: y(bottom) - y(top) }
        };
        Self {
            bar: area(0, 0, 100, 5),
            window: area(19, 15, 81, 88),
            paper: area(20, 20, 80, 78),
            save: area(70, 80, 80, 86),
        }
    }
}

/// All that is seen.
#[derive(Debug, Clone)]
pub(in super::super) struct Frame {
    pub(super) size: Size,
    pub(super) text: String,
    pub(super) is_selected: bool,
    pub(super) pointer: Point,
    pub(super) is_pressed: bool,
    pub(super) status: String,
}

impl Frame {
    pub(in super::super) fn png(&self) -> Vec<u8> {
        let mut picture = Picture(RgbImage::from_pixel(self.size.width, self.size.height, WALL));
        let layout = Layout::of(self.size);
        picture.fill(layout.bar, BAR);
        picture.text(layout.bar, "FakePlato desktop", LIGHT);
        picture.fill(layout.window, BAR);
        picture.text(layout.window, "Notes", LIGHT);
        picture.fill(layout.paper, if self.is_selected { SELECTED } else { PAPER });
        picture.text(layout.paper, &self.text, INK);
        picture.fill(layout.save, BUTTON);
        picture.text(layout.save, "Save", LIGHT);
        let height = self.size.height;
        let foot =
            Area { left: 0, top: height - height.min(30), width: self.size.width, height: height.min(30) };
        picture.text(foot, &self.status, LIGHT);
        picture.pointer(self.pointer, self.is_pressed);
        write_png(&DynamicImage::ImageRgb8(picture.0)).unwrap_or_default()
    }
}

struct Picture(RgbImage);

impl Picture {
    fn dot(&mut self, x: u32, y: u32, colour: Rgb<u8>) {
        if let Some(pixel) = self.0.get_pixel_mut_checked(x, y) {
            *pixel = colour;
        }
    }

    fn fill(&mut self, area: Area, colour: Rgb<u8>) {
        for y in area.top..area.top + area.height {
            for x in area.left..area.left + area.width {
                self.dot(x, y, colour);
            }
        }
    }

    /// Writes a text into an area; what has no room there is not seen.
    fn text(&mut self, area: Area, text: &str, colour: Rgb<u8>) {
        let (left, top) = (area.left + SCALE * 3, area.top + SCALE * 3);
        let columns = (area.width.saturating_sub(SCALE * 3) / ADVANCE).max(1);
        let (mut column, mut row) = (0, 0);
        for letter in text.chars() {
            if letter == '\n' || column == columns {
                (column, row) = (0, row + 1);
            }
            if letter == '\n' {
                continue;
            }
            if (row + 1) * LINE > area.height {
                return;
            }
            self.letter(left + column * ADVANCE, top + row * LINE, letter, colour);
            column += 1;
        }
    }

    fn letter(&mut self, left: u32, top: u32, letter: char, colour: Rgb<u8>) {
        for (column, bits) in (0..).zip(font::columns(letter)) {
            for row in (0..8).filter(|row| bits >> row & 1 == 1) {
                for (x, y) in (0..SCALE).flat_map(|x| (0..SCALE).map(move |y| (x, y))) {
                    self.dot(left + column * SCALE + x, top + row * SCALE + y, colour);
                }
            }
        }
    }

    /// An arrow whose tip is the point.
    fn pointer(&mut self, tip: Point, is_pressed: bool) {
        let colour = if is_pressed { SELECTED } else { POINTER };
        for row in 0..18_u32 {
            for column in 0..=row.min(18 - row.min(18)) {
                self.dot(tip.x.saturating_add(column), tip.y.saturating_add(row), colour);
            }
        }
    }
}
