//! A thread pool for blocking handlers, separate from the runtime's own.
//!
//! A runtime that shuts down waits for its blocking threads without a limit. It does not wait for these: a handler that
//! does not return keeps its thread and its permits, but the process can exit.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The idle time after which a thread exits.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// An unbounded pool: one thread for each job that runs at the same time. The caller limits the number of jobs.
#[derive(Default)]
pub(super) struct Threads(Arc<Pool>);

#[derive(Default)]
struct Pool {
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Jobs with the numbers that identify them.
    jobs: VecDeque<(u64, Job)>,
    numbers: u64,
    /// The number of idle threads.
    idle: usize,
}

impl Pool {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next job; returns `None` after the idle time.
    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        if let Some(job) = queue.jobs.pop_front() {
            return Some(job.1);
        }
        queue.idle += 1;
        let (mut queue, _) = self
            .work
            .wait_timeout_while(queue, IDLE, |queue| queue.jobs.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        queue.idle -= 1;
        queue.jobs.pop_front().map(|(_, job)| job)
    }
}

impl Threads {
    /// Runs `job` on an idle thread or on a new one.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let (number, has_thread) = {
            let mut queue = self.0.queue();
            queue.numbers += 1;
            let number = queue.numbers;
            queue.jobs.push_back((number, Box::new(job)));
            (number, queue.jobs.len() <= queue.idle)
        };
        if has_thread {
            self.0.work.notify_one();
            return Ok(());
        }
        let shared = Arc::clone(&self.0);
        let started = std::thread::Builder::new().name("platools-blocking".to_owned()).spawn(move || {
            while let Some(job) = shared.next() {
                job();
            }
        });
        if let Err(error) = started {
            let mut queue = self.0.queue();
            let waiting = queue.jobs.len();
            queue.jobs.retain(|(other, _)| *other != number);
            // If another thread has taken the job meanwhile, this is no failure.
            if queue.jobs.len() < waiting {
                return Err(error);
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Threads")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn threads_are_made_when_needed_and_used_again() {
        let threads = Threads::default();
        let (sender, receiver) = mpsc::channel();
        let run = |wait: Option<mpsc::Receiver<()>>| {
            let sender = sender.clone();
            threads
                .run(move || {
                    if let Some(wait) = wait {
                        let _ = wait.recv();
                    }
                    sender.send(std::thread::current().id()).unwrap();
                })
                .unwrap();
        };
        let (release, waits): (Vec<_>, Vec<_>) = (0..4).map(|_| mpsc::channel()).unzip();
        for wait in waits {
            run(Some(wait));
        }
        run(None);
        let quick = receiver.recv().unwrap();
        drop(release);
        let mut seen: HashSet<_> = (0..4).map(|_| receiver.recv().unwrap()).collect();
        seen.insert(quick);
        assert_eq!(seen.len(), 5, "all at the same time, each on its own");
        while threads.0.queue().idle < 5 {
            std::thread::yield_now();
        }
        run(None);
        assert!(seen.contains(&receiver.recv().unwrap()), "no sixth thread");
    }
}
