//! A watchdog thread for handlers that block a worker of the runtime.
//!
//! A handler should never block the thread that polls it. If one does, the tasks that only this worker would run are
//! stuck: polling the sockets, and the task that the worker woke last, which no other worker may steal. Handing these
//! over before each poll would cost a wake-up for each call. Instead, each poll of a handler is registered here with a
//! [`Rescue`] that is called if the poll does not end soon.
//!
//! The thread checks every few milliseconds while polls are registered, sleeps otherwise, and exits after being idle. A
//! handler that keeps its thread for a second is named in the log, and again each time that it took twice as long.

use std::pin::Pin;
use std::sync::{Arc, LazyLock, PoisonError};
use std::time::{Duration, Instant};

use platools_net::ration::Ration;

use super::entry::Entry;
use crate::sync::{Condvar, Handle, Mutex, MutexGuard, start_thread, thread, wait_timeout_while};

/// The interval of the checks. A poll is late at the second check, after one to two intervals.
const TICK: Duration = Duration::from_millis(5);
/// The interval of the checks while nothing but polls that are late already is registered.
const LATE_TICK: Duration = Duration::from_millis(100);
/// The idle time after which the thread exits.
const IDLE: Duration = Duration::from_secs(10);
/// The time after which a late poll is logged for the first time.
const STUCK: Duration = Duration::from_secs(1);

/// The reaction to a late poll. Runs on the watchdog thread, so it must be short and must not block.
pub(super) trait Rescue: Send + Sync {
    /// The poll is late.
    fn rescue(self: Arc<Self>);

    /// The poll has taken so long already.
    fn is_stuck(&self, since: Duration);
}

/// Logs that a handler keeps its thread.
pub(super) fn log_stuck(entry: &Entry, since: Duration) {
    // Each call of a tool may do that.
    static LINES: LazyLock<Ration> = LazyLock::new(Ration::default);
    let Some(left_out) = LINES.line() else { return };
    let left_out = (left_out > 0).then_some(left_out);
    tracing::warn!(
        tool = entry.name(),
        seconds = since.as_secs(),
        left_out,
        "an async handler has kept its thread since then without an `.await` that waits, and slows down everything else: \
         leave work that blocks or computes to `tokio::task::spawn_blocking`, or make the tool a plain `fn`"
    );
}

/// Watches polls. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<Watchdog>);

#[derive(Default)]
struct Watchdog {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    polls: Vec<Poll>,
    /// The number of polls so far, which identifies each.
    begun: u64,
    thread: Thread,
}

struct Poll {
    number: u64,
    rescue: Arc<dyn Rescue>,
    /// When it was checked first.
    checked: Option<Instant>,
    is_rescued: bool,
    /// The duration at which it is logged next.
    patience: Duration,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Thread {
    #[default]
    None,
    Looking,
    Asleep,
}

/// A registered poll; dropping it unregisters the poll.
pub(super) struct Watched<'a> {
    shared: &'a Watchdog,
    number: u64,
}

impl Watch {
    /// Returns the watch of this process. Hosts share the workers of the runtime, so one thread is enough.
    pub(super) fn of_process() -> Self {
        static WATCH: LazyLock<Watch> = LazyLock::new(Watch::default);
        WATCH.clone()
    }

    /// Polls a handler to its end, and registers each poll.
    pub(super) async fn over<F: Future>(&self, entry: Arc<Entry>, mut handler: Pin<&mut F>) -> F::Output {
        let wake = WakeAnother::here(entry);
        std::future::poll_fn(|context| {
            let _watched = self.begin(Arc::clone(&wake));
            handler.as_mut().poll(context)
        })
        .await
    }

    /// Registers a poll. If it is late, `rescue` is called once.
    pub(super) fn begin(&self, rescue: Arc<dyn Rescue>) -> Watched<'_> {
        let (number, thread) = {
            let mut state = self.0.state();
            state.begun += 1;
            let number = state.begun;
            state.polls.push(Poll { number, rescue, checked: None, is_rescued: false, patience: STUCK });
            (number, std::mem::replace(&mut state.thread, Thread::Looking))
        };
        match thread {
            Thread::Looking => {}
            Thread::Asleep => self.0.work.notify_one(),
            Thread::None => self.0.start(),
        }
        Watched { shared: &self.0, number }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        // Linear, since there are about as many polls as workers.
        if let Some(index) = state.polls.iter().position(|poll| poll.number == self.number) {
            state.polls.swap_remove(index);
        }
    }
}

impl Watchdog {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        if let Err(error) = start_thread("platools-watch", move || shared.run()) {
            // The next poll tries again.
            self.state().thread = Thread::None;
            tracing::debug!("the thread that watches for blocking handlers cannot be started: {error}");
        }
    }

    fn run(&self) {
        let mut seen = 0;
        loop {
            thread::sleep(TICK);
            let (mut late, mut stuck) = (Vec::new(), Vec::new());
            let mut state = self.state();
            let now = Instant::now();
            for poll in &mut state.polls {
                let since = now.duration_since(*poll.checked.get_or_insert(now));
                if since > Duration::ZERO && !std::mem::replace(&mut poll.is_rescued, true) {
                    late.push(Arc::clone(&poll.rescue));
                }
                if since >= poll.patience {
                    poll.patience *= 2;
                    stuck.push((Arc::clone(&poll.rescue), since));
                }
            }
            let is_quiet = late.is_empty()
                && stuck.is_empty()
                && state.begun == seen
                && state.polls.iter().all(|poll| poll.is_rescued);
            if is_quiet {
                let time = if state.polls.is_empty() { IDLE } else { LATE_TICK };
                state.thread = Thread::Asleep;
                let is_asleep = |state: &mut State| state.thread == Thread::Asleep;
                state = wait_timeout_while(&self.work, &self.state, state, time, is_asleep);
                if state.thread == Thread::Asleep {
                    if time == IDLE {
                        state.thread = Thread::None;
                        return;
                    }
                    state.thread = Thread::Looking;
                }
            }
            seen = state.begun;
            drop(state);
            for late in late {
                late.rescue();
            }
            for (poll, since) in stuck {
                poll.is_stuck(since);
            }
        }
    }
}

/// Wakes another worker, which polls the sockets before it parks again.
pub(super) struct WakeAnother {
    /// `None` outside of a runtime, where nothing else waits for this thread.
    runtime: Option<Handle>,
    entry: Arc<Entry>,
}

impl WakeAnother {
    pub(super) fn here(entry: Arc<Entry>) -> Arc<dyn Rescue> {
        Arc::new(Self { runtime: Handle::try_current().ok(), entry })
    }
}

impl Rescue for WakeAnother {
    fn rescue(self: Arc<Self>) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(std::future::ready(()));
        }
    }

    fn is_stuck(&self, since: Duration) {
        log_stuck(&self.entry, since);
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Told of a rescue by zero, and how long a poll is stuck.
    struct Told(Mutex<mpsc::Sender<Duration>>);

    impl Rescue for Told {
        fn rescue(self: Arc<Self>) {
            self.is_stuck(Duration::ZERO);
        }

        fn is_stuck(&self, since: Duration) {
            let _ = self.0.lock().unwrap().send(since);
        }
    }

    #[test]
    fn a_poll_that_does_not_end_is_told_of_once_and_one_that_ends_is_not() {
        let watch = Watch::default();
        let told = || {
            let (sender, receiver) = mpsc::channel();
            (Arc::new(Told(Mutex::new(sender))), receiver)
        };
        let ((quick, quick_told), (slow, slow_told)) = (told(), told());
        drop(watch.begin(quick));
        let slow = watch.begin(slow);
        assert_eq!(slow_told.recv(), Ok(Duration::ZERO));
        drop(slow);
        assert!(watch.0.state().polls.is_empty());
        assert!(slow_told.recv().is_err(), "told once");
        assert!(quick_told.recv().is_err(), "not told at all");
    }

    #[test]
    fn a_poll_that_never_ends_is_told_of_each_time_that_it_took_twice_as_long() {
        let watch = Watch::default();
        let (sender, told) = mpsc::channel();
        let stuck = watch.begin(Arc::new(Told(Mutex::new(sender))));
        watch.0.state().polls[0].patience = Duration::from_millis(20);
        assert_eq!(told.recv(), Ok(Duration::ZERO));
        for least in [20, 40, 80] {
            let since = told.recv().unwrap();
            assert!(since >= Duration::from_millis(least), "{since:?}");
        }
        // Late polls delay no check of others.
        let (sender, other_told) = mpsc::channel();
        let _other = watch.begin(Arc::new(Told(Mutex::new(sender))));
        assert_eq!(other_told.recv(), Ok(Duration::ZERO));
        drop(stuck);
        assert!(told.iter().all(|since| since >= Duration::from_millis(80)), "rescued once");
    }

    #[test]
    fn the_thread_sleeps_without_work_and_wakes_up_for_more() {
        let watch = Watch::default();
        for _ in 0..2 {
            drop(watch.begin(Arc::new(Told(Mutex::new(mpsc::channel().0)))));
            while watch.0.state().thread != Thread::Asleep {
                std::thread::yield_now();
            }
        }
        let (sender, receiver) = mpsc::channel();
        let _slow = watch.begin(Arc::new(Told(Mutex::new(sender))));
        receiver.recv().unwrap();
    }
}
