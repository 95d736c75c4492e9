//! The seam for several processes behind one connection: who may dial, where a call runs, who keeps answers.

use std::any::Any;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

#[cfg(feature = "http")]
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::driver::load;
use super::outbox::AnswerFrame;
use super::{HostHandle, HostState, Shared};
use crate::intake::{Answer, Door, Failure, HandedAnswer, HandedCall, RunningCall};
use crate::run::{Admitted, Batch, Finished, Limits, Sink, ToolTable};
use crate::sync::AtomicWaker;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::tool::{BoxError, ToolError, ToolResult};
use crate::verify::{Secret, SecretError};
use crate::wire::CALL_PENDING;

/// A future of a [`Coordinator`].
pub type CoordinatorFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Lets several processes share one connection; given to [`Platools::coordinator`](super::Platools::coordinator).
///
/// The platform keeps one connection for an entity and environment. A coordinator elects the process that holds it,
/// hands calls to the others, and passes answers to whichever process holds it next. Without a coordinator a host
/// dials, runs all calls itself and keeps its answers until it is connected again.
///
/// A host with a coordinator does not dial before [`Gateway::set_lead`] allows it. The crate `platools-fleet` has one.
pub trait Coordinator: fmt::Debug + Send + Sync + 'static {
    /// Receives the host. Called once, when the host begins to run; the host waits for the future before it does
    /// anything else, and stops with [`HostError::Coordinator`](super::HostError::Coordinator) if it fails.
    fn attach(&self, gateway: Gateway) -> CoordinatorFuture<Result<(), BoxError>>;

    /// Decides where a call runs that this process received, over its socket or over HTTP. Return it to run it here; keep
    /// it to have it run elsewhere, and [answer](RoutedCall::answer) it then. Must not block.
    fn place(&self, call: RoutedCall) -> Option<RoutedCall>;

    /// Takes answers that this process cannot send because it lost the lead. The process that has the lead sends them
    /// with [`Gateway::send`]. Must not block.
    fn keep(&self, answers: Vec<KeptAnswer>);

    /// Hears that the platform has the answers to these calls, which this process sent over its socket. Must not block.
    fn delivered(&self, call_ids: Vec<Arc<str>>) {
        let _ = call_ids;
    }

    /// Judges the health of a tool before it is reported to the platform: `here` is why it is down in this process, if it
    /// is. Returns why it is down at all of them. Must not block.
    fn down(&self, tool: &str, here: Option<String>) -> Option<String> {
        let _ = tool;
        here
    }

    /// Gives the connection to another process before this one shuts down. Called once, when the host is to shut down
    /// and before it refuses calls, which it does when the future is ready, or after 10 s.
    fn release(&self) -> CoordinatorFuture<()> {
        Box::pin(ready(()))
    }

    /// Passes on what this process still keeps. Called once, when the host has ended; it returns when the future is
    /// ready, or after 10 s.
    fn finish(&self) -> CoordinatorFuture<()> {
        Box::pin(ready(()))
    }

    /// Takes a call that came over HTTP to a process without [`Lead::Yes`]. The process that has the lead verifies and
    /// runs it with [`Gateway::receive`]. `None` if no other process has the lead: then this one runs it if it may keep
    /// its connection, and refuses it otherwise.
    #[cfg(feature = "http")]
    fn forward(&self, call: SignedRequest) -> Option<CoordinatorFuture<RequestAnswer>> {
        let _ = call;
        None
    }
}

/// Whether a process may hold the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lead {
    /// It may not. A connection is closed.
    No,
    /// It may keep a connection that is open, and dials no other one.
    Keep,
    /// It may.
    Yes,
}

/// What a host has of a connection to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Connection {
    /// None that the platform knows.
    Absent,
    /// The platform said `welcome`.
    Open,
    /// Another one has taken its place: it takes answers, and has no further calls.
    Superseded,
}

/// The interface of a [`Coordinator`] to the host of its process. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    shared: Weak<Shared>,
    state: watch::Receiver<HostState>,
    connection: watch::Receiver<Connection>,
}

impl Gateway {
    pub(super) fn new(shared: &Arc<Shared>, state: watch::Receiver<HostState>) -> Self {
        Self { shared: Arc::downgrade(shared), state, connection: shared.connection.subscribe() }
    }

    fn shared(&self) -> Option<Arc<Shared>> {
        self.shared.upgrade()
    }

    /// Allows the host to hold the connection, or withdraws that: then the host closes its connection, hands over the
    /// answers that it could not send, and stands by.
    pub fn set_lead(&self, lead: Lead) {
        if let Some(shared) = self.shared() {
            shared.lead.send_if_modified(|now| std::mem::replace(now, lead) != lead);
        }
    }

    /// Lets the host write to the platform until this time and no longer; `None`, as at the start, without a limit. A
    /// process that was suspended beyond it notices before it writes: it waits until there is a later time, or until
    /// [`set_lead`](Self::set_lead) withdraws the lead, and then leaves the connection without another word.
    pub fn write_until(&self, until: Option<Instant>) {
        if let Some(shared) = self.shared() {
            shared.fence.set(until);
        }
    }

    /// Announces that another process holds a connection that ends soon, and that [`declare_again`](Self::declare_again)
    /// is called when it has. Without it, a host that is connected anew repeats its declaration several times, since
    /// the end of the older connection hides the tools (protocol §2).
    pub fn expect_end_of_other(&self, expected: bool) {
        if let Some(shared) = self.shared() {
            shared.succession.expect_report(expected);
        }
    }

    /// Declares the tools again at once, if the host is connected and the platform takes another declaration.
    pub fn declare_again(&self) {
        if let Some(shared) = self.shared() {
            shared.declare_again.notify_one();
        }
    }

    /// Runs calls here that come neither from the platform nor from another process; `None` once the host is gone.
    pub fn door(&self) -> Option<Door> {
        self.shared().map(|shared| shared.intake.door())
    }

    /// The tools of this host; `None` once it is gone.
    pub fn tools(&self) -> Option<ToolTable> {
        self.shared().map(|shared| shared.dispatcher().tools().clone())
    }

    /// The handle of this host; `None` once it is gone. It keeps the host's state in memory.
    pub fn host(&self) -> Option<HostHandle> {
        self.shared().map(|shared| HostHandle { shared, state: self.state.clone() })
    }

    /// The current state of the connection.
    pub fn state(&self) -> HostState {
        *self.state.borrow()
    }

    /// Returns whether the host runs: it has begun, and has neither ended nor been dropped.
    pub fn is_running(&self) -> bool {
        self.state.has_changed().is_ok() && !self.state().is_final()
    }

    /// What there is of a connection, whether or not the host is shutting down.
    pub fn connection(&self) -> Connection {
        *self.connection.borrow()
    }

    /// Waits until the [connection](Self::connection) is not `connection`. Returns what it is then; `None` once the host
    /// is gone.
    pub async fn leaves(&self, connection: Connection) -> Option<Connection> {
        let mut connections = self.connection.clone();
        connections.wait_for(|now| *now != connection).await.ok().map(|now| *now)
    }

    /// The limits of this host as they were configured; `None` once it is gone.
    pub fn limits(&self) -> Option<Limits> {
        self.shared().map(|shared| {
            let (max_running, max_blocking) = shared.dispatcher().places();
            Limits { max_running, max_blocking, ..shared.dispatcher().limits().clone() }
        })
    }

    /// Loads the service secret, from which processes that share the connection derive keys.
    ///
    /// # Errors
    /// When it cannot be loaded, or the callback that loads it does not answer within 10 s.
    pub async fn load_secret(&self) -> Result<Secret, SecretError> {
        match self.shared() {
            Some(shared) => load(&shared.secret).await,
            None => Err(SecretError::Callback { problem: "the host has ended".to_owned() }),
        }
    }

    /// The entity, as the configuration names it.
    pub fn entity(&self) -> Option<String> {
        self.shared()?.url.entity()
    }

    /// Says that other processes that share the connection have the secret: if the platform refuses it, it was rotated,
    /// and the host waits for the new one instead of ending.
    pub fn trust_secret(&self) {
        if let Some(shared) = self.shared() {
            shared.is_secret_trusted.store(true, Ordering::Relaxed);
        }
    }

    /// What all processes that share the connection have in common, and others have not: platform, entity and
    /// environment.
    pub fn identity(&self) -> Option<String> {
        self.shared().map(|shared| shared.url.identity())
    }

    /// Runs a call here that another process received, verified and counted against the rate limit of its tool.
    /// `time_left` is the time until its deadline.
    ///
    /// # Errors
    /// When the call is not admitted: its handler has not begun, and another process may run it.
    pub fn run(&self, call: HandedCall, time_left: Duration) -> Result<RunningCall, Failure> {
        let Some(door) = self.door() else {
            let error = ToolError::unavailable("the host has ended, retry");
            return Err(Failure::new(&error, &call.call_id, false));
        };
        door.run_handed(call, time_left)
    }

    /// Returns what runs calls that other processes received. `ended` gets the answers of calls that end together; they
    /// keep their places until it returns. Must not block or panic. `None` once the host is gone.
    pub fn runner(&self, ended: impl Fn(Vec<Answer>) + Send + Sync + 'static) -> Option<Runner> {
        let door = self.door()?;
        let ended = Ended { tell: Box::new(ended), show_internal: door.shows_internal_errors() };
        Some(Runner { batch: door.batch(Arc::new(ended)), door })
    }

    /// Sends an answer that another process kept.
    ///
    /// # Errors
    /// When this process does not have the lead, the platform waits for the answer no longer, or the host is gone. The
    /// answer is returned.
    pub fn send(&self, answer: KeptAnswer) -> Result<(), KeptAnswer> {
        match self.shared() {
            Some(shared) if *shared.lead.borrow() != Lead::No && !answer.time_left().is_zero() => {
                shared.outbox.push(answer.0);
                Ok(())
            }
            _ => Err(answer),
        }
    }

    /// Receives a call that came over HTTP to another process: verifies, admits and runs it. It runs to its end even if
    /// the future is dropped.
    #[cfg(feature = "http")]
    pub async fn receive(&self, call: SignedRequest) -> RequestAnswer {
        match self.shared() {
            Some(shared) => crate::fallback::receive_for_another(&shared, call).await,
            None => RequestAnswer::unavailable("the host has ended, retry"),
        }
    }

    /// What this host knows of the calls that it accepted, for the process that has the lead next: it refuses these
    /// calls then. Large.
    pub fn accepted(&self) -> Vec<u8> {
        self.shared()
            .map(|shared| shared.intake.verifier().memory().export(SystemTime::now()))
            .unwrap_or_default()
    }

    /// Refuses the calls that another process has [accepted](Self::accepted). Returns `false` if the text is none of
    /// this version.
    pub fn refuse_accepted(&self, accepted: &[u8]) -> bool {
        let now = SystemTime::now();
        self.shared().is_some_and(|shared| shared.intake.verifier().memory().import(accepted, now))
    }

    /// What the platform's clock shows now, at most, in microseconds since 1970, as far as the calls that this host
    /// accepted in the last minutes have shown; `None` if it accepted none.
    pub fn platform_time(&self) -> Option<i64> {
        self.shared()?.intake.verifier().memory().platform_time(SystemTime::now())
    }

    /// Refuses calls that were signed until this time, in microseconds since 1970 by the clock of the platform: another
    /// process may have accepted them. A time that is in the future even by that clock, as far as it is known, counts as
    /// now.
    pub fn refuse_signed_until(&self, time: i64) {
        if let Some(shared) = self.shared() {
            shared.intake.verifier().memory().refuse_until(time, SystemTime::now());
        }
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

/// Runs calls that other processes received, verified and counted against the rate limits of their tools. Those that are
/// [started](Self::start) together cost less than one by one.
pub struct Runner {
    batch: Batch<Ended>,
    door: Door,
}

/// Where the answers of a [`Runner`] go.
struct Ended {
    tell: Box<dyn Fn(Vec<Answer>) + Send + Sync>,
    show_internal: bool,
}

impl Runner {
    /// Admits a call. It may begin at once, and begins with [`start`](Self::start) at the latest. `time_left` is the time
    /// until its deadline; `cancel` cancels it.
    ///
    /// # Errors
    /// When the call is not admitted: its handler has not begun, and another process may run it.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn push(
        &mut self,
        call: HandedCall,
        time_left: Duration,
        cancel: CancellationToken,
    ) -> Result<(), Failure> {
        self.batch.push(self.door.admit_handed(call, time_left)?.cancelled_by(cancel));
        Ok(())
    }

    /// Starts the calls that were added.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn start(&mut self) {
        self.batch.start(None);
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

impl Sink for Ended {
    fn is_full(&self) -> bool {
        false
    }

    async fn has_room(&self) {}

    fn finished(&self, calls: &mut Vec<Finished>) {
        (self.tell)(calls.iter_mut().map(|call| Answer::take(call, self.show_internal)).collect());
    }
}

/// A call that a [`Coordinator`] places. It counts as in flight here until it is answered, so keep it no longer than its
/// [time](Admitted::time_left). Dropping it answers the call with an error of the kind
/// `Unavailable`, so that the platform does not wait in vain.
pub struct RoutedCall {
    call: Option<Admitted>,
    shared: Arc<Shared>,
    has_place: bool,
    reply: Reply,
}

/// Where the answer to a routed call goes.
pub(crate) enum Reply {
    /// To the platform, over the socket.
    Socket,
    /// To the client that waits for its response.
    #[cfg(feature = "http")]
    Http(oneshot::Sender<Result<String, Failure>>),
}

impl RoutedCall {
    pub(super) fn new(call: Admitted, shared: &Arc<Shared>, has_place: bool, reply: Reply) -> Self {
        Self { call: Some(call), shared: Arc::clone(shared), has_place, reply }
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

    /// Returns whether the call would run here at once. Otherwise it would wait for others to end.
    pub fn has_place(&self) -> bool {
        self.has_place
    }

    /// Keeps `guard` until the call is answered, for a coordinator that counts what runs here.
    #[must_use]
    pub fn holding(mut self, guard: impl Any + Send + Sync) -> Self {
        if let Some(call) = &mut self.call {
            call.hold(Box::new(guard));
        }
        self
    }

    /// The call for another process to run. What comes back is for [`answer`](Self::answer).
    pub fn to_handed(&self) -> HandedCall {
        HandedCall::new(self.call())
    }

    /// Returns whether the call counts against the rate limit of its tool only after its caller is verified: then
    /// [`count`](Self::count) it before another process runs it, where it counts no more.
    pub fn is_uncounted(&self) -> bool {
        self.call().is_uncounted()
    }

    /// Verifies the caller, and counts the call against the rate limit of its tool.
    ///
    /// # Errors
    /// When the caller is not allowed to call the tool, or too often: answer the call with it.
    pub async fn count(&self) -> Result<(), ToolError> {
        self.call().count().await
    }

    /// Answers the call with what another process answered.
    pub fn answer(self, answer: Answer) {
        Self::answer_all([(self, answer)]);
    }

    /// Answers calls of one host with what other processes answered. Together they cost less than one by one.
    pub fn answer_all(answers: impl IntoIterator<Item = (Self, Answer)>) {
        let mut finished = Vec::new();
        let mut host = None;
        for (mut call, answer) in answers {
            let outcome = answer.outcome.map_err(|failure| {
                let is_refusal = failure.kind().is_refusal();
                let error = failure.into_error();
                if is_refusal { error.into_refusal() } else { error }
            });
            if let Reply::Socket = call.reply
                && let Some(admitted) = call.call.take()
            {
                finished.push(admitted.finish(outcome));
                host.get_or_insert_with(|| Arc::clone(&call.shared));
            } else {
                call.finish(outcome);
            }
        }
        if let Some(host) = host {
            host.finished(&mut finished);
        }
    }

    /// Answers the call with an error.
    pub fn fail(mut self, error: ToolError) {
        self.finish(Err(error.into_refusal()));
    }

    fn finish(&mut self, result: ToolResult) {
        let Some(call) = self.call.take() else { return };
        let finished = call.finish(result);
        match std::mem::replace(&mut self.reply, Reply::Socket) {
            Reply::Socket => self.shared.finished(&mut vec![finished]),
            #[cfg(feature = "http")]
            Reply::Http(client) => {
                let mut finished = finished;
                let _ = client.send(self.shared.finished_over_http(&mut finished));
            }
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

    /// The answer to a call that another process ran, and that this one did not receive; the platform waits for it so
    /// long, at most 30 s (protocol §3).
    pub fn of(call_id: &str, answer: HandedAnswer, time_left: Duration) -> Self {
        Self::new(call_id, answer.into_frame(call_id), time_left)
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

/// A call over HTTP as it travels to the process that has the lead, unverified.
#[cfg(feature = "http")]
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct SignedRequest {
    /// The envelope that its headers are, as JSON.
    pub(crate) envelope: String,
    /// The text that was signed.
    pub(crate) body: String,
    pub(crate) traceparent: Option<String>,
}

#[cfg(feature = "http")]
impl fmt::Debug for SignedRequest {
    /// Without the user's token, and what the user sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedRequest").finish_non_exhaustive()
    }
}

/// The response to a [`SignedRequest`].
#[cfg(feature = "http")]
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct RequestAnswer {
    /// The status.
    pub(crate) status: u16,
    /// `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u64>,
    /// JSON with a status of 200, otherwise plain text.
    pub(crate) body: String,
}

#[cfg(feature = "http")]
impl RequestAnswer {
    /// The response of a process that cannot serve the call at the moment.
    pub fn unavailable(why: &str) -> Self {
        Self { retry_after: Some(1), ..Self::uncertain(why) }
    }

    /// The response when it is not known whether the call has run, so that it must not simply be sent again.
    pub fn uncertain(why: &str) -> Self {
        Self { status: 503, retry_after: None, body: format!("unavailable: {why}") }
    }
}

#[cfg(feature = "http")]
impl fmt::Debug for RequestAnswer {
    /// Without the body, which holds a result.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Until when the host may write to the platform.
#[derive(Debug)]
pub(super) struct Fence {
    base: Instant,
    /// In microseconds since `base`; `u64::MAX` without a limit.
    until: AtomicU64,
    waiting: AtomicWaker,
}

impl Default for Fence {
    fn default() -> Self {
        Self { base: Instant::now(), until: AtomicU64::new(u64::MAX), waiting: AtomicWaker::new() }
    }
}

impl Fence {
    fn set(&self, until: Option<Instant>) {
        let until =
            until.map_or(u64::MAX, |until| until.saturating_duration_since(self.base).as_micros() as u64);
        self.until.store(until, Ordering::Release);
        self.waiting.wake();
    }

    /// Returns whether nothing may be written now.
    pub(super) fn is_closed(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        until != u64::MAX && self.base.elapsed().as_micros() as u64 >= until
    }

    /// Ready while something may be written.
    pub(super) fn poll_open(&self, context: &Context<'_>) -> Poll<()> {
        if !self.is_closed() {
            return Poll::Ready(());
        }
        self.waiting.register(context.waker());
        // Once more, so that no change is missed.
        if self.is_closed() { Poll::Pending } else { Poll::Ready(()) }
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
