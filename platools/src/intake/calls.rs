//! Known call ids: the calls that are running, and those that finished lately.
//!
//! A call id that comes again, with a valid signature, is the same call: it runs once and gets the same answer. While
//! a call runs, nothing else may be answered under its id, since the platform would take that for the call's answer.
//!
//! The id itself is not signed, the tool and the arguments are. So an id that comes again with others is another call,
//! which must not get the answer of the first one, and must not run under its id.
//!
//! Answers are large and are evicted early; the hashes of [`Ids`] are small and stay for as long as the platform may ask
//! again, so that an id whose answer was evicted does not run again.

mod ids;

use std::collections::{HashMap, VecDeque, hash_map};
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::sync::{Arc, PoisonError};

use foldhash::quality::RandomState;
use tokio::time::Instant;

use self::ids::Ids;
pub(super) use self::ids::MAX_IDS;
use crate::sync::{Mutex, MutexGuard, Notify};
use crate::wire::{CALL_PENDING, Params};

/// Maximum size of the remembered answers, in bytes; beyond it, the oldest are evicted.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The size of what is remembered beside the texts of an answer, in bytes.
const OVERHEAD: usize = size_of::<Span>();

/// The state of a call id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: the call may run, and counts as running under this id from now on.
    New(Arc<str>),
    /// It is running; its answer is on its way.
    Running,
    /// It was answered, with this frame.
    Answered(String),
    /// It ran, and its answer was evicted.
    Forgotten,
    /// It belongs to a call of another tool, or with other arguments.
    OfAnother,
    /// It is not known, and no further id can be remembered.
    Full,
}

/// What a call asks for, as a hash under a key of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

/// The calls of one host.
#[derive(Debug, Default)]
pub(super) struct Calls {
    inner: Mutex<Inner>,
    /// Keyed, so that collisions cannot be searched for. A call whose id collides is refused.
    hasher: RandomState,
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
    /// What the running calls ask for, by their ids. An id comes from the platform, with a call that was verified, so
    /// that nobody else can fill the table.
    running: HashMap<Arc<str>, Fingerprint, RandomState>,
    /// Running calls that came over the socket again, and when.
    asked_again: HashMap<Arc<str>, Instant, RandomState>,
    /// The ids of all calls that came lately, running or finished.
    ids: Ids,
    /// The answers of the latest of them.
    answered: Answered,
}

impl Calls {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hashes the signed parts of a call. The same call has the same text over the socket, where the envelope is cut
    /// out of it, and over HTTP.
    pub(super) fn fingerprint(&self, tool: &str, params: &Params<'_>) -> Fingerprint {
        let mut hasher = self.hasher.build_hasher();
        tool.hash(&mut hasher);
        let whole;
        // The envelope is usually the last member. The closing brace, which all texts have, is left out, so that
        // nothing has to be copied then.
        let text = match params.signed_pieces() {
            [text, "}"] => text,
            [text, ""] => text.strip_suffix('}').unwrap_or(text),
            pieces => {
                whole = pieces.concat();
                whole.strip_suffix('}').unwrap_or(&whole)
            }
        };
        hasher.write(text.as_bytes());
        Fingerprint(hasher.finish())
    }

    /// Claims a call id: one that is new counts as running from now on. `asked` is when the platform began to wait for
    /// the answer on the socket, if it does.
    pub(super) fn claim(&self, call_id: &str, call: Fingerprint, asked: Option<Instant>) -> Known {
        let (hash, call_id): (u64, Arc<str>) = (self.hasher.hash_one(call_id), call_id.into());
        let mut inner = self.inner();
        let Inner { running, asked_again, ids, answered } = &mut *inner;
        let now = Instant::now();
        match running.entry(Arc::clone(&call_id)) {
            hash_map::Entry::Occupied(running) if *running.get() != call => Known::OfAnother,
            hash_map::Entry::Occupied(_) => {
                if let Some(asked) = asked {
                    asked_again.insert(call_id, asked);
                }
                Known::Running
            }
            hash_map::Entry::Vacant(_) if ids.contains(hash) => match answered.get(hash, &call_id) {
                Some((first, _)) if first != call => Known::OfAnother,
                Some((_, frame)) => Known::Answered(frame),
                None => Known::Forgotten,
            },
            hash_map::Entry::Vacant(_) if !ids.has_room(now) => Known::Full,
            hash_map::Entry::Vacant(free) => {
                ids.insert(hash, now);
                free.insert(call);
                Known::New(call_id)
            }
        }
    }

    pub(super) fn is_running(&self, call_id: &str) -> bool {
        self.inner().running.contains_key(call_id)
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
            inner.ids.remove(self.hasher.hash_one(call_id));
        }
        drop(self.finish_all([], Instant::now()));
    }

    /// Remembers the answer of a running call, for as long as the platform may ask again.
    #[cfg(test)]
    pub(super) fn finish(&self, call_id: &str, answer: &str) {
        drop(self.finish_all([(call_id, answer)], Instant::now()));
    }

    /// Remembers the answers of several calls, by their ids and frames. Send the answers before the guard is dropped:
    /// until then the calls count as running. A call whose id was not claimed cannot come again.
    pub(super) fn finish_all<'a>(
        &self,
        answers: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: Instant,
    ) -> Finishing<'_> {
        let mut inner = self.inner();
        let mut asked_again = None;
        for (call_id, answer) in answers {
            let Some(call) = inner.running.remove(call_id) else { continue };
            if !inner.asked_again.is_empty() {
                asked_again = inner.asked_again.remove(call_id).or(asked_again);
            }
            let hash = self.hasher.hash_one(call_id);
            inner.answered.push(call_id, hash, call, answer, now);
        }
        inner.answered.forget(now);
        inner.ids.forget(now);
        Finishing { locked: Some(inner), answered: &self.answered, asked_again }
    }

    /// Forgets what is too old.
    pub(super) fn tidy(&self, now: Instant) {
        let mut inner = self.inner();
        inner.answered.forget(now);
        inner.ids.forget(now);
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
    /// Searched from end to end for the few calls that come again: a table of hashes would cost every call more.
    oldest_first: VecDeque<Span>,
}

/// One answer in the texts.
#[derive(Debug)]
struct Span {
    at: Instant,
    /// The hash of its id.
    hash: u64,
    /// What the call asked for.
    call: Fingerprint,
    /// The total size of all earlier answers, in bytes.
    start: u64,
    id: usize,
    frame: usize,
}

impl Answered {
    fn push(&mut self, call_id: &str, hash: u64, call: Fingerprint, frame: &str, now: Instant) {
        let start = self.oldest_first.back().map_or(0, Span::end);
        self.texts.extend(call_id.as_bytes());
        self.texts.extend(frame.as_bytes());
        let (id, frame) = (call_id.len(), frame.len());
        self.oldest_first.push_back(Span { at: now, hash, call, start, id, frame });
    }

    /// The answer to the call with this id, whose hash is `hash`, and what that call asked for.
    fn get(&self, hash: u64, call_id: &str) -> Option<(Fingerprint, String)> {
        let span = self.oldest_first.iter().rev().find(|span| span.hash == hash)?;
        let start = (span.start - self.oldest_first.front()?.start) as usize;
        let text: Vec<u8> = self.texts.range(start..start + span.id + span.frame).copied().collect();
        let (id, frame) = text.split_at(span.id);
        if id != call_id.as_bytes() {
            return None;
        }
        Some((span.call, String::from_utf8(frame.to_vec()).ok()?))
    }

    fn bytes(&self) -> usize {
        self.texts.len() + self.oldest_first.len() * OVERHEAD
    }

    fn forget(&mut self, now: Instant) {
        while let Some(oldest) = self.oldest_first.front() {
            if self.bytes() <= MAX_BYTES && now.duration_since(oldest.at) < CALL_PENDING {
                return;
            }
            self.texts.drain(..oldest.id + oldest.frame);
            self.oldest_first.pop_front();
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
    use super::*;
    use crate::wire::CallBody;

    const CALL: Fingerprint = Fingerprint(7);
    const OTHER: Fingerprint = Fingerprint(8);

    #[tokio::test(start_paused = true)]
    async fn a_call_runs_once_and_its_answer_is_remembered_for_a_while() {
        let calls = Calls::default();
        assert_eq!(calls.claim("a", CALL, None), Known::New("a".into()));
        assert_eq!(calls.claim("a", CALL, None), Known::Running);
        assert!(calls.is_running("a") && !calls.is_running("b"));
        calls.finish("a", "answer");
        assert_eq!(calls.claim("a", CALL, None), Known::Answered("answer".to_owned()));
        assert!(!calls.is_running("a"));
        tokio::time::advance(CALL_PENDING * 2).await;
        calls.tidy(Instant::now());
        assert_eq!(calls.claim("a", CALL, None), Known::New("a".into()), "forgotten");
        calls.release("a");
        assert_eq!(calls.claim("a", CALL, None), Known::New("a".into()), "it did not run");
    }

    #[test]
    fn an_id_is_for_one_call_alone() {
        let calls = Calls::default();
        assert_eq!(calls.claim("a", CALL, None), Known::New("a".into()));
        assert_eq!(calls.claim("a", OTHER, Some(Instant::now())), Known::OfAnother);
        let finishing = calls.finish_all([("a", "answer")], Instant::now());
        assert!(finishing.asked_again().is_none(), "nobody waits for this answer under another call");
        drop(finishing);
        assert_eq!(calls.claim("a", OTHER, None), Known::OfAnother);
        assert_eq!(calls.claim("a", CALL, None), Known::Answered("answer".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_whose_answer_was_evicted_does_not_run_again() {
        let calls = Calls::default();
        for call_id in ["first", "b", "c", "d", "e", "f"] {
            calls.claim(call_id, CALL, None);
            calls.finish(call_id, &"x".repeat(1 << 20));
        }
        for call in [CALL, OTHER] {
            assert_eq!(calls.claim("first", call, None), Known::Forgotten);
        }
        assert!(matches!(calls.claim("f", CALL, None), Known::Answered(_)));
        tokio::time::advance(CALL_PENDING.mul_f64(0.999)).await;
        calls.tidy(Instant::now());
        assert_eq!(calls.claim("first", CALL, None), Known::Forgotten, "the platform may still wait");
        tokio::time::advance(CALL_PENDING * 2).await;
        calls.claim("g", CALL, None);
        calls.finish("g", "");
        assert_eq!(calls.claim("first", CALL, None), Known::New("first".into()));
    }

    #[test]
    fn without_room_for_an_id_its_call_does_not_run() {
        let calls = Calls::default();
        calls.inner().ids = Ids::with_capacity(1_000);
        for index in 0..1_000 {
            assert!(matches!(calls.claim(&index.to_string(), CALL, None), Known::New(_)), "{index}");
            if index % 2 == 0 {
                calls.finish(&index.to_string(), "answer");
            }
        }
        assert_eq!(calls.claim("new", CALL, None), Known::Full);
        assert_eq!(calls.claim("998", CALL, None), Known::Answered("answer".to_owned()));
        assert_eq!(calls.claim("999", CALL, None), Known::Running);
        calls.release("999");
        assert_eq!(calls.claim("new", CALL, None), Known::New("new".into()));
    }

    #[test]
    fn a_call_has_one_fingerprint_wherever_its_envelope_stands() {
        let calls = Calls::default();
        let fingerprint = |tool: &str, text: &str| {
            let body = format!(r#"{{"method":"tools/call","params":{{"name":"","arguments":{text}}}}}"#);
            calls.fingerprint(tool, CallBody::parse(&body).unwrap().params())
        };
        let first = fingerprint("add", r#"{"a":1,"_context":{"b":2}}"#);
        for text in [
            r#"{"a":1,"_context":{"b":2},"__platos":{"nonce":"1"}}"#,
            r#"{"a":1,"__platos":{"nonce":"2"},"_context":{"b":2}}"#,
            r#"{"__platos":{},"a":1,"_context":{"b":2}}"#,
        ] {
            assert_eq!(fingerprint("add", text), first, "{text}");
        }
        for (tool, text) in [
            ("sub", r#"{"a":1,"_context":{"b":2}}"#),
            ("add", r#"{"a":2,"_context":{"b":2}}"#),
            ("add", r#"{"a":1,"_context":{"b":3}}"#),
            ("add", r#"{"a":1}"#),
        ] {
            assert_ne!(fingerprint(tool, text), first, "{tool} {text}");
        }
        assert_eq!(fingerprint("add", "{}"), fingerprint("add", r#"{"__platos":{}}"#));
    }

    #[test]
    fn memory_is_bounded_and_running_calls_are_never_forgotten() {
        let calls = Calls::default();
        calls.claim("running", CALL, None);
        for index in 0..200_000 {
            let call_id = index.to_string();
            calls.claim(&call_id, CALL, None);
            calls.finish(&call_id, &"x".repeat(100));
        }
        assert!(calls.is_running("running"));
        assert!(
            matches!(calls.claim("199999", CALL, None), Known::Answered(frame) if frame == "x".repeat(100))
        );
        let inner = calls.inner();
        let answered = &inner.answered;
        assert!(answered.bytes() <= MAX_BYTES && answered.oldest_first.len() < 30_000);
        assert_eq!(inner.running.len(), 1);
    }

    #[test]
    fn every_answer_that_is_remembered_is_the_calls_own() {
        let calls = Calls::default();
        let text = |index: usize| "é".repeat(index % 300);
        for index in 0..100_000 {
            calls.claim(&index.to_string(), CALL, None);
            calls.finish(&index.to_string(), &text(index));
        }
        let remembered = calls.inner().answered.oldest_first.len();
        assert!(remembered < 50_000);
        for index in 100_000 - remembered..100_000 {
            assert_eq!(calls.claim(&index.to_string(), CALL, None), Known::Answered(text(index)), "{index}");
        }
        assert_eq!(calls.claim("0", CALL, None), Known::Forgotten);
    }
}
