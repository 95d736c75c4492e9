//! The thread that keeps sessions: it creates them, beats for them and closes them, whatever becomes of the
//! program's own runtime.

use std::future::Future;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Api;
use crate::config::{ConfigError, Settings};
use crate::error::Result;

/// A thread with a runtime of its own. Its client of the control plane is its own too: a connection belongs to the
/// runtime on which it was made.
pub(crate) struct Keeper {
    api: Api,
    heartbeat_interval: Duration,
    handle: Handle,
    tasks: TaskTracker,
    leaving: CancellationToken,
    /// Counts the calls of [`close_all`](Self::close_all).
    closing: watch::Sender<u64>,
    /// How many sessions there are.
    open: watch::Sender<usize>,
    /// Hangs up when the thread has ended.
    ended: Mutex<mpsc::Receiver<()>>,
}

/// Counts one session for as long as it lives.
struct Counted(watch::Sender<usize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Keeper {
    pub(crate) fn start(settings: &Settings) -> Result<Self> {
        let problem = |error: std::io::Error| {
            ConfigError::Value(format!("the thread that keeps sessions cannot be started: {error}"))
        };
        let api = Api::new(settings)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(problem)?;
        let handle = runtime.handle().clone();
        let (tasks, leaving) = (TaskTracker::new(), CancellationToken::new());
        let (end, ended) = mpsc::channel();
        let (all, left) = (tasks.clone(), leaving.clone());
        let work = move || {
            runtime.block_on(async {
                left.cancelled().await;
                all.close();
                all.wait().await;
            });
            drop(end);
        };
        std::thread::Builder::new().name("plato-sessions".to_owned()).spawn(work).map_err(problem)?;
        Ok(Self {
            api,
            heartbeat_interval: settings.heartbeat_interval,
            handle,
            tasks,
            leaving,
            closing: watch::channel(0).0,
            open: watch::channel(0).0,
            ended: Mutex::new(ended),
        })
    }

    pub(crate) fn api(&self) -> Api {
        self.api.clone()
    }

    pub(crate) fn heartbeat_interval(&self) -> Duration {
        self.heartbeat_interval
    }

    /// Tells a session when all of them are to be closed.
    pub(crate) fn closing(&self) -> watch::Receiver<u64> {
        self.closing.subscribe()
    }

    /// Runs what keeps one session.
    pub(crate) fn keep(&self, session: impl Future<Output = ()> + Send + 'static) {
        self.open.send_modify(|open| *open += 1);
        let counted = Counted(self.open.clone());
        let task = async move {
            let _counted = counted;
            session.await;
        };
        self.handle.spawn(self.tasks.track_future(task));
    }

    pub(crate) fn open(&self) -> usize {
        *self.open.borrow()
    }

    pub(crate) async fn close_all(&self) {
        self.closing.send_modify(|times| *times += 1);
        // The sender lives as long as this keeper, so the wait cannot fail.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }

    /// Lets the thread end when the last session has, and waits for that for at most `grace`. Whoever holds on to
    /// a session holds on to the keeper, so that all of them are on their way to be closed.
    pub(crate) fn leave(&self, grace: Duration) {
        self.leaving.cancel();
        if grace.is_zero() || self.open() == 0 {
            return;
        }
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(grace) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!(
                sessions = self.open(),
                "sessions could not be closed in time: Plato ends them when their heartbeat has been missing for long enough"
            );
        }
    }
}
