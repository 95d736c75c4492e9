//! One member at work: it tells its machine what happens, and does what the machine says.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_nats::Subscriber;
use futures_util::StreamExt as _;
use platools::host::{
    Connection as HostConnection, Gateway, HostEvent, KeptAnswer, Lead as HostLead, RoutedCall, Runner,
};
#[cfg(feature = "http")]
use platools::host::{RequestAnswer, SignedRequest};
use platools::intake::{Answer, HandedAnswer, HandedCall};
use platools::tool::{Execution, ToolError};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::declare::{Union, declared};
use crate::desk::{End, Place};
use crate::figures::Latencies;
use crate::link::{Inbox, Link, Numbered, Outgoing};
use crate::map::HashMap;
use crate::message::{CallId, MemberId, Message, Report};
use crate::node::{Connection, Lead, Node, Output, Role};
use crate::seal::{Keys, SealError};
use crate::status::{FleetStatus, MemberRole, MemberStatus};
use crate::time::{Time, ms};
use crate::{FleetError, observe};

/// How often the machine is told the time.
const TICK: Duration = Duration::from_millis(100);
/// How many messages are handled together.
const TOGETHER: usize = 256;
/// How long answers may take to be passed on when the host has ended.
const FINISH_TIME: Duration = Duration::from_secs(5);
/// How long NATS may take to take the last messages.
const FLUSH_TIME: Duration = Duration::from_secs(2);
/// How often the secret is read again because messages cannot be opened.
const READ_SECRET_EVERY: Duration = Duration::from_secs(1);
/// How often it is said that the members have another secret.
const WARN_OF_SECRET_EVERY: Duration = Duration::from_secs(30);
/// How many ticks pass from one look at the tools' health and the figures to the next: probes are the program's code.
const LOOK_EVERY: u64 = 4;
/// How often the figures of the members go to the metrics.
const OBSERVE_EVERY: Time = ms(1_000);
/// How long the gateway may take to answer a call over HTTP: no call takes longer (protocol §6).
#[cfg(feature = "http")]
const RESPONSE_TIME: Duration = Duration::from_secs(30);
/// How long it may take until the next gateway takes calls over HTTP.
#[cfg(feature = "http")]
const CHANGE_TIME: Duration = Duration::from_secs(3);
/// How much of an id names a member, at least.
const SHORTEST_ID: usize = 8;
/// How long a member may take to say that it drains; the operator waits longer.
const DRAIN_TIME: Duration = Duration::from_secs(2);

pub(crate) type Call = Arc<HandedCall>;
pub(crate) type AnswerBody = Arc<Body>;

/// An answer as it travels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Body {
    Handed(HandedAnswer),
    /// The frame of an answer that a host could not send.
    Frame(String),
}

impl Body {
    fn bytes(&self) -> usize {
        match self {
            Self::Handed(answer) => answer.size(),
            Self::Frame(frame) => frame.len(),
        }
    }
}

/// What members send each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Wire {
    Machine(Message<Call, AnswerBody>),
    /// What a gateway has accepted, for the next one.
    Accepted(String),
    /// A call over HTTP, for the gateway, and its response.
    Request(Numbered<String>),
    Response(Numbered<String>),
    /// An operator asks how the fleet is.
    Ask(Numbered<()>),
    Status(Numbered<FleetStatus>),
    /// An operator, or the gateway for one, asks a member to drain.
    Drain(Numbered<String>),
    /// The name of the member that drains, from which it comes.
    Drains(Numbered<Result<String, NotDrained>>),
}

/// Why no member drains.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum NotDrained {
    /// None is called so; the names of all members.
    Unknown(String),
    /// Several are called so: their ids and names.
    Several(String),
    /// The member, by its name, does not answer.
    Silent(String),
}

/// The machine and what belongs to its calls.
struct State {
    node: Node<Call, AnswerBody>,
    /// Calls that other members run.
    routed: HashMap<CallId, RoutedCall>,
    /// What the machine knows of the connection to the platform.
    connection: HostConnection,
    latencies: Latencies,
}

/// What is to be done without the lock.
#[derive(Default)]
struct Later {
    settle: Vec<(CallId, Option<RoutedCall>, End<AnswerBody>)>,
    runs: Vec<(CallId, Time, Call)>,
    cancels: Vec<CallId>,
    look: bool,
    writes: Vec<(Option<u64>, crate::lease::Record)>,
    hint: bool,
    give_accepted: Option<MemberId>,
}

/// One member.
pub(crate) struct Shell {
    me: MemberId,
    name: String,
    build: String,
    start: Instant,
    entity: String,
    gateway: Gateway,
    link: Link,
    state: Mutex<State>,
    cancels: Mutex<HashMap<CallId, CancellationToken>>,
    /// Runs the calls that the gateway hands to this member; made for the first of them.
    runner: Mutex<Option<Runner>>,
    out: mpsc::UnboundedSender<Outgoing<Wire>>,
    offers: Notify,
    released: watch::Sender<bool>,
    role: watch::Sender<Role>,
    secret_read: Mutex<Option<Instant>>,
    /// Held while the secret is read, which may take long.
    reading_secret: tokio::sync::Mutex<()>,
    secret_warned: Mutex<Option<Instant>>,
    /// Requests that wait for their responses.
    asked: Mutex<HashMap<u64, Asked>>,
    /// Members that are told to drain.
    draining: Mutex<HashMap<u64, oneshot::Sender<()>>>,
    next: AtomicU64,
    /// Calls over HTTP that other members passed on.
    requests: TaskTracker,
    /// How many messages were refused.
    refused: AtomicU64,
    stop: CancellationToken,
}

impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shell").field("me", &self.me).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A call over HTTP that this member passed on to the gateway.
struct Asked {
    gateway: MemberId,
    /// The response; empty if that member is not the gateway, and has not taken the call.
    response: oneshot::Sender<String>,
}

/// Forgets a request when nobody waits for its response any more.
#[cfg(feature = "http")]
struct Asking {
    shell: Arc<Shell>,
    number: u64,
}

#[cfg(feature = "http")]
impl Drop for Asking {
    fn drop(&mut self) {
        self.shell.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// Counts a call that runs at the gateway itself, until it is answered.
struct Here {
    shell: Weak<Shell>,
    call_id: CallId,
    began: Instant,
}

impl Drop for Here {
    fn drop(&mut self) {
        if let Some(shell) = self.shell.upgrade() {
            let latency = self.began.elapsed();
            shell.with(|state, now| {
                state.node.ended_here(&self.call_id);
                state.latencies.add(now, latency);
            });
        }
    }
}

/// Whether the last time is that long ago, or there was none. If so, this is the last time from now on.
fn is_due(last: &Mutex<Option<Instant>>, every: Duration) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let is_due = last.is_none_or(|last| last.elapsed() >= every);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

impl Shell {
    /// Joins the fleet of this host.
    ///
    /// # Errors
    /// When NATS cannot be used.
    pub(crate) async fn start(config: &Config, gateway: Gateway) -> Result<Arc<Self>, FleetError> {
        let Some(identity) = gateway.identity() else { return Err(FleetError::NoGateway) };
        for doubt in config.doubts() {
            tracing::warn!("{doubt}");
        }
        let me = MemberId::random()?;
        let keys = Arc::new(Keys::new(&identity, &gateway.load_secret().await?));
        let link = Link::connect(config, &identity, Arc::clone(&keys), me).await?;
        let (messages, hints) = (link.subscribe().await?, link.subscribe_hints().await?);
        let node = Node::new(me, config.name.clone(), config.gateway_serves_calls);
        let (out, outgoing) = mpsc::unbounded_channel();
        let shell = Arc::new(Self {
            me,
            name: config.name.clone(),
            build: config.build.clone(),
            start: Instant::now(),
            entity: gateway.entity().unwrap_or_default(),
            gateway,
            link,
            state: Mutex::new(State {
                node,
                routed: HashMap::default(),
                connection: HostConnection::Absent,
                latencies: Latencies::default(),
            }),
            cancels: Mutex::default(),
            runner: Mutex::default(),
            out,
            offers: Notify::new(),
            released: watch::Sender::new(false),
            role: watch::Sender::new(Role::Waiting),
            secret_read: Mutex::default(),
            reading_secret: tokio::sync::Mutex::default(),
            secret_warned: Mutex::default(),
            asked: Mutex::default(),
            draining: Mutex::default(),
            next: AtomicU64::new(0),
            requests: TaskTracker::new(),
            refused: AtomicU64::new(0),
            stop: CancellationToken::new(),
        });
        tracing::info!(member = shell.name, id = ?me, build = shell.build, "joining the fleet");
        if !shell.link.is_connected() {
            tracing::warn!("the NATS server of the fleet is away: this member waits for it");
        }
        shell.spawn(Arc::clone(&shell).send_all(outgoing));
        shell.spawn(Arc::clone(&shell).receive_all(messages, keys));
        shell.spawn(Arc::clone(&shell).hear_hints(hints));
        shell.spawn(Arc::clone(&shell).watch_connection());
        shell.spawn(Arc::clone(&shell).watch_refusals());
        shell.spawn(Arc::clone(&shell).keep_table());
        shell.spawn(Arc::clone(&shell).tick_on());
        Ok(shell)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(task));
    }

    fn send(&self, to: MemberId, wire: Wire) {
        let _ = self.out.send(Outgoing::Message(to, wire));
    }

    fn now(&self) -> Time {
        self.start.elapsed()
    }

    /// Lets the machine do something, and then does what it says.
    fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut State, Time) -> T) -> T {
        let mut later = Later::default();
        let (result, now) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.now();
            let result = act(&mut state, now);
            for output in state.node.take_outputs() {
                self.on_output(&mut state, output, &mut later);
            }
            (result, now)
        };
        self.do_later(now, later);
        result
    }

    /// Does what does not come back to the machine. The lock keeps messages in their order.
    fn on_output(&self, state: &mut State, output: Output<Call, AnswerBody>, later: &mut Later) {
        match output {
            Output::Look => later.look = true,
            Output::Write { expected, record } => later.writes.push((expected, record)),
            Output::Send(to, message) => {
                self.send(to, Wire::Machine(message));
            }
            Output::Hint => later.hint = true,
            Output::Lead(lead) => self.gateway.set_lead(match lead {
                Lead::No => HostLead::No,
                Lead::Keep => HostLead::Keep,
                Lead::Yes => HostLead::Yes,
            }),
            Output::WriteUntil(until) => self.gateway.write_until(Some(self.start + until)),
            Output::ExpectEnd(expected) => self.gateway.expect_end_of_other(expected),
            Output::DeclareAgain => self.gateway.declare_again(),
            Output::RefuseSignedUntil(time) => self.gateway.refuse_signed_until(time),
            Output::GiveAccepted(to) => later.give_accepted = Some(to),
            Output::Run { call_id, left, call } => later.runs.push((call_id, left, call)),
            Output::Cancel { call_id } => later.cancels.push(call_id),
            Output::Settle { call_id, end } => {
                let call = state.routed.remove(&call_id);
                later.settle.push((call_id, call, end));
            }
            Output::Deliver { call_id, left, end } => self.deliver(&call_id, left, end),
            Output::Offers => self.offers.notify_one(),
            Output::Released => {
                self.released.send_replace(true);
            }
            Output::Alone(true) => tracing::warn!(
                "NATS is away for longer than the lease holds: serving alone on the open connection, which is not \
                 opened again if it breaks"
            ),
            Output::Alone(false) => tracing::info!("NATS is back, and the lease is still ours"),
            Output::Role(role) => {
                let before = self.role.send_replace(role);
                match role {
                    Role::Gateway => tracing::info!("this member is the gateway of the fleet now"),
                    Role::Gathering => tracing::info!("this member has the lease of the fleet"),
                    Role::Member => {
                        // Others have it, too: if the platform refuses it one day, it was rotated.
                        self.gateway.trust_secret();
                        tracing::info!("this member is attached to the gateway of the fleet");
                    }
                    Role::Waiting => tracing::warn!("the fleet has no gateway"),
                }
                observe::role(&self.entity, role == Role::Gateway);
                if before == Role::Gateway {
                    self.offers.notify_one();
                }
            }
        }
    }

    fn do_later(self: &Arc<Self>, now: Time, later: Later) {
        if later.look {
            let shell = Arc::clone(self);
            self.spawn(async move {
                let stored = shell.link.look().await;
                let is_unreadable = matches!(stored, Ok(Some((_, None))));
                shell.with(|state, at| state.node.looked(at, now, stored));
                if is_unreadable && shell.read_secret().await == Some(false) {
                    shell.warn_of_secret();
                }
            });
        }
        for (expected, record) in later.writes {
            let shell = Arc::clone(self);
            self.spawn(async move {
                let written = shell.link.write(expected, &record).await;
                shell.with(|state, at| state.node.written(at, now, written));
            });
        }
        if later.hint {
            let shell = Arc::clone(self);
            self.spawn(async move { shell.link.hint().await });
        }
        if !later.settle.is_empty() {
            self.settle(later.settle);
        }
        if !later.runs.is_empty() {
            self.run(later.runs);
        }
        for call_id in later.cancels {
            let token = self.cancels.lock().unwrap_or_else(PoisonError::into_inner).remove(&call_id);
            if let Some(token) = token {
                token.cancel();
            }
        }
        if let Some(to) = later.give_accepted {
            self.give_accepted(to);
        }
    }

    fn give_accepted(self: &Arc<Self>, to: MemberId) {
        let accepted = String::from_utf8(self.gateway.accepted()).unwrap_or_default();
        self.send(to, Wire::Accepted(accepted));
    }

    // --- calls

    /// Decides where a call of the platform runs.
    pub(crate) fn place(self: &Arc<Self>, call: RoutedCall) -> Option<RoutedCall> {
        if call.is_uncounted() {
            let shell = Arc::clone(self);
            // The caller is verified here, so that the fleet counts calls of users together.
            tokio::spawn(async move {
                match call.count().await {
                    Ok(()) => {
                        let handed = call.to_handed();
                        if let Some(call) = shell.place_counted(call) {
                            shell.run_apart(call, handed).await;
                        }
                    }
                    Err(error) => call.fail(error),
                }
            });
            return None;
        }
        self.place_counted(call)
    }

    fn place_counted(self: &Arc<Self>, call: RoutedCall) -> Option<RoutedCall> {
        let admitted = call.call();
        let call_id: CallId = admitted.call_id().into();
        let tool: Arc<str> = admitted.tool().name.as_str().into();
        let left = admitted.time_left();
        let mut kept = Some(call);
        let place = self.with(|state, now| {
            let call = kept.as_ref()?;
            let place =
                state.node.place(now, &call_id, &tool, left, call.has_place(), || Arc::new(call.to_handed()));
            if let Place::At(_) = place
                && let Some(call) = kept.take()
            {
                state.routed.insert(Arc::clone(&call_id), call);
            }
            Some(place)
        });
        let call = kept?;
        if place != Some(Place::Here) {
            call.fail(nowhere());
            return None;
        }
        let here = Here { shell: Arc::downgrade(self), call_id, began: Instant::now() };
        Some(call.holding(here))
    }

    /// Runs a call here that came through [`place`](Self::place) and was counted.
    async fn run_apart(&self, call: RoutedCall, handed: HandedCall) {
        let call_id = handed.call_id.clone();
        match self.gateway.run(handed, call.call().time_left()) {
            Ok(running) => call.answer(running.await),
            Err(failure) => call.answer(HandedAnswer::from(failure).into_answer(call_id)),
        }
    }

    fn settle(&self, ended: Vec<(CallId, Option<RoutedCall>, End<AnswerBody>)>) {
        let mut answers = Vec::with_capacity(ended.len());
        for (call_id, call, end) in ended {
            let Some(call) = call else { continue };
            match end {
                End::Answer(body) => match Arc::unwrap_or_clone(body) {
                    Body::Handed(answer) => answers.push((call, answer.into_answer(call_id))),
                    Body::Frame(frame) => {
                        // Whoever wrote it answered the call; the platform ignores what follows.
                        let _ = self.gateway.send(KeptAnswer::new(&call_id, frame, call.call().time_left()));
                        call.fail(lost());
                    }
                },
                End::Lost => call.fail(lost()),
                End::Nowhere => call.fail(nowhere()),
                End::Expired => call.fail(self.expired()),
            }
        }
        RoutedCall::answer_all(answers);
    }

    fn expired(&self) -> ToolError {
        ToolError::timed_out(self.gateway.limits().unwrap_or_default().call_timeout)
    }

    /// Sends an answer to a call that another gateway received.
    fn deliver(&self, call_id: &CallId, left: Time, end: End<AnswerBody>) {
        let error =
            |error: ToolError| HandedAnswer::from(Answer::new(Arc::clone(call_id), Err(error), false));
        let answer = match end {
            End::Answer(body) => match Arc::unwrap_or_clone(body) {
                Body::Handed(answer) => KeptAnswer::of(call_id, answer, left),
                Body::Frame(frame) => KeptAnswer::new(call_id, frame, left),
            },
            End::Lost => KeptAnswer::of(call_id, error(lost()), left),
            End::Nowhere => KeptAnswer::of(call_id, error(nowhere()), left),
            End::Expired => KeptAnswer::of(call_id, error(self.expired()), left),
        };
        if self.gateway.send(answer).is_err() {
            tracing::warn!(call_id = &**call_id, "the answer to a call came too late for the platform");
        }
    }

    /// Runs calls that the gateway has handed to this member.
    fn run(self: &Arc<Self>, calls: Vec<(CallId, Time, Call)>) {
        let tokens: Vec<_> = calls.iter().map(|_| CancellationToken::new()).collect();
        {
            let mut cancels = self.cancels.lock().unwrap_or_else(PoisonError::into_inner);
            for ((call_id, ..), token) in calls.iter().zip(&tokens) {
                cancels.insert(Arc::clone(call_id), token.clone());
            }
        }
        let mut refused = Vec::new();
        {
            let mut runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner);
            if runner.is_none() {
                let shell = Arc::downgrade(self);
                *runner = self.gateway.runner(move |answers| {
                    if let Some(shell) = shell.upgrade() {
                        shell.ended(answers);
                    }
                });
            }
            for ((call_id, left, call), token) in calls.into_iter().zip(tokens) {
                let call = Arc::unwrap_or_clone(call);
                let pushed = runner.as_mut().map(|runner| runner.push(call, left, token));
                match pushed {
                    Some(Ok(())) => {}
                    Some(Err(failure)) => refused.push((call_id, Some(failure))),
                    // The host has ended.
                    None => refused.push((call_id, None)),
                }
            }
            if let Some(runner) = &mut *runner {
                runner.start();
            }
        }
        if refused.is_empty() {
            return;
        }
        self.forget_cancels(refused.iter().map(|(call_id, _)| &**call_id));
        self.with(|state, now| {
            for (call_id, failure) in refused {
                let body = failure.map(|failure| Arc::new(Body::Handed(failure.into())));
                state.node.refused(now, &call_id, body);
            }
        });
    }

    fn forget_cancels<'a>(&self, call_ids: impl Iterator<Item = &'a str>) {
        let mut cancels = self.cancels.lock().unwrap_or_else(PoisonError::into_inner);
        for call_id in call_ids {
            cancels.remove(call_id);
        }
    }

    /// Calls that [`run`](Self::run) began have ended.
    fn ended(self: &Arc<Self>, answers: Vec<Answer>) {
        self.forget_cancels(answers.iter().map(|answer| &*answer.call_id));
        self.with(|state, now| {
            for answer in answers {
                let (call_id, latency) = (Arc::clone(&answer.call_id), answer.latency);
                let body = Body::Handed(answer.into());
                let bytes = body.bytes();
                state.latencies.add(now, latency);
                state.node.finished(now, &call_id, Arc::new(body), bytes);
            }
        });
    }

    /// Keeps answers that the host cannot send.
    pub(crate) fn keep(self: &Arc<Self>, answers: Vec<KeptAnswer>) {
        self.with(|state, now| {
            for answer in answers {
                let body = Body::Frame(answer.frame().to_owned());
                let (call_id, bytes): (CallId, usize) = (answer.call_id().into(), body.bytes());
                state.node.kept(now, &call_id, answer.time_left(), Arc::new(body), bytes);
            }
        });
    }

    /// The platform has the answers to these calls.
    pub(crate) fn delivered(self: &Arc<Self>, call_ids: &[CallId]) {
        self.with(|state, now| state.node.delivered(now, call_ids));
    }

    /// Why a tool is down, at all members that have it.
    pub(crate) fn down(&self, tool: &str) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.node.desk().down(tool).map(str::to_owned)
    }

    /// Why a tool is down, where `here` is why it is down at this member.
    pub(crate) fn judge(&self, tool: &str, here: Option<String>) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let desk = state.node.desk();
        if desk.is_offered(tool) { desk.down(tool).map(str::to_owned) } else { here }
    }

    // --- the end

    /// Gives the lease away, if this member has it, and takes no further calls.
    pub(crate) async fn release(self: Arc<Self>) {
        self.released.send_replace(false);
        self.with(|state, now| state.node.release(now));
        let mut released = self.released.subscribe();
        let _ = released.wait_for(|released| *released).await;
    }

    /// Passes on what is left, and leaves the fleet.
    pub(crate) async fn finish(self: Arc<Self>) {
        self.requests.close();
        let passed_on = async {
            // All calls have ended: these write their responses.
            self.requests.wait().await;
            loop {
                let is_done = {
                    let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                    !state.node.shelf().has_untaken()
                };
                if is_done {
                    break;
                }
                tokio::time::sleep(TICK / 4).await;
            }
        };
        if timeout(FINISH_TIME, passed_on).await.is_err() {
            tracing::warn!("no gateway has taken the last answers of this member");
        }
        self.note_connection();
        self.with(|state, now| state.node.say_goodbye(now));
        let given_up = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            // A call of the last moment counts, too.
            state.node.set_platform_time(self.now(), self.gateway.platform_time());
            state.node.give_up(self.now())
        };
        if let Some((expected, record)) = given_up {
            let _ = self.link.write(expected, &record).await;
            self.link.hint().await;
        }
        // What is queued is sealed and with NATS before the process ends.
        let (flushed, is_flushed) = oneshot::channel();
        let _ = self.out.send(Outgoing::Flush(flushed));
        if timeout(FLUSH_TIME, is_flushed).await.is_err() {
            tracing::warn!("NATS has not taken the last messages of this member");
        }
        self.stop.cancel();
    }

    // --- tasks

    async fn send_all(self: Arc<Self>, outgoing: mpsc::UnboundedReceiver<Outgoing<Wire>>) {
        self.link.send_all(outgoing).await;
    }

    async fn receive_all(self: Arc<Self>, messages: Subscriber, keys: Arc<Keys>) {
        let mut inbox = Inbox::new(keys, self.me);
        let mut messages = messages.ready_chunks(TOGETHER);
        while let Some(some) = messages.next().await {
            let mut machine = Vec::new();
            for message in some {
                match inbox.open::<Wire>(&message.payload) {
                    Ok((from, wires)) => {
                        for wire in wires {
                            match wire {
                                Wire::Machine(message) => machine.push((from, message)),
                                other => self.on_wire(from, other),
                            }
                        }
                    }
                    Err(error) => {
                        observe::message_refused(error.reason());
                        self.refused.fetch_add(1, Ordering::Relaxed);
                        tracing::debug!("a message is refused: {error}");
                        if error == SealError::UnknownKey {
                            let shell = Arc::clone(&self);
                            self.spawn(async move {
                                shell.read_secret().await;
                            });
                        }
                    }
                }
            }
            if !machine.is_empty() {
                self.with(|state, now| {
                    for (from, message) in machine {
                        state.node.message(now, from, message);
                    }
                });
            }
        }
    }

    async fn hear_hints(self: Arc<Self>, mut hints: Subscriber) {
        while hints.next().await.is_some() {
            self.with(|state, now| state.node.on_hint(now));
        }
    }

    /// Reads the secret again, at most once a second: it may have been rotated. Returns whether it was; `None` if that is
    /// not known.
    async fn read_secret(self: &Arc<Self>) -> Option<bool> {
        if is_due(&self.secret_read, READ_SECRET_EVERY) { self.read_secret_now().await } else { None }
    }

    async fn read_secret_now(self: &Arc<Self>) -> Option<bool> {
        let _reading = self.reading_secret.lock().await;
        match self.gateway.load_secret().await {
            Ok(secret) => {
                let is_new = self.link.keys().add(&secret);
                if is_new {
                    tracing::info!("the secret was rotated, members use the new keys");
                    self.with(|state, now| state.node.secret_changed(now));
                }
                Some(is_new)
            }
            Err(error) => {
                tracing::warn!("the secret cannot be read again: {error}");
                None
            }
        }
    }

    /// Says that the members have another secret.
    fn warn_of_secret(&self) {
        if is_due(&self.secret_warned, WARN_OF_SECRET_EVERY) {
            tracing::warn!(
                "the gateway of the fleet has another secret than this process, which therefore waits: give all \
                 replicas the same one"
            );
        }
    }

    /// Leaves the lease to others when the platform refuses the secret.
    async fn watch_refusals(self: Arc<Self>) {
        let Some(host) = self.gateway.host() else { return };
        let mut events = host.events();
        drop(host);
        while let Some(event) = events.next().await {
            if event == HostEvent::SecretRefused && self.read_secret_now().await != Some(true) {
                tracing::warn!(
                    "the platform refuses the secret of this member, which leaves the connection to others until it \
                     reads another one"
                );
                self.with(|state, now| state.node.secret_refused(now));
            }
        }
    }

    async fn watch_connection(self: Arc<Self>) {
        let mut connection = HostConnection::Absent;
        while let Some(next) = self.gateway.leaves(connection).await {
            connection = next;
            self.note_connection();
            if connection == HostConnection::Open {
                let shell = Arc::clone(&self);
                // It may have been refused with another secret before.
                self.spawn(async move {
                    shell.read_secret_now().await;
                });
            }
        }
        self.note_connection();
    }

    /// Tells the machine what became of the connection to the platform.
    fn note_connection(self: &Arc<Self>) {
        let successor = self.with(|state, now| {
            // Read under the lock, so that the latest is told last.
            let connection = self.gateway.connection();
            if std::mem::replace(&mut state.connection, connection) == connection {
                return None;
            }
            let successor = state.node.leaving_to();
            state.node.connection(
                now,
                match connection {
                    HostConnection::Open => Connection::Open,
                    HostConnection::Superseded => Connection::Superseded,
                    _ => Connection::Gone,
                },
            );
            successor
        });
        if let Some(successor) = successor {
            // All that was accepted since the offer.
            self.give_accepted(successor);
        }
    }

    /// Keeps the tools of the fleet in the table of the gateway, and tells the machine of changes to this member's own.
    async fn keep_table(self: Arc<Self>) {
        let Some(table) = self.gateway.tools() else { return };
        let mut changes = table.changes();
        let mut union = Union::default();
        let weak = Arc::downgrade(&self);
        loop {
            changes.mark_unchanged();
            let own: Vec<_> = union.own(&table).iter().map(declared).collect();
            let offers = self.with(|state, now| {
                state.node.set_tools(now, own);
                let leads = matches!(state.node.role(), Role::Gateway | Role::Gathering);
                leads.then(|| state.node.desk().offers().cloned().collect::<Vec<_>>())
            });
            union.apply(&table, self.me, &offers.unwrap_or_default(), &weak);
            tokio::select! {
                is_there = changes.changed() => {
                    if !is_there {
                        return;
                    }
                }
                () = self.offers.notified() => {}
            }
        }
    }

    async fn tick_on(self: Arc<Self>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut observed = Time::ZERO;
        let mut known = HashSet::new();
        let mut losses = self.link.losses();
        let mut term = 0;
        let mut has_resigned = false;
        for number in 0_u64.. {
            tick.tick().await;
            let (Some(limits), Some(door), true) =
                (self.gateway.limits(), self.gateway.door(), self.gateway.is_running())
            else {
                // The host was dropped without an end: for the others this member is lost.
                self.stop.cancel();
                return;
            };
            let down = number.is_multiple_of(LOOK_EVERY).then(|| {
                let entries = door.tools().list();
                let local = entries.iter().filter(|entry| entry.execution() == Execution::Local);
                local
                    .filter_map(|entry| Some((entry.name().to_owned(), entry.down_reason()?)))
                    .collect::<Vec<_>>()
            });
            if has_resigned {
                let shell = Arc::clone(&self);
                self.spawn(async move {
                    shell.read_secret().await;
                });
            }
            let platform_time = self.gateway.platform_time();
            let (is_connected, lost) = (self.link.is_connected(), self.link.losses());
            let in_flight = door.in_flight();
            let holder;
            (has_resigned, holder) = self.with(|state, now| {
                let node = &mut state.node;
                if let Some(down) = down {
                    node.set_report(Report {
                        name: self.name.clone(),
                        build: self.build.clone(),
                        max_running: limits.max_running,
                        max_blocking: limits.max_blocking,
                        own: in_flight.saturating_sub(node.calls_in_flight()),
                        down,
                        figures: state.latencies.figures(now, in_flight),
                        ..Report::default()
                    });
                }
                node.set_platform_time(now, platform_time);
                node.set_connected(is_connected);
                if std::mem::replace(&mut losses, lost) != lost {
                    node.connection_lost(now);
                }
                node.tick(now);
                let has_resigned = node.lease().has_resigned(now);
                let Some((record, _)) = node.lease().seen() else { return (has_resigned, None) };
                let is_new = std::mem::replace(&mut term, record.term) != record.term;
                (has_resigned, (is_new && record.from.is_none()).then_some(record.holder))
            });
            if let Some(holder) = holder {
                // The one before was lost. One that gives the lease away still answers.
                let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                asked.retain(|_, asked| asked.gateway == holder);
            }
            if self.now() >= observed + OBSERVE_EVERY {
                observed = self.now();
                self.observe(&mut known);
            }
        }
    }

    fn observe(&self, known: &mut HashSet<String>) {
        let members = if *self.role.borrow() == Role::Gateway { self.status().members } else { Vec::new() };
        let names: HashSet<String> = members.iter().map(|member| member.name.clone()).collect();
        for member in &members {
            observe::member(&self.entity, &member.name, Some((member.running, member.free)));
        }
        for gone in known.difference(&names) {
            observe::member(&self.entity, gone, None);
        }
        *known = names;
    }

    // --- what is not about calls and leases alone

    fn on_wire(self: &Arc<Self>, from: MemberId, wire: Wire) {
        match wire {
            Wire::Accepted(accepted) => {
                if self.gateway.refuse_accepted(accepted.as_bytes()) {
                    self.with(|state, now| state.node.accepted(now, from));
                } else {
                    tracing::warn!("what the gateway before has accepted cannot be read");
                }
            }
            Wire::Request(request) => self.on_request(from, request),
            Wire::Response(Numbered { number, content }) => {
                let waiting = self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
                if let Some(waiting) = waiting {
                    let _ = waiting.response.send(content);
                }
            }
            Wire::Ask(Numbered { number, .. }) => {
                let status = Numbered { number, content: self.status() };
                self.send(from, Wire::Status(status));
            }
            Wire::Drain(Numbered { number, content }) => {
                let shell = Arc::clone(self);
                self.spawn(async move {
                    let content = shell.drain(&content).await;
                    shell.send(from, Wire::Drains(Numbered { number, content }));
                });
            }
            Wire::Drains(Numbered { number, .. }) => {
                let told = self.draining.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
                if let Some(told) = told {
                    let _ = told.send(());
                }
            }
            Wire::Machine(_) | Wire::Status(_) => {}
        }
    }

    /// The fleet as this member sees it; complete at the gateway.
    pub(crate) fn status(&self) -> FleetStatus {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let node = &state.node;
        let now = self.now();
        let gateway = node.gateway(now);
        let mut members: Vec<MemberStatus> = node
            .desk()
            .members(now)
            .map(|(id, report, tools)| {
                let handed = node.desk().open_at(id);
                let running = report.own + handed;
                let role = match () {
                    () if report.draining => MemberRole::Draining,
                    () if Some(id) == gateway => MemberRole::Gateway,
                    () => MemberRole::Member,
                };
                MemberStatus {
                    name: report.name.clone(),
                    id: id.to_string(),
                    role,
                    build: report.build.clone(),
                    tools,
                    running,
                    free: report.max_running.saturating_sub(running),
                    calls_per_second: report.figures.calls_per_second,
                    p50_ms: report.figures.p50_ms,
                    p99_ms: report.figures.p99_ms,
                }
            })
            .collect();
        members.sort_by(|left, right| left.name.cmp(&right.name));
        let term = node.lease().seen().map_or(0, |(record, _)| record.term);
        let refused = self.refused.load(Ordering::Relaxed);
        FleetStatus { term, alone: node.lease().is_alone(), refused, members }
    }

    /// Drains a member, by its name or the beginning of its id. The gateway passes it on, and waits until the member
    /// knows.
    async fn drain(self: &Arc<Self>, wanted: &str) -> Result<String, NotDrained> {
        let members: BTreeMap<MemberId, String> = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let members = state.node.desk().members(self.now());
            members.map(|(id, report, _)| (id, report.name.clone())).collect()
        };
        let mut found: Vec<_> = members.iter().filter(|(_, name)| *name == wanted).collect();
        if found.is_empty() {
            // The name of the machine is enough if one process of it is a member.
            let machine = |name: &str| name.rsplit_once(':').is_some_and(|(machine, _)| machine == wanted);
            found = members.iter().filter(|(_, name)| machine(name)).collect();
        }
        if found.is_empty() && wanted.len() >= SHORTEST_ID {
            found = members.iter().filter(|(id, _)| id.to_string().starts_with(wanted)).collect();
        }
        match found[..] {
            [(id, name)] if *id == self.me => {
                tracing::info!("an operator drains this member");
                self.with(|state, now| state.node.release(now));
                Ok(name.clone())
            }
            [(id, name)] => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let (told, is_told) = oneshot::channel();
                let draining = || self.draining.lock().unwrap_or_else(PoisonError::into_inner);
                draining().insert(number, told);
                self.send(*id, Wire::Drain(Numbered { number, content: id.to_string() }));
                let is_told = matches!(timeout(DRAIN_TIME, is_told).await, Ok(Ok(())));
                draining().remove(&number);
                if is_told { Ok(name.clone()) } else { Err(NotDrained::Silent(name.clone())) }
            }
            [] => {
                let mut names: Vec<String> = members.into_values().collect();
                names.sort_unstable();
                Err(NotDrained::Unknown(names.join(", ")))
            }
            _ => {
                let all: Vec<String> = found.iter().map(|(id, name)| format!("{id} ({name})")).collect();
                Err(NotDrained::Several(all.join(", ")))
            }
        }
    }

    #[cfg(feature = "http")]
    fn on_request(self: &Arc<Self>, from: MemberId, request: Numbered<String>) {
        let Numbered { number, content } = request;
        let call = serde_json::from_str(&content).ok().filter(|_| self.is_gateway());
        let shell = Arc::clone(self);
        self.requests.spawn(async move {
            let content = match call {
                Some(call) => serde_json::to_string(&shell.gateway.receive(call).await).unwrap_or_default(),
                // The next gateway does not hear of nonces that are accepted here.
                None => String::new(),
            };
            shell.send(from, Wire::Response(Numbered { number, content }));
        });
    }

    #[cfg(not(feature = "http"))]
    fn on_request(self: &Arc<Self>, _from: MemberId, _request: Numbered<String>) {}

    /// Passes a call over HTTP on to the gateway; `None` if that is this member.
    #[cfg(feature = "http")]
    pub(crate) fn forward(
        self: &Arc<Self>,
        call: SignedRequest,
    ) -> Option<impl Future<Output = RequestAnswer> + Send + use<>> {
        let shell = Arc::clone(self);
        (!self.is_gateway()).then_some(async move { shell.pass_on(call).await })
    }

    #[cfg(feature = "http")]
    async fn pass_on(self: Arc<Self>, call: SignedRequest) -> RequestAnswer {
        let content = serde_json::to_string(&call).unwrap_or_default();
        let since = Instant::now();
        // While the gateway changes, neither the one before nor the next one takes it.
        while since.elapsed() < CHANGE_TIME {
            let gateway = {
                let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.node.gateway(self.now())
            };
            match gateway {
                None => break,
                Some(gateway) if gateway != self.me => {
                    if let Some(answer) = self.request(gateway, content.clone()).await {
                        return answer;
                    }
                }
                Some(_) if self.is_gateway() => return self.gateway.receive(call).await,
                Some(_) => {}
            }
            tokio::time::sleep(TICK).await;
        }
        RequestAnswer::unavailable("no replica has the connection to the platform at the moment, retry")
    }

    /// Has a gateway receive a call over HTTP; `None` if it is none, and has not taken the call.
    #[cfg(feature = "http")]
    async fn request(self: &Arc<Self>, gateway: MemberId, content: String) -> Option<RequestAnswer> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (response, responded) = oneshot::channel();
        let asked = Asked { gateway, response };
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(number, asked);
        let _asking = Asking { shell: Arc::clone(self), number };
        self.send(gateway, Wire::Request(Numbered { number, content }));
        let content = match timeout(RESPONSE_TIME, responded).await {
            Ok(Ok(content)) if content.is_empty() => return None,
            Ok(Ok(content)) => content,
            Ok(Err(_)) | Err(_) => String::new(),
        };
        Some(serde_json::from_str(&content).unwrap_or_else(|_| {
            RequestAnswer::uncertain(
                "the replica that has the connection did not answer, and the call may have run: find out before you \
                 call again",
            )
        }))
    }

    /// Whether this member knows a gateway, or is one.
    pub(crate) fn is_attached(&self) -> bool {
        matches!(*self.role.borrow(), Role::Member | Role::Gateway)
    }

    /// Waits until this member knows a gateway, or is one.
    pub(crate) async fn attached(&self) {
        let mut role = self.role.subscribe();
        let _ = role.wait_for(|role| matches!(role, Role::Member | Role::Gateway)).await;
    }

    pub(crate) fn is_gateway(&self) -> bool {
        *self.role.borrow() == Role::Gateway
    }
}

fn lost() -> ToolError {
    ToolError::unavailable(
        "the replica that ran the call was lost, and the call may have run: find out before you call again",
    )
}

fn nowhere() -> ToolError {
    ToolError::unavailable("no replica that has this tool can run it, retry in a moment")
}
