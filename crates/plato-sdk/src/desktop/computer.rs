//! Performing actions: scaled, checked against the screen, never sent twice (plato-api §8.3, §8.7).

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::agent::ToolResult;
use super::{Action, ActionRequest, Desktop, Performed, PictureError, Point, Scaling, Screenshot, Size};
use crate::error::{Error, Result};
use crate::http::Repeat;

/// How often a broken picture is taken again, and after which pause.
const RETAKES: u32 = 2;
const RETAKE_PAUSE: Duration = Duration::from_millis(300);

/// Requests of actions.
const COMPUTER: &str = "POST /computer";

impl Desktop {
    /// Performs an action. What may have reached the desktop is not sent again, except for looking.
    ///
    /// ```no_run
    /// # async fn run(desktop: plato_sdk::Desktop) -> plato_sdk::Result<()> {
    /// use plato_sdk::{Action, Point};
    ///
    /// desktop.perform(Action::LeftClick { at: Some(Point::new(640, 360)) }).await?;
    /// desktop.perform(Action::Type { text: "hello\n".into() }).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when a point is not on the screen, and nothing is sent then; [`Error::Tool`] when the
    /// agent says that it did not work; otherwise when the desktop cannot be reached.
    pub async fn perform(&self, request: impl Into<ActionRequest>) -> Result<Performed> {
        let request = request.into();
        let scaling = self.scaling().await?;
        self.check_points(&request.action, scaling).await?;
        let action = match scaling {
            Some(scaling) => request.action.map_points(|point| scaling.to_real(point)),
            None => request.action,
        };
        let result = self.send(&action, request.settle, &request.fields).await?;
        let (screenshot, screenshot_problem) =
            match self.picture(result.base64_image.as_deref(), scaling).await {
                Ok(screenshot) => (Some(screenshot), None),
                Err(Error::Picture(PictureError::Missing)) => (None, None),
                Err(Error::Picture(problem)) => (None, Some(problem)),
                Err(error) => return Err(error),
            };
        Ok(Performed { output: result.output, screenshot, screenshot_problem })
    }

    /// Looks at the screen. A picture that is broken is taken again, twice.
    ///
    /// # Errors
    /// [`Error::Picture`] when all of them are; otherwise when the desktop cannot be reached.
    pub async fn screenshot(&self) -> Result<Screenshot> {
        self.take_screenshot(None).await
    }

    /// Takes a screenshot after the screen had time to settle.
    ///
    /// # Errors
    /// Those of [`screenshot`](Self::screenshot).
    pub async fn screenshot_after(&self, settle: Duration) -> Result<Screenshot> {
        self.take_screenshot(Some(settle)).await
    }

    async fn take_screenshot(&self, settle: Option<Duration>) -> Result<Screenshot> {
        let scaling = self.scaling().await?;
        let mut taken = 0;
        loop {
            let result = self.send(&Action::Screenshot, settle, &serde_json::Map::new()).await?;
            match self.picture(result.base64_image.as_deref(), scaling).await {
                Err(Error::Picture(error)) if taken < RETAKES => {
                    tracing::debug!(%error, "taking another picture");
                    taken += 1;
                    sleep(RETAKE_PAUSE).await;
                }
                picture => return picture,
            }
        }
    }

    /// Where the pointer is.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when the agent does not say it in a way that is known.
    pub async fn cursor_position(&self) -> Result<Point> {
        let result = self.send(&Action::CursorPosition, None, &serde_json::Map::new()).await?;
        let point = position(result.output.as_deref().unwrap_or_default()).ok_or_else(|| {
            let problem = "no position of the pointer".to_owned();
            Error::UnexpectedAnswer { operation: COMPUTER, problem }
        })?;
        Ok(match self.scaling().await? {
            Some(scaling) => scaling.to_model(point),
            None => point,
        })
    }

    /// The size of the screen that points are on: the one that was set with [`scaled_to`](Self::scaled_to), or the
    /// real one.
    ///
    /// # Errors
    /// When the desktop has to be asked for it, and does not say it.
    pub async fn screen(&self) -> Result<Size> {
        match self.model {
            Some(size) => Ok(size),
            None => self.real_screen().await,
        }
    }

    async fn real_screen(&self) -> Result<Size> {
        if let Some(size) = self.agent.resolution() {
            return Ok(size);
        }
        self.status().await?.resolution.ok_or_else(|| Error::UnexpectedAnswer {
            operation: "GET /status",
            problem: "no resolution of the screen".to_owned(),
        })
    }

    async fn scaling(&self) -> Result<Option<Scaling>> {
        match self.model {
            Some(model) => Ok(Some(Scaling::new(model, self.real_screen().await?))),
            None => Ok(None),
        }
    }

    async fn check_points(&self, action: &Action, scaling: Option<Scaling>) -> Result<()> {
        if action.points().next().is_none() {
            return Ok(());
        }
        let known = scaling.map(|scaling| scaling.model()).or(self.agent.resolution());
        let screen = match known {
            Some(screen) => screen,
            None => match self.status().await?.resolution {
                Some(screen) => screen,
                // It does not say, so it has to look itself.
                None => return Ok(()),
            },
        };
        let Some(outside) = action.points().find(|point| !screen.contains(*point)) else { return Ok(()) };
        let screen = match self.model {
            Some(model) => model,
            // The resolution may have been changed since.
            None => match self.status().await?.resolution {
                Some(now) if action.points().all(|point| now.contains(point)) => return Ok(()),
                now => now.unwrap_or(screen),
            },
        };
        Err(Error::InvalidInput(format!(
            "{outside} is not on the screen, which is {screen}: x goes from 0 to {}, y from 0 to {}",
            screen.width - 1,
            screen.height - 1
        )))
    }

    async fn send(
        &self,
        action: &Action,
        settle: Option<Duration>,
        fields: &serde_json::Map<String, Value>,
    ) -> Result<ToolResult> {
        let repeat = if action.is_read_only() { Repeat::Safe } else { Repeat::IfUnsent };
        let mut result = ToolResult::default();
        let requests = action.requests();
        let last = requests.len() - 1;
        for (index, mut request) in requests.into_iter().enumerate() {
            if index == last {
                request.extend(fields.clone());
                if let Some(settle) = settle {
                    request.insert("screenshot_delay_s".to_owned(), json!(settle.as_secs_f64()));
                }
            }
            let time = action.takes() + settle.unwrap_or_default();
            result = self.agent.tool(COMPUTER, &Value::Object(request), repeat, time).await?;
            if let Some(complaint) = result.complaint() {
                let action = if index == last { action.name() } else { "mouse_move" };
                return Err(Error::Tool { action, message: complaint });
            }
        }
        Ok(result)
    }

    /// Checks a picture, off the runtime, for that takes a while.
    async fn picture(&self, base64: Option<&str>, scaling: Option<Scaling>) -> Result<Screenshot> {
        let Some(text) = base64.filter(|text| !text.is_empty()) else {
            return Err(PictureError::Missing.into());
        };
        let text = text.to_owned();
        let work = move || {
            let picture = Screenshot::from_base64(&text)?;
            let real = picture.size();
            let picture = match scaling {
                Some(scaling) => picture.resized(scaling.model())?,
                None => picture,
            };
            Ok::<_, PictureError>((real, picture))
        };
        let picture = tokio::task::spawn_blocking(work).await.map_err(|_| {
            // Nothing in there panics, and a runtime that shuts down has no use for pictures.
            PictureError::Broken("it was not looked at to its end".to_owned())
        })?;
        let (real, picture) = picture?;
        self.agent.saw(real);
        Ok(picture)
    }
}

/// The first numbers behind an X and a Y (plato-api §8.3).
fn position(text: &str) -> Option<Point> {
    let number = |name: char| {
        let start = text.find([name, name.to_ascii_lowercase()])?;
        let digits = text[start..].trim_start_matches(|character: char| !character.is_ascii_digit());
        let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok()
    };
    Some(Point::new(number('X')?, number('Y')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_in_whichever_form_it_comes() {
        for text in ["X=640\nY=360", "x:640 y:360 screen:0", "{\"x\": 640, \"y\": 360}", "X=640,Y=360"] {
            assert_eq!(position(text), Some(Point::new(640, 360)), "{text}");
        }
        for text in ["", "X=", "X=1", "640,360"] {
            assert_eq!(position(text), None, "{text}");
        }
    }
}
