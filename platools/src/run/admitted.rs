//! An admitted call, from its first poll to its result.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::Core;
use super::admission::{Held, LentPlace, Presence, Ticket};
use super::course::{CANCEL_GRACE, CallerCheck, Course};
use super::entry::Entry;
use super::handler::{self, Begun};
use crate::caller::{CallScope, Identity};
use crate::tool::{Arguments, Handler, ToolError, ToolResult, ToolSpec};
use crate::wire::Envelope;

/// A call that was verified and admitted, and has not begun. It keeps its place until it is answered or dropped.
///
/// A [`Coordinator`](crate::host::Coordinator) sees it, and decides where it runs.
pub struct Admitted {
    pub(super) core: Arc<Core>,
    pub(super) entry: Arc<Entry>,
    pub(super) ticket: Ticket,
    /// Who to ask about the caller, if the tool demands it.
    pub(super) check: Option<CallerCheck>,
    pub(super) arrived: Instant,
    /// The maximum duration of the call, from its arrival.
    pub(super) limit: Duration,
    pub(super) arguments: Arguments,
    pub(super) scope: Arc<CallScope>,
    /// Cancels the call, for callers that may.
    pub(super) cancel: Option<CancellationToken>,
}

/// A call that has its result. It keeps its place until this is dropped.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) call_id: Arc<str>,
    pub(crate) result: ToolResult,
    pub(crate) arrived: Instant,
    pub(crate) ended: Instant,
    pub(crate) entry: Arc<Entry>,
    /// Given back when the answer is on its way.
    pub(super) _presence: Option<Presence>,
}

/// The rest of a call after its first step. Not polled yet.
pub(super) struct Rest {
    pub(super) entry: Arc<Entry>,
    pub(super) running: BoxFuture<'static, Finished>,
    /// Whether the handler goes on only when it is polled. The result of one with a thread of its own takes memory already.
    pub(super) is_async: bool,
}

impl Admitted {
    /// The id of the call.
    pub fn call_id(&self) -> &str {
        self.scope.call_id()
    }

    /// The declaration of the tool.
    pub fn tool(&self) -> &ToolSpec {
        self.entry.tool.spec()
    }

    /// The arguments, not validated yet.
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    /// The caller as stated by the platform, unverified.
    pub fn envelope(&self) -> &Envelope {
        self.scope.envelope()
    }

    /// The `_context` of the call, as JSON.
    pub fn context_json(&self) -> String {
        self.scope.context_json()
    }

    /// The W3C trace context of the call.
    pub fn traceparent(&self) -> Option<&str> {
        self.scope.traceparent()
    }

    /// The time left until the call's deadline. The platform stops waiting shortly afterwards.
    pub fn time_left(&self) -> Duration {
        (self.arrived + self.limit).saturating_duration_since(Instant::now())
    }

    /// Ends the call at `deadline`, if that is earlier than the host's own limit.
    pub(crate) fn until(self, deadline: Option<std::time::Instant>) -> Self {
        let limit = deadline.map_or(self.limit, |deadline| {
            self.limit.min(Instant::from_std(deadline).saturating_duration_since(self.arrived))
        });
        Self { limit, ..self }
    }

    /// Cancels the call when `token` is cancelled. A handler that does not return within [`CANCEL_GRACE`] is dropped.
    pub(crate) fn cancelled_by(self, token: CancellationToken) -> Self {
        Self { cancel: Some(token), ..self }
    }

    /// Takes the place out of the call, so that a call that runs elsewhere takes none here.
    pub(crate) fn lend_place(&mut self) -> LentPlace {
        self.ticket.lend()
    }

    /// Puts the place back into a call that runs here after all.
    pub(crate) fn with_place(mut self, lent: LentPlace) -> Self {
        self.ticket.take_back(lent);
        self
    }

    /// Keeps a value until the call is answered.
    pub(crate) fn hold(&mut self, guard: Held) {
        self.ticket.hold(guard);
    }

    /// The scope of the call.
    pub(crate) fn scope(&self) -> &CallScope {
        &self.scope
    }

    /// Returns whether the call counts against a rate limit only after its caller is verified.
    pub(crate) fn is_uncounted(&self) -> bool {
        self.check.as_ref().is_some_and(|check| check.counts) && self.entry.limits.has_rate()
    }

    /// Verifies the caller and counts the call, for a call that runs in another process.
    ///
    /// # Errors
    /// When the caller is not allowed to call the tool, or too often.
    pub(crate) async fn count(&self) -> Result<(), ToolError> {
        let Some(CallerCheck { authentication, stated, .. }) = &self.check else { return Ok(()) };
        let checked =
            timeout_at(self.arrived + self.limit, self.entry.access.check(authentication, &self.scope));
        checked.await.map_err(|_elapsed| ToolError::timed_out(self.limit))??;
        let subject = self.scope.identity().map(Identity::subject);
        self.entry.limits.check_rate(subject.or(stated.as_deref()))
    }

    /// Waits until the call may start, or for its deadline, at which it ends without running.
    pub(super) async fn once(self, start: impl Future<Output = ()>) -> Result<Self, Finished> {
        match timeout_at(self.arrived + self.limit, start).await {
            Ok(()) => Ok(self),
            Err(_elapsed) => {
                let error = ToolError::timed_out(self.limit).into_refusal();
                Err(self.finish(Err(error)))
            }
        }
    }

    /// Ends the call with a result that was made elsewhere.
    pub(crate) fn finish(self, result: ToolResult) -> Finished {
        let Self { entry, ticket, arrived, limit, scope, .. } = self;
        let (_place, presence) = ticket.split();
        let (course, ended) = (Course::new(entry, scope, arrived, limit), Instant::now());
        course.record(arrived, ended, &result);
        course.finish(result, ended, presence)
    }

    /// Returns the estimated duration of the first step if the tool is known to be quick.
    pub(super) fn quick(&self) -> Option<Duration> {
        self.entry.pace.quick()
    }

    /// Polls the call once on this thread. Most calls end there and never become a task; the others return the rest. A
    /// call that has to wait for its place is not polled yet.
    ///
    /// `now` is the time at which the step begins, and afterwards the time at which it ended. Never panics.
    pub(super) fn step(mut self, now: &mut Instant, context: &mut Context<'_>) -> Result<Finished, Rest> {
        let lost = Lost::new(&self);
        let cancel = self.cancel.take().map(|token| (token, Arc::clone(&self.scope), self.arrived));
        let is_async = matches!(self.entry.tool.handler(), Handler::Async(_));
        match catch_unwind(AssertUnwindSafe(|| self.unguarded_step(now, context))) {
            Ok(stepped) => stepped.map_err(|rest| {
                let entry = Arc::clone(&lost.entry);
                let mut running = lost.guard(rest).boxed();
                if let Some((token, scope, arrived)) = cancel {
                    let call = CancelOnDrop { scope, call: Some(running) };
                    let entry = Arc::clone(&entry);
                    running = async move { call.until(entry, arrived, token.cancelled()).await }.boxed();
                }
                Rest { entry, running, is_async }
            }),
            Err(_panic) => {
                *now = Instant::now();
                Ok(lost.finished())
            }
        }
    }

    fn unguarded_step(
        self,
        now: &mut Instant,
        context: &mut Context<'_>,
    ) -> Result<Finished, BoxFuture<'static, Finished>> {
        let handler = match self.entry.tool.handler() {
            Handler::Async(handler) if self.check.is_none() && self.ticket.is_running() => handler.clone(),
            _ => return Err(self.unguarded_run().boxed()),
        };
        let Self { entry, ticket, arrived, limit, arguments, scope, .. } = self;
        let (place, presence) = ticket.split();
        let course = Course::new(entry, scope, arrived, limit);
        let started = *now;
        let begun =
            course.enter(|| handler::begin(&*handler, course.call(arguments), &course.scope, context));
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

    /// Runs the call to its result, within its deadline, in its own span. Never panics.
    pub(crate) async fn run(self) -> Finished {
        let (watch, entry) = (self.core.watch.clone(), Arc::clone(&self.entry));
        let running = pin!(Lost::new(&self).guard(self.unguarded_run()));
        watch.over(entry, running).await
    }

    async fn unguarded_run(self) -> Finished {
        let Self { core, entry, ticket, check, arrived, limit, arguments, scope, .. } = self;
        let (place, presence) = ticket.split();
        let course = Course::new(entry, scope, arrived, limit);
        let run = async {
            let permits = match course.before(place, check.as_ref()).await {
                Ok(permits) => permits,
                Err(error) => return (Err(error.into_refusal()), Instant::now()),
            };
            let started = Instant::now();
            let handler = course.entry.tool.handler().clone();
            let (call, scope) = (course.call(arguments), Arc::clone(&course.scope));
            let running = handler::run(handler, call, scope, permits, &core.threads);
            let first = |stepped: Instant| course.entry.pace.record(stepped.duration_since(started));
            course.within_time(started, running, first).await
        };
        let (result, ended) = run.instrument(course.span.clone()).await;
        course.finish(result, ended, presence)
    }

    /// Runs the call until the caller cancels it: then its token is cancelled, and a handler that does not return
    /// within [`CANCEL_GRACE`] is dropped.
    pub(crate) async fn run_until(self, cancelled: impl Future<Output = ()>) -> Finished {
        let (scope, entry, arrived) = (Arc::clone(&self.scope), Arc::clone(&self.entry), self.arrived);
        CancelOnDrop { scope, call: Some(self.run().boxed()) }.until(entry, arrived, cancelled).await
    }
}

impl fmt::Debug for Admitted {
    /// Without arguments, tokens and context.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted")
            .field("call_id", &self.call_id())
            .field("tool", &self.entry.name())
            .finish_non_exhaustive()
    }
}

/// A call whose handler is told, before it is dropped too, if this is dropped before its end.
struct CancelOnDrop {
    scope: Arc<CallScope>,
    call: Option<BoxFuture<'static, Finished>>,
}

impl CancelOnDrop {
    async fn until(
        mut self,
        entry: Arc<Entry>,
        arrived: Instant,
        cancelled: impl Future<Output = ()>,
    ) -> Finished {
        tokio::select! {
            biased;
            finished = &mut self => return finished,
            () = cancelled => {}
        }
        let scope = Arc::clone(&self.scope);
        if scope.cancel()
            && let Ok(finished) = timeout(CANCEL_GRACE, &mut self).await
        {
            return finished;
        }
        // What the handler holds may panic when it is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self)));
        let (tool, call_id) = (entry.name(), scope.call_id());
        tracing::debug!(tool, call_id, "the caller cancelled the call");
        Finished::cancelled(entry, &scope, arrived)
    }
}

impl Future for CancelOnDrop {
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Finished> {
        let Some(call) = &mut self.call else { return Poll::Pending };
        let finished = ready!(call.as_mut().poll(context));
        self.call = None;
        Poll::Ready(finished)
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.scope.cancel();
            drop(call);
        }
    }
}

/// Enough of a call to answer it after a panic of the library or of a value that panicked when it was dropped. What
/// a handler panics with is caught closer to it.
struct Lost {
    call_id: Arc<str>,
    entry: Arc<Entry>,
    arrived: Instant,
}

impl Lost {
    fn new(call: &Admitted) -> Self {
        Self { call_id: call.scope.shared_call_id(), entry: Arc::clone(&call.entry), arrived: call.arrived }
    }

    async fn guard(self, running: impl Future<Output = Finished>) -> Finished {
        AssertUnwindSafe(running).catch_unwind().await.unwrap_or_else(|_panic| self.finished())
    }

    fn finished(self) -> Finished {
        let Self { call_id, entry, arrived } = self;
        let (tool, ended) = (entry.name(), Instant::now());
        tracing::error!(
            tool,
            call_id = &*call_id,
            "internal error: the call panicked outside of its handler"
        );
        let error = ToolError::internal("the call panicked outside of its handler");
        entry.count(error.kind().as_str(), ended.duration_since(arrived));
        Finished { call_id, result: Err(error), arrived, ended, entry, _presence: None }
    }
}

impl Finished {
    /// The time from the arrival of the call to its result.
    pub(crate) fn latency(&self) -> Duration {
        self.ended.duration_since(self.arrived)
    }
}
