//! The reconnect loop: runs connections until the host is shut down or fails permanently.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::ready;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::coordinator::{Connection, Lead};
use super::dial::dial;
use super::ending::{Ending, Misconfiguration};
use super::machine::{Action, Event, GiveUp, Machine};
use super::session::Session;
use super::shared::{becomes, ends};
use super::shutdown::{self, calls_run};
use super::{Coordinator, FAREWELL, Gateway, HostError, HostEvent, HostState, Shared, WhenSuperseded};
use crate::tool::format_duration;
use crate::verify::{Secret, SecretError, SecretSource};
use crate::wire::{CALL_PENDING, REGISTRATIONS_PER_MINUTE};

const MINUTE: Duration = Duration::from_secs(60);
/// How long a coordinator may take to hand the connection over, and to pass on what it keeps.
const HAND_OVER_TIME: Duration = Duration::from_secs(10);
/// The timeout for a callback that loads the secret.
const SECRET_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval for reloading a secret that the platform rejected.
const SECRET_WATCH: Duration = Duration::from_secs(2);

/// State that outlives a connection: the state machine, the shutdown deadlines, and the recent registrations.
pub(super) struct Status {
    shared: Arc<Shared>,
    machine: Machine,
    state: watch::Sender<HostState>,
    drain: Option<Drain>,
    registrations: VecDeque<Instant>,
    /// When the current connection was welcomed.
    welcomed_at: Option<Instant>,
    /// Whether the platform may still hold an earlier connection of this entity: one of this process that did not end
    /// with a close of both sides, or one of another process.
    pub(super) predecessor_may_be_open: bool,
}

/// The stage of a shutdown.
#[derive(Debug, Clone, Copy)]
enum Drain {
    /// Running calls may finish until this time.
    Grace(Instant),
    /// Running calls are cancelled and may answer until this time.
    Farewell(Instant),
}

impl Status {
    pub(super) fn new(shared: Arc<Shared>, state: watch::Sender<HostState>) -> Self {
        shared.metrics().host_state(state.borrow().as_str(), true);
        // One of several processes gives way to another.
        let when_superseded = match &shared.coordinator {
            Some(_) => WhenSuperseded::StandBy,
            None => shared.config.when_superseded,
        };
        let machine = Machine::new(when_superseded, fastrand::Rng::new());
        Self {
            shared,
            machine,
            state,
            drain: None,
            registrations: VecDeque::new(),
            welcomed_at: None,
            predecessor_may_be_open: true,
        }
    }

    /// Passes an event to the machine, and publishes a change of state.
    pub(super) fn on(&mut self, event: Event) -> Action {
        if matches!(event, Event::Welcomed) {
            self.welcomed_at = Some(Instant::now());
        }
        match event {
            Event::Welcomed => self.shared.set_connection(Connection::Open),
            Event::Superseded => self.shared.set_connection(Connection::Superseded),
            Event::StoodBy | Event::Ended { .. } | Event::Drained => {
                self.shared.set_connection(Connection::Absent);
            }
            Event::Opened | Event::Lasted | Event::WaitOver | Event::Shutdown => {}
        }
        let action = self.machine.on(event);
        // The last state is published when everything is done.
        if !self.machine.state().is_final() {
            self.publish();
        }
        action
    }

    /// Publishes the state of the machine, if it has changed.
    fn publish(&self) {
        let now = self.machine.state();
        let before = self.state.send_replace(now);
        if before != now {
            self.shared.metrics().host_state(before.as_str(), false);
            self.shared.metrics().host_state(now.as_str(), true);
            self.shared.events.tell(HostEvent::State(now));
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Starts the shutdown: rejects new calls and sets the deadline for running ones.
    pub(super) fn begin_drain(&mut self, shared: &Shared) {
        self.on(Event::Shutdown);
        shared.dispatcher().close();
        self.drain = Some(Drain::Grace(Instant::now() + shared.config.shutdown_grace));
        let entity = shared.url.entity();
        match shared.dispatcher().in_flight() {
            0 => tracing::info!(entity, "shutting down"),
            running => {
                let (calls, time) = (calls_run(running), format_duration(shared.config.shutdown_grace));
                let twice = if shared.stops_at_second_signal.load(Ordering::Relaxed) {
                    "; a second Ctrl-C stops at once"
                } else {
                    ""
                };
                tracing::info!(entity, "shutting down: {calls} and may take {time} at most{twice}");
            }
        }
    }

    /// Returns the deadline of the current stage of the shutdown.
    pub(super) fn drain_due(&self) -> Option<Instant> {
        self.drain.map(|(Drain::Grace(due) | Drain::Farewell(due))| due)
    }

    /// Advances the shutdown if the deadline of its stage has passed.
    pub(super) fn on_drain_time(&mut self, shared: &Shared, now: Instant) -> Option<Ending> {
        match self.drain? {
            Drain::Grace(due) if due <= now => {
                let running = shared.dispatcher().in_flight();
                if running > 0 {
                    tracing::warn!(running, "the grace period is over, running calls are cancelled");
                }
                shared.dispatcher().cancel();
                self.drain = Some(Drain::Farewell(now + FAREWELL));
                None
            }
            Drain::Farewell(due) if due <= now => {
                let running = shared.dispatcher().in_flight();
                if running > 0 {
                    tracing::warn!(
                        running,
                        "calls that did not end when they were cancelled are dropped without an answer"
                    );
                }
                Some(Ending::Drained)
            }
            Drain::Grace(_) | Drain::Farewell(_) => None,
        }
    }

    /// Counts a registration, or returns the time at which the next one is allowed: the platform accepts 6 a minute
    /// (protocol §3), over all connections.
    pub(super) fn reserve_registration(&mut self, now: Instant) -> Result<(), Instant> {
        while self.registrations.front().is_some_and(|at| *at + MINUTE <= now) {
            self.registrations.pop_front();
        }
        match self.registrations.front() {
            Some(first) if self.registrations.len() >= REGISTRATIONS_PER_MINUTE as usize => {
                Err(*first + MINUTE)
            }
            _ => {
                self.registrations.push_back(now);
                Ok(())
            }
        }
    }
}

/// Connects and stays connected. Afterwards, nonces are stored.
pub(super) async fn drive(
    shared: Arc<Shared>,
    secret: Secret,
    state: watch::Sender<HostState>,
) -> Result<(), HostError> {
    let mut status = Status::new(Arc::clone(&shared), state);
    let _releasing = AbortOnDropHandle::new(tokio::spawn(release(Arc::clone(&shared))));
    let ended = tokio::select! {
        ended = stay_connected(&shared, &mut status, secret) => ended,
        never = shutdown::count_down(&shared) => match never {},
    };
    if let Some(coordinator) = &shared.coordinator {
        finish(coordinator.as_ref()).await;
    }
    let memory = shared.intake.verifier().memory();
    // Handles may keep the memory until the process ends.
    if memory.is_stored() {
        let shared = Arc::clone(&shared);
        let stored = tokio::task::spawn_blocking(move || shared.intake.verifier().memory().mark_stopped());
        if timeout(FAREWELL, stored).await.is_err() {
            tracing::warn!("the state directory is slow: stopping before the nonces are stored");
        }
    }
    // Whoever waits for it may end the process.
    status.publish();
    ended
}

/// Begins the shutdown when the host is told to stop and, with a coordinator, the connection is handed over.
async fn release(shared: Arc<Shared>) {
    shared.stop.cancelled().await;
    if let Some(coordinator) = &shared.coordinator {
        let released = AssertUnwindSafe(async { coordinator.release().await }).catch_unwind();
        if !matches!(timeout(HAND_OVER_TIME, released).await, Ok(Ok(()))) {
            tracing::warn!("the connection is not handed over, shutting down all the same");
        }
    }
    shared.shutdown.cancel();
}

/// Lets the coordinator pass on what it keeps.
async fn finish(coordinator: &dyn Coordinator) {
    let finished = AssertUnwindSafe(async { coordinator.finish().await }).catch_unwind();
    if !matches!(timeout(HAND_OVER_TIME, finished).await, Ok(Ok(()))) {
        tracing::warn!("the coordinator has not passed everything on, stopping all the same");
    }
}

async fn stay_connected(
    shared: &Arc<Shared>,
    status: &mut Status,
    mut secret: Secret,
) -> Result<(), HostError> {
    shared.succession.begin();
    let mut take_over = shared.take_over.subscribe();
    if let Some(coordinator) = &shared.coordinator {
        let attached = coordinator.attach(Gateway::new(shared, status.state.subscribe()));
        tokio::select! {
            attached = attached => attached.map_err(HostError::Coordinator)?,
            () = shared.shutdown.cancelled() => {}
        }
    }
    tokio::select! {
        () = shared.succession.predecessors_settled() => {}
        () = shared.shutdown.cancelled() => {}
    }
    loop {
        status.welcomed_at = None;
        if *shared.lead.borrow() != Lead::Yes {
            if stand_by(shared, status).await {
                status.on(Event::Drained);
                return Ok(());
            }
            // Another process held the connection meanwhile, and heard of another secret.
            refresh(shared, &mut secret).await;
            status.predecessor_may_be_open = true;
        }
        if shared.succession.expects_report() {
            status.predecessor_may_be_open = false;
        }
        if shared.succession.has_successor() {
            retire(shared, status).await;
            return Ok(());
        }
        // Requests are for the stand-by that follows this connection, if one does.
        take_over.mark_unchanged();
        let ending = connect(shared, status, &secret).await;
        if ending == Ending::Superseded && shared.succession.has_successor() {
            retire(shared, status).await;
            return Ok(());
        }
        // The secret is reloaded after every wait too; here, the result decides the next step.
        let about_secret = matches!(ending, Ending::SecretRotated | Ending::SecretRefused);
        let new_secret = about_secret && refresh(shared, &mut secret).await;
        if status.welcomed_at.is_some() {
            // The platform has seen the end of a connection that it closed.
            status.predecessor_may_be_open = !matches!(
                ending,
                Ending::Closed(_) | Ending::GoingAway | Ending::SecretRotated | Ending::SecretRefused
            );
        }
        let lasted = status.welcomed_at.map_or(Duration::ZERO, |at| at.elapsed());
        shared.metrics().disconnected();
        shared.events.tell(HostEvent::Disconnected { reason: ending.to_string() });
        if shared.is_secret_trusted.load(Ordering::Relaxed) {
            status.machine.trust_secret();
        }
        let action = status.on(Event::Ended { ending: ending.clone(), new_secret, lasted });
        if about_secret && !new_secret && matches!(action, Action::Wait(_)) {
            shared.events.tell(HostEvent::SecretRefused);
        }
        report(shared, status, &ending, &action);
        match action {
            Action::Continue | Action::Dial => {}
            Action::Wait(wait) => {
                let state = status.machine.state();
                let until = Instant::now() + wait;
                let watched = about_secret.then_some(&mut secret);
                let take_over = (state == HostState::Standby).then_some(&mut take_over);
                if pause(shared, status, until, watched, take_over).await {
                    status.on(Event::Drained);
                    return Ok(());
                }
                refresh(shared, &mut secret).await;
                status.on(Event::WaitOver);
            }
            Action::Stop => return Ok(()),
            Action::GiveUp(why) => {
                shared.dispatcher().close();
                return Err(explain(shared, why));
            }
        }
    }
}

/// Waits until this process may hold the connection. Returns `true` if the host is to stop instead.
async fn stand_by(shared: &Shared, status: &mut Status) -> bool {
    status.on(Event::StoodBy);
    // There is no connection to keep.
    shared.lead.send_if_modified(|lead| {
        let keeps = *lead == Lead::Keep;
        if keeps {
            *lead = Lead::No;
        }
        keeps
    });
    shared.yield_answers();
    let mut lead = shared.lead.subscribe();
    loop {
        let draining = status.is_draining();
        if draining && shared.dispatcher().in_flight() == 0 {
            shared.yield_answers();
            return true;
        }
        tokio::select! {
            () = becomes(&mut lead, Lead::Yes) => {
                status.on(Event::WaitOver);
                return false;
            }
            () = shared.shutdown.cancelled(), if !draining => status.begin_drain(shared),
            () = drain_due(status), if draining => {
                if status.on_drain_time(shared, Instant::now()).is_some() {
                    return true;
                }
            }
            () = shared.dispatcher().drained(), if draining => {}
        }
    }
}

/// Ends the host of which a successor has the connection now. Running calls finish; the successor sends their answers.
async fn retire(shared: &Shared, status: &mut Status) {
    status.on(Event::Shutdown);
    shared.set_connection(Connection::Absent);
    shared.metrics().disconnected();
    let reason = "another host of this process took over".to_owned();
    shared.events.tell(HostEvent::Disconnected { reason });
    tracing::info!(
        running = shared.dispatcher().in_flight(),
        "disconnected: another host of this process took over"
    );
    shared.succession.retire();
    let deadline = Instant::now() + CALL_PENDING;
    while shared.dispatcher().in_flight() > 0 {
        shared.yield_answers();
        let due = status.drain_due().map_or(deadline, |due| due.min(deadline));
        tokio::select! {
            () = shared.dispatcher().drained() => {}
            () = shared.shutdown.cancelled(), if !status.is_draining() => status.begin_drain(shared),
            () = sleep_until(due) => {
                if status.on_drain_time(shared, Instant::now()).is_some() || deadline <= Instant::now() {
                    break;
                }
            }
        }
    }
    shared.dispatcher().close();
    shared.yield_answers();
    // Without a host that takes them.
    shared.outbox.lose(shared.outbox.take_all());
    status.on(Event::Drained);
}

/// Dials and runs one connection, with one deadline for dialling and `welcome`.
async fn connect(shared: &Arc<Shared>, status: &mut Status, secret: &Secret) -> Ending {
    let (tls, proxy) = (shared.tls.as_ref(), shared.proxy.as_ref());
    let mut lead = shared.lead.subscribe();
    let mut dialling = std::pin::pin!(async {
        // A process that was suspended may have lost the lead without knowing: a dial would evict the one that has it.
        poll_fn(|context| shared.poll_fence(context)).await;
        let deadline = Instant::now() + shared.config.connect_timeout;
        let mut dialling = std::pin::pin!(dial(&shared.url, tls, proxy, secret));
        let dialling = poll_fn(|context| {
            ready!(shared.poll_fence(context));
            dialling.as_mut().poll(context)
        });
        (timeout_at(deadline, dialling).await, deadline)
    });
    let (dialled, deadline) = loop {
        tokio::select! {
            dialled = &mut dialling => break dialled,
            () = ends(&mut lead), if shared.coordinator.is_some() => return Ending::LeadLost,
            () = shared.shutdown.cancelled(), if !status.is_draining() => {
                status.begin_drain(shared);
                if !is_worth_waiting(shared, status, Instant::now()) {
                    return Ending::Drained;
                }
            }
            () = drain_due(status), if status.is_draining() => {
                if let Some(ending) = status.on_drain_time(shared, Instant::now()) {
                    return ending;
                }
            }
        }
    };
    match dialled {
        Ok(Ok(socket)) => Session::new(shared, status, socket, deadline).run().await,
        Ok(Err(ending)) => ending,
        Err(_elapsed) => {
            let time = format_duration(shared.config.connect_timeout);
            Ending::Lost(format!("no connection within {time}"))
        }
    }
}

/// Waits until it is time to redial, until the `watched` secret has changed, or until the connection is to be taken
/// over. Returns `true` if the host is to stop instead.
async fn pause(
    shared: &Arc<Shared>,
    status: &mut Status,
    until: Instant,
    mut watched: Option<&mut Secret>,
    mut take_over: Option<&mut watch::Receiver<u64>>,
) -> bool {
    let mut lead = shared.lead.subscribe();
    loop {
        let draining = status.is_draining();
        if draining && !is_worth_waiting(shared, status, until) {
            return true;
        }
        let mut due = status.drain_due().map_or(until, |due| due.min(until));
        if watched.is_some() {
            due = due.min(Instant::now() + SECRET_WATCH);
        }
        tokio::select! {
            () = sleep_until(due) => {
                if status.on_drain_time(shared, Instant::now()).is_some() {
                    return true;
                }
                let is_new = match watched.as_deref_mut() {
                    Some(secret) => refresh(shared, secret).await,
                    None => false,
                };
                if is_new || until <= Instant::now() {
                    return false;
                }
            }
            () = shared.succession.succeeded() => return false,
            () = ends(&mut lead), if shared.coordinator.is_some() => return false,
            () = wanted(take_over.as_deref_mut()), if !draining => {
                tracing::info!("taking the connection over, which evicts the other process");
                return false;
            }
            () = shared.shutdown.cancelled(), if !draining => status.begin_drain(shared),
            () = shared.dispatcher().drained(), if draining && shared.dispatcher().in_flight() > 0 => {}
        }
    }
}

/// Waits for a request to take the connection over; forever where none is listened to.
async fn wanted(requests: Option<&mut watch::Receiver<u64>>) {
    if let Some(requests) = requests
        && requests.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Returns whether a disconnected host that is shutting down should wait for another connection to deliver answers.
pub(super) fn is_worth_waiting(shared: &Shared, status: &Status, until: Instant) -> bool {
    // Read before the outbox: a call stores its answer there before it leaves the in-flight count.
    let idle = shared.dispatcher().in_flight() == 0;
    let unsent = shared.outbox.last_expiry().is_some_and(|expiry| expiry > until.max(Instant::now()));
    let in_time = status.drain_due().is_none_or(|due| until < due);
    if idle && !(unsent && in_time) {
        let lost = shared.outbox.len();
        if lost > 0 {
            tracing::warn!(lost, "stopping without a connection, unsent answers are lost");
        }
        return false;
    }
    true
}

/// Waits for the deadline of the current stage of the shutdown; forever without one.
pub(super) async fn drain_due(status: &Status) {
    match status.drain_due() {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Reloads the secret. Returns `true` if it has changed.
async fn refresh(shared: &Shared, secret: &mut Secret) -> bool {
    let loaded = tokio::select! {
        biased;
        // A host that is shutting down needs no new secret.
        () = shared.shutdown.cancelled() => return false,
        loaded = load(&shared.secret) => loaded,
    };
    match loaded {
        Ok(fresh) if fresh.matches(secret.expose()) => false,
        Ok(fresh) => {
            tracing::info!("secret reloaded, using the new one");
            shared.intake.verifier().replace_secret(&fresh);
            *secret = fresh;
            true
        }
        Err(error) => {
            tracing::warn!("the secret cannot be reloaded, keeping the old one: {error}");
            false
        }
    }
}

/// Loads the secret, on a separate thread if that may block.
pub(super) async fn load(source: &SecretSource) -> Result<Secret, SecretError> {
    if !source.is_slow() {
        return source.load();
    }
    let (sender, loaded) = oneshot::channel();
    let source = source.clone();
    // Not on the runtime's blocking pool, since a runtime that shuts down waits for that.
    let thread = std::thread::Builder::new().name("platools-secret".to_owned());
    if let Err(error) = thread.spawn(move || sender.send(source.load())) {
        return Err(SecretError::Callback { problem: error.to_string() });
    }
    match timeout(SECRET_TIMEOUT, loaded).await {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(_gone)) => Err(SecretError::Callback { problem: "it panicked".to_owned() }),
        Err(_elapsed) => {
            let time = format_duration(SECRET_TIMEOUT);
            Err(SecretError::Callback { problem: format!("no answer within {time}") })
        }
    }
}

/// Logs the end of a connection, or that there was none, and what follows. The reason to give up is left to whoever gets
/// the error.
fn report(shared: &Shared, status: &Status, ending: &Ending, action: &Action) {
    let entity = shared.url.entity();
    let what = if status.welcomed_at.is_some() { "disconnected" } else { "not connected" };
    let next = match action {
        Action::GiveUp(_) => return,
        // Whether it dials again depends on the calls that still run.
        _ if status.is_draining() => String::new(),
        Action::Wait(wait) => {
            let wait = format_duration(tidy(*wait));
            if status.machine.state() == HostState::Standby {
                format!(
                    "; standing by: dialling would evict the other process, and nothing tells whether it has left; next \
                     attempt in {wait}"
                )
            } else {
                format!("; next attempt in {wait}")
            }
        }
        Action::Dial => "; connecting again".to_owned(),
        Action::Continue | Action::Stop => String::new(),
    };
    match ending {
        Ending::Lost(why) | Ending::Closed(why) => tracing::warn!(entity, "{what}: {why}{next}"),
        Ending::UpgradeRefused(why) => tracing::error!(entity, "{what}: {why}{next}"),
        Ending::GoingAway => tracing::info!(entity, "{what}: the platform is being deployed{next}"),
        Ending::Superseded if shared.coordinator.is_some() && *shared.lead.borrow() != Lead::Yes => {
            tracing::info!(entity, "{what}: another process that shares this connection has taken it over");
        }
        Ending::Superseded if shared.coordinator.is_some() => tracing::warn!(
            entity,
            "{what}: another process connected as the same entity and environment. Unless it is one of those that share \
             this connection, give it its own entity or environment{next}"
        ),
        Ending::Superseded => tracing::warn!(
            entity,
            "{what}: another process connected as the same entity and environment. Give every process its own entity or \
             environment, or run only one{next}"
        ),
        Ending::SecretRotated => tracing::warn!(entity, "{what}: the secret was regenerated{next}"),
        Ending::SecretRefused | Ending::Misconfigured(_) => tracing::error!(entity, "{what}: {ending}{next}"),
        Ending::LeadLost => tracing::info!(entity, "{what}: another process holds the connection now"),
        Ending::Drained => tracing::info!(entity, "stopped"),
    }
}

/// A wait as people read it: tenths of a second are precise enough.
fn tidy(wait: Duration) -> Duration {
    let step = if wait < Duration::from_secs(10) { 100 } else { 1_000 };
    Duration::from_millis((wait.as_millis() as u64).div_ceil(step) * step)
}

fn explain(shared: &Shared, why: GiveUp) -> HostError {
    let entity = || shared.url.entity().unwrap_or_else(|| "(none named)".to_owned());
    match why {
        GiveUp::Misconfigured(Misconfiguration::SecretNotSent) => HostError::SecretNotSent,
        GiveUp::Misconfigured(Misconfiguration::MissingEntity) => HostError::MissingEntity,
        GiveUp::Misconfigured(Misconfiguration::UnknownEnvironment) => HostError::UnknownEnvironment {
            environment: shared.url.environment().unwrap_or_else(|| shared.url.canonical_environment()),
        },
        GiveUp::SecretRefused => {
            HostError::InvalidSecret { entity: entity(), secret: shared.secret.to_string() }
        }
        GiveUp::Superseded => HostError::Superseded { entity: entity() },
    }
}

#[cfg(test)]
mod tests;
