//! Batches: polls calls that arrived together for the first time in one task.
//!
//! Most handlers finish, or reach their first `.await` that waits, within microseconds. A task for each costs more than
//! that: an allocation, a turn of the scheduler and, for each answer, a wake-up of the connection. So the calls of one
//! read are polled once, one after the other, in one task apart from the connection's; finished calls go to the sink
//! together, and each pending call continues in its own task.
//!
//! Guarantees, whatever the handlers do:
//! * Only calls of tools known to be [quick](super::pace) share a task, and only as many as are expected to take
//!   [`BUDGET`] together. All others get their own task from the start.
//! * A handler that blocks its thread nevertheless delays other calls and the connection for at most two ticks of the
//!   [watch](super::watch), 10 ms: then the calls behind it get their own tasks, the answers before it are sent, and
//!   another worker takes over the sockets. This needs a free worker: on a single-threaded runtime, a blocking handler
//!   stops everything.
//! * Exception: the task that such a handler itself woke last in the same step stays with the blocked worker, since
//!   tokio keeps it there. A handler that adds a tool and then blocks without an `.await` in between delays the
//!   connection.
//! * Calls are isolated: each has its own timeout, panic guard and span, in the first step as in the rest.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout};

use super::admitted::{Admitted, Finished, Rest};
use super::entry::Entry;
use super::watch::{Rescue, WakeAnother, Watch, log_stuck};
use crate::sync::{Handle, Mutex, MutexGuard, spawn};

/// The expected total duration up to which calls share a batch.
const BUDGET: Duration = Duration::from_micros(500);

/// How long a call that has begun is held back at most, in all. It may hold what others wait for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Takes finished calls.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Whether no further calls should start, since what finished before waits to be sent.
    fn is_full(&self) -> bool;

    /// Waits until further calls may start.
    fn has_room(&self) -> impl Future<Output = ()> + Send;

    /// Takes calls that finished together. Each keeps its place until it is dropped; the caller drops those left in the
    /// list. Must not panic.
    fn finished(&self, calls: &mut Vec<Finished>);
}

/// Calls that were admitted and not started yet.
pub(crate) struct Batch<S: Sink> {
    watch: Watch,
    sink: Arc<S>,
    together: State,
    /// The expected total duration of the calls in `together`.
    expected: Duration,
    /// The buffers of an earlier batch, reused since large allocations are slow.
    spare: Arc<Mutex<Option<State>>>,
}

impl<S: Sink> Batch<S> {
    pub(super) fn new(watch: Watch, sink: Arc<S>) -> Self {
        Self { watch, sink, together: State::default(), expected: Duration::ZERO, spare: Arc::default() }
    }

    /// Adds a call. A call of a tool that is not known to be quick starts at once, in its own task.
    pub(crate) fn push(&mut self, call: Admitted) {
        let Some(quick) = call.quick() else {
            let alone = Alone { sink: Arc::clone(&self.sink), watch: self.watch.clone() };
            spawn(alone.run(call));
            return;
        };
        if self.expected + quick > BUDGET {
            self.start(None);
        }
        self.expected += quick;
        self.together.waiting.push_back(call);
    }

    /// Starts the added calls. Returns whether any of them share a task; that task wakes `after` at its end, or when one
    /// of the calls blocks it.
    pub(crate) fn start(&mut self, after: Option<&Waker>) -> bool {
        if self.together.waiting.is_empty() {
            return false;
        }
        self.expected = Duration::ZERO;
        let room = lock(&self.spare).take().unwrap_or_default();
        let together = Together {
            state: Mutex::new(std::mem::replace(&mut self.together, room)),
            spare: Arc::clone(&self.spare),
            sink: Arc::clone(&self.sink),
            watch: self.watch.clone(),
            runtime: Handle::current(),
            after: after.cloned(),
        };
        spawn(Arc::new(together).run());
        true
    }
}

/// Calls that are polled for the first time in one task.
struct Together<S: Sink> {
    state: Mutex<State>,
    spare: Arc<Mutex<Option<State>>>,
    sink: Arc<S>,
    watch: Watch,
    runtime: Handle,
    after: Option<Waker>,
}

/// The progress of a batch.
#[derive(Default)]
struct State {
    waiting: VecDeque<Admitted>,
    finished: Vec<Finished>,
    /// The tool whose call is being polled.
    current: Option<Arc<Entry>>,
    /// Pending calls, before they get their own tasks. Not spawned at once: tokio keeps the latest task for the worker
    /// that spawned it, and the next call may block that worker.
    pending: Vec<Rest>,
}

impl State {
    /// The next call to poll.
    fn next(&mut self) -> Option<Admitted> {
        let next = self.waiting.pop_front();
        self.current = next.as_ref().map(|call| Arc::clone(&call.entry));
        next
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Sink> Together<S> {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    #[expect(clippy::unused_async, reason = "it is a task")]
    async fn run(self: Arc<Self>) {
        let watched = self.watch.begin(Arc::clone(&self) as Arc<dyn Rescue>);
        // A no-op waker suffices: a pending call is polled again when its own task starts.
        let mut context = Context::from_waker(Waker::noop());
        let mut now = Instant::now();
        let mut next = self.state().next();
        while let Some(call) = next {
            if self.sink.is_full() {
                self.runtime.spawn(self.alone().run(call));
                next = self.state().next();
                continue;
            }
            let stepped = call.step(&mut now, &mut context);
            let mut state = self.state();
            match stepped {
                Ok(finished) => state.finished.push(finished),
                Err(rest) => state.pending.push(rest),
            }
            next = state.next();
        }
        drop(watched);
        self.hand_over();
        // The state is empty by now: its calls were taken here or by the rescue. A rescue that is still running finds
        // nothing.
        *lock(&self.spare) = Some(std::mem::take(&mut *self.state()));
    }

    fn alone(&self) -> Alone<S> {
        Alone { sink: Arc::clone(&self.sink), watch: self.watch.clone() }
    }

    /// Spawns the pending calls, passes the finished ones to the sink, and wakes who waits for that.
    fn hand_over(&self) {
        let (pending, mut finished) = {
            let mut state = self.state();
            (std::mem::take(&mut state.pending), std::mem::take(&mut state.finished))
        };
        for rest in pending {
            self.runtime.spawn(self.alone().go_on(rest));
        }
        if !finished.is_empty() {
            self.sink.finished(&mut finished);
            finished.clear();
        }
        let mut state = self.state();
        if state.finished.is_empty() {
            state.finished = finished;
        }
        drop(state);
        if let Some(after) = &self.after {
            after.wake_by_ref();
        }
    }
}

impl<S: Sink> Rescue for Together<S> {
    /// Moves the waiting calls to their own tasks, since one call blocks in its first step.
    fn rescue(self: Arc<Self>) {
        let runtime = self.runtime.clone();
        // Spawned on the runtime, to wake a free worker, which polls the sockets afterwards.
        runtime.spawn(async move {
            let waiting = std::mem::take(&mut self.state().waiting);
            for call in waiting {
                self.runtime.spawn(self.alone().run(call));
            }
            self.hand_over();
        });
    }

    fn is_stuck(&self, since: Duration) {
        let current = self.state().current.clone();
        if let Some(entry) = current {
            log_stuck(&entry, since);
        }
    }
}

/// Runs a call in its own task.
struct Alone<S: Sink> {
    sink: Arc<S>,
    watch: Watch,
}

impl<S: Sink> Alone<S> {
    /// Runs a call from its start, once its answer is likely to have room.
    async fn run(self, call: Admitted) {
        let mut call = Some(call);
        if self.sink.is_full()
            && let Some(waiting) = call.take()
        {
            match waiting.once(self.sink.has_room()).await {
                Ok(may_start) => call = Some(may_start),
                Err(late) => return self.hand_over(late),
            }
        }
        let stepped = std::future::poll_fn(|context| {
            let Some(call) = call.take() else { return Poll::Ready(None) };
            let _watched = self.watch.begin(WakeAnother::here(Arc::clone(&call.entry)));
            Poll::Ready(Some(call.step(&mut Instant::now(), context)))
        });
        match stepped.await {
            Some(Ok(finished)) => self.hand_over(finished),
            Some(Err(rest)) => self.go_on(rest).await,
            None => {}
        }
    }

    /// Runs the rest of a call.
    async fn go_on(self, Rest { entry, mut running, is_async }: Rest) {
        let wake = WakeAnother::here(entry);
        let left = if is_async { LONGEST_PAUSE } else { Duration::ZERO };
        let mut pause = Pause { sink: &*self.sink, left, waiting: None };
        let finished = std::future::poll_fn(|context| {
            ready!(pause.poll(context));
            let _watched = self.watch.begin(Arc::clone(&wake));
            running.as_mut().poll(context)
        });
        let finished = finished.await;
        // The handler's values are dropped before its result becomes visible.
        drop(running);
        self.hand_over(finished);
    }

    fn hand_over(&self, finished: Finished) {
        self.sink.finished(&mut vec![finished]);
    }
}

/// Holds a call back while too many answers wait to be sent: it may be about to end with another one.
struct Pause<'a, S> {
    sink: &'a S,
    /// How much longer the call may be held back, in all.
    left: Duration,
    waiting: Option<(Instant, BoxFuture<'a, ()>)>,
}

impl<S: Sink> Pause<'_, S> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (since, room) = match &mut self.waiting {
            Some(waiting) => waiting,
            None if self.left.is_zero() || !self.sink.is_full() => return Poll::Ready(()),
            None => {
                let room = timeout(self.left, self.sink.has_room()).map(drop);
                self.waiting.insert((Instant::now(), room.boxed()))
            }
        };
        ready!(room.as_mut().poll(context));
        self.left = self.left.saturating_sub(since.elapsed());
        self.waiting = None;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as blocking;

    use tokio::sync::{mpsc, oneshot, watch};
    use tokio::task::yield_now;

    use super::*;
    use crate::caller::CallContext;
    use crate::observe::HostMetrics;
    use crate::run::{Dispatcher, Limits, Rules, ToolTable};
    use crate::tool::{Arguments, Registry, Tool, ToolOutput, ToolSpec};

    const GUARD: Duration = Duration::from_secs(60);
    const QUICK: Option<Duration> = Some(Duration::from_micros(1));

    /// Forwards the texts of calls that finished together.
    struct Texts {
        finished: mpsc::UnboundedSender<Vec<String>>,
        full: watch::Receiver<bool>,
    }

    impl Sink for Texts {
        fn is_full(&self) -> bool {
            *self.full.borrow()
        }

        async fn has_room(&self) {
            let _ = self.full.clone().wait_for(|full| !full).await;
        }

        fn finished(&self, calls: &mut Vec<Finished>) {
            let text = |call: &Finished| match &call.result {
                Ok(output) => output.to_value().as_str().unwrap().to_owned(),
                Err(error) => error.to_string(),
            };
            self.finished.send(calls.iter().map(text).collect()).unwrap();
        }
    }

    struct Bench {
        dispatcher: Dispatcher,
        batch: Batch<Texts>,
        full: watch::Sender<bool>,
    }

    fn bench() -> (Bench, mpsc::UnboundedReceiver<Vec<String>>) {
        let (sender, finished) = mpsc::unbounded_channel();
        let rules = Rules {
            is_authenticated: false,
            strict_access: false,
            is_declared: false,
            describe_parameters: false,
        };
        let tools = ToolTable::new(Registry::new(), Arc::default(), rules, HostMetrics::default()).unwrap();
        let dispatcher = Dispatcher::new(tools, Arc::default(), None, Limits::default());
        let full = watch::Sender::new(false);
        let sink = Texts { finished: sender, full: full.subscribe() };
        let batch = Batch::new(Watch::default(), Arc::new(sink));
        (Bench { dispatcher, batch, full }, finished)
    }

    impl Bench {
        /// A call of a tool that runs `handler`.
        fn admit(&self, handler: impl Future<Output = &'static str> + Send + 'static) -> Admitted {
            let handler = Mutex::new(Some(handler));
            let tool = Tool::new(ToolSpec::new("call"), move |_| {
                let handler = handler.lock().unwrap().take().unwrap();
                async move { Ok(ToolOutput::text(handler.await)) }
            });
            self.dispatcher.tools().insert(tool).unwrap();
            let context = CallContext::builder().build();
            let call = self.dispatcher.admit_local("call", Arguments::empty(), context, |scope| scope);
            self.dispatcher.tools().remove("call");
            call.unwrap()
        }

        /// Adds a call of a tool that runs `handler` and whose first step is expected to take `quick`.
        fn push(
            &mut self,
            quick: Option<Duration>,
            handler: impl Future<Output = &'static str> + Send + 'static,
        ) {
            let call = self.admit(handler);
            if let Some(quick) = quick {
                call.entry.pace.record(quick);
            }
            self.batch.push(call);
        }
    }

    /// Sends the warnings of this crate's watch on, of all threads of these tests.
    struct Warnings(Mutex<blocking::Sender<String>>);

    impl tracing::Subscriber for Warnings {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            metadata.target() == "platools::run::watch" && metadata.is_event()
        }

        fn new_span(&self, _span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _span: &tracing::span::Id, _values: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _span: &tracing::span::Id, _follows: &tracing::span::Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            let mut words = Vec::new();
            event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                words.push(format!("{field}={value:?}"));
            });
            let _ = self.0.lock().unwrap().send(words.join(" "));
        }

        fn enter(&self, _span: &tracing::span::Id) {}

        fn exit(&self, _span: &tracing::span::Id) {}
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_handler_that_keeps_its_thread_is_named_in_the_log() {
        let (sender, told) = blocking::channel();
        tracing::subscriber::set_global_default(Warnings(Mutex::new(sender))).unwrap();
        let told = Arc::new(Mutex::new(told));
        // It ends once it is in the log.
        let hog = || {
            let told = Arc::clone(&told);
            async move {
                let line = told.lock().unwrap().recv_timeout(GUARD).unwrap();
                assert!(line.contains("tool=\"call\" seconds="), "{line}");
                "named"
            }
        };
        let (mut bench, mut answers) = bench();
        for quick in [QUICK, None] {
            bench.push(quick, hog());
            bench.batch.start(None);
            assert_eq!(next(&mut answers).await, ["named"]);
        }
        let later = hog();
        bench.push(None, async move {
            yield_now().await;
            later.await
        });
        assert_eq!(next(&mut answers).await, ["named"], "after its first step");
        let finished = timeout(GUARD, tokio::spawn(bench.admit(hog()).run())).await.unwrap().unwrap();
        assert_eq!(finished.result.unwrap().to_value(), "named", "through another door");
    }

    async fn next(finished: &mut mpsc::UnboundedReceiver<Vec<String>>) -> Vec<String> {
        timeout(GUARD, finished.recv()).await.expect("a finished call").expect("a sink")
    }

    #[tokio::test]
    async fn what_ends_at_once_is_answered_together_and_in_order() {
        let (mut bench, mut answers) = bench();
        for name in ["a", "b", "c"] {
            bench.push(QUICK, async move { name });
        }
        bench.batch.start(None);
        bench.batch.start(None);
        assert_eq!(next(&mut answers).await, ["a", "b", "c"]);
        bench.push(QUICK, async { "d" });
        bench.batch.start(None);
        assert_eq!(next(&mut answers).await, ["d"]);
        assert!(answers.try_recv().is_err(), "each once");
    }

    #[tokio::test]
    async fn nothing_starts_while_the_sink_is_full() {
        let (mut bench, mut answers) = bench();
        bench.full.send_replace(true);
        bench.push(QUICK, async { "quick" });
        bench.push(None, async { "slow" });
        bench.batch.start(None);
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(answers.try_recv().is_err());
        bench.full.send_replace(false);
        let mut both = [next(&mut answers).await, next(&mut answers).await].concat();
        both.sort_unstable();
        assert_eq!(both, ["quick", "slow"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_whose_answer_finds_no_room_in_time_times_out_without_running() {
        let (mut bench, mut answers) = bench();
        bench.full.send_replace(true);
        bench.push(None, async { "runs" });
        tokio::time::sleep(Limits::default().call_timeout).await;
        assert_eq!(next(&mut answers).await, ["timed out after 28 s"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_begun_goes_on_when_there_is_room_or_after_a_while_in_all() {
        let (mut bench, mut answers) = bench();
        let tick = Duration::from_millis(1);
        let waits = |name| async move {
            tokio::time::sleep(tick).await;
            tokio::time::sleep(tick).await;
            name
        };
        bench.push(None, waits("first"));
        yield_now().await;
        bench.full.send_replace(true);
        tokio::time::sleep(LONGEST_PAUSE / 2).await;
        bench.full.send_replace(false);
        let room = Instant::now();
        assert_eq!(next(&mut answers).await, ["first"]);
        assert!(room.elapsed() <= 2 * tick, "{:?}", room.elapsed());

        bench.push(None, waits("second"));
        yield_now().await;
        bench.full.send_replace(true);
        let full = Instant::now();
        assert_eq!(next(&mut answers).await, ["second"]);
        let held_back = full.elapsed();
        assert!((LONGEST_PAUSE..LONGEST_PAUSE + 4 * tick).contains(&held_back), "{held_back:?}");
    }

    #[tokio::test]
    async fn what_waits_goes_on_in_a_task_of_its_own() {
        let (mut bench, mut answers) = bench();
        let (go_on, gate) = oneshot::channel::<()>();
        let waits = async move {
            gate.await.unwrap();
            yield_now().await;
            "waits"
        };
        bench.push(QUICK, waits);
        bench.push(QUICK, async { "quick" });
        bench.batch.start(None);
        assert_eq!(next(&mut answers).await, ["quick"]);
        go_on.send(()).unwrap();
        assert_eq!(next(&mut answers).await, ["waits"]);
    }

    #[tokio::test]
    async fn what_is_not_known_to_be_quick_is_on_its_own_from_the_start() {
        let (mut bench, mut answers) = bench();
        bench.push(QUICK, async { "quick" });
        bench.push(None, async { "slow" });
        assert_eq!(next(&mut answers).await, ["slow"], "before the batch is started");
        bench.batch.start(None);
        assert_eq!(next(&mut answers).await, ["quick"]);
    }

    #[tokio::test]
    async fn a_batch_takes_only_what_it_has_time_for() {
        let (mut bench, mut answers) = bench();
        for _ in 0..10 {
            bench.push(Some(BUDGET / 10), async { "in time" });
        }
        bench.push(Some(BUDGET / 10), async { "later" });
        bench.batch.start(None);
        assert_eq!(next(&mut answers).await, ["in time"; 10]);
        assert_eq!(next(&mut answers).await, ["later"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_handler_that_blocks_in_its_first_step_holds_up_no_other() {
        let (mut bench, mut answers) = bench();
        let (release, gate) = blocking::channel::<()>();
        bench.push(QUICK, async { "before" });
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let waits = async move {
            may_go_on.await.unwrap();
            "waits"
        };
        bench.push(QUICK, waits);
        let blocks = async move {
            let _ = gate.recv();
            "blocks"
        };
        bench.push(QUICK, blocks);
        bench.push(QUICK, async { "behind" });
        // Started from a worker, as a connection does: only that worker's queue holds the batch.
        tokio::spawn(async move { bench.batch.start(None) });
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

    /// The socket of this test represents the connection: a worker has to poll it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_handler_that_blocks_later_holds_up_no_socket() {
        let (mut bench, mut answers) = bench();
        let (release, gate) = blocking::channel::<()>();
        let (blocked, is_blocked) = oneshot::channel();
        let blocks = async move {
            yield_now().await;
            blocked.send(()).unwrap();
            let _ = gate.recv();
            "blocks"
        };
        bench.push(None, blocks);
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
