//! One admitted call: wait, run, and whatever happens, an answer.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::oneshot;
use tokio::task::unconstrained;
#[cfg(feature = "mcp")]
use tokio::time::timeout;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::admission::{Permits, Place, Presence, Ticket};
use super::blocking::Threads;
use super::{Entry, Limits};
use crate::context::{CURRENT, CallScope};
use crate::observe;
use crate::security::{Authentication, Identity};
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

    /// Runs the call to its answer, within its time, in a span of its own.
    pub(crate) async fn run(self, arguments: Arguments, scope: Arc<CallScope>) -> Finished {
        let Self { entry, ticket, threads, asking, arrived, limit } = self;
        let (place, presence) = ticket.split();
        let span = span(&entry, &scope);
        let within = Within { deadline: arrived + limit, limit, threads, asking };
        let (result, ended) = within.run(&entry, place, arguments, &scope).instrument(span.clone()).await;
        let (outcome, latency) = (outcome(&result), ended.duration_since(arrived));
        span.record("outcome", outcome);
        span.record("latency_ms", latency.as_millis() as u64);
        span.in_scope(|| report(&entry, &scope, &result));
        observe::call_finished(entry.tool.name(), outcome, latency);
        Finished { result, entry, presence, ended }
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

/// The time that a call has.
struct Within {
    deadline: Instant,
    /// What the deadline was made of, for the message.
    limit: Duration,
    threads: Arc<Threads>,
    asking: Option<Asking>,
}

impl Within {
    /// The answer, and when it was there.
    async fn run(
        self,
        entry: &Entry,
        place: Place,
        arguments: Arguments,
        scope: &Arc<CallScope>,
    ) -> (ToolResult, Instant) {
        match self.before(entry, place, scope).await {
            Ok(permits) => self.handle(entry, permits, arguments, scope).await,
            Err(error) => (Err(error.into_refusal()), Instant::now()),
        }
    }

    /// What has to be passed before the handler may run.
    async fn before(&self, entry: &Entry, place: Place, scope: &CallScope) -> Result<Permits, ToolError> {
        let permits = match place {
            Place::Running(permits) => permits,
            waiting @ Place::Waiting(..) => {
                let permits = timeout_at(self.deadline, waiting.permits()).await;
                permits.map_err(|_elapsed| ToolError::timed_out(self.limit))?
            }
        };
        if let Some(Asking { authentication, stated }) = &self.asking {
            let checked = timeout_at(self.deadline, entry.access.check(authentication, scope)).await;
            checked.unwrap_or_else(|_elapsed| Err(ToolError::timed_out(self.limit)))?;
            let subject = scope.identity().map(Identity::subject);
            Span::current().record("subject", subject);
            entry.limits.check_rate(subject.or(stated.as_deref()))?;
        }
        Ok(permits)
    }

    /// Runs the handler.
    async fn handle(
        &self,
        entry: &Entry,
        permits: Permits,
        arguments: Arguments,
        scope: &Arc<CallScope>,
    ) -> (ToolResult, Instant) {
        let started = Instant::now();
        let (deadline, limit) = match entry.tool.spec().timeout {
            Some(own) if own < self.deadline.saturating_duration_since(started) => (started + own, own),
            _ => (self.deadline, self.limit),
        };
        let call = ToolCall::new(arguments, Arc::clone(scope) as Arc<dyn Any + Send + Sync>);
        let running = execute(entry.tool.handler().clone(), call, Arc::clone(scope), permits, &self.threads);
        let mut running = pin!(running);
        let first = |stepped: Instant| entry.pace.record(stepped.duration_since(started));
        let (mut result, mut ended) = until(deadline, running.as_mut(), first).await;
        if result.is_none() && scope.cancel() {
            // The handler was told, and may have something better to say than that its time is up.
            (result, ended) = until(ended + LAST_WORDS, running, |_| {}).await;
        }
        let result = result.unwrap_or_else(|| Err(ToolError::timed_out(limit)));
        let error = result.as_ref().err().filter(|error| !error.is_refusal());
        entry.health.record(started, ended, error, scope.call_id());
        (result, ended)
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

/// Runs the handler. A panic in it becomes an internal error.
async fn execute(
    handler: Handler,
    call: ToolCall,
    scope: Arc<CallScope>,
    permits: Permits,
    threads: &Threads,
) -> ToolResult {
    match handler {
        Handler::Async(handler) => {
            let _permits = permits;
            // In an `async` block, so that a panic before the first `await` is caught too.
            let run = AssertUnwindSafe(async move { handler(call).await }).catch_unwind();
            CURRENT.scope(scope, run).await.unwrap_or_else(panicked)
        }
        Handler::Blocking(handler) => {
            let (sender, answer) = oneshot::channel();
            let (span, runtime) = (Span::current(), tokio::runtime::Handle::current());
            let started = threads.run(move || {
                let _inside = (span.enter(), runtime.enter());
                let run = || catch_unwind(AssertUnwindSafe(|| handler(call))).unwrap_or_else(panicked);
                let result = CURRENT.sync_scope(scope, run);
                // Held until the function has returned, even when its time was up before.
                drop(permits);
                // Nobody listens any more when its time is up.
                let _ = sender.send(result);
            });
            match started {
                Ok(()) => {
                    answer.await.unwrap_or_else(|_| Err(ToolError::internal("the handler's thread is gone")))
                }
                Err(error) => Err(ToolError::internal(error)),
            }
        }
    }
}

/// The error of a handler that panicked.
#[expect(clippy::needless_pass_by_value, reason = "the payload ends here")]
fn panicked(payload: Box<dyn Any + Send>) -> ToolResult {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned());
    Err(ToolError::internal(format!("the handler panicked: {text}")))
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
