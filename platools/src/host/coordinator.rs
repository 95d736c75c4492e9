//! The seam for several processes behind one connection: who may dial, where a call runs, who keeps answers.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::outbox::AnswerFrame;
use crate::intake::{Answer, Door, Failure};
use crate::run::{Admitted, Sink as _, ToolTable};
use crate::tool::{ToolError, ToolResult};
use crate::wire::CALL_PENDING;

/// Lets several processes share one connection; given to [`Platools::coordinator`](super::Platools::coordinator).
///
/// The platform keeps one connection for an entity and environment. A coordinator elects the process that holds it,
/// hands calls to the others, and passes answers to whichever process holds it next. Without a coordinator a host
/// dials, runs all calls itself and keeps its answers until it is connected again.
///
/// A host with a coordinator does not dial before [`Gateway::set_lead`] allows it.
pub trait Coordinator: fmt::Debug + Send + Sync + 'static {
    /// Receives the host. Called once, when the host begins to run.
    fn attach(&self, gateway: Gateway);

    /// Decides where a call runs that came over the socket of this process. Return it to run it here; keep it to have it
    /// run elsewhere, and [answer](RoutedCall::answer) it then. Must not block.
    fn place(&self, call: RoutedCall) -> Option<RoutedCall>;

    /// Takes answers that this process cannot send because it lost the lead. The process that has the lead sends them
    /// with [`Gateway::send`]. Must not block.
    fn keep(&self, answers: Vec<KeptAnswer>);
}

/// The interface of a [`Coordinator`] to the host of its process. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Weak<Shared>);

impl Gateway {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }

    /// Allows the host to hold the connection, or withdraws that: then the host closes its connection, hands over the
    /// answers that it could not send, and stands by.
    pub fn set_lead(&self, lead: bool) {
        if let Some(shared) = self.0.upgrade() {
            shared.lead.send_replace(lead);
        }
    }

    /// Runs calls here that another process received; `None` once the host is gone.
    pub fn door(&self) -> Option<Door> {
        self.0.upgrade().map(|shared| shared.intake.door())
    }

    /// The tools of this host; `None` once it is gone.
    pub fn tools(&self) -> Option<ToolTable> {
        self.0.upgrade().map(|shared| shared.dispatcher().tools().clone())
    }

    /// Sends an answer that another process kept.
    ///
    /// # Errors
    /// When this process does not have the lead, the platform waits for the answer no longer, or the host is gone. The
    /// answer is returned.
    pub fn send(&self, answer: KeptAnswer) -> Result<(), KeptAnswer> {
        match self.0.upgrade() {
            Some(shared) if *shared.lead.borrow() && !answer.time_left().is_zero() => {
                shared.outbox.push(answer.0);
                Ok(())
            }
            _ => Err(answer),
        }
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

/// A call that a [`Coordinator`] places. It counts as in flight here until it is answered, so keep it no longer than its
/// [time](Admitted::time_left). Dropping it answers the call with an error of the kind
/// `Unavailable`, so that the platform does not wait in vain.
pub struct RoutedCall {
    call: Option<Admitted>,
    shared: Arc<Shared>,
}

impl RoutedCall {
    pub(super) fn new(call: Admitted, shared: &Arc<Shared>) -> Self {
        Self { call: Some(call), shared: Arc::clone(shared) }
    }

    pub(super) fn into_inner(mut self) -> Option<Admitted> {
        self.call.take()
    }

    /// The call: tool, arguments, caller, time left.
    ///
    /// # Panics
    /// Never: the call is there until the `RoutedCall` is consumed.
    pub fn call(&self) -> &Admitted {
        self.call.as_ref().expect("there until it is consumed")
    }

    /// Answers the call with what another process answered.
    pub fn answer(mut self, answer: Answer) {
        self.finish(answer.outcome.map_err(Failure::into_error));
    }

    fn finish(&mut self, result: ToolResult) {
        if let Some(call) = self.call.take() {
            self.shared.finished(&mut vec![call.finish(result)]);
        }
    }
}

impl Drop for RoutedCall {
    fn drop(&mut self) {
        self.finish(Err(ToolError::unavailable("no process could run the call, retry later")));
    }
}

impl fmt::Debug for RoutedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RoutedCall").field(&self.call).finish()
    }
}

/// An answer that could not be sent yet.
pub struct KeptAnswer(AnswerFrame);

impl KeptAnswer {
    /// An answer as another process kept it: the id of the call, the frame, and how long the platform waits for it, at
    /// most 30 s (protocol §3).
    pub fn new(call_id: &str, frame: String, time_left: Duration) -> Self {
        let expires = Instant::now() + time_left.min(CALL_PENDING);
        Self(AnswerFrame::expiring(call_id.into(), frame.into(), expires))
    }

    /// The id of the call.
    pub fn call_id(&self) -> &str {
        self.0.texts().0
    }

    /// The frame that answers it (protocol §3).
    pub fn frame(&self) -> &str {
        self.0.texts().1
    }

    /// The time for which the platform still waits for the answer.
    pub fn time_left(&self) -> Duration {
        self.0.expires().saturating_duration_since(Instant::now())
    }
}

impl From<AnswerFrame> for KeptAnswer {
    fn from(answer: AnswerFrame) -> Self {
        // It waits elsewhere from now on, and holds up no calls here.
        Self(answer.without_share())
    }
}

impl fmt::Debug for KeptAnswer {
    /// Without the frame, which holds a result.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptAnswer").field("call_id", &self.call_id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::events::Events;
    use crate::host::outbox::Outbox;
    use crate::run::Limits;

    #[tokio::test]
    async fn an_answer_that_is_handed_over_gives_its_room_back() {
        let outbox = Outbox::new(Events::default(), &Limits::default());
        for _ in 0..20 {
            outbox.push(AnswerFrame::new("call-1".into(), "x".repeat(7 << 20).into(), Instant::now()));
        }
        assert!(outbox.is_full());
        let kept: Vec<KeptAnswer> = outbox.take_all().into_iter().map(Into::into).collect();
        assert!(!outbox.is_full() && !outbox.is_crowded(), "calls run here again");
        outbox.push(kept.into_iter().next_back().unwrap().0);
        assert_eq!(outbox.len(), 1);
        assert!(!outbox.is_full());
    }
}
