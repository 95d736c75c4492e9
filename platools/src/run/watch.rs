//! A watchdog thread for handlers that block a worker of the runtime.
//!
//! A handler should never block the thread that polls it. If one does, the tasks that only this worker would run are
//! stuck: polling the sockets, and the task that the worker woke last, which no other worker may steal. Handing these
//! over before each poll would cost a wake-up for each call. Instead, each poll of a handler is registered here with a
//! [`Rescue`] that is called if the poll does not end soon.
//!
//! The thread checks every few milliseconds while polls are registered, sleeps otherwise, and exits after being idle.

use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The interval of the checks. A poll is late at the second check, after one to two intervals.
const TICK: Duration = Duration::from_millis(5);
/// The idle time after which the thread exits.
const IDLE: Duration = Duration::from_secs(10);

/// The reaction to a late poll. Runs on the watchdog thread, so it must be short and must not block.
pub(super) trait Rescue: Send + Sync {
    fn rescue(self: Arc<Self>);
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
    was_checked: bool,
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

    /// Registers a poll. If it is late, `rescue` is called once.
    pub(super) fn begin(&self, rescue: Arc<dyn Rescue>) -> Watched<'_> {
        let (number, thread) = {
            let mut state = self.0.state();
            state.begun += 1;
            let number = state.begun;
            state.polls.push(Poll { number, rescue, was_checked: false });
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
        let started =
            std::thread::Builder::new().name("platools-watch".to_owned()).spawn(move || shared.run());
        if let Err(error) = started {
            // The next poll tries again.
            self.state().thread = Thread::None;
            tracing::debug!("the thread that watches for blocking handlers cannot be started: {error}");
        }
    }

    fn run(&self) {
        let mut seen = 0;
        loop {
            std::thread::sleep(TICK);
            let mut late = Vec::new();
            let mut state = self.state();
            for poll in &mut state.polls {
                if std::mem::replace(&mut poll.was_checked, true) {
                    late.push(Arc::clone(&poll.rescue));
                }
            }
            // Each late poll is rescued once.
            state.polls.retain(|poll| !late.iter().any(|late| Arc::ptr_eq(late, &poll.rescue)));
            if late.is_empty() && state.polls.is_empty() && state.begun == seen {
                state.thread = Thread::Asleep;
                state = self
                    .work
                    .wait_timeout_while(state, IDLE, |state| state.thread == Thread::Asleep)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                if state.thread == Thread::Asleep {
                    state.thread = Thread::None;
                    return;
                }
            }
            seen = state.begun;
            drop(state);
            for late in late {
                late.rescue();
            }
        }
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

    struct Told(Mutex<mpsc::Sender<()>>);

    impl Rescue for Told {
        fn rescue(self: Arc<Self>) {
            let _ = self.0.lock().unwrap().send(());
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
        slow_told.recv().unwrap();
        assert!(watch.0.state().polls.is_empty());
        drop(slow);
        assert!(slow_told.recv().is_err(), "told once");
        assert!(quick_told.recv().is_err(), "not told at all");
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
