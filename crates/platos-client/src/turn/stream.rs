//! The stream that callers read.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{FutureExt as _, Stream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::commands::Commands;
use super::driver::Driver;
use super::message::NewMessage;
use super::outlet::{Inlet, Outlet};
use crate::client::PlatosClient;
use crate::error::Error;
use crate::event::AgentEvent;
use crate::model::Decision;

/// The events of one turn, from [`Threads::send`](crate::Threads::send). A [`Stream`] of results: after an error,
/// or [`AgentEvent::Done`], it is over.
///
/// * **Connections come and go.** A platform sends the events of a turn only to the connection that the message came
///   over, and finishes the turn without it. After a break this stream reconnects, five times in a row by default, joins
///   the thread, where durable turns can still be heard, and looks for the reply among the thread's messages, slowly:
///   platforms allow few requests. [`AgentEvent::Disconnected`], [`AgentEvent::Reconnecting`] and
///   [`AgentEvent::Connected`] say so. It ends with [`AgentEvent::Recovered`] and what was not heard, or with
///   [`Error::TurnLost`] and what is known. Over SSE, a turn that is not durable is stopped by a break.
/// * **The message goes out once**, under an idempotency key: yours or one of its own. It is sent again only where the
///   platform refused it with the session, before it looked at it.
/// * **Nothing twice.** Events with an id of their own (tool calls and results, approvals, stored messages, artifacts)
///   are passed on once. A platform whose Socket.IO remembers sessions resumes exactly where the connection broke.
/// * **Sessions expire.** A token that expires soon is replaced before the turn begins; one that expires during the turn
///   ends the connection, and the turn goes on as after a break, with a fresh token.
/// * **Slow readers.** When [`StreamLimits`](crate::StreamLimits) are reached, the socket is read no further, so that
///   the platform waits; the connection is kept alive meanwhile.
/// * **Cancelling.** Dropping the stream, [`stop`](Self::stop), or the token given with
///   [`NewMessage::cancel_with`] asks the platform to stop the turn and closes the connection; where there is none at
///   that moment, another one is tried. That goes on in the background: a program that ends right after waits for the
///   end of the stream, [`stop`](Self::stop) and then [`next`](Self::next) until `None`, at most a few seconds. Dropping
///   a stream from [`Threads::resume`](crate::Threads::resume) only stops watching.
#[must_use = "dropping the stream stops the turn"]
pub struct TurnStream {
    inlet: Inlet,
    pub(super) commands: Commands,
    cancel: DropGuard,
    token: CancellationToken,
    pub(super) client: PlatosClient,
    pub(super) thread_id: String,
}

impl TurnStream {
    pub(crate) fn begin(client: &PlatosClient, thread_id: &str, message: Option<&NewMessage>) -> Self {
        let (outlet, inlet) = Outlet::new(&client.shared.config.limits);
        // Each stream has its own, also where a message is sent twice: one that is dropped stops no other.
        let cancel = message.map(|message| message.cancel.child_token()).unwrap_or_default();
        let (commands, inbox) = Commands::new();
        let driver =
            Driver::new(client.clone(), thread_id.to_owned(), message, outlet, inbox, cancel.clone());
        tokio::spawn(driver.run());
        Self {
            inlet,
            commands,
            token: cancel.clone(),
            cancel: cancel.drop_guard(),
            client: client.clone(),
            thread_id: thread_id.to_owned(),
        }
    }

    /// The next event; `None` when the turn is over.
    pub async fn next(&mut self) -> Option<Result<AgentEvent, Error>> {
        std::future::poll_fn(|context| self.inlet.poll(context)).await
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<Result<AgentEvent, Error>> {
        self.next().now_or_never().flatten()
    }

    /// Decides about an approval that the turn waits for: over the turn's own socket, or by a request where there is
    /// none, or where the decision has arguments in it.
    ///
    /// # Errors
    /// As those of [`Approvals::resolve`](crate::Approvals::resolve).
    pub async fn resolve(&self, approval_id: &str, decision: Decision) -> Result<(), Error> {
        self.commands.resolve(&self.client, approval_id, decision).await
    }

    /// Stops the turn. What came before can still be read; then a `done` that is `stopped` ends the stream.
    pub fn stop(&self) {
        self.token.cancel();
    }

    /// Stops the turn when it is cancelled, from anywhere.
    pub fn cancellation_token(&self) -> CancellationToken {
        self.token.clone()
    }
}

impl Stream for TurnStream {
    type Item = Result<AgentEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inlet.poll(context)
    }
}

impl fmt::Debug for TurnStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnStream")
            .field("thread_id", &self.thread_id)
            .field("cancel", &self.cancel)
            .finish_non_exhaustive()
    }
}
