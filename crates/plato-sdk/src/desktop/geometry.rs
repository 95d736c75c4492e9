//! Points and sizes in pixels, and the way between a model's screen and the real one.

use std::fmt;

/// A point in pixels; the top left corner is (0, 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Point {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
}

impl Point {
    /// A point.
    pub const fn new(x: u32, y: u32) -> Self {
        Self { x, y }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.x, self.y)
    }
}

/// A size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// The width.
    pub width: u32,
    /// The height.
    pub height: u32,
}

impl Size {
    /// A size.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Whether a point is on a screen of this size.
    pub fn contains(self, point: Point) -> bool {
        point.x < self.width && point.y < self.height
    }

    /// The largest size of the same shape that fits into `limit`; never larger than this one.
    ///
    /// ```
    /// use plato_sdk::Size;
    ///
    /// assert_eq!(Size::new(2560, 1440).within(Size::new(1280, 1280)), Size::new(1280, 720));
    /// assert_eq!(Size::new(800, 600).within(Size::new(1280, 1280)), Size::new(800, 600));
    /// ```
    pub fn within(self, limit: Self) -> Self {
        if self.width <= limit.width && self.height <= limit.height {
            return self;
        }
        let (width, height) = (u64::from(self.width.max(1)), u64::from(self.height.max(1)));
        let by_width = (u64::from(limit.width), (height * u64::from(limit.width) / width).max(1));
        let by_height = ((width * u64::from(limit.height) / height).max(1), u64::from(limit.height));
        let (width, height) = if by_width.1 <= u64::from(limit.height) { by_width } else { by_height };
        Self::new(width as u32, height as u32)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// The way between the screen that a model sees and the real one.
///
/// ```
/// use plato_sdk::{Point, Scaling, Size};
///
/// let scaling = Scaling::new(Size::new(1280, 720), Size::new(2560, 1440));
/// assert_eq!(scaling.to_real(Point::new(100, 50)), Point::new(201, 101)); // the middle of the model's pixel
/// assert_eq!(scaling.to_model(Point::new(201, 101)), Point::new(100, 50));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scaling {
    model: Size,
    real: Size,
}

impl Scaling {
    /// From a model's screen to the real one.
    pub fn new(model: Size, real: Size) -> Self {
        Self { model, real }
    }

    /// The screen that the model sees.
    pub fn model(&self) -> Size {
        self.model
    }

    /// The real screen.
    pub fn real(&self) -> Size {
        self.real
    }

    /// The real point in the middle of a model's pixel.
    pub fn to_real(&self, point: Point) -> Point {
        Point::new(
            scale(point.x, self.model.width, self.real.width),
            scale(point.y, self.model.height, self.real.height),
        )
    }

    /// The model's pixel that a real point is in.
    pub fn to_model(&self, point: Point) -> Point {
        Point::new(
            scale(point.x, self.real.width, self.model.width),
            scale(point.y, self.real.height, self.model.height),
        )
    }
}

fn scale(value: u32, from: u32, to: u32) -> u32 {
    if from == to || from == 0 || to == 0 {
        return value;
    }
    let middle = (2 * u64::from(value) + 1) * u64::from(to) / (2 * u64::from(from));
    (middle as u32).min(to - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_point_of_the_models_screen_comes_back_to_itself(
            (width, height) in (1_u32..3000, 1_u32..3000), (more, taller) in (0_u32..3000, 0_u32..3000),
            (x, y) in (0_u32..3000, 0_u32..3000),
        ) {
            let model = Size::new(width, height);
            let scaling = Scaling::new(model, Size::new(width + more, height + taller));
            let point = Point::new(x % width, y % height);
            let real = scaling.to_real(point);
            prop_assert!(scaling.real().contains(real), "{real}");
            prop_assert_eq!(scaling.to_model(real), point);
        }

        #[test]
        fn a_size_that_is_made_to_fit_fits(
            (width, height) in (1_u32..9000, 1_u32..9000), (w, h) in (1_u32..3000, 1_u32..3000),
        ) {
            let fitted = Size::new(width, height).within(Size::new(w, h));
            prop_assert!(fitted.width <= w.min(width) && fitted.height <= h.min(height), "{fitted}");
            prop_assert!(fitted.width > 0 && fitted.height > 0);
        }
    }
}
