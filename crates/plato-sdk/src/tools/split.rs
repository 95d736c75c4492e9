//! The screen, the mouse and the keyboard as one tool for each thing, for models that were not trained on `computer`.

use std::sync::Arc;

use platools::{Tool, ToolCall, ToolError, ToolResult, ToolSpec};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::answer::{UNTYPED, perform};
use super::computer::{Direction, MAX_CLICKS, clicks, cursor_position, keys, pause, pixel};
use super::failure::refusal;
use super::pool::Source;
use super::schema;
use super::seat::{Turn, on_screen};
use super::settings::Settings;
use crate::desktop::{Action, Point};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Click {
    /// Pixels from the left; without it, where the pointer is.
    #[serde(default)]
    #[schemars(with = "u32")]
    x: Option<f64>,
    /// Pixels from the top; without it, where the pointer is.
    #[serde(default)]
    #[schemars(with = "u32")]
    y: Option<f64>,
    /// The mouse button that clicks.
    #[serde(default)]
    button: Button,
    /// The number of clicks.
    #[serde(default, rename = "click_type")]
    times: Times,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Button {
    #[default]
    Left,
    Right,
    Middle,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Times {
    #[default]
    Single,
    Double,
    Triple,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Text {
    /// The text, as it is to appear.
    text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Key {
    /// The keys, such as `ctrl+a` or `Return`; a space separates chords.
    key: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Scroll {
    /// Pixels from the left; without it, where the pointer is.
    #[serde(default)]
    #[schemars(with = "u32")]
    x: Option<f64>,
    /// Pixels from the top; without it, where the pointer is.
    #[serde(default)]
    #[schemars(with = "u32")]
    y: Option<f64>,
    /// Where the wheel goes.
    direction: Direction,
    /// The number of clicks of the wheel.
    #[serde(default)]
    #[schemars(range(max = MAX_CLICKS), extend("default" = CLICKS))]
    amount: Option<u32>,
}

/// The clicks of the wheel if a model gives no number.
const CLICKS: u32 = 3;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Drag {
    /// Where it begins, in pixels from the left.
    #[schemars(with = "u32")]
    start_x: f64,
    /// Where it begins, in pixels from the top.
    #[schemars(with = "u32")]
    start_y: f64,
    /// Where it ends, in pixels from the left.
    #[schemars(with = "u32")]
    end_x: f64,
    /// Where it ends, in pixels from the top.
    #[schemars(with = "u32")]
    end_y: f64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Move {
    /// Pixels from the left.
    #[schemars(with = "u32")]
    x: f64,
    /// Pixels from the top.
    #[schemars(with = "u32")]
    y: f64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wait {
    /// How long to wait, in seconds.
    #[schemars(range(min = 0))]
    seconds: f64,
}

/// The actions of a tool, with points of the picture.
type Actions = Result<Vec<Action>, ToolError>;

pub(super) fn tools(source: &Source, settings: &Arc<Settings>) -> Vec<Tool> {
    let make = Maker { source, settings };
    let mut waiting = schema::of::<Wait>();
    waiting = schema::with_maximum(waiting, "seconds", settings.longest.as_secs_f64());
    vec![
        make.tool("screenshot", "Look at the desktop's screen.", |_, _: Nothing| {
            Ok(vec![Action::Screenshot])
        }),
        make.tool("click", "Click with the mouse.", |_, click: Click| click.actions()),
        make.tool(
            "type_text",
            "Type a text with the keyboard; a line break is the return key.",
            |_, Text { text }| Ok(vec![Action::Type { text }]),
        ),
        make.tool("key", "Press keys together and let them go.", |_, Key { key }| {
            Ok(vec![Action::Key { keys: keys("key", key)? }])
        }),
        make.tool("scroll", "Turn the mouse wheel.", |_, scroll: Scroll| {
            let (at, direction) = (place(scroll.x, scroll.y)?, scroll.direction.into());
            Ok(vec![Action::Scroll {
                at,
                direction,
                clicks: clicks("amount", scroll.amount.unwrap_or(CLICKS))?,
            }])
        }),
        make.tool("drag", "Press the left button, move, and let go.", |_, drag: Drag| {
            let from = Some(pixel("start", [drag.start_x, drag.start_y])?);
            Ok(vec![Action::LeftClickDrag { from, to: pixel("end", [drag.end_x, drag.end_y])? }])
        }),
        make.tool("mouse_move", "Move the pointer.", |_, Move { x, y }| {
            Ok(vec![Action::MouseMove { to: pixel("x, y", [x, y])? }])
        }),
        make.tool("cursor_position", "Ask where the pointer is.", |_, _: Nothing| {
            Ok(vec![Action::CursorPosition])
        }),
        make.tool("wait", "Wait, then look at the screen.", |settings, Wait { seconds }| {
            Ok(vec![Action::Wait { duration: pause("seconds", seconds, settings)? }])
        })
        .with_spec(|spec| spec.input_schema(waiting)),
    ]
}

impl Click {
    fn actions(&self) -> Actions {
        let at = place(self.x, self.y)?;
        let times = match self.times {
            Times::Single => 1,
            Times::Double => 2,
            Times::Triple => 3,
        };
        Ok(match (self.button, times) {
            (Button::Left, 1) => vec![Action::LeftClick { at }],
            (Button::Left, 2) => vec![Action::DoubleClick { at }],
            (Button::Left, _) => vec![Action::TripleClick { at }],
            (button, times) => {
                // The agent has no such action: it is a click where the pointer was moved to, again and again.
                let click = |at| match button {
                    Button::Right => Action::RightClick { at },
                    _ => Action::MiddleClick { at },
                };
                let mut clicks = vec![click(at)];
                clicks.resize(times, click(None));
                clicks
            }
        })
    }
}

/// A point, if there is one: both numbers, or none.
fn place(x: Option<f64>, y: Option<f64>) -> Result<Option<Point>, ToolError> {
    match (x, y) {
        (Some(x), Some(y)) => pixel("x, y", [x, y]).map(Some),
        (None, None) => Ok(None),
        _ => Err(ToolError::invalid_arguments("`x` and `y` belong together: give both, or none")),
    }
}

struct Maker<'a> {
    source: &'a Source,
    settings: &'a Arc<Settings>,
}

impl Maker<'_> {
    fn tool<T: DeserializeOwned + JsonSchema>(
        &self,
        name: &str,
        description: &str,
        actions: impl Fn(&Settings, T) -> Actions + Send + Sync + 'static,
    ) -> Tool {
        let schema = schema::of::<T>();
        let has_points = ["x", "start_x"].iter().any(|name| schema["properties"].get(name).is_some());
        let points = if has_points { " Pixels are those of the picture that was shown last." } else { "" };
        let reads = matches!(name, "screenshot" | "cursor_position" | "wait");
        let spec = ToolSpec::new(name)
            .description(format!("{description}{points}"))
            .category("desktop")
            .allow([UNTYPED])
            .read_only(reads)
            .input_schema(schema);
        let (source, settings, actions) = (self.source.clone(), Arc::clone(self.settings), Arc::new(actions));
        Tool::new(spec, move |call: ToolCall| {
            let (source, settings, actions) = (source.clone(), Arc::clone(&settings), Arc::clone(&actions));
            async move {
                let actions = actions(&settings, call.arguments.parse()?)?;
                let turn = source.turn(&call, &settings).await?;
                run(&turn, &settings, actions).await
            }
        })
    }
}

/// Performs actions one after the other; the last one is answered with.
async fn run(turn: &Turn, settings: &Settings, actions: Vec<Action>) -> ToolResult {
    let scaling = turn.scaling().await.map_err(refusal)?;
    for action in &actions {
        for point in action.points() {
            on_screen(point, scaling)?;
        }
    }
    let mut actions = actions.into_iter().map(|action| action.map_points(|point| scaling.to_real(point)));
    let last = actions.next_back();
    for action in actions {
        turn.desktop().perform(action).await.map_err(refusal)?;
    }
    match last {
        Some(Action::CursorPosition) | None => cursor_position(turn, settings).await,
        Some(action) => perform(turn, settings, action).await,
    }
}
