//! The primitives of code in which threads meet: those of the standard library and of tokio or, with `cfg(shuttle)`,
//! those of [shuttle](https://docs.rs/shuttle), under which `.ci/shuttle` explores the order in which threads run.
//!
//! Shuttle runs one thread at a time, and decides at each operation on a primitive which one goes on. It treats all
//! atomic operations as sequentially consistent, so it says nothing about weaker orderings.

#[cfg(shuttle)]
pub(crate) use self::instrumented::*;
#[cfg(not(shuttle))]
pub(crate) use self::plain::*;

#[cfg(not(shuttle))]
mod plain {
    use std::io;
    use std::sync::PoisonError;
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};
    pub(crate) use std::thread;
    use std::time::Duration;

    pub(crate) use futures_util::task::AtomicWaker;
    pub(crate) use tokio::runtime::Handle;
    pub(crate) use tokio::spawn;
    pub(crate) use tokio::sync::Notify;

    /// Starts a thread that nobody joins.
    pub(crate) fn start_thread(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
    }

    /// Waits until `condition` no longer holds, for at most `time`.
    pub(crate) fn wait_timeout_while<'a, T>(
        condvar: &Condvar,
        _of: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        time: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        condvar.wait_timeout_while(guard, time, condition).unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(shuttle)]
mod instrumented {
    use std::io;
    use std::sync::PoisonError;
    use std::task::Waker;
    use std::time::Duration;

    use shuttle::rand::Rng as _;
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic};
    use tokio::sync::futures::Notified;

    pub(crate) mod thread {
        pub(crate) use shuttle::thread::*;

        /// Lets the others go on, also under a scheduler that prefers this thread.
        pub(crate) fn sleep(_time: std::time::Duration) {
            yield_now();
        }
    }

    /// Starts a thread that nobody joins. As a future, since that is what may be left over at the end of a test.
    #[expect(clippy::unnecessary_wraps, reason = "a thread may not start")]
    pub(crate) fn start_thread(_name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        drop(shuttle::future::spawn(async move { run() }));
        Ok(())
    }

    /// Waits until `condition` no longer holds, or, by chance, until the time is over.
    pub(crate) fn wait_timeout_while<'a, T>(
        condvar: &Condvar,
        of: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        _time: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        if shuttle::rand::thread_rng().gen_bool(0.5) {
            return condvar.wait_while(guard, condition).unwrap_or_else(PoisonError::into_inner);
        }
        drop(guard);
        thread::yield_now();
        of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a task as one of shuttle's.
    pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        drop(shuttle::future::spawn(task));
    }

    /// In place of the handle of a runtime.
    #[derive(Clone)]
    pub(crate) struct Handle;

    impl Handle {
        pub(crate) fn current() -> Self {
            Self
        }

        #[expect(clippy::unnecessary_wraps, reason = "as the handle of a runtime")]
        pub(crate) fn try_current() -> Result<Self, std::convert::Infallible> {
            Ok(Self)
        }

        #[expect(clippy::unused_self, reason = "as the handle of a runtime")]
        pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
            spawn(task);
        }
    }

    /// Lets another thread go on first.
    fn switch() {
        shuttle::thread::sleep(Duration::ZERO);
    }

    #[derive(Debug, Default)]
    pub(crate) struct AtomicWaker(futures_util::task::AtomicWaker);

    impl AtomicWaker {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn register(&self, waker: &Waker) {
            switch();
            self.0.register(waker);
        }

        pub(crate) fn wake(&self) {
            switch();
            self.0.wake();
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Notify(tokio::sync::Notify);

    impl Notify {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        /// Notified of what happens from now on.
        pub(crate) fn notified(&self) -> Notified<'_> {
            switch();
            self.0.notified()
        }

        pub(crate) fn notify_waiters(&self) {
            switch();
            self.0.notify_waiters();
        }
    }
}

/// Runs a test under up to so many random schedules, and under as many in which threads are rarely interrupted, for a few
/// seconds each. A failure prints its seed and its schedule; `SHUTTLE_RANDOM_SEED` replaces the seed.
#[cfg(all(test, shuttle))]
pub(crate) fn explore(schedules: usize, test: impl Fn() + Clone + Send + Sync + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    use shuttle::{Config, Runner};

    const SEED: u64 = 7;
    const INTERRUPTIONS: usize = 3;
    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    config.silence_warnings = true;
    config.max_time = Some(std::time::Duration::from_secs(3));
    // Never driven: time limits need one, and none of them ends.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    Runner::new(RandomScheduler::new_from_seed(SEED, schedules), config.clone()).run(test.clone());
    Runner::new(PctScheduler::new_from_seed(SEED, INTERRUPTIONS, schedules), config).run(test);
}
