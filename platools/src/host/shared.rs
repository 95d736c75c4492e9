//! State shared by all connections of one host.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use platools_net::Proxy;
use platools_net::ration::Ration;
#[cfg(feature = "http")]
use tokio::sync::oneshot;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::callback::Callback;
use super::coordinator::{Connection, Coordinator, Fence, Lead, Reply, RoutedCall};
use super::events::Events;
use super::outbox::{AnswerFrame, Frames, Outbox};
use super::succession::Succession;
#[cfg(feature = "http")]
use super::{CoordinatorFuture, RequestAnswer, SignedRequest};
use super::{HostConfig, HostEvent, Registration};
#[cfg(feature = "http")]
use crate::intake::Failure;
use crate::intake::{Intake, PlatformAnswer, shorten};
use crate::observe::HostMetrics;
use crate::run::{Admitted, Dispatcher, Finished, Sink};
#[cfg(feature = "http")]
use crate::tool::ToolError;
use crate::verify::SecretSource;
use crate::wire::{ConnectUrl, Scope};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) url: ConnectUrl,
    pub(crate) secret: SecretSource,
    pub(super) config: HostConfig,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    /// Where the platform calls while the WebSocket is away.
    pub(super) callback: Option<Callback>,
    pub(super) proxy: Option<Proxy>,
    /// Counts the requests to end a stand-by at once.
    pub(super) take_over: watch::Sender<u64>,
    pub(crate) intake: Intake,
    pub(super) events: Events,
    pub(super) outbox: Outbox,
    /// How many refused calls are logged: strangers can cause them without end.
    pub(super) refusals_logged: Ration,
    /// The same for other frames.
    pub(super) frames_logged: Ration,
    /// What the latest `welcome` said; before it, what the configuration says.
    pub(crate) scope: RwLock<Scope>,
    /// Whether the platform has applied the latest declaration of the tools.
    pub(super) registration: RwLock<Registration>,
    /// Cancelled when the host is told to stop. With a coordinator, it goes on until the connection is handed over.
    pub(super) stop: CancellationToken,
    /// Cancelled when the shutdown begins.
    pub(super) shutdown: CancellationToken,
    /// Whether a second signal stops the host at once, which whoever sent the first one is told.
    pub(super) stops_at_second_signal: AtomicBool,
    pub(super) coordinator: Option<Arc<dyn Coordinator>>,
    /// Whether this process may hold the connection.
    pub(super) lead: watch::Sender<Lead>,
    /// Whether other processes have the secret, too.
    pub(super) is_secret_trusted: AtomicBool,
    pub(super) fence: Fence,
    pub(super) connection: watch::Sender<Connection>,
    /// When the secret was last read because the signature of an HTTP request is wrong.
    #[cfg(feature = "http")]
    pub(crate) secret_read: std::sync::Mutex<Option<Instant>>,
    /// Notified when the tools are to be declared again at once.
    pub(super) declare_again: Notify,
    pub(super) succession: Succession,
}

impl Shared {
    /// Returns the dispatcher, which runs the tools.
    pub(crate) fn dispatcher(&self) -> &Dispatcher {
        self.intake.dispatcher()
    }

    pub(crate) fn metrics(&self) -> &HostMetrics {
        self.dispatcher().metrics()
    }

    pub(super) fn set_registration(&self, registration: Registration) {
        *self.registration.write().unwrap_or_else(PoisonError::into_inner) = registration;
    }

    pub(super) fn set_connection(&self, connection: Connection) {
        self.connection.send_if_modified(|now| std::mem::replace(now, connection) != connection);
    }

    pub(super) fn set_scope(&self, scope: Scope) {
        *self.scope.write().unwrap_or_else(PoisonError::into_inner) = scope;
    }

    /// Decides where an admitted call runs. Returns it if that is here; otherwise `reply` gets its answer.
    pub(crate) fn place(self: &Arc<Self>, mut call: Admitted, reply: Reply) -> Option<Admitted> {
        match &self.coordinator {
            None => Some(call),
            Some(coordinator) => {
                let place = call.lend_place();
                let call = RoutedCall::new(call, self, place.is_free(), reply);
                // A call that a panic drops is answered.
                let placed = catch_unwind(AssertUnwindSafe(|| coordinator.place(call)));
                let call = placed.unwrap_or_default().and_then(RoutedCall::into_inner)?;
                Some(call.with_place(place))
            }
        }
    }

    /// Reports a call that does not run: to the log, the metrics and the events.
    pub(crate) fn note_refusal(&self, call_id: &str, tool: Option<&str>, reason: &'static str) {
        if let Some(left_out) = self.refusals_logged.line() {
            let (call_id, tool) = (shorten(call_id), tool.map(shorten));
            let left_out = (left_out > 0).then_some(left_out);
            tracing::warn!(call_id, tool, reason, left_out, "a call is refused");
        }
        self.metrics().call_refused(reason);
        let tool = tool.map(str::to_owned);
        self.events.tell(HostEvent::CallRefused { call_id: call_id.to_owned(), tool, reason });
    }

    /// Runs a call that came over HTTP to its end, wherever that is.
    #[cfg(feature = "http")]
    pub(crate) async fn run_over_http(self: &Arc<Self>, call: Admitted) -> Result<String, Failure> {
        let (reply, answered) = oneshot::channel();
        if let Some(call) = self.place(call, Reply::Http(reply)) {
            let mut finished = call.run().await;
            return self.finished_over_http(&mut finished);
        }
        // A call that is dropped is answered, too.
        answered.await.unwrap_or_else(|_| {
            let error = ToolError::internal("a call was lost");
            Err(Failure::new(&error, "", false))
        })
    }

    /// Answers a call that came over HTTP: returns the outcome for its response. If the call came over the socket
    /// meanwhile, or comes later, it gets the same answer there.
    #[cfg(feature = "http")]
    pub(crate) fn finished_over_http(&self, call: &mut Finished) -> Result<String, Failure> {
        let make = |call: &Finished, answer| (Arc::clone(&call.call_id), answer);
        let calls = std::slice::from_mut(call);
        let (mut answers, guard) =
            self.intake.answer_all(calls, make, |(call_id, answer)| (call_id, &answer.frame));
        let (call_id, PlatformAnswer { outcome, frame }) = answers.remove(0);
        let asked_again = guard.asked_again();
        if let Some(asked) = asked_again {
            self.outbox.push(AnswerFrame::new(call_id, frame.into(), asked));
        }
        drop(guard);
        if asked_again.is_some() {
            self.yield_answers();
        }
        outcome
    }

    /// Whether another process may have the lead, so that calls over HTTP are for that one.
    #[cfg(feature = "http")]
    pub(crate) fn may_be_led_elsewhere(&self) -> bool {
        self.coordinator.is_some() && *self.lead.borrow() != Lead::Yes
    }

    /// Passes a call that came over HTTP on to the process that has the lead; `None` if that is this one.
    #[cfg(feature = "http")]
    pub(crate) fn forward(&self, call: SignedRequest) -> Option<CoordinatorFuture<RequestAnswer>> {
        let coordinator = self.coordinator.as_ref()?;
        let forwarded = catch_unwind(AssertUnwindSafe(|| coordinator.forward(call))).unwrap_or_default();
        // One that may keep its connection runs it, unless the coordinator knows another process.
        if forwarded.is_none() && *self.lead.borrow() != Lead::No {
            return None;
        }
        Some(forwarded.unwrap_or_else(|| {
            let why = "no process has the connection to the platform, retry";
            Box::pin(std::future::ready(RequestAnswer::unavailable(why)))
        }))
    }

    /// Ready while the host may write to the platform.
    pub(super) fn poll_fence(&self, context: &Context<'_>) -> Poll<()> {
        if self.coordinator.is_none() { Poll::Ready(()) } else { self.fence.poll_open(context) }
    }

    /// Tells the coordinator that the platform has the answers to these calls.
    pub(super) fn delivered(&self, call_ids: Vec<Arc<str>>) {
        if let Some(coordinator) = &self.coordinator
            && !call_ids.is_empty()
            && catch_unwind(AssertUnwindSafe(|| coordinator.delivered(call_ids))).is_err()
        {
            tracing::error!("the coordinator panicked");
        }
    }

    /// Hands answers that this host may not send to its successor or to the coordinator.
    pub(super) fn yield_answers(&self) {
        if let Some(successor) = self.succession.takes_answers() {
            successor.outbox.push_all(self.outbox.take_all(), Instant::now());
            // It may have retired meanwhile, and looked into its outbox for the last time.
            successor.yield_answers();
        }
        if let Some(coordinator) = &self.coordinator
            && *self.lead.borrow() == Lead::No
        {
            let answers = self.outbox.take_all();
            if !answers.is_empty() {
                let keep = || coordinator.keep(answers.into_iter().map(Into::into).collect());
                if catch_unwind(AssertUnwindSafe(keep)).is_err() {
                    tracing::error!("the coordinator panicked, answers are lost");
                }
            }
        }
    }
}

/// Waits until the lead is `wanted`.
pub(super) async fn becomes(lead: &mut watch::Receiver<Lead>, wanted: Lead) {
    // An error means that the host is gone; then nothing waits.
    let _ = lead.wait_for(|lead| *lead == wanted).await;
}

/// Waits until the host may not dial.
pub(super) async fn ends(lead: &mut watch::Receiver<Lead>) {
    let _ = lead.wait_for(|lead| *lead != Lead::Yes).await;
}

impl Sink for Shared {
    fn is_full(&self) -> bool {
        self.outbox.is_full()
    }

    fn has_room(&self) -> impl Future<Output = ()> + Send {
        self.outbox.has_room()
    }

    /// The answers are in the outbox before the calls give up their places, so that a host without calls in flight
    /// has every answer there; and before the calls count as answered, so that nothing else is answered under the id
    /// of a running call.
    fn finished(&self, calls: &mut Vec<Finished>) {
        let mut frames = Frames::default();
        let make = |call: &Finished, answer: PlatformAnswer| {
            let frame = frames.make(answer.frame);
            self.outbox.fit(AnswerFrame::new(Arc::clone(&call.call_id), frame, call.arrived))
        };
        let (answers, guard) = self.intake.answer_all(calls, make, AnswerFrame::texts);
        self.outbox.push_all(answers, Instant::now());
        drop(guard);
        self.yield_answers();
    }
}
