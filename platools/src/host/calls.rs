//! Which calls are running and which were answered lately, by call id.
//!
//! A call id that comes again, properly signed, is the same call: it runs once and gets the same answer.
//! And while a call runs, nothing else may be answered under its id, since the platform would take that
//! for the call's own answer.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::protocol::CALL_PENDING;

/// How many bytes of answers are remembered; beyond it the oldest are forgotten.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// What an answer costs beside its own bytes.
const OVERHEAD: usize = 256;

/// What is known about a call id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: the call may run, and counts as running now, under this id.
    New(Arc<str>),
    /// It is running; its answer is on its way.
    Running,
    /// It was answered, with this frame.
    Answered(Utf8Bytes),
}

/// The calls of one host.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// `None` while a call is running. Hashed under a key of this process: an id comes from the platform, with a
    /// call that was verified, so that nobody else can fill the table.
    by_id: HashMap<Arc<str>, Option<Utf8Bytes>, RandomState>,
    /// The answered ones, oldest first.
    answered: VecDeque<(Instant, Arc<str>)>,
    bytes: usize,
}

impl Calls {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is known about a call; one that is new counts as running from now on.
    pub(super) fn begin(&self, call_id: &str) -> Known {
        let call_id: Arc<str> = call_id.into();
        match self.inner().by_id.entry(Arc::clone(&call_id)) {
            Entry::Vacant(new) => {
                new.insert(None);
                Known::New(call_id)
            }
            Entry::Occupied(known) => match known.get() {
                None => Known::Running,
                Some(answer) => Known::Answered(answer.clone()),
            },
        }
    }

    pub(super) fn is_running(&self, call_id: &str) -> bool {
        matches!(self.inner().by_id.get(call_id), Some(None))
    }

    /// A call that was begun does not run after all, and may come again.
    pub(super) fn abandon(&self, call_id: &str) {
        self.inner().by_id.remove(call_id);
    }

    /// A running call has its answer, which is remembered for as long as the platform may ask again.
    #[cfg(any(feature = "http", test))]
    pub(super) fn finish(&self, call_id: &Arc<str>, answer: Utf8Bytes) {
        self.finish_all([(Arc::clone(call_id), answer)], Instant::now());
    }

    /// The same for several calls.
    pub(super) fn finish_all(&self, answers: impl IntoIterator<Item = (Arc<str>, Utf8Bytes)>, now: Instant) {
        let mut inner = self.inner();
        for (call_id, answer) in answers {
            inner.bytes += answer.len() + OVERHEAD;
            match inner.by_id.get_mut(&*call_id) {
                Some(running) => *running = Some(answer),
                None => drop(inner.by_id.insert(Arc::clone(&call_id), Some(answer))),
            }
            inner.answered.push_back((now, call_id));
        }
        inner.forget(now);
    }

    /// Forgets what is too old.
    pub(super) fn tidy(&self, now: Instant) {
        let mut inner = self.inner();
        inner.forget(now);
        if inner.by_id.is_empty() {
            inner.by_id.shrink_to(64);
            inner.answered.shrink_to(64);
        }
    }
}

impl Inner {
    fn forget(&mut self, now: Instant) {
        while let Some((answered, _)) = self.answered.front() {
            if self.bytes <= MAX_BYTES && now.duration_since(*answered) < CALL_PENDING {
                return;
            }
            let Some((_, call_id)) = self.answered.pop_front() else { return };
            if let Some(Some(answer)) = self.by_id.remove(&call_id) {
                self.bytes -= answer.len() + OVERHEAD;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_runs_once_and_its_answer_is_remembered_for_a_while() {
        let calls = Calls::default();
        assert_eq!(calls.begin("a"), Known::New("a".into()));
        assert_eq!(calls.begin("a"), Known::Running);
        assert!(calls.is_running("a") && !calls.is_running("b"));
        calls.finish(&"a".into(), Utf8Bytes::from_static("answer"));
        assert_eq!(calls.begin("a"), Known::Answered(Utf8Bytes::from_static("answer")));
        assert!(!calls.is_running("a"));
        tokio::time::advance(CALL_PENDING + Duration::from_secs(1)).await;
        calls.tidy(Instant::now());
        assert_eq!(calls.begin("a"), Known::New("a".into()), "forgotten");
        calls.abandon("a");
        assert_eq!(calls.begin("a"), Known::New("a".into()), "it did not run");
    }

    #[test]
    fn memory_is_bounded_and_running_calls_are_never_forgotten() {
        let calls = Calls::default();
        calls.begin("running");
        for index in 0..200_000 {
            let call_id = index.to_string();
            calls.begin(&call_id);
            calls.finish(&call_id.into(), "x".repeat(100).into());
        }
        assert!(calls.is_running("running"));
        let inner = calls.inner();
        assert!(inner.bytes <= MAX_BYTES && inner.by_id.len() < 30_000, "{} calls", inner.by_id.len());
        assert_eq!(inner.by_id.len(), inner.answered.len() + 1);
    }
}
