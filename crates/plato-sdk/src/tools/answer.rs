//! Answers to calls: words, a picture, or both, within the limit of a result.

use platools::tool::Content;
use platools::{Media, ToolOutput, ToolResult};
use serde_json::Value;

use super::budget::fit;
use super::failure::refusal;
use super::seat::Turn;
use super::settings::{Pictures, Settings};
use crate::desktop::{Action, Performed, PictureError, Screenshot, cut};

/// The most bytes of a result beside its picture and the agent's words.
const FRAME: usize = 512;

/// The doctor's rule that these tools do not follow: pictures and words have no schema, and no tool takes them.
pub(super) const UNTYPED: &str = "no_return_schema";

/// Performs an action of the real screen, and shows what came of it.
pub(super) async fn perform(turn: &Turn, settings: &Settings, action: Action) -> ToolResult {
    let name = action.name();
    turn.has("duration", action.takes())?;
    if action == Action::Screenshot {
        let picture = turn.desktop().screenshot().await.map_err(refusal)?;
        return show(turn, settings, None, picture).await.map_err(|error| refusal(error.into()));
    }
    let done = turn.desktop().perform(action).await.map_err(refusal)?;
    let Performed { output, screenshot, screenshot_problem, .. } = done;
    let output = output.filter(|output| !output.trim().is_empty());
    if settings.pictures == Pictures::OnRequest {
        return Ok(text(settings, &output.unwrap_or_else(|| format!("{name}: done"))));
    }
    // The agent may have left its picture out, or sent a broken one. The action is done either way, and an answer that
    // says otherwise would have it done again.
    let picture = match (screenshot, screenshot_problem) {
        (Some(picture), _) => Ok(picture),
        (None, _) => turn.desktop().screenshot().await,
    };
    let shown = match picture {
        Ok(picture) => show(turn, settings, output.clone(), picture).await.map_err(Into::into),
        Err(error) => Err(error),
    };
    Ok(shown.unwrap_or_else(|error| {
        let words = output.map_or_else(String::new, |output| format!("{output}\n"));
        text(settings, &format!("{words}{name}: done, but there is no picture of it: {error}"))
    }))
}

/// A picture as a result, with the words that belong to it.
async fn show(
    turn: &Turn,
    settings: &Settings,
    words: Option<String>,
    picture: Screenshot,
) -> Result<ToolOutput, PictureError> {
    let words = words.map(|words| shorten(&words, settings.budget / 4));
    let words_length = words.as_deref().map_or(0, quoted);
    let budget = settings.budget.saturating_sub(FRAME + words_length);
    let size = picture.size();
    let target = turn.station().target(size);
    // A picture takes a while, and the runtime has other things to do.
    let fitted = tokio::task::spawn_blocking(move || fit(&picture, target, budget)).await;
    let fitted = fitted.unwrap_or_else(|_| Err(PictureError::Broken("it was given up".to_owned())))?;
    let Some(fitted) = fitted else {
        let words = words.map_or_else(String::new, |words| format!("{words}\n"));
        let limit = settings.budget;
        let problem = format!("{words}The screen, {size}, does not fit into a result of {limit} bytes.");
        return Ok(text(settings, &problem));
    };
    turn.station().showed(fitted.size);
    let media = Media::new(fitted.media_type, fitted.bytes);
    let words: Vec<_> = words.into_iter().chain(fitted.note).collect();
    if words.is_empty() {
        return Ok(ToolOutput::media(media));
    }
    Ok(ToolOutput::content([Content::text(words.join("\n")), media.into()]))
}

/// A text as a result; its middle goes when there is too much of it.
pub(super) fn text(settings: &Settings, text: &str) -> ToolOutput {
    ToolOutput::text(shorten(text, settings.budget))
}

/// A text that has at most so many bytes as JSON, if that is enough for the notice that something is left out.
fn shorten(text: &str, bytes: usize) -> String {
    let mut limit = text.chars().count().min(bytes);
    loop {
        let (shown, _) = cut(text, limit);
        // What is quoted can be several times as long as it was.
        if quoted(&shown) <= bytes || limit < 100 {
            return shown;
        }
        limit = limit * 3 / 4;
    }
}

fn quoted(text: &str) -> usize {
    Value::from(text).to_string().len()
}
