//! Runs cases one after another, so that none disturbs the latency of another.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::time::{Duration, Instant};

use platools::LocalHost;
use platools::tool::{Arguments, Tool, ToolError, ToolErrorKind, nearest_name};

use super::case::{Caller, Case, Expectation};
use super::coverage::Coverage;
use super::report::{CaseReport, Outcome, SuiteReport};
use super::subset::differences;
use super::suite::Suite;

/// The largest result that the platform passes on whole, in bytes (protocol §4).
const MAX_RESULT: usize = 256 << 10;
/// The number of differences that one case lists at most.
const MAX_DIFFERENCES: usize = 10;

/// Options for running a suite.
///
/// ```
/// use platools_toolkit::testing::{Caller, RunOptions};
///
/// let options = RunOptions::default().caller(Caller::default().user_id("usr_1")).fail_fast(true);
/// ```
#[derive(Debug, Clone)]
pub struct RunOptions {
    caller: Caller,
    fail_fast: bool,
    keep_outputs: bool,
    long_poll: Duration,
}

impl Default for RunOptions {
    fn default() -> Self {
        let (caller, long_poll) = (Caller::default(), Duration::from_millis(100));
        Self { caller, fail_fast: false, keep_outputs: false, long_poll }
    }
}

impl RunOptions {
    /// Sets the caller of cases that do not set one.
    pub fn caller(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }

    /// Sets whether to skip all cases after the first failure; off by default.
    pub fn fail_fast(mut self, stop: bool) -> Self {
        self.fail_fast = stop;
        self
    }

    /// Sets whether the report keeps the result of every call and not only of failed cases; off by default.
    pub fn keep_outputs(mut self, keep: bool) -> Self {
        self.keep_outputs = keep;
        self
    }

    /// Sets how long a handler may hold its thread before the report has a note about it; 100 ms by default.
    pub fn long_poll(mut self, limit: Duration) -> Self {
        self.long_poll = limit;
        self
    }
}

/// Progress of a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A case begins.
    #[non_exhaustive]
    Started {
        /// The position of the case in the suite, from 0.
        index: usize,
        /// The number of cases.
        total: usize,
        /// The case.
        case: &'a Case,
    },
    /// A case has its outcome.
    #[non_exhaustive]
    Finished {
        /// The position of the case in the suite, from 0.
        index: usize,
        /// The number of cases.
        total: usize,
        /// Its report.
        report: &'a CaseReport,
    },
}

/// Runs every case, one after another, and reports each to `progress`.
pub async fn run(
    host: &LocalHost,
    suite: &Suite,
    options: &RunOptions,
    mut progress: impl FnMut(Progress<'_>),
) -> SuiteReport {
    let total = suite.cases().len();
    let mut cases = Vec::with_capacity(total);
    let mut stopped = false;
    for (index, case) in suite.cases().iter().enumerate() {
        let report = if stopped {
            CaseReport::new(index, case, Outcome::Skipped, Duration::ZERO)
        } else {
            progress(Progress::Started { index, total, case });
            run_case(host, index, case, options).await
        };
        stopped |= options.fail_fast && !report.outcome.is_passed();
        progress(Progress::Finished { index, total, report: &report });
        cases.push(report);
    }
    SuiteReport::new(cases, Coverage::of(&host.tools().registry(), suite))
}

async fn run_case(host: &LocalHost, index: usize, case: &Case, options: &RunOptions) -> CaseReport {
    if host.tools().get(&case.tool).is_none() {
        let registry = host.tools().registry();
        let names = registry.iter().map(Tool::name);
        let hint = nearest_name(&case.tool, names)
            .map(|near| format!(", did you mean `{near}`?"))
            .unwrap_or_default();
        let reason = format!("there is no tool `{}`{hint}", case.tool);
        return CaseReport::new(index, case, Outcome::Failed(vec![reason]), Duration::ZERO);
    }
    let context = case.caller.or(&options.caller).to_context(format!("test-{}", index + 1));
    let arguments = Arguments::from(case.params.clone());
    let started = Instant::now();
    let mut longest = Duration::ZERO;
    let mut call = pin!(host.call(&case.tool, arguments, context));
    // A handler runs in the future that is polled here, unless it has a thread of its own.
    let result = poll_fn(|cx| {
        let polled = Instant::now();
        let state = call.as_mut().poll(cx);
        longest = longest.max(polled.elapsed());
        state
    })
    .await;
    let latency = started.elapsed();

    let mut failures = match &result {
        Ok(output) => wrong_result(&case.expectation, &output.to_value()),
        Err(error) => wrong_error(&case.expectation, &text_of(error)),
    };
    if let Some(limit) = case.max_latency.filter(|limit| latency > *limit) {
        let [took, limit] = [latency, limit].map(|time| time.as_secs_f64() * 1e3);
        failures.push(format!("took {took:.1} ms, and at most {limit} ms are allowed"));
    }
    let outcome = if failures.is_empty() { Outcome::Passed } else { Outcome::Failed(failures) };
    let mut report = CaseReport::new(index, case, outcome, latency);
    if longest >= options.long_poll {
        report.notes.push(format!(
            "the handler held its thread for {} ms without awaiting, and so delayed every other call: drop `async`, \
             or move the work into `tokio::task::spawn_blocking`",
            longest.as_millis()
        ));
    }
    match result {
        Ok(output) => {
            let bytes = output.clone().into_json().len();
            if bytes > MAX_RESULT {
                report.notes.push(format!(
                    "the result has {} KiB, and the platform replaces one over {} KiB by a preview",
                    bytes.div_ceil(1024),
                    MAX_RESULT >> 10
                ));
            }
            if options.keep_outputs || !report.outcome.is_passed() {
                report.output = Some(output.to_value());
            }
        }
        Err(error) => report.error = Some(text_of(&error)),
    }
    report
}

/// Returns why a call that succeeded fails its case.
fn wrong_result(expectation: &Expectation, got: &serde_json::Value) -> Vec<String> {
    match expectation {
        Expectation::Success => Vec::new(),
        Expectation::Error => vec!["expected error but tool succeeded".to_owned()],
        Expectation::ErrorText(text) => {
            vec![format!("expected an error with {text:?} but tool succeeded")]
        }
        Expectation::Value(expected) => {
            let mut found = differences(expected, got);
            let more = found.len().saturating_sub(MAX_DIFFERENCES);
            if more > 0 {
                found.truncate(MAX_DIFFERENCES);
                found.push(format!("and {more} differences more"));
            }
            found
        }
    }
}

/// Returns why a call that failed fails its case.
fn wrong_error(expectation: &Expectation, error: &str) -> Vec<String> {
    match expectation {
        Expectation::Error => Vec::new(),
        Expectation::ErrorText(text) if error.contains(text.as_str()) => Vec::new(),
        Expectation::ErrorText(text) => vec![format!("expected an error with {text:?}, got: {error}")],
        Expectation::Success | Expectation::Value(_) => vec![error.to_owned()],
    }
}

/// Returns the text of an error, for an internal one with its causes: whoever runs the tests needs them.
fn text_of(error: &ToolError) -> String {
    match error.kind() {
        ToolErrorKind::Internal => format!("{error}: {}", error.chain()),
        _ => error.to_string(),
    }
}
