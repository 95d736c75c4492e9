//! A look, from a thread of its own, at what runs on the runtime's workers for too long.
//!
//! A handler should never block the thread that polls it; one that does takes with it what only that thread would
//! have done next: poll the sockets, and run the task that it woke last, which no other worker may steal. While
//! nothing is blocked, nobody can tell, and handing over beforehand would cost a wake-up for each call. So whoever
//! polls a handler says so here, and says what is to be done if that poll does not end soon.
//!
//! The thread looks every few milliseconds while there is something to look at, sleeps while there is not, and
//! ends when that lasts.

use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often it looks. What is still running at the second look has run for one to two of these.
const TICK: Duration = Duration::from_millis(5);
/// How long the thread stays without work.
const IDLE: Duration = Duration::from_secs(10);

/// What helps when a poll does not end: run on the watching thread, so it must be short and must not block.
pub(super) trait Rescue: Send + Sync {
    fn rescue(self: Arc<Self>);
}

/// Watches polls. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    polls: Vec<Poll>,
    /// How many polls there were so far; each has its number, to find it again.
    begun: u64,
    thread: Thread,
}

struct Poll {
    number: u64,
    rescue: Arc<dyn Rescue>,
    looked_at: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Thread {
    #[default]
    None,
    Looking,
    Asleep,
}

/// A poll that is under way; it ends when this is dropped.
pub(super) struct Watched<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Watch {
    /// The one of this process: hosts have workers in common, and a thread for each host would be many that look
    /// at little.
    pub(super) fn of_process() -> Self {
        static WATCH: LazyLock<Watch> = LazyLock::new(Watch::default);
        WATCH.clone()
    }

    /// A poll begins. When it takes long, `rescue` is called once.
    pub(super) fn begin(&self, rescue: Arc<dyn Rescue>) -> Watched<'_> {
        let (number, thread) = {
            let mut state = self.0.state();
            state.begun += 1;
            let number = state.begun;
            state.polls.push(Poll { number, rescue, looked_at: false });
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
        // There are no more of them than workers, or not many more.
        if let Some(index) = state.polls.iter().position(|poll| poll.number == self.number) {
            state.polls.swap_remove(index);
        }
    }
}

impl Shared {
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
            tracing::debug!("no thread to watch handlers that block: {error}");
        }
    }

    fn run(&self) {
        let mut seen = 0;
        loop {
            std::thread::sleep(TICK);
            let mut late = Vec::new();
            let mut state = self.state();
            for poll in &mut state.polls {
                if std::mem::replace(&mut poll.looked_at, true) {
                    late.push(Arc::clone(&poll.rescue));
                }
            }
            // What was helped once is left alone.
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
