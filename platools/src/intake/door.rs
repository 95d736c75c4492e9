//! A door for calls whose caller it has verified itself: MCP, a command line, tests, a socket of the backend's own.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Failure};
use crate::caller::{CallContext, CallScope, Progress};
use crate::run::{AdmissionRequest, Admitted, Batch, Dispatcher, Sink, ToolTable};
use crate::tool::{Arguments, ToolError, ToolResult};
use crate::wire::RawEnvelope;

/// Lets calls in that do not come from the platform. Cheap to clone.
///
/// [`HostHandle::door`](crate::HostHandle::door) and [`LocalHost::door`](crate::LocalHost::door) return it. The door
/// verifies its callers; from here on a call is like any other: limits, access rules, timeouts and panic isolation are
/// the same, and all doors share the same places.
///
/// ```
/// use platools::intake::CallRequest;
/// use platools::prelude::*;
/// use platools::tools;
///
/// /// Add two whole numbers.
/// #[tool(register = false)]
/// async fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let host = Platools::builder().tools(tools![add]).build_local()?;
/// let caller = CallContext::builder().user_id("usr_7").build();
/// let request = CallRequest::new("add", serde_json::json!({"a": 1, "b": 2}).try_into()?, caller);
/// let answer = host.door().call(request)?.await;
/// assert_eq!(answer.outcome?.to_value(), 3);
/// # Ok(())
/// # }
/// ```
///
/// `examples/src/bin/door.rs` is a complete door, which reads calls from standard input.
#[derive(Debug, Clone)]
pub struct Door {
    dispatcher: Dispatcher,
    show_internal: bool,
}

/// A call that a door lets in.
#[derive(Debug)]
#[must_use = "give it to `Door::call`"]
pub struct CallRequest {
    tool: String,
    arguments: Arguments,
    caller: CallContext,
    deadline: Option<Instant>,
    progress: Progress,
}

impl CallRequest {
    /// A call of `tool` by `caller`, whose context also has the id of the call and its trace context.
    pub fn new(tool: impl Into<String>, arguments: Arguments, caller: CallContext) -> Self {
        let tool = tool.into();
        Self { tool, arguments, caller, deadline: None, progress: Progress::default() }
    }

    /// The time at which the call ends at the latest. The host's own limit may end it earlier.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Takes the reports of the call; see [`Progress::channel`].
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }
}

/// A call as it travels to the process that runs it; see [`Coordinator`](crate::host::Coordinator). It holds the user's
/// token, and what the user sent.
#[derive(Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HandedCall {
    /// The id of the call.
    pub call_id: String,
    /// The name of the tool.
    pub tool: String,
    /// The arguments, as JSON.
    arguments: String,
    /// The envelope, as JSON.
    envelope: String,
    /// The `_context`, as JSON.
    context: String,
    traceparent: Option<String>,
}

impl HandedCall {
    pub(crate) fn new(call: &Admitted) -> Self {
        let scope = call.scope();
        Self {
            call_id: scope.call_id().to_owned(),
            tool: call.tool().name.clone(),
            arguments: call.arguments().as_json().to_owned(),
            envelope: scope.envelope_json(),
            context: scope.context_json(),
            traceparent: scope.traceparent().map(str::to_owned),
        }
    }
}

impl fmt::Debug for HandedCall {
    /// Without arguments, tokens and context.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandedCall")
            .field("call_id", &self.call_id)
            .field("tool", &self.tool)
            .finish_non_exhaustive()
    }
}

impl Door {
    pub(crate) fn new(dispatcher: Dispatcher, show_internal: bool) -> Self {
        Self { dispatcher, show_internal }
    }

    /// Admits a call. It holds its place from then on, and begins when the returned future is polled.
    ///
    /// # Errors
    /// When the call does not run: there is no such tool, a limit is exceeded, the host is shutting down.
    pub fn call(&self, request: CallRequest) -> Result<RunningCall, Failure> {
        let call_id: Arc<str> = request.caller.call_id().into();
        let call = self.admit(request).map_err(|error| self.failure(&error, &call_id))?;
        Ok(self.begin(call_id, call))
    }

    fn begin(&self, call_id: Arc<str>, call: Admitted) -> RunningCall {
        let (cancel, show_internal) = (CancellationToken::new(), self.show_internal);
        let cancelled = cancel.clone();
        let answer = async move { Answer::of(call.run_until(cancelled.cancelled()).await, show_internal) };
        RunningCall { call_id, answer: answer.boxed(), cancel }
    }

    /// Admits a call that another process received, verified and counted against the rate limit of its tool, and begins
    /// it when the returned future is polled.
    pub(crate) fn run_handed(&self, call: HandedCall, time_left: Duration) -> Result<RunningCall, Failure> {
        let call = self.admit_handed(call, time_left)?;
        Ok(self.begin(call.scope().shared_call_id(), call))
    }

    /// Admits a call that another process received, verified and counted against the rate limit of its tool.
    pub(crate) fn admit_handed(&self, call: HandedCall, time_left: Duration) -> Result<Admitted, Failure> {
        let HandedCall { call_id, tool, arguments, envelope, context, traceparent } = call;
        let call_id: Arc<str> = call_id.into();
        let arrived = tokio::time::Instant::now();
        let user = RawEnvelope::parse(&envelope).user_id.map(Cow::into_owned);
        let bytes = arguments.len();
        let asked = AdmissionRequest { tool: &tool, user: user.as_deref(), bytes, arrived, counts: false };
        let admitted = self.dispatcher.admit(&asked, |surroundings| {
            let scope =
                CallScope::from_wire(Arc::clone(&call_id), Some(&envelope), Some(&context), surroundings);
            (Arguments::from_object_text(arguments), scope.with_traceparent(traceparent))
        });
        let call = admitted.map_err(|error| self.failure(&error, &call_id))?;
        Ok(call.until(Some(arrived.into_std() + time_left)))
    }

    /// Runs a call to its answer, until `cancelled` is ready: then it is [cancelled](RunningCall::cancel). A call that
    /// is not admitted is answered with the failure.
    pub async fn run_until(&self, request: CallRequest, cancelled: impl Future<Output = ()>) -> Answer {
        let call_id: Arc<str> = request.caller.call_id().into();
        match self.admit(request) {
            Ok(call) => Answer::of(call.run_until(cancelled).await, self.show_internal),
            Err(error) => Answer::new(call_id, Err(error), self.show_internal),
        }
    }

    /// Runs a call to its result, without a way to cancel it but to drop the future.
    pub(crate) async fn result(&self, request: CallRequest) -> ToolResult {
        self.admit(request)?.run().await.result
    }

    fn admit(&self, request: CallRequest) -> Result<Admitted, ToolError> {
        let CallRequest { tool, arguments, caller, deadline, progress } = request;
        let scope = |scope: CallScope| scope.with_progress(progress);
        Ok(self.dispatcher.admit_local(&tool, arguments, caller, scope)?.until(deadline))
    }

    /// Returns a batch of calls whose answers go to `sink`.
    pub(crate) fn batch<S: Sink>(&self, sink: Arc<S>) -> Batch<S> {
        self.dispatcher.batch(sink)
    }

    /// The tools, to list and to watch.
    pub fn tools(&self) -> &ToolTable {
        self.dispatcher.tools()
    }

    /// Returns the number of running and waiting calls, over all doors.
    pub fn in_flight(&self) -> usize {
        self.dispatcher.in_flight()
    }

    /// Returns whether calls are admitted: `false` once the host shuts down.
    pub fn is_open(&self) -> bool {
        !self.dispatcher.is_closed()
    }

    /// Waits until no call is running or waiting, over all doors.
    pub async fn drained(&self) {
        self.dispatcher.drained().await;
    }

    /// Returns the maximum duration of a call, waiting included.
    pub fn call_timeout(&self) -> Duration {
        self.dispatcher.limits().call_timeout
    }

    /// Returns whether the host has an authenticator, which enforces the `auth` and `roles` of the tools.
    pub fn is_authenticated(&self) -> bool {
        self.dispatcher.is_authenticated()
    }

    /// Returns whether answers contain the texts of internal errors; for development.
    pub fn shows_internal_errors(&self) -> bool {
        self.show_internal
    }

    /// An error as the caller may see it. What broke inside is left out, unless the host
    /// [shows internal errors](Self::shows_internal_errors).
    pub fn failure(&self, error: &ToolError, call_id: &str) -> Failure {
        Failure::new(error, call_id, self.show_internal)
    }
}

/// An admitted call: a future that ends with its [`Answer`].
///
/// Dropping it cancels the call: its [`CancellationToken`] is cancelled and its handler is dropped; a blocking handler
/// goes on until it returns.
#[must_use = "a call does nothing unless it is polled"]
pub struct RunningCall {
    call_id: Arc<str>,
    answer: BoxFuture<'static, Answer>,
    cancel: CancellationToken,
}

impl RunningCall {
    /// The id of the call.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Cancels the call. A handler that listens to its [`CancellationToken`] has a moment to end with a result of its
    /// own; otherwise the answer is an error of the kind `Cancelled`.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// A token that cancels the call.
    pub fn cancellation(&self) -> CancellationToken {
        self.cancel.clone()
    }
}

impl Future for RunningCall {
    type Output = Answer;

    /// # Panics
    /// When it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        self.answer.as_mut().poll(context)
    }
}

impl fmt::Debug for RunningCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningCall").field("call_id", &self.call_id).finish_non_exhaustive()
    }
}
