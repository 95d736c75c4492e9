//! The sixteen actions of the agent on a screen, a mouse and a keyboard (plato-api §8.3).

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{PictureError, Point, Screenshot};

/// One action. Points are pixels of the screen that the caller sees.
///
/// ```
/// use plato_sdk::{Action, Point};
///
/// let click = Action::LeftClick { at: Some(Point::new(640, 360)) };
/// assert_eq!(click.name(), "left_click");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Look at the screen.
    Screenshot,
    /// Move the pointer.
    MouseMove {
        /// To there.
        to: Point,
    },
    /// Click with the left button.
    LeftClick {
        /// There, or where the pointer is.
        at: Option<Point>,
    },
    /// Click with the right button.
    RightClick {
        /// There, or where the pointer is.
        at: Option<Point>,
    },
    /// Click with the middle button.
    MiddleClick {
        /// There, or where the pointer is.
        at: Option<Point>,
    },
    /// Click twice with the left button.
    DoubleClick {
        /// There, or where the pointer is.
        at: Option<Point>,
    },
    /// Click three times with the left button.
    TripleClick {
        /// There, or where the pointer is.
        at: Option<Point>,
    },
    /// Press the left button, move, and let go.
    LeftClickDrag {
        /// From there, or from where the pointer is. The agent knows no start: the pointer is moved there first.
        from: Option<Point>,
        /// To there.
        to: Point,
    },
    /// Press the left button and hold it.
    LeftMouseDown {
        /// There, or where the pointer is. The agent takes no point here: the pointer is moved there first.
        at: Option<Point>,
    },
    /// Let the left button go.
    LeftMouseUp {
        /// There, or where the pointer is; as for pressing it.
        at: Option<Point>,
    },
    /// Type a text; a line break is the return key.
    Type {
        /// The text.
        text: String,
    },
    /// Press keys together and let them go.
    Key {
        /// By their names for xdotool, joined with `+`, such as `ctrl+a` or `Return`; a space separates chords.
        keys: String,
    },
    /// Hold keys for a while.
    HoldKey {
        /// As for [`Key`](Self::Key).
        keys: String,
        /// For so long.
        duration: Duration,
    },
    /// Turn the mouse wheel.
    Scroll {
        /// There, or where the pointer is.
        at: Option<Point>,
        /// In this direction.
        direction: ScrollDirection,
        /// By so many clicks of the wheel.
        clicks: u32,
    },
    /// Do nothing for a while, then look at the screen.
    Wait {
        /// For so long.
        duration: Duration,
    },
    /// Ask where the pointer is.
    CursorPosition,
}

/// Where a mouse wheel turns to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "a direction is a direction")]
pub enum ScrollDirection {
    Up,
    Down,
    Left,
    Right,
}

impl ScrollDirection {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

impl Action {
    /// The agent's name for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Screenshot => "screenshot",
            Self::MouseMove { .. } => "mouse_move",
            Self::LeftClick { .. } => "left_click",
            Self::RightClick { .. } => "right_click",
            Self::MiddleClick { .. } => "middle_click",
            Self::DoubleClick { .. } => "double_click",
            Self::TripleClick { .. } => "triple_click",
            Self::LeftClickDrag { .. } => "left_click_drag",
            Self::LeftMouseDown { .. } => "left_mouse_down",
            Self::LeftMouseUp { .. } => "left_mouse_up",
            Self::Type { .. } => "type",
            Self::Key { .. } => "key",
            Self::HoldKey { .. } => "hold_key",
            Self::Scroll { .. } => "scroll",
            Self::Wait { .. } => "wait",
            Self::CursorPosition => "cursor_position",
        }
    }

    /// Whether it changes nothing, so that it may be sent twice.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Screenshot | Self::CursorPosition)
    }

    /// The points in it.
    pub fn points(&self) -> impl Iterator<Item = Point> {
        let (first, second) = match self {
            Self::LeftClick { at }
            | Self::RightClick { at }
            | Self::MiddleClick { at }
            | Self::DoubleClick { at }
            | Self::TripleClick { at }
            | Self::LeftMouseDown { at }
            | Self::LeftMouseUp { at }
            | Self::Scroll { at, .. } => (*at, None),
            Self::MouseMove { to } => (Some(*to), None),
            Self::LeftClickDrag { from, to } => (*from, Some(*to)),
            _ => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Applies a function to its points, for example [`Scaling::to_real`](super::Scaling::to_real).
    pub fn map_points(mut self, change: impl Fn(Point) -> Point) -> Self {
        match &mut self {
            Self::LeftClick { at }
            | Self::RightClick { at }
            | Self::MiddleClick { at }
            | Self::DoubleClick { at }
            | Self::TripleClick { at }
            | Self::LeftMouseDown { at }
            | Self::LeftMouseUp { at }
            | Self::Scroll { at, .. } => *at = at.map(change),
            Self::MouseMove { to } => *to = change(*to),
            Self::LeftClickDrag { from, to } => (*from, *to) = (from.map(&change), change(*to)),
            _ => {}
        }
        self
    }

    /// How long the agent takes on purpose.
    pub(crate) fn takes(&self) -> Duration {
        match self {
            Self::HoldKey { duration, .. } | Self::Wait { duration } => *duration,
            _ => Duration::ZERO,
        }
    }

    /// The requests for it, one after the other.
    pub(super) fn requests(&self) -> Vec<Map<String, Value>> {
        let request = |fields: Value| match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let at = |point: Point| json!([point.x, point.y]);
        let to = |point: Point| request(json!({"action": "mouse_move", "coordinate": at(point)}));
        let mut main = request(json!({"action": self.name()}));
        let mut before = None;
        match self {
            Self::Screenshot | Self::CursorPosition => {}
            Self::LeftMouseDown { at } | Self::LeftMouseUp { at } => before = at.map(to),
            Self::LeftClickDrag { from, to: end } => {
                before = from.map(to);
                main.insert("coordinate".to_owned(), at(*end));
            }
            Self::Type { text } | Self::Key { keys: text } => {
                main.insert("text".to_owned(), json!(text));
            }
            Self::HoldKey { keys, duration } => {
                main.insert("text".to_owned(), json!(keys));
                main.insert("duration".to_owned(), json!(duration.as_secs_f64()));
            }
            Self::Scroll { direction, clicks, .. } => {
                main.extend(self.points().map(|point| ("coordinate".to_owned(), at(point))));
                main.insert("scroll_direction".to_owned(), json!(direction.as_str()));
                main.insert("scroll_amount".to_owned(), json!(clicks));
            }
            Self::Wait { duration } => {
                main.insert("duration".to_owned(), json!(duration.as_secs_f64()));
            }
            _ => main.extend(self.points().map(|point| ("coordinate".to_owned(), at(point)))),
        }
        before.into_iter().chain([main]).collect()
    }
}

/// An action, and what else the agent is told with it.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionRequest {
    pub(super) action: Action,
    pub(super) settle: Option<Duration>,
    pub(super) fields: Map<String, Value>,
}

impl ActionRequest {
    /// An action and nothing else.
    pub fn new(action: Action) -> Self {
        Self { action, settle: None, fields: Map::new() }
    }

    /// How long the screen may settle before the picture after the action is taken; older agents ignore it.
    pub fn settle(mut self, time: Duration) -> Self {
        self.settle = Some(time);
        self
    }

    /// A field that this version does not know.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }
}

impl From<Action> for ActionRequest {
    fn from(action: Action) -> Self {
        Self::new(action)
    }
}

/// The result of an action.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Performed {
    /// The output of the agent.
    pub output: Option<String>,
    /// The screen after the action, as the agent saw it; agents may leave it out.
    pub screenshot: Option<Screenshot>,
    /// Why there is none although the agent sent something. The action was performed all the same.
    pub screenshot_problem: Option<PictureError>,
}
