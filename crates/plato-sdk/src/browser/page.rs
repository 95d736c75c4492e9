//! One tab: opening addresses, asking about elements, clicking and typing.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::cdp::Cdp;
use super::selector::Question;
use crate::desktop::Screenshot;
use crate::error::{Error, Result};

/// How long one command may take that does not wait for anything.
pub(super) const COMMAND: Duration = Duration::from_secs(15);

/// How often a page is looked at while something is waited for.
const POLL: Duration = Duration::from_millis(100);

/// How long an app may do things by itself after a login, how long loading it once more may take, and for how long it
/// fetches nothing when it is at rest.
const SETTLE: Duration = Duration::from_secs(2);
const RELOAD: Duration = Duration::from_secs(15);
const QUIET: Duration = Duration::from_millis(500);

/// A tab of a browser.
pub(super) struct Page<'a> {
    browser: &'a Cdp,
    target: String,
    session: String,
}

impl<'a> Page<'a> {
    /// The tabs that show nothing, by their ids.
    pub(super) async fn blank(browser: &Cdp) -> Result<Vec<String>> {
        let targets = browser.call(None, "Target.getTargets", json!({}), COMMAND).await?;
        let infos = targets["targetInfos"].as_array().cloned().unwrap_or_default();
        let is_blank = |info: &&Value| {
            let url = info["url"].as_str().unwrap_or_default();
            info["type"] == "page" && (url == "about:blank" || url.starts_with("chrome://new"))
        };
        Ok(infos
            .iter()
            .filter(is_blank)
            .filter_map(|info| Some(info["targetId"].as_str()?.to_owned()))
            .collect())
    }

    /// A new tab.
    pub(super) async fn open(browser: &'a Cdp) -> Result<Self> {
        let made = browser.call(None, "Target.createTarget", json!({"url": "about:blank"}), COMMAND).await?;
        let target =
            made["targetId"].as_str().ok_or_else(|| Error::Browser("no tab was opened".to_owned()))?;
        Self::of(browser, target).await
    }

    /// A tab that there is.
    pub(super) async fn of(browser: &'a Cdp, target: &str) -> Result<Self> {
        let parameters = json!({"targetId": target, "flatten": true});
        let attached = browser.call(None, "Target.attachToTarget", parameters, COMMAND).await?;
        let session = attached["sessionId"].as_str().map(str::to_owned);
        let session = session.ok_or_else(|| Error::Browser("a tab cannot be used".to_owned()))?;
        Ok(Self { browser, target: target.to_owned(), session })
    }

    pub(super) fn target(&self) -> &str {
        &self.target
    }

    async fn call(&self, method: &str, parameters: Value, time: Duration) -> Result<Value> {
        self.browser.call(Some(&self.session), method, parameters, time).await
    }

    /// Opens an address and waits until the page is there; if it has to be fast, without its pictures.
    pub(super) async fn navigate(&self, url: &str, time: Duration, fast: bool) -> Result<()> {
        let start = Instant::now();
        let opened = self.call("Page.navigate", json!({"url": url}), time).await?;
        if let Some(problem) = opened["errorText"].as_str().filter(|text| !text.is_empty()) {
            return Err(Error::Browser(format!("a page could not be opened: {problem}")));
        }
        self.loaded(time.saturating_sub(start.elapsed()), fast).await
    }

    /// Lets an app come to rest after a login, of which it may do a part after its last step: it is loaded once more.
    /// One that does not come to rest is used as it is.
    pub(super) async fn settle(&self) {
        sleep(SETTLE).await;
        let again = async {
            self.call("Page.reload", json!({}), COMMAND).await?;
            self.loaded(RELOAD, false).await
        };
        if let Err(error) = again.await {
            tracing::debug!(%error, "a page does not come to rest");
        }
        let start = Instant::now();
        let mut seen = Value::Null;
        // As long as the page goes on to fetch things, it is not at rest.
        while start.elapsed() < RELOAD {
            let loaded = self.evaluate("performance.getEntriesByType('resource').length").await;
            let loaded = loaded.unwrap_or(Value::Null);
            if !loaded.is_null() && loaded == seen {
                return;
            }
            seen = loaded;
            sleep(QUIET).await;
        }
    }

    /// Waits until a page has loaded. One that goes on loading is used as it is once it can be read.
    async fn loaded(&self, time: Duration, fast: bool) -> Result<()> {
        let start = Instant::now();
        loop {
            // While a page is changed for another one, there is nothing to ask.
            let state = self.evaluate("document.readyState").await.unwrap_or(Value::Null);
            if state == "complete" || (fast && state == "interactive") {
                return Ok(());
            }
            if start.elapsed() >= time {
                return if state == "interactive" {
                    Ok(())
                } else {
                    Err(Error::Browser(format!("a page did not load within {} s", time.as_secs())))
                };
            }
            sleep(POLL).await;
        }
    }

    pub(super) async fn evaluate(&self, expression: &str) -> Result<Value> {
        let parameters = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut done = self.call("Runtime.evaluate", parameters, COMMAND).await?;
        if let Some(problem) = done.get("exceptionDetails") {
            let text = problem.pointer("/exception/description").or_else(|| problem.get("text"));
            let text = text.and_then(Value::as_str).unwrap_or_default().lines().next().unwrap_or_default();
            return Err(Error::Browser(format!("the page answers with an exception: {text}")));
        }
        Ok(done.pointer_mut("/result/value").map(Value::take).unwrap_or_default())
    }

    pub(super) async fn ask(&self, question: Question, selector: &str) -> Result<Value> {
        self.evaluate(&question.expression(selector)).await
    }

    /// Asks until the answer is as wished, or the time is up; then it is told what was wrong.
    pub(super) async fn until(
        &self,
        time: Duration,
        question: &str,
        is_right: impl Fn(&Value) -> bool,
        problem: impl Fn(&Value) -> String,
    ) -> Result<Value> {
        let start = Instant::now();
        loop {
            let answer = self.evaluate(question).await;
            match &answer {
                Ok(value) if is_right(value) => return answer,
                // A selector that is none does not become one.
                Err(Error::Browser(text)) if text.contains("SyntaxError") || text.contains("not a valid") => {
                    return answer;
                }
                _ => {}
            }
            if start.elapsed() >= time {
                return Err(match answer {
                    Ok(value) => Error::Browser(problem(&value)),
                    Err(error) => error,
                });
            }
            sleep(POLL).await;
        }
    }

    /// Clicks where the element is, as a mouse does.
    pub(super) async fn click(&self, selector: &str, time: Duration) -> Result<()> {
        let question = Question::Middle.expression(selector);
        let middle = self
            .until(time, &question, Value::is_array, |_| format!("there is no `{selector}` to click"))
            .await?;
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event =
                json!({"type": kind, "x": middle[0], "y": middle[1], "button": button, "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event, COMMAND).await?;
        }
        Ok(())
    }

    /// Puts a text in the place of what stands in a field. The text is in no error: it may be a password.
    pub(super) async fn fill(&self, selector: &str, text: &str, time: Duration) -> Result<()> {
        let question = Question::Focus.expression(selector);
        self.until(time, &question, |value| *value == true, |_| format!("there is no `{selector}` to fill"))
            .await?;
        if text.is_empty() {
            self.evaluate("document.execCommand('delete')").await?;
        } else {
            self.call("Input.insertText", json!({"text": text}), COMMAND).await?;
        }
        self.ask(Question::Changed, selector).await.map(drop)
    }

    pub(super) async fn screenshot(&self, full_page: bool, time: Duration) -> Result<Screenshot> {
        let parameters = json!({"format": "png", "captureBeyondViewport": full_page});
        let taken = self.call("Page.captureScreenshot", parameters, time).await?;
        let png = BASE64.decode(taken["data"].as_str().unwrap_or_default());
        let png = png.map_err(|_| Error::Browser("the browser's picture is not base64".to_owned()))?;
        Ok(Screenshot::from_png(png)?)
    }

    pub(super) async fn bring_to_front(&self) -> Result<()> {
        self.call("Page.bringToFront", json!({}), COMMAND).await.map(drop)
    }
}
