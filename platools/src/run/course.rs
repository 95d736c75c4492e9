//! The stages of one call: permits, access, rate limit, timeout; then its metrics and log lines.

use std::any::Any;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::Span;
use tracing::field::Empty;

use super::admission::{Permits, Place, Presence};
use super::admitted::Finished;
use super::entry::Entry;
use crate::caller::{Authentication, CallScope, Identity};
use crate::observe::SUCCEEDED;
use crate::tool::{Arguments, ToolCall, ToolError, ToolErrorKind, ToolResult};

/// The time in which a handler may still answer after its token was cancelled.
pub(super) const CANCEL_GRACE: Duration = Duration::from_millis(250);

/// A pending authentication of the caller.
#[derive(Debug)]
pub(super) struct CallerCheck {
    pub(super) authentication: Arc<Authentication>,
    /// The user as the door states it; used when the tool turns out to need no identity.
    pub(super) stated: Option<String>,
    /// Whether the call counts against the rate limit of its tool here.
    pub(super) counts: bool,
}

/// A call between its admission and its result.
pub(super) struct Course {
    pub(super) entry: Arc<Entry>,
    pub(super) scope: Arc<CallScope>,
    pub(super) span: Span,
    arrived: Instant,
    /// The maximum duration from the arrival.
    limit: Duration,
}

impl Course {
    pub(super) fn new(entry: Arc<Entry>, scope: Arc<CallScope>, arrived: Instant, limit: Duration) -> Self {
        let span = span(&entry, &scope);
        Self { entry, scope, span, arrived, limit }
    }

    /// Runs `step` inside the span of the call.
    pub(super) fn enter<T>(&self, step: impl FnOnce() -> T) -> T {
        if self.span.is_disabled() { step() } else { self.span.in_scope(step) }
    }

    /// Returns the call as passed to its handler.
    pub(super) fn call(&self, arguments: Arguments) -> ToolCall {
        ToolCall::new(arguments, Arc::clone(&self.scope) as Arc<dyn Any + Send + Sync>)
    }

    fn deadline(&self) -> Instant {
        self.arrived + self.limit
    }

    /// All that a call waits for before its handler may run: its place, and who its caller is. Whether there is room for
    /// its answer is asked before, by [`Admitted::once`](super::Admitted::once).
    pub(super) async fn before(
        &self,
        place: Place,
        check: Option<&CallerCheck>,
    ) -> Result<Permits, ToolError> {
        let permits = match place {
            Place::Running(permits) => permits,
            waiting @ Place::Waiting(..) => self.in_time(waiting.permits()).await?,
        };
        if let Some(CallerCheck { authentication, stated, counts }) = check {
            self.in_time(self.entry.access.check(authentication, &self.scope)).await??;
            let subject = self.scope.identity().map(Identity::subject);
            Span::current().record("subject", subject);
            if *counts {
                self.entry.limits.check_rate(subject.or(stated.as_deref()))?;
            }
        }
        Ok(permits)
    }

    /// Waits until the deadline at most.
    fn in_time<T>(&self, wait: impl Future<Output = T>) -> impl Future<Output = Result<T, ToolError>> {
        // No `async fn`, whose future would have room for `wait` twice.
        let waited = timeout_at(self.deadline(), wait);
        waited.map(|waited| waited.map_err(|_elapsed| ToolError::timed_out(self.limit)))
    }

    /// Runs a handler that was `started` until its deadline; returns its result and the end. Calls `first` after the
    /// first poll.
    pub(super) async fn within_time(
        &self,
        started: Instant,
        running: impl Future<Output = ToolResult>,
        first: impl Fn(Instant),
    ) -> (ToolResult, Instant) {
        let (deadline, limit) = match self.entry.tool.spec().timeout {
            Some(own) if own < self.deadline().saturating_duration_since(started) => (started + own, own),
            _ => (self.deadline(), self.limit),
        };
        let mut running = pin!(running);
        let (mut result, mut ended) = until(deadline, running.as_mut(), first).await;
        if result.is_none() && self.scope.cancel() {
            // A handler that listens to its token may return a better result than a timeout.
            (result, ended) = until(ended + CANCEL_GRACE, running, |_| {}).await;
        }
        let result = result.unwrap_or_else(|| Err(ToolError::timed_out(limit)));
        self.record(started, ended, &result);
        (result, ended)
    }

    /// Records the result of the handler in the tool's health.
    pub(super) fn record(&self, started: Instant, ended: Instant, result: &ToolResult) {
        let error = result.as_ref().err().filter(|error| !error.is_refusal());
        self.entry.health.record(started, ended, error, self.scope.call_id());
    }

    /// Finishes the call: completes its span, log lines and metrics.
    pub(super) fn finish(self, result: ToolResult, ended: Instant, presence: Presence) -> Finished {
        let Self { entry, scope, span, arrived, .. } = self;
        let (outcome, latency) = (outcome(&result), ended.duration_since(arrived));
        if !span.is_disabled() {
            span.record("outcome", outcome);
            span.record("latency_ms", latency.as_millis() as u64);
        }
        match &result {
            Err(error) => span.in_scope(|| report(&entry, &scope, error)),
            Ok(_) if tracing::enabled!(tracing::Level::DEBUG) => {
                let (tool, latency_ms) = (entry.tool.name(), latency.as_millis() as u64);
                span.in_scope(|| {
                    tracing::debug!(tool, call_id = scope.call_id(), latency_ms, "the call succeeded");
                });
            }
            Ok(_) => {}
        }
        entry.count(outcome, latency);
        let call_id = scope.shared_call_id();
        Finished { call_id, result, arrived, ended, entry, _presence: Some(presence) }
    }
}

/// Awaits `future` until the deadline; returns its output, or `None` at the deadline, and the time. Calls `first` after
/// the first poll.
///
/// A future that is ready at once needs no timer and reads the clock once.
async fn until<F: Future>(
    deadline: Instant,
    future: F,
    first: impl Fn(Instant),
) -> (Option<F::Output>, Instant) {
    let mut future = pin!(future);
    let mut timer = pin!(None);
    std::future::poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        if timer.is_none() {
            let now = Instant::now();
            first(now);
            match polled {
                Poll::Ready(output) => return Poll::Ready((Some(output), now)),
                // Unconstrained, so that the timer is polled even if the future has used up the task's budget.
                Poll::Pending => timer.set(Some(unconstrained(sleep_until(deadline)))),
            }
        } else if let Poll::Ready(output) = polled {
            return Poll::Ready((Some(output), Instant::now()));
        }
        let over = timer.as_mut().as_pin_mut().map_or(Poll::Pending, |timer| timer.poll(context));
        over.map(|()| (None, Instant::now()))
    })
    .await
}

/// Creates the span of a call. `subject` is recorded once it is verified, `outcome` and `latency_ms` at the end.
/// Arguments, tokens and results are never recorded.
fn span(entry: &Entry, scope: &CallScope) -> Span {
    let span = tracing::info_span!(
        "call",
        tool = entry.tool.name(),
        call_id = scope.call_id(),
        user_id = Empty,
        subject = Empty,
        traceparent = scope.traceparent(),
        agent_id = Empty,
        thread_id = Empty,
        outcome = Empty,
        latency_ms = Empty,
    );
    if !span.is_disabled() {
        let envelope = scope.envelope();
        for (field, value) in [
            ("user_id", &envelope.user_id),
            ("agent_id", &envelope.agent_id),
            ("thread_id", &envelope.thread_id),
        ] {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                span.record(field, value);
            }
        }
    }
    span
}

/// Returns the outcome as one word, for logs and metrics.
fn outcome(result: &ToolResult) -> &'static str {
    match result {
        Ok(_) => SUCCEEDED,
        Err(error) => error.kind().as_str(),
    }
}

/// Logs a failed call, with the internal error that the model must not see. A model that calls a broken tool again and
/// again fills no log.
fn report(entry: &Entry, scope: &CallScope, error: &ToolError) {
    let (tool, call_id) = (entry.tool.name(), scope.call_id());
    let kind = error.kind();
    if !matches!(kind, ToolErrorKind::Internal | ToolErrorKind::TimedOut) {
        tracing::debug!(tool, call_id, kind = kind.as_str(), "the call failed");
        return;
    }
    let Some(left_out) = entry.failures_logged.line() else { return };
    let left_out = (left_out > 0).then_some(left_out);
    if kind == ToolErrorKind::Internal {
        tracing::error!(tool, call_id, left_out, "internal error: {}", error.chain());
    } else {
        tracing::warn!(tool, call_id, left_out, "{error}");
    }
}

impl Finished {
    /// Finishes a cancelled call whose handler was dropped.
    pub(super) fn cancelled(entry: Arc<Entry>, scope: &CallScope, arrived: Instant) -> Self {
        let (call_id, ended) = (scope.shared_call_id(), Instant::now());
        let result = Err(ToolError::cancelled());
        entry.count(outcome(&result), ended.duration_since(arrived));
        Self { call_id, result, arrived, ended, entry, _presence: None }
    }
}
