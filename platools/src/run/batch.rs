//! Calls that arrived together take their first steps together, in one task.
//!
//! Most handlers end, or get to where they wait for something else, within microseconds. To give each of them a
//! task costs more than that: an allocation, a turn of the scheduler and, for each answer, a wake-up of the
//! connection. So the calls of one read are polled once, one after the other, in a task that is not the
//! connection's; those that have their answer then hand it over together, and each of the others goes on in a task
//! of its own.
//!
//! What is guaranteed, whatever the handlers do:
//! * Only calls of tools that were seen to be [quick](super::pace) share a task, and only so many that the last of
//!   them should have its turn within [`TOGETHER`]. All others have a task of their own from the start.
//! * A handler that holds its thread all the same, for ever if need be, holds up no other call and not the
//!   connection for longer than two looks of the [watch](super::watch), 10 ms: then the calls behind it get tasks of
//!   their own, the answers before it go out, and another worker takes over the sockets. That needs another worker
//!   that is free, as on any runtime of tokio: on one thread, a handler that blocks stops everything.
//! * Out of reach is what such a handler has woken itself before, in the same step, last of all: the runtime keeps
//!   that task for the worker that woke it. A handler that adds a tool and then blocks without an `.await` between
//!   them holds up the connection.
//! * Each call is isolated: its timeout, its panic and its span are its own, in the first step as in the rest.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::watch::{Rescue, Watch};

/// How long, by what is known of their tools, the calls of one batch may take altogether.
const TOGETHER: Duration = Duration::from_micros(500);

/// What is left of a call that was begun.
pub(crate) type Rest<S> = BoxFuture<'static, <S as Batched>::Answer>;

/// What a batch runs, and where its answers go.
pub(crate) trait Batched: Send + Sync + 'static {
    /// A call that was not started yet.
    type Call: Send + 'static;
    type Answer: Send + 'static;

    /// Takes the first step of a call. When that does not answer it, here is the rest, which nobody has polled yet.
    ///
    /// `now` is the time at which the step begins, and afterwards the time at which the next one may: so the clock is
    /// read once for each call.
    fn begin(
        self: &Arc<Self>,
        call: Self::Call,
        now: &mut Instant,
        context: &mut Context<'_>,
    ) -> Result<Self::Answer, Rest<Self>>;

    /// Takes what is to be sent out of calls that ended together; they are dropped afterwards.
    fn answered(&self, answers: &mut [Self::Answer]);
}

/// Calls that were read and not started yet.
pub(crate) struct Batch<S: Batched> {
    watch: Watch,
    calls: Arc<S>,
    together: State<S>,
    /// How long those together should take.
    expected: Duration,
    /// Memory of an earlier batch, for the next one: so much in one piece is what an allocator is slow at.
    spare: Arc<Mutex<Option<State<S>>>>,
}

impl<S: Batched> Batch<S> {
    pub(super) fn new(watch: Watch, calls: Arc<S>) -> Self {
        Self { watch, calls, together: State::default(), expected: Duration::ZERO, spare: Arc::default() }
    }

    /// Adds a call, which `quick` says takes no longer than that before it ends or waits.
    pub(crate) fn push(&mut self, call: S::Call, quick: Option<Duration>) {
        let Some(quick) = quick else {
            let alone = Alone { calls: Arc::clone(&self.calls), watch: self.watch.clone() };
            tokio::spawn(alone.run(call));
            return;
        };
        if self.expected + quick > TOGETHER {
            self.start();
        }
        self.expected += quick;
        self.together.waiting.push_back(call);
    }

    /// Starts what was added.
    pub(crate) fn start(&mut self) {
        if self.together.waiting.is_empty() {
            return;
        }
        self.expected = Duration::ZERO;
        let room = lock(&self.spare).take().unwrap_or_default();
        let together = Together {
            state: Mutex::new(std::mem::replace(&mut self.together, room)),
            spare: Arc::clone(&self.spare),
            calls: Arc::clone(&self.calls),
            watch: self.watch.clone(),
            runtime: Handle::current(),
        };
        tokio::spawn(Arc::new(together).run());
    }
}

/// Calls that take their first steps together.
struct Together<S: Batched> {
    state: Mutex<State<S>>,
    spare: Arc<Mutex<Option<State<S>>>>,
    calls: Arc<S>,
    watch: Watch,
    runtime: Handle,
}

/// How far they are.
struct State<S: Batched> {
    waiting: VecDeque<S::Call>,
    done: Vec<S::Answer>,
    /// Those that wait for something, on their way to tasks of their own. Not spawned at once: the runtime keeps the
    /// latest task for the worker that spawned it, and the next call may block that one.
    pending: Vec<Rest<S>>,
}

impl<S: Batched> Default for State<S> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), done: Vec::new(), pending: Vec::new() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Batched> Together<S> {
    fn state(&self) -> MutexGuard<'_, State<S>> {
        lock(&self.state)
    }

    #[expect(clippy::unused_async, reason = "it is a task")]
    async fn run(self: Arc<Self>) {
        let watched = self.watch.begin(Arc::clone(&self) as Arc<dyn Rescue>);
        // Whoever is woken through this one polls again anyway, in a task of its own.
        let mut context = Context::from_waker(Waker::noop());
        let mut now = Instant::now();
        let mut next = self.state().waiting.pop_front();
        while let Some(call) = next {
            let begun = self.calls.begin(call, &mut now, &mut context);
            let mut state = self.state();
            match begun {
                Ok(answer) => state.done.push(answer),
                Err(rest) => state.pending.push(rest),
            }
            next = state.waiting.pop_front();
        }
        drop(watched);
        self.hand_over();
        // Nothing is left in it: what was there has been taken out here or by the rescue, which may be under way still
        // and then finds nothing.
        *lock(&self.spare) = Some(std::mem::take(&mut *self.state()));
    }

    fn alone(&self) -> Alone<S> {
        Alone { calls: Arc::clone(&self.calls), watch: self.watch.clone() }
    }

    /// Lets go of what has had its first step.
    fn hand_over(&self) {
        let (pending, mut done) = {
            let mut state = self.state();
            (std::mem::take(&mut state.pending), std::mem::take(&mut state.done))
        };
        for rest in pending {
            self.runtime.spawn(self.alone().go_on(rest));
        }
        if !done.is_empty() {
            self.calls.answered(&mut done);
            done.clear();
        }
        let mut state = self.state();
        if state.done.is_empty() {
            state.done = done;
        }
    }
}

impl<S: Batched> Rescue for Together<S> {
    /// One of them does not end its first step: the others go on without it.
    fn rescue(self: Arc<Self>) {
        let runtime = self.runtime.clone();
        // On a worker, since that is what has to wake up: one that is free polls the sockets afterwards.
        runtime.spawn(async move {
            let waiting = std::mem::take(&mut self.state().waiting);
            for call in waiting {
                self.runtime.spawn(self.alone().run(call));
            }
            self.hand_over();
        });
    }
}

/// What a call needs in a task of its own.
struct Alone<S: Batched> {
    calls: Arc<S>,
    watch: Watch,
}

impl<S: Batched> Alone<S> {
    /// Runs a call from its start.
    async fn run(self, call: S::Call) {
        let mut call = Some(call);
        let begun = std::future::poll_fn(|context| {
            let _watched = self.watch.begin(WakeAnother::here());
            Poll::Ready(call.take().map(|call| self.calls.begin(call, &mut Instant::now(), context)))
        });
        match begun.await {
            Some(Ok(answer)) => self.calls.answered(&mut [answer]),
            Some(Err(rest)) => self.go_on(rest).await,
            None => {}
        }
    }

    /// Runs what is left of a call.
    async fn go_on(self, mut rest: Rest<S>) {
        let wake = WakeAnother::here();
        let answer = std::future::poll_fn(|context| {
            let _watched = self.watch.begin(Arc::clone(&wake));
            rest.as_mut().poll(context)
        });
        let answer = answer.await;
        // What it held is gone before anybody hears of the answer.
        drop(rest);
        self.calls.answered(&mut [answer]);
    }
}

/// Another worker wakes up, and polls the sockets before it goes to sleep again.
struct WakeAnother(Handle);

impl WakeAnother {
    fn here() -> Arc<dyn Rescue> {
        Arc::new(Self(Handle::current()))
    }
}

impl Rescue for WakeAnother {
    fn rescue(self: Arc<Self>) {
        self.0.spawn(std::future::ready(()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as blocking;

    use futures_util::FutureExt as _;
    use tokio::sync::{mpsc, oneshot};
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;

    const GUARD: Duration = Duration::from_secs(60);
    const QUICK: Option<Duration> = Some(Duration::from_micros(1));

    /// Passes on which calls were answered together.
    struct Sink(mpsc::UnboundedSender<Vec<&'static str>>);

    impl Batched for Sink {
        type Call = BoxFuture<'static, &'static str>;
        type Answer = &'static str;

        fn begin(
            self: &Arc<Self>,
            mut call: Self::Call,
            _now: &mut Instant,
            context: &mut Context<'_>,
        ) -> Result<&'static str, Rest<Self>> {
            match call.as_mut().poll(context) {
                Poll::Ready(answer) => Ok(answer),
                Poll::Pending => Err(call),
            }
        }

        fn answered(&self, answers: &mut [&'static str]) {
            self.0.send(answers.to_vec()).unwrap();
        }
    }

    fn batch() -> (Batch<Sink>, mpsc::UnboundedReceiver<Vec<&'static str>>) {
        let (sender, answers) = mpsc::unbounded_channel();
        (Batch::new(Watch::default(), Arc::new(Sink(sender))), answers)
    }

    async fn next(answers: &mut mpsc::UnboundedReceiver<Vec<&'static str>>) -> Vec<&'static str> {
        timeout(GUARD, answers.recv()).await.expect("an answer").expect("a sink")
    }

    #[tokio::test]
    async fn what_ends_at_once_is_answered_together_and_in_order() {
        let (mut batch, mut answers) = batch();
        for name in ["a", "b", "c"] {
            batch.push(async move { name }.boxed(), QUICK);
        }
        batch.start();
        batch.start();
        assert_eq!(next(&mut answers).await, ["a", "b", "c"]);
        batch.push(async { "d" }.boxed(), QUICK);
        batch.start();
        assert_eq!(next(&mut answers).await, ["d"]);
        assert!(answers.try_recv().is_err(), "each once");
    }

    #[tokio::test]
    async fn what_waits_goes_on_in_a_task_of_its_own() {
        let (mut batch, mut answers) = batch();
        let (go_on, gate) = oneshot::channel::<()>();
        let waits = async move {
            gate.await.unwrap();
            yield_now().await;
            "waits"
        };
        batch.push(waits.boxed(), QUICK);
        batch.push(async { "quick" }.boxed(), QUICK);
        batch.start();
        assert_eq!(next(&mut answers).await, ["quick"]);
        go_on.send(()).unwrap();
        assert_eq!(next(&mut answers).await, ["waits"]);
    }

    #[tokio::test]
    async fn what_is_not_known_to_be_quick_is_on_its_own_from_the_start() {
        let (mut batch, mut answers) = batch();
        batch.push(async { "quick" }.boxed(), QUICK);
        batch.push(async { "slow" }.boxed(), None);
        assert_eq!(next(&mut answers).await, ["slow"], "before the batch is started");
        batch.start();
        assert_eq!(next(&mut answers).await, ["quick"]);
    }

    #[tokio::test]
    async fn a_batch_takes_only_what_it_has_time_for() {
        let (mut batch, mut answers) = batch();
        for name in ["a", "b", "c"] {
            batch.push(async move { name }.boxed(), Some(TOGETHER / 2));
        }
        batch.start();
        assert_eq!(next(&mut answers).await, ["a", "b"]);
        assert_eq!(next(&mut answers).await, ["c"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_handler_that_blocks_in_its_first_step_holds_up_no_other() {
        let (mut batch, mut answers) = batch();
        let (release, gate) = blocking::channel::<()>();
        batch.push(async { "before" }.boxed(), QUICK);
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let waits = async move {
            may_go_on.await.unwrap();
            "waits"
        };
        batch.push(waits.boxed(), QUICK);
        let blocks = async move {
            let _ = gate.recv();
            "blocks"
        };
        batch.push(blocks.boxed(), QUICK);
        batch.push(async { "behind" }.boxed(), QUICK);
        // From a worker, as a connection does it: the batch is where only that worker looks.
        tokio::spawn(async move { batch.start() });
        let mut first = vec![];
        while first.len() < 2 {
            first.append(&mut next(&mut answers).await);
        }
        first.sort_unstable();
        assert_eq!(first, ["before", "behind"]);
        go_on.send(()).unwrap();
        assert_eq!(next(&mut answers).await, ["waits"]);
        assert!(answers.try_recv().is_err());
        drop(release);
        assert_eq!(next(&mut answers).await, ["blocks"]);
    }

    /// The socket of a test stands for the connection: somebody has to poll it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_handler_that_blocks_later_holds_up_no_socket() {
        let (mut batch, mut answers) = batch();
        let (release, gate) = blocking::channel::<()>();
        let (blocked, is_blocked) = oneshot::channel();
        let blocks = async move {
            yield_now().await;
            blocked.send(()).unwrap();
            let _ = gate.recv();
            "blocks"
        };
        batch.push(blocks.boxed(), None);
        is_blocked.await.unwrap();
        let exchange = async {
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let (accepted, dialled) =
                tokio::join!(listener.accept(), tokio::net::TcpStream::connect(address));
            drop((accepted.unwrap(), dialled.unwrap()));
        };
        timeout(GUARD, tokio::spawn(exchange)).await.expect("a worker that polls the sockets").unwrap();
        drop(release);
        assert_eq!(next(&mut answers).await, ["blocks"]);
    }
}
