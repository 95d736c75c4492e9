//! One admitted call: wait, run, and whatever happens, an answer.

use std::any::Any;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::task::unconstrained;
#[cfg(feature = "mcp")]
use tokio::time::timeout;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::admission::{Permits, Place, Presence, Ticket};
use super::blocking::Threads;
use super::handler::{self, Begun};
use super::{Entry, Limits};
use crate::caller::CallScope;
use crate::caller::{Authentication, Identity};
use crate::observe;
use crate::tool::{Arguments, Handler, ToolCall, ToolError, ToolErrorKind, ToolResult};

/// How long a handler that listens to its cancellation has to answer once its time is up.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// A call that has its place.
#[derive(Debug)]
pub(crate) struct Admitted {
    entry: Arc<Entry>,
    ticket: Ticket,
    threads: Arc<Threads>,
    /// Who to ask about the caller, if the tool wants to know.
    asking: Option<Asking>,
    arrived: Instant,
    limit: Duration,
}

/// A caller who has to be asked about.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) authentication: Arc<Authentication>,
    /// The user whom the door states, for a call that turns out to need nobody.
    pub(super) stated: Option<String>,
}

/// A call that has its answer. It keeps its place until this is dropped.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) result: ToolResult,
    pub(crate) entry: Arc<Entry>,
    pub(crate) presence: Presence,
    /// When it had it.
    pub(crate) ended: Instant,
}

impl Admitted {
    pub(super) fn new(
        entry: Arc<Entry>,
        ticket: Ticket,
        threads: Arc<Threads>,
        asking: Option<Asking>,
        arrived: Instant,
        limits: &Limits,
    ) -> Self {
        Self { entry, ticket, threads, asking, arrived, limit: limits.call_timeout }
    }

    /// How long the handler holds its thread before it ends or waits, when that is known to be short.
    pub(crate) fn quick(&self) -> Option<Duration> {
        self.entry.pace.quick()
    }

    /// Takes the first step of the call here and now. Most calls have their answer then, and never become a future;
    /// here is the rest of the others. A call that has to wait before it may run takes no step yet.
    ///
    /// `now` is the time at which the step begins, and afterwards the time at which it ended.
    pub(crate) fn step(
        self,
        arguments: Arguments,
        scope: Arc<CallScope>,
        now: &mut Instant,
        context: &mut Context<'_>,
    ) -> Result<Finished, BoxFuture<'static, Finished>> {
        let handler = match self.entry.tool.handler() {
            Handler::Async(handler) if self.asking.is_none() && self.ticket.is_running() => handler.clone(),
            _ => return Err(self.run(arguments, scope).boxed()),
        };
        let Self { entry, ticket, arrived, limit, .. } = self;
        let (place, presence) = ticket.split();
        let course = Course::new(entry, scope, arrived, limit);
        let started = *now;
        let begun = {
            let _inside = course.span.enter();
            handler::begin(&*handler, course.call(arguments), &course.scope, context)
        };
        *now = Instant::now();
        course.entry.pace.record(now.duration_since(started));
        match begun {
            Begun::Ended(result) => {
                drop(place);
                course.record(started, *now, &result);
                Ok(course.finish(result, *now, presence))
            }
            Begun::Waits(rest) => {
                let rest = handler::go_on(rest, Arc::clone(&course.scope), place);
                let rest = rest.instrument(course.span.clone());
                Err(Box::pin(async move {
                    let (result, ended) = course.within_time(started, rest, |_| {}).await;
                    course.finish(result, ended, presence)
                }))
            }
        }
    }

    /// Runs the call to its answer, within its time, in a span of its own.
    pub(crate) async fn run(self, arguments: Arguments, scope: Arc<CallScope>) -> Finished {
        let Self { entry, ticket, threads, asking, arrived, limit } = self;
        let (place, presence) = ticket.split();
        let course = Course::new(entry, scope, arrived, limit);
        let run = async {
            let permits = match course.before(place, asking.as_ref()).await {
                Ok(permits) => permits,
                Err(error) => return (Err(error.into_refusal()), Instant::now()),
            };
            let started = Instant::now();
            let handler = course.entry.tool.handler().clone();
            let running =
                handler::run(handler, course.call(arguments), Arc::clone(&course.scope), permits, &threads);
            let first = |stepped: Instant| course.entry.pace.record(stepped.duration_since(started));
            course.within_time(started, running, first).await
        };
        let (result, ended) = run.instrument(course.span.clone()).await;
        course.finish(result, ended, presence)
    }

    /// The same, until the caller takes the call back: the handler's token is cancelled then, and a handler that
    /// does not end within a moment is dropped.
    #[cfg(feature = "mcp")]
    pub(crate) async fn run_until(
        self,
        taken_back: impl Future<Output = ()>,
        arguments: Arguments,
        scope: Arc<CallScope>,
    ) -> ToolResult {
        let (entry, arrived) = (Arc::clone(&self.entry), self.arrived);
        let mut running = pin!(self.run(arguments, Arc::clone(&scope)));
        tokio::select! {
            biased;
            finished = &mut running => return finished.result,
            () = taken_back => {}
        }
        if scope.cancel()
            && let Ok(finished) = timeout(LAST_WORDS, &mut running).await
        {
            return finished.result;
        }
        let error = ToolError::cancelled();
        let (tool, outcome) = (entry.tool.name(), error.kind().as_str());
        tracing::debug!(tool, call_id = scope.call_id(), "the caller took the call back");
        observe::call_finished(tool, outcome, arrived.elapsed());
        Err(error)
    }
}

/// A call on its way to its answer.
struct Course {
    entry: Arc<Entry>,
    scope: Arc<CallScope>,
    span: Span,
    arrived: Instant,
    /// How long it may take from there.
    limit: Duration,
}

impl Course {
    fn new(entry: Arc<Entry>, scope: Arc<CallScope>, arrived: Instant, limit: Duration) -> Self {
        let span = span(&entry, &scope);
        Self { entry, scope, span, arrived, limit }
    }

    /// The call as its handler sees it.
    fn call(&self, arguments: Arguments) -> ToolCall {
        ToolCall::new(arguments, Arc::clone(&self.scope) as Arc<dyn Any + Send + Sync>)
    }

    fn deadline(&self) -> Instant {
        self.arrived + self.limit
    }

    /// What has to be passed before the handler may run.
    async fn before(&self, place: Place, asking: Option<&Asking>) -> Result<Permits, ToolError> {
        let permits = match place {
            Place::Running(permits) => permits,
            waiting @ Place::Waiting(..) => {
                let permits = timeout_at(self.deadline(), waiting.permits()).await;
                permits.map_err(|_elapsed| ToolError::timed_out(self.limit))?
            }
        };
        if let Some(Asking { authentication, stated }) = asking {
            let checked =
                timeout_at(self.deadline(), self.entry.access.check(authentication, &self.scope)).await;
            checked.unwrap_or_else(|_elapsed| Err(ToolError::timed_out(self.limit)))?;
            let subject = self.scope.identity().map(Identity::subject);
            Span::current().record("subject", subject);
            self.entry.limits.check_rate(subject.or(stated.as_deref()))?;
        }
        Ok(permits)
    }

    /// What comes of a handler that was `started`, in the time that it has; and when. `first` is told when the first
    /// poll is over.
    async fn within_time(
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
            // The handler was told, and may have something better to say than that its time is up.
            (result, ended) = until(ended + LAST_WORDS, running, |_| {}).await;
        }
        let result = result.unwrap_or_else(|| Err(ToolError::timed_out(limit)));
        self.record(started, ended, &result);
        (result, ended)
    }

    /// Counts what the handler ended with.
    fn record(&self, started: Instant, ended: Instant, result: &ToolResult) {
        let error = result.as_ref().err().filter(|error| !error.is_refusal());
        self.entry.health.record(started, ended, error, self.scope.call_id());
    }

    /// The call has its answer.
    fn finish(self, result: ToolResult, ended: Instant, presence: Presence) -> Finished {
        let Self { entry, scope, span, arrived, .. } = self;
        let (outcome, latency) = (outcome(&result), ended.duration_since(arrived));
        span.record("outcome", outcome);
        span.record("latency_ms", latency.as_millis() as u64);
        span.in_scope(|| report(&entry, &scope, &result));
        observe::call_finished(entry.tool.name(), outcome, latency);
        Finished { result, entry, presence, ended }
    }
}

/// What comes of `future`, or `None` at the deadline; and when. `first` is told when the first poll is over.
///
/// A future that is ready at once needs no timer, and the clock is read once.
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
                // Unconstrained, so that it is looked at also when the future has used up its turn.
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

/// The span of a call: who and what, `subject` only if verified, and at its end how it went. No arguments, no tokens, no results.
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

/// How a call went, in one word.
fn outcome(result: &ToolResult) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.kind().as_str(),
    }
}

/// Writes what the model must not see into the log.
fn report(entry: &Entry, scope: &CallScope, result: &ToolResult) {
    let Err(error) = result else { return };
    let (tool, call_id) = (entry.tool.name(), scope.call_id());
    match error.kind() {
        ToolErrorKind::Internal => tracing::error!(tool, call_id, "internal error: {}", error.chain()),
        ToolErrorKind::TimedOut => tracing::warn!(tool, call_id, "{error}"),
        kind => tracing::debug!(tool, call_id, kind = kind.as_str(), "the call failed"),
    }
}

/// The text that the model reads. What broke inside is in the log, under the call's id.
pub(crate) fn answer_text(error: &ToolError, call_id: &str, show_internal: bool) -> String {
    match error.kind() {
        ToolErrorKind::Internal if show_internal => {
            format!("internal error (call {call_id}): {}", error.chain())
        }
        ToolErrorKind::Internal => format!("internal error (call {call_id})"),
        _ => error.to_string(),
    }
}
