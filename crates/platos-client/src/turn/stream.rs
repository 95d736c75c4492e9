//! The stream that callers read.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{FutureExt as _, Stream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::driver::Driver;
use super::message::NewMessage;
use super::outlet::{Inlet, Outlet};
use crate::client::PlatosClient;
use crate::error::Error;
use crate::event::AgentEvent;

/// The events of one turn, from [`Threads::send`](crate::Threads::send). A [`Stream`] of results: after an error,
/// or [`AgentEvent::Done`], it is over.
///
/// * **Connections come and go.** A lost one is taken up again, five times in a row by default, and
///   `resume_stream` asks for what was missed; [`AgentEvent::Disconnected`], [`AgentEvent::Reconnecting`] and
///   [`AgentEvent::Connected`] say so. The message goes out once. Should the connection break while it does, nobody
///   knows whether it arrived: it is not sent again, and an error that follows says so.
/// * **Nothing twice.** The protocol gives events no numbers. A platform whose Socket.IO remembers sessions resumes
///   exactly where the connection broke. Otherwise events with an id of their own (tool calls and results, approvals,
///   stored messages, artifacts) are passed on once, and where a platform begins again with events that it had
///   sent, that stretch is found and left out, if it is long enough to be told from a coincidence: three events, not
///   all alike, or all there was of the turn.
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
        let driver = Driver::new(client.clone(), thread_id.to_owned(), message, outlet, cancel.clone());
        tokio::spawn(driver.run());
        Self {
            inlet,
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
