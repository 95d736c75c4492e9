//! Running the steps of a flow in a page.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::page::Page;
use super::selector::Question;
use crate::desktop::Screenshot;
use crate::error::{Error, Result};
use crate::types::{Flow, Step, StepKind};

/// How long a step may take, a picture, and the pause before a step is tried again (plato-api §9).
const STEP: Duration = Duration::from_secs(8);
const PICTURE: Duration = Duration::from_secs(60);
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Where complaints are looked for, if a step does not say it.
const COMPLAINTS: [&str; 4] = [".error", ".alert-danger", ".error-message", "[role=\"alert\"]"];

/// Runs a flow from its first step to its last, or to what counts of it; the pictures that it takes are handed to
/// `keep`.
pub(super) async fn run(
    page: &Page<'_>,
    flow: &Flow,
    fast: bool,
    keep: &mut (dyn FnMut(Option<String>, Screenshot) + Send),
) -> Result<()> {
    let steps = flow.steps.as_deref().unwrap_or_default();
    for (index, step) in steps.iter().enumerate() {
        if fast && is_idle(steps, index) {
            continue;
        }
        let pause = step.retry_delay_ms.map_or(RETRY_PAUSE, Duration::from_millis);
        let mut left = step.retries.unwrap_or(0);
        while let Err(error) = once(page, step, fast, keep).await {
            if left == 0 {
                let what = step.description.clone().unwrap_or_default();
                let what = if what.is_empty() { what } else { format!(" ({what})") };
                return Err(Error::Browser(format!("step {} of `{}`{what}: {error}", index + 1, flow.name)));
            }
            left -= 1;
            sleep(pause).await;
        }
    }
    Ok(())
}

/// Whether a step does nothing and only takes time: a pause, or whatever comes after the last step that does
/// something (plato-api §9). What is waited for before that makes sure that the next step can be done.
fn is_idle(steps: &[Step], index: usize) -> bool {
    let acts = |step: &Step| {
        matches!(step.kind, StepKind::Click { .. } | StepKind::Fill { .. } | StepKind::Navigate { .. })
    };
    let last = steps.iter().rposition(acts);
    matches!(steps[index].kind, StepKind::Wait { .. }) || last.is_some_and(|last| index > last)
}

async fn once(
    page: &Page<'_>,
    step: &Step,
    fast: bool,
    keep: &mut (dyn FnMut(Option<String>, Screenshot) + Send),
) -> Result<()> {
    let own_time = step.timeout.map(Duration::from_millis);
    let time = own_time.unwrap_or(STEP);
    match &step.kind {
        StepKind::Click { selector } => page.click(selector, time).await,
        StepKind::Fill { selector, value } => page.fill(selector, value, time).await,
        StepKind::Wait { duration } => {
            sleep(*duration).await;
            Ok(())
        }
        StepKind::Navigate { url } => {
            // An address may be relative to the page.
            let question = format!("new URL({}, location.href).href", Value::from(url.as_str()));
            let url = page.evaluate(&question).await?;
            page.navigate(url.as_str().unwrap_or_default(), time, fast).await
        }
        StepKind::Screenshot { filename, full_page } => {
            keep(filename.clone(), page.screenshot(*full_page, own_time.unwrap_or(PICTURE)).await?);
            Ok(())
        }
        StepKind::Unknown { kind, problem } => {
            Err(Error::Browser(format!("a step of the type `{kind}` cannot be run: {problem}")))
        }
        StepKind::VerifyNoErrors { selectors } => {
            let own: Vec<_> = selectors.iter().map(String::as_str).collect();
            for selector in if own.is_empty() { &COMPLAINTS[..] } else { &own[..] } {
                let texts = page.ask(Question::VisibleTexts, selector).await?;
                if let Some(text) = texts[0].as_str() {
                    return Err(Error::Browser(format!("the page complains: {text}")));
                }
            }
            Ok(())
        }
        kind => verify(page, kind, time).await,
    }
}

/// The steps that wait until something is so.
async fn verify(page: &Page<'_>, kind: &StepKind, time: Duration) -> Result<()> {
    let is_true = |value: &Value| *value == true;
    let done = match kind {
        StepKind::WaitForSelector { selector } | StepKind::ElementVisible { selector } => {
            let question = Question::Visible.expression(selector);
            page.until(time, &question, is_true, |_| format!("`{selector}` is not to be seen")).await
        }
        StepKind::CheckElement { selector, should_exist } => {
            let question = Question::Count.expression(selector);
            let is_right = |count: &Value| (count.as_u64() > Some(0)) == *should_exist;
            let problem = |_: &Value| match should_exist {
                true => format!("there is no `{selector}`"),
                false => format!("there is a `{selector}`"),
            };
            page.until(time, &question, is_right, problem).await
        }
        StepKind::ElementCount { selector, count } => {
            let question = Question::Count.expression(selector);
            let is_right = |found: &Value| found.as_u64() == Some(*count);
            page.until(time, &question, is_right, |found| {
                format!("there are {found} of `{selector}`, not {count}")
            })
            .await
        }
        StepKind::ElementText { selector, text, contains } => {
            let question = Question::Text.expression(selector);
            page.until(
                time,
                &question,
                |found| fits(found, text, *contains),
                |found| format!("`{selector}` says {found}, not `{text}`"),
            )
            .await
        }
        StepKind::PageTitle { title, contains } => {
            let is_right = |found: &Value| fits(found, title, *contains);
            page.until(time, "document.title", is_right, |found| {
                format!("the page is called {found}, not `{title}`")
            })
            .await
        }
        StepKind::VerifyText { text, should_exist } => {
            let is_right = |found: &Value| fits(found, text, true) == *should_exist;
            let problem =
                |_: &Value| format!("`{text}` is {}on the page", if *should_exist { "not " } else { "" });
            page.until(time, "document.body ? document.body.innerText : ''", is_right, problem).await
        }
        StepKind::WaitForUrl { url_contains: url } | StepKind::VerifyUrl { url, .. } => {
            let contains = !matches!(kind, StepKind::VerifyUrl { contains: false, .. });
            // The address itself may open the machine, and is not repeated.
            let problem = |_: &Value| format!("the page's address is not `{url}`");
            page.until(time, "location.href", |found| fits(found, url, contains), problem).await
        }
        _ => Ok(Value::Null),
    };
    done.map(drop)
}

fn fits(found: &Value, wish: &str, contains: bool) -> bool {
    let found = found.as_str().unwrap_or_default().trim();
    if contains { found.contains(wish) } else { found == wish }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn left_out(kinds: &[&str]) -> Vec<usize> {
        let steps: Vec<Step> = kinds
            .iter()
            .map(|kind| json!({"type": kind, "selector": "a", "value": "b", "duration": 9, "url": "/"}))
            .map(|step| serde_json::from_value(step).unwrap())
            .collect();
        (0..steps.len()).filter(|index| is_idle(&steps, *index)).collect()
    }

    #[test]
    fn a_fast_login_leaves_out_pauses_and_what_comes_after_the_last_action() {
        let flow = ["wait_for_selector", "fill", "wait", "click", "wait_for_selector", "verify_no_errors"];
        assert_eq!(left_out(&flow), [2, 4, 5]);
        assert_eq!(left_out(&["navigate", "screenshot"]), [1]);
        // What does nothing at all is there to be looked at.
        assert_eq!(left_out(&["wait", "wait_for_selector"]), [0]);
        assert!(left_out(&[]).is_empty());
    }
}
