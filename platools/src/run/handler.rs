//! Runs handlers, on the runtime or on a thread, in the scope of their call; catches panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use tokio::sync::oneshot;
use tracing::Span;

use super::admission::Permits;
use super::blocking::Threads;
use crate::caller::{CURRENT, CallScope};
use crate::tool::{Handler, HandlerFuture, ToolCall, ToolError, ToolResult};

/// The outcome of a handler's first poll.
pub(super) enum Begun {
    /// The handler returned.
    Ended(ToolResult),
    /// The handler is pending.
    Waits(HandlerFuture),
}

/// Polls a handler for the first time.
pub(super) fn begin(
    handler: &(dyn Fn(ToolCall) -> HandlerFuture + Send + Sync),
    call: ToolCall,
    scope: &Arc<CallScope>,
    context: &mut Context<'_>,
) -> Begun {
    let step = || {
        let mut running = handler(call);
        match running.as_mut().poll(context) {
            Poll::Ready(result) => Begun::Ended(result),
            Poll::Pending => Begun::Waits(running),
        }
    };
    catch_unwind(AssertUnwindSafe(|| CURRENT.sync_scope(Arc::clone(scope), step)))
        .unwrap_or_else(|payload| Begun::Ended(panicked(payload)))
}

/// Runs an asynchronous handler to its result, then drops `held`.
///
/// The scope is set from here on, not from the next poll: a handler that has begun can access its call even when it is
/// dropped without another poll.
pub(super) fn go_on(
    running: impl Future<Output = ToolResult>,
    scope: Arc<CallScope>,
    held: impl Sized,
) -> impl Future<Output = ToolResult> {
    let running = CURRENT.scope(scope, AssertUnwindSafe(running).catch_unwind());
    async move {
        let result = running.await.unwrap_or_else(panicked);
        drop(held);
        result
    }
}

/// Runs a handler.
pub(super) async fn run(
    handler: Handler,
    call: ToolCall,
    scope: Arc<CallScope>,
    permits: Permits,
    threads: &Threads,
) -> ToolResult {
    match handler {
        // In an `async` block, so that a panic before the first `await` is caught too.
        Handler::Async(handler) => go_on(async move { handler(call).await }, scope, permits).await,
        Handler::Blocking(handler) => {
            let (sender, answer) = oneshot::channel();
            let (span, runtime) = (Span::current(), tokio::runtime::Handle::current());
            let started = threads.run(move || {
                let _inside = (span.enter(), runtime.enter());
                let run = || catch_unwind(AssertUnwindSafe(|| handler(call))).unwrap_or_else(panicked);
                let result = CURRENT.sync_scope(scope, run);
                // Held until the function has returned, even after a timeout.
                drop(permits);
                // Fails after a timeout, when the receiver is gone.
                let _ = sender.send(result);
            });
            match started {
                Ok(()) => answer.await.unwrap_or_else(|_| {
                    Err(ToolError::internal("the thread of the handler ended without a result"))
                }),
                Err(error) => Err(ToolError::internal(error)),
            }
        }
        Handler::Remote => {
            Err(ToolError::unavailable("the tool runs in another process, and no process took the call")
                .into_refusal())
        }
        Handler::Withheld(reason) => Err(ToolError::unavailable(reason.to_string()).into_refusal()),
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
