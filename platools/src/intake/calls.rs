//! Known call ids: the calls that are running, and the answers of those that finished lately.
//!
//! A call id that comes again, with a valid signature, is the same call: it runs once and gets the same answer. While
//! a call runs, nothing else may be answered under its id, since the platform would take that for the call's answer.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::wire::CALL_PENDING;

/// Maximum size of the remembered answers, in bytes; beyond it, the oldest are evicted.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The overhead of an answer, in bytes.
const OVERHEAD: usize = 96;

/// The state of a call id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: the call may run, and counts as running under this id from now on.
    New(Arc<str>),
    /// It is running; its answer is on its way.
    Running,
    /// It was answered, with this frame.
    Answered(String),
}

/// The calls of one host.
#[derive(Debug, Default)]
pub(super) struct Calls {
    inner: Mutex<Inner>,
    /// Told when no call is running.
    answered: Notify,
}

/// Holds the memory locked until the answers are on their way.
#[must_use]
pub(crate) struct Finishing<'a> {
    locked: Option<MutexGuard<'a, Inner>>,
    answered: &'a Notify,
    asked_again: Option<Instant>,
}

impl Finishing<'_> {
    /// Returns when the last of the calls that came over the socket while it ran did so.
    #[cfg_attr(
        not(feature = "http"),
        expect(dead_code, reason = "a call over the socket is answered there anyway")
    )]
    pub(crate) fn asked_again(&self) -> Option<Instant> {
        self.asked_again
    }
}

impl Drop for Finishing<'_> {
    fn drop(&mut self) {
        let idle = self.locked.take().is_some_and(|inner| inner.running.is_empty());
        if idle {
            self.answered.notify_waiters();
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    /// Hashed under a key of this process. An id comes from the platform, with a call that was verified, so that
    /// nobody else can fill the table.
    running: HashSet<Arc<str>, RandomState>,
    /// Running calls that came over the socket again, and when.
    asked_again: HashMap<Arc<str>, Instant, RandomState>,
    answered: Answered,
}

impl Calls {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims a call id: one that is new counts as running from now on. `asked` is when the platform began to wait for
    /// the answer on the socket, if it does.
    pub(super) fn claim(&self, call_id: &str, asked: Option<Instant>) -> Known {
        let call_id: Arc<str> = call_id.into();
        let mut inner = self.inner();
        if let Some(answer) = inner.answered.get(&call_id) {
            return Known::Answered(answer);
        }
        if inner.running.insert(Arc::clone(&call_id)) {
            return Known::New(call_id);
        }
        if let Some(asked) = asked {
            inner.asked_again.insert(call_id, asked);
        }
        Known::Running
    }

    pub(super) fn is_running(&self, call_id: &str) -> bool {
        self.inner().running.contains(call_id)
    }

    /// The number of running calls.
    pub(super) fn running(&self) -> usize {
        self.inner().running.len()
    }

    /// Waits until all running calls are answered.
    pub(super) async fn answered(&self) {
        loop {
            let mut answered = std::pin::pin!(self.answered.notified());
            // Registered before the look, so that no change is missed.
            answered.as_mut().enable();
            if self.running() == 0 {
                return;
            }
            answered.await;
        }
    }

    /// Releases a claimed id whose call does not run, so that it may come again.
    pub(super) fn release(&self, call_id: &str) {
        {
            let mut inner = self.inner();
            inner.running.remove(call_id);
            inner.asked_again.remove(call_id);
        }
        drop(self.finish_all([], Instant::now()));
    }

    /// Remembers the answer of a running call, for as long as the platform may ask again.
    #[cfg(test)]
    pub(super) fn finish(&self, call_id: &str, answer: &str) {
        drop(self.finish_all([(call_id, answer)], Instant::now()));
    }

    /// Remembers the answers of several calls, by their ids and frames. Send the answers before the guard is dropped:
    /// until then the calls count as running.
    pub(super) fn finish_all<'a>(
        &self,
        answers: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: Instant,
    ) -> Finishing<'_> {
        let mut inner = self.inner();
        let mut asked_again = None;
        for (call_id, answer) in answers {
            inner.running.remove(call_id);
            if !inner.asked_again.is_empty() {
                asked_again = inner.asked_again.remove(call_id).or(asked_again);
            }
            inner.answered.push(call_id, answer, now);
        }
        inner.answered.forget(now);
        Finishing { locked: Some(inner), answered: &self.answered, asked_again }
    }

    /// Forgets what is too old.
    pub(super) fn tidy(&self, now: Instant) {
        let mut inner = self.inner();
        inner.answered.forget(now);
        if inner.running.is_empty() {
            inner.running.shrink_to(64);
        }
        if inner.answered.oldest_first.is_empty() {
            inner.answered = Answered::default();
        }
    }
}

/// Answers that were given lately, in one piece of memory: thousands of small allocations that all live for half
/// a minute are what an allocator is worst at.
#[derive(Debug, Default)]
struct Answered {
    /// Ids and frames, one behind the other.
    texts: VecDeque<u8>,
    oldest_first: VecDeque<Span>,
    /// The number of evicted answers so far, which is the index of the oldest one left.
    forgotten: u64,
    /// The number of the answer whose id has this hash. When two ids have the same one, only the later is found;
    /// the other call would run again, if its nonce were not remembered elsewhere.
    by_hash: HashMap<u64, u64, RandomState>,
    hasher: RandomState,
}

/// One answer in the texts.
#[derive(Debug)]
struct Span {
    at: Instant,
    /// The hash of its id.
    hash: u64,
    /// The total size of all earlier answers, in bytes.
    start: u64,
    id: usize,
    frame: usize,
}

impl Answered {
    fn push(&mut self, call_id: &str, frame: &str, now: Instant) {
        let start = self.oldest_first.back().map_or(0, Span::end);
        self.texts.extend(call_id.as_bytes());
        self.texts.extend(frame.as_bytes());
        let number = self.forgotten + self.oldest_first.len() as u64;
        let hash = self.hasher.hash_one(call_id);
        self.oldest_first.push_back(Span { at: now, hash, start, id: call_id.len(), frame: frame.len() });
        self.by_hash.insert(hash, number);
    }

    fn get(&self, call_id: &str) -> Option<String> {
        let number = self.by_hash.get(&self.hasher.hash_one(call_id))?;
        let span = self.oldest_first.get(usize::try_from(number - self.forgotten).ok()?)?;
        let start = (span.start - self.oldest_first.front()?.start) as usize;
        let text: Vec<u8> = self.texts.range(start..start + span.id + span.frame).copied().collect();
        let (id, frame) = text.split_at(span.id);
        (id == call_id.as_bytes()).then(|| String::from_utf8(frame.to_vec()).ok()).flatten()
    }

    fn bytes(&self) -> usize {
        self.texts.len() + self.oldest_first.len() * OVERHEAD
    }

    fn forget(&mut self, now: Instant) {
        while let Some(oldest) = self.oldest_first.front() {
            if self.bytes() <= MAX_BYTES && now.duration_since(oldest.at) < CALL_PENDING {
                return;
            }
            if self.by_hash.get(&oldest.hash) == Some(&self.forgotten) {
                self.by_hash.remove(&oldest.hash);
            }
            self.texts.drain(..oldest.id + oldest.frame);
            self.oldest_first.pop_front();
            self.forgotten += 1;
        }
    }
}

impl Span {
    fn end(&self) -> u64 {
        self.start + (self.id + self.frame) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_runs_once_and_its_answer_is_remembered_for_a_while() {
        let calls = Calls::default();
        assert_eq!(calls.claim("a", None), Known::New("a".into()));
        assert_eq!(calls.claim("a", None), Known::Running);
        assert!(calls.is_running("a") && !calls.is_running("b"));
        calls.finish("a", "answer");
        assert_eq!(calls.claim("a", None), Known::Answered("answer".to_owned()));
        assert!(!calls.is_running("a"));
        tokio::time::advance(CALL_PENDING + Duration::from_secs(1)).await;
        calls.tidy(Instant::now());
        assert_eq!(calls.claim("a", None), Known::New("a".into()), "forgotten");
        calls.release("a");
        assert_eq!(calls.claim("a", None), Known::New("a".into()), "it did not run");
    }

    #[test]
    fn memory_is_bounded_and_running_calls_are_never_forgotten() {
        let calls = Calls::default();
        calls.claim("running", None);
        for index in 0..200_000 {
            let call_id = index.to_string();
            calls.claim(&call_id, None);
            calls.finish(&call_id, &"x".repeat(100));
        }
        assert!(calls.is_running("running"));
        assert!(matches!(calls.claim("199999", None), Known::Answered(frame) if frame == "x".repeat(100)));
        let inner = calls.inner();
        let answered = &inner.answered;
        assert!(answered.bytes() <= MAX_BYTES && answered.oldest_first.len() < 30_000);
        assert_eq!((inner.running.len(), answered.by_hash.len()), (1, answered.oldest_first.len()));
    }

    #[test]
    fn every_answer_that_is_remembered_is_the_calls_own() {
        let calls = Calls::default();
        let text = |index: usize| "é".repeat(index % 300);
        for index in 0..100_000 {
            calls.finish(&index.to_string(), &text(index));
        }
        let remembered = calls.inner().answered.oldest_first.len();
        assert!(remembered < 50_000);
        for index in 100_000 - remembered..100_000 {
            assert_eq!(calls.claim(&index.to_string(), None), Known::Answered(text(index)), "{index}");
        }
        assert_eq!(calls.claim("0", None), Known::New("0".into()));
    }
}
