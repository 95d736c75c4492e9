//! Cases become calls, one after another, so that none disturbs the latency of another.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::time::{Duration, Instant};

use super::case::{Caller, Case, Expectation};
use super::coverage::Coverage;
use super::report::{CaseReport, Outcome, SuiteReport};
use super::subset::differences;
use super::suite::Suite;
use crate::host::LocalHost;
use crate::tool::arguments::nearest;
use crate::tool::{Arguments, ToolError, ToolErrorKind};

/// What the platform passes on of a result, in bytes (tool-sync §4).
const MAX_RESULT: usize = 256 << 10;
/// How many differences one case lists.
const MAX_DIFFERENCES: usize = 10;

/// How a suite is run.
///
/// ```
/// use platools::testing::{Caller, RunOptions};
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
    /// Who is calling, where a case does not say.
    pub fn caller(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }

    /// Whether to skip what comes after the first failure.
    pub fn fail_fast(mut self, stop: bool) -> Self {
        self.fail_fast = stop;
        self
    }

    /// Whether to keep the result of every call for the report, and not only of those that fail.
    pub fn keep_outputs(mut self, keep: bool) -> Self {
        self.keep_outputs = keep;
        self
    }

    /// How long a handler may hold its thread without a note about it; 100 ms unless said otherwise.
    pub fn long_poll(mut self, limit: Duration) -> Self {
        self.long_poll = limit;
        self
    }
}

/// How far a run is.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A case begins.
    #[non_exhaustive]
    Started {
        /// Which, from 0.
        index: usize,
        /// Of how many.
        total: usize,
        /// The case.
        case: &'a Case,
    },
    /// A case has its outcome.
    #[non_exhaustive]
    Finished {
        /// Which, from 0.
        index: usize,
        /// Of how many.
        total: usize,
        /// What came of it.
        report: &'a CaseReport,
    },
}

/// Runs every case, one after another, and tells `progress` about each.
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
        let names = registry.iter().map(crate::Tool::name);
        let hint =
            nearest(&case.tool, names).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
        let reason = format!("there is no tool `{}`{hint}", case.tool);
        return CaseReport::new(index, case, Outcome::Failed(vec![reason]), Duration::ZERO);
    }
    let context = case.caller.or(&options.caller).to_context(format!("test-{}", index + 1));
    let arguments = Arguments::from_object_text(serde_json::Value::Object(case.params.clone()).to_string());
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

/// What is wrong with a call that succeeded.
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

/// What is wrong with a call that failed.
fn wrong_error(expectation: &Expectation, error: &str) -> Vec<String> {
    match expectation {
        Expectation::Error => Vec::new(),
        Expectation::ErrorText(text) if error.contains(text.as_str()) => Vec::new(),
        Expectation::ErrorText(text) => vec![format!("expected an error with {text:?}, got: {error}")],
        Expectation::Success | Expectation::Value(_) => vec![error.to_owned()],
    }
}

/// The text of an error. A model never reads what broke inside; whoever runs the tests has to.
fn text_of(error: &ToolError) -> String {
    match error.kind() {
        ToolErrorKind::Internal => format!("{error}: {}", error.chain()),
        _ => error.to_string(),
    }
}
