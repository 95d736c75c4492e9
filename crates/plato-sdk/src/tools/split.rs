//! The screen, the mouse and the keyboard as one tool for each thing, for models that were not trained on `computer`.

use std::sync::Arc;

use platools::{Tool, ToolCall, ToolError, ToolResult, ToolSpec};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::answer::{UNTYPED, perform};
use super::computer::{Direction, clicks, cursor_position, keys, pause, pixel};
use super::failure::refusal;
use super::options::Settings;
use super::pool::Source;
use super::seat::{Turn, on_screen};
use crate::desktop::{Action, Point};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Click {
    #[serde(default)]
    x: Option<f64>,
    #[serde(default)]
    y: Option<f64>,
    #[serde(default)]
    button: Button,
    #[serde(default, rename = "click_type")]
    times: Times,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Button {
    #[default]
    Left,
    Right,
    Middle,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Times {
    #[default]
    Single,
    Double,
    Triple,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    key: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scroll {
    #[serde(default)]
    x: Option<f64>,
    #[serde(default)]
    y: Option<f64>,
    direction: Direction,
    #[serde(default)]
    amount: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drag {
    start_x: f64,
    start_y: f64,
    end_x: f64,
    end_y: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    x: f64,
    y: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    seconds: f64,
}

/// What a tool does: actions whose points are of the picture.
type Actions = Result<Vec<Action>, ToolError>;

pub(super) fn tools(source: &Source, settings: &Arc<Settings>) -> Vec<Tool> {
    let make = Maker { source, settings };
    let pixel_of = |what: &str| json!({"type": "integer", "minimum": 0, "description": what});
    let word = |what: &str, words: &[&str]| json!({"type": "string", "enum": words, "description": what});
    let text_of = |what: &str| json!({"type": "string", "description": what});
    let here = "without it, where the pointer is";
    let longest = settings.longest.as_secs_f64();
    vec![
        make.tool(("screenshot", "Look at the desktop's screen."), &[], &[], |_: &Settings, _: Nothing| {
            Ok(vec![Action::Screenshot])
        }),
        make.tool(
            ("click", "Click with the mouse."),
            &[
                ("x", pixel_of(&format!("Pixels from the left; {here}."))),
                ("y", pixel_of(&format!("Pixels from the top; {here}."))),
                ("button", word("Which button; left without it.", &["left", "right", "middle"])),
                ("click_type", word("How often; once without it.", &["single", "double", "triple"])),
            ],
            &[],
            |_, click: Click| click.actions(),
        ),
        make.tool(
            ("type_text", "Type a text with the keyboard; a line break is the return key."),
            &[("text", text_of("The text, as it is to appear."))],
            &["text"],
            |_, Text { text }| Ok(vec![Action::Type { text }]),
        ),
        make.tool(
            ("key", "Press keys together and let them go."),
            &[("key", text_of("The keys, such as `ctrl+a` or `Return`; a space separates chords."))],
            &["key"],
            |_, Key { key }| Ok(vec![Action::Key { keys: keys("key", key)? }]),
        ),
        make.tool(
            ("scroll", "Turn the mouse wheel."),
            &[
                ("x", pixel_of(&format!("Pixels from the left; {here}."))),
                ("y", pixel_of(&format!("Pixels from the top; {here}."))),
                ("direction", word("Where the wheel goes.", &["up", "down", "left", "right"])),
                (
                    "amount",
                    json!({"type": "integer", "minimum": 0, "maximum": 100,
                    "description": "How many clicks of the wheel; 3 without it."}),
                ),
            ],
            &["direction"],
            |_, scroll: Scroll| {
                let (at, direction) = (place(scroll.x, scroll.y)?, scroll.direction.into());
                let clicks = clicks("amount", scroll.amount.unwrap_or(3))?;
                Ok(vec![Action::Scroll { at, direction, clicks }])
            },
        ),
        make.tool(
            ("drag", "Press the left button, move, and let go."),
            &[
                ("start_x", pixel_of("Where it begins, in pixels from the left.")),
                ("start_y", pixel_of("Where it begins, in pixels from the top.")),
                ("end_x", pixel_of("Where it ends, in pixels from the left.")),
                ("end_y", pixel_of("Where it ends, in pixels from the top.")),
            ],
            &["start_x", "start_y", "end_x", "end_y"],
            |_, drag: Drag| {
                let from = Some(pixel("start", [drag.start_x, drag.start_y])?);
                Ok(vec![Action::LeftClickDrag { from, to: pixel("end", [drag.end_x, drag.end_y])? }])
            },
        ),
        make.tool(
            ("mouse_move", "Move the pointer."),
            &[("x", pixel_of("Pixels from the left.")), ("y", pixel_of("Pixels from the top."))],
            &["x", "y"],
            |_, Move { x, y }| Ok(vec![Action::MouseMove { to: pixel("x, y", [x, y])? }]),
        ),
        make.tool(("cursor_position", "Ask where the pointer is."), &[], &[], |_, _: Nothing| {
            Ok(vec![Action::CursorPosition])
        }),
        make.tool(
            ("wait", "Wait, then look at the screen."),
            &[(
                "seconds",
                json!({"type": "number", "minimum": 0, "maximum": longest,
                "description": "How long to wait, in seconds."}),
            )],
            &["seconds"],
            |settings, Wait { seconds }| {
                Ok(vec![Action::Wait { duration: pause("seconds", seconds, settings)? }])
            },
        ),
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
    fn tool<T: DeserializeOwned>(
        &self,
        (name, description): (&str, &str),
        properties: &[(&str, Value)],
        required: &[&str],
        actions: impl Fn(&Settings, T) -> Actions + Send + Sync + 'static,
    ) -> Tool {
        let properties: Map<_, _> =
            properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
        let has_points = ["x", "start_x"].iter().any(|name| properties.contains_key(*name));
        let points = if has_points { " Pixels are those of the picture that was shown last." } else { "" };
        let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
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
