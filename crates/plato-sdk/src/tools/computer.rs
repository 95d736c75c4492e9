//! `computer`: one tool for the screen, the mouse and the keyboard, with the arguments of Anthropic's
//! `computer_20250124`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use platools::{Tool, ToolCall, ToolError, ToolResult, ToolSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{UNTYPED, perform, text};
use super::failure::refusal;
use super::pool::Source;
use super::schema;
use super::seat::{Turn, on_screen};
use super::settings::Settings;
use crate::desktop::{Action, Point, ScrollDirection};

const DESCRIPTION: &str = "Use the desktop: look at its screen, move and click the mouse, press keys and type. \
    `action` says what to do. Points are pixels of the picture that was shown last, from its top left corner. Most \
    actions answer with a picture of the screen after them.";

/// The most that a wheel is turned in one call.
pub(super) const MAX_CLICKS: u32 = 100;

/// The arguments of all actions. Coordinates are read as lists of numbers, so that this module words the complaint
/// about a list of another length.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {
    /// The action to perform.
    action: Name,
    /// [x, y]: where to click, move to or scroll; of `left_click_drag` the end. Without it, clicks happen where the
    /// pointer is.
    #[serde(default)]
    #[schemars(with = "[u32; 2]")]
    coordinate: Option<Vec<f64>>,
    /// [x, y]: where `left_click_drag` begins, if not where the pointer is.
    #[serde(default)]
    #[schemars(with = "[u32; 2]")]
    start_coordinate: Option<Vec<f64>>,
    /// The text of `type`; of `key` and `hold_key` the keys, such as `ctrl+a` or `Return`.
    #[serde(default)]
    text: Option<String>,
    /// Where `scroll` goes.
    #[serde(default)]
    scroll_direction: Option<Direction>,
    /// The wheel clicks of `scroll`.
    #[serde(default)]
    #[schemars(range(max = MAX_CLICKS))]
    scroll_amount: Option<u32>,
    /// How long `wait` and `hold_key` take, in seconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    duration: Option<f64>,
}

/// The actions by their words.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Name {
    Screenshot,
    MouseMove,
    LeftClick,
    RightClick,
    MiddleClick,
    DoubleClick,
    TripleClick,
    LeftClickDrag,
    LeftMouseDown,
    LeftMouseUp,
    Type,
    Key,
    HoldKey,
    Scroll,
    Wait,
    CursorPosition,
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The word that the model used.
        self.serialize(f)
    }
}

/// Where a wheel turns to, as models write it.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    Up,
    Down,
    Left,
    Right,
}

impl From<Direction> for ScrollDirection {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Up => Self::Up,
            Direction::Down => Self::Down,
            Direction::Left => Self::Left,
            Direction::Right => Self::Right,
        }
    }
}

pub(super) fn tool(source: &Source, settings: &Arc<Settings>) -> Tool {
    let schema = schema::with_maximum(schema::of::<Input>(), "duration", settings.longest.as_secs_f64());
    let spec = ToolSpec::new("computer")
        .description(DESCRIPTION)
        .category("desktop")
        .allow([UNTYPED])
        .open_world(true)
        .input_schema(schema);
    let (source, settings) = (source.clone(), Arc::clone(settings));
    Tool::new(spec, move |call: ToolCall| {
        let (source, settings) = (source.clone(), Arc::clone(&settings));
        async move {
            let input: Input = call.arguments.parse()?;
            // What is wrong with the arguments is said before a desktop is started for them.
            input.action(&settings, Ok)?;
            let turn = source.turn(&call, &settings).await?;
            run(&turn, &settings, input).await
        }
    })
}

async fn run(turn: &Turn, settings: &Settings, input: Input) -> ToolResult {
    let scaling = turn.scaling().await.map_err(refusal)?;
    let action = input.action(settings, |point| on_screen(point, scaling))?;
    if action == Action::CursorPosition {
        return cursor_position(turn, settings).await;
    }
    perform(turn, settings, action).await
}

/// Where the pointer is on the picture.
pub(super) async fn cursor_position(turn: &Turn, settings: &Settings) -> ToolResult {
    let real = turn.desktop().cursor_position().await.map_err(refusal)?;
    let point = turn.scaling().await.map_err(refusal)?.to_model(real);
    Ok(text(settings, &format!("X={},Y={}", point.x, point.y)))
}

impl Input {
    /// The action, with its points made into points of the screen by `place`.
    fn action(
        &self,
        settings: &Settings,
        place: impl Fn(Point) -> Result<Point, ToolError>,
    ) -> Result<Action, ToolError> {
        self.refuse_strays()?;
        let missing = |what: &str| {
            ToolError::invalid_arguments(format!(
                "`{what}` is missing: the action `{:?}` needs it",
                self.action
            ))
        };
        let point = |what: &str, point: &[f64]| match *point {
            [x, y] => pixel(what, [x, y]).and_then(&place),
            _ => Err(ToolError::invalid_arguments(format!(
                "`{what}`: expected two numbers, [x, y], got {}",
                point.len()
            ))),
        };
        let at = || self.coordinate.as_deref().map(|at| point("coordinate", at)).transpose();
        let needed = || at()?.ok_or_else(|| missing("coordinate"));
        let words = || self.text.clone().ok_or_else(|| missing("text"));
        let time = || pause("duration", self.duration.ok_or_else(|| missing("duration"))?, settings);
        Ok(match self.action {
            Name::Screenshot => Action::Screenshot,
            Name::CursorPosition => Action::CursorPosition,
            Name::MouseMove => Action::MouseMove { to: needed()? },
            Name::LeftClick => Action::LeftClick { at: at()? },
            Name::RightClick => Action::RightClick { at: at()? },
            Name::MiddleClick => Action::MiddleClick { at: at()? },
            Name::DoubleClick => Action::DoubleClick { at: at()? },
            Name::TripleClick => Action::TripleClick { at: at()? },
            Name::LeftMouseDown => Action::LeftMouseDown { at: at()? },
            Name::LeftMouseUp => Action::LeftMouseUp { at: at()? },
            Name::LeftClickDrag => {
                let start = self.start_coordinate.as_deref();
                let from = start.map(|at| point("start_coordinate", at)).transpose()?;
                Action::LeftClickDrag { from, to: needed()? }
            }
            Name::Type => Action::Type { text: words()? },
            Name::Key => Action::Key { keys: keys("text", words()?)? },
            Name::HoldKey => Action::HoldKey { keys: keys("text", words()?)?, duration: time()? },
            Name::Scroll => Action::Scroll {
                at: at()?,
                direction: self.scroll_direction.ok_or_else(|| missing("scroll_direction"))?.into(),
                clicks: clicks("scroll_amount", self.scroll_amount.ok_or_else(|| missing("scroll_amount"))?)?,
            },
            Name::Wait => Action::Wait { duration: time()? },
        })
    }

    /// Refuses what the action cannot take: a model that clicks with a key held down, or types at a point, believes
    /// that it happened. What says nothing, such as an empty text, is let be.
    fn refuse_strays(&self) -> Result<(), ToolError> {
        use Name::{
            DoubleClick, HoldKey, Key, LeftClick, LeftClickDrag, LeftMouseDown, LeftMouseUp, MiddleClick,
            MouseMove, RightClick, Scroll, TripleClick, Type, Wait,
        };
        let action = self.action;
        let points = matches!(
            action,
            MouseMove
                | LeftClick
                | RightClick
                | MiddleClick
                | DoubleClick
                | TripleClick
                | LeftClickDrag
                | LeftMouseDown
                | LeftMouseUp
                | Scroll
        );
        let given = [
            ("coordinate", self.coordinate.is_some(), points),
            ("start_coordinate", self.start_coordinate.is_some(), action == LeftClickDrag),
            (
                "text",
                self.text.as_deref().is_some_and(|text| !text.is_empty()),
                matches!(action, Type | Key | HoldKey),
            ),
            ("scroll_direction", self.scroll_direction.is_some(), action == Scroll),
            ("scroll_amount", self.scroll_amount.is_some_and(|amount| amount > 0), action == Scroll),
            ("duration", self.duration.is_some_and(|time| time > 0.0), matches!(action, HoldKey | Wait)),
        ];
        match given.into_iter().find(|(_, is_given, is_taken)| *is_given && !is_taken) {
            None => Ok(()),
            Some((stray, ..)) => Err(ToolError::invalid_arguments(format!(
                "the action `{action:?}` takes no `{stray}`: leave it out, or do it in an action of its own"
            ))),
        }
    }
}

/// A pixel, also from a model that writes `640.0`.
pub(super) fn pixel(what: &str, [x, y]: [f64; 2]) -> Result<Point, ToolError> {
    let is_one = |value: f64| (0.0..1e6).contains(&value.round());
    if !is_one(x) || !is_one(y) {
        return Err(ToolError::invalid_arguments(format!(
            "`{what}`: expected pixels from the top left corner, got [{x}, {y}]"
        )));
    }
    #[allow(clippy::cast_sign_loss, reason = "it was checked")]
    Ok(Point::new(x.round() as u32, y.round() as u32))
}

/// The names of keys, of which there is at least one.
pub(super) fn keys(what: &str, keys: String) -> Result<String, ToolError> {
    if keys.trim().is_empty() {
        return Err(ToolError::invalid_arguments(format!(
            "`{what}` names no key: such as `ctrl+a` or `Return`"
        )));
    }
    Ok(keys)
}

/// Clicks of a wheel, as many as a screen could need.
pub(super) fn clicks(what: &str, clicks: u32) -> Result<u32, ToolError> {
    if clicks <= MAX_CLICKS {
        return Ok(clicks);
    }
    Err(ToolError::invalid_arguments(format!(
        "`{what}`: expected 0 to {MAX_CLICKS} clicks of the wheel, got {clicks}"
    )))
}

/// A time in seconds, as long as a call may take.
pub(super) fn pause(what: &str, seconds: f64, settings: &Settings) -> Result<Duration, ToolError> {
    let longest = settings.longest.as_secs_f64();
    let time = Duration::try_from_secs_f64(seconds).ok();
    time.filter(|time| *time <= settings.longest).ok_or_else(|| {
        ToolError::invalid_arguments(format!("`{what}`: expected 0 to {longest} seconds, got {seconds}"))
    })
}
