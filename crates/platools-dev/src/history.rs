//! The calls that were made: a bounded memory of them, newest last.
//!
//! Where calls are kept is behind [`HistoryStore`], so that they can outlive the process: see `data`.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::call::{CallReport, CallStage, Content, SignatureParts, Tamper, Transport};
use crate::{EntityKey, Outcome};
use platools::wire::platform::HostFrame;

/// What an entry takes besides its frames, roughly, in bytes.
const ENTRY_BYTES: usize = 512;

/// A call, from the moment it is sent.
#[derive(Clone)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// Its number; later calls have larger ones.
    pub id: u64,
    /// When it was sent.
    pub at: SystemTime,
    /// Whose tool was called.
    pub key: EntityKey,
    /// The call's id.
    pub call_id: String,
    /// The tool's name.
    pub tool: String,
    /// What was changed after the call was signed.
    pub tamper: Option<Tamper>,
    /// Whether the same frame had been sent before.
    pub repeated: bool,
    /// How far it is.
    pub stage: CallStage,
    /// Whether whoever made it left before its answer. The platform waits on for it, unless it was made from inside this
    /// process.
    pub abandoned: bool,
    /// Whether the answer was a result, and came in time.
    pub ok: bool,
    /// The time from sending to the answer, or to giving up. Zero while it runs.
    pub latency: Duration,
    /// The time from sending to an answer that came after the platform had given up.
    pub late: Option<Duration>,
    /// The latency that the host reported.
    pub host_latency: Option<Duration>,
    /// How the call went to the host.
    pub transport: Transport,
    /// The frame that was sent, exactly. Over HTTP, the frame that says the same.
    pub sent: Arc<str>,
    /// The frame that was received, exactly. Over HTTP, the frame that says what became of the response.
    pub reply: Option<Arc<str>>,
}

/// What a host said to a call.
#[derive(Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) ok: bool,
    pub(crate) host_latency: Option<Duration>,
    /// The frame.
    pub(crate) reply: &'a str,
}

impl HistoryEntry {
    /// What came of the call, as its caller got it.
    pub fn report(&self) -> CallReport {
        CallReport {
            call_id: self.call_id.clone(),
            tool: self.tool.clone(),
            outcome: self.outcome(),
            latency: self.latency,
            host_latency: self.host_latency,
            transport: self.transport.clone(),
            sent: self.sent.to_string(),
            reply: self.reply.as_deref().map(str::to_owned),
        }
    }

    /// What the signature of the sent frame covers.
    pub fn signature(&self) -> Option<SignatureParts> {
        SignatureParts::of(&self.sent)
    }

    fn outcome(&self) -> Outcome {
        match self.stage {
            CallStage::Running => Outcome::Running,
            // Whoever called was not told of a late answer.
            CallStage::TimedOut => Outcome::TimedOut,
            CallStage::Answered => self.content().into_outcome(&self.transport),
        }
    }

    /// The call with its answer.
    pub(crate) fn answered(&self, answered: Answered<'_>, latency: Duration) -> Self {
        let Answered { ok, host_latency, reply } = answered;
        let reply = Some(Arc::from(reply));
        Self { stage: CallStage::Answered, ok, latency, host_latency, reply, ..self.clone() }
    }

    /// The call with an answer that nobody waited for any more.
    pub(crate) fn answered_late(&self, answered: Answered<'_>) -> Self {
        let took = self.at.elapsed().unwrap_or_default();
        if self.stage == CallStage::Running {
            return self.answered(answered, took);
        }
        let Answered { host_latency, reply, .. } = answered;
        Self { late: Some(took), host_latency, reply: Some(Arc::from(reply)), ..self.clone() }
    }

    /// What the answer says, as text; also a late one.
    pub(crate) fn content(&self) -> Content {
        match self.reply.as_deref().map(HostFrame::parse) {
            Some(Ok(HostFrame::ToolResult(result))) => Content::Result(result.result.to_owned()),
            Some(Ok(HostFrame::ToolError(error))) => Content::Error(error.error),
            _ => Content::TimedOut,
        }
    }

    /// How much memory it takes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        ENTRY_BYTES + self.sent.len() + self.reply.as_deref().map_or(0, str::len)
    }
}

impl fmt::Debug for HistoryEntry {
    /// Without the frames, which hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryEntry")
            .field("id", &self.id)
            .field("key", &self.key)
            .field("call_id", &self.call_id)
            .field("tool", &self.tool)
            .field("stage", &self.stage)
            .field("ok", &self.ok)
            .field("latency", &self.latency)
            .finish_non_exhaustive()
    }
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct HistoryQuery {
    pub(crate) entity: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) tool: Option<String>,
    /// Only older ones than this.
    pub(crate) before: Option<u64>,
    pub(crate) limit: usize,
}

impl HistoryQuery {
    fn wants(&self, entry: &HistoryEntry) -> bool {
        let fits =
            |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        fits(&self.entity, &entry.key.entity)
            && fits(&self.environment, &entry.key.environment)
            && fits(&self.tool, &entry.tool)
            && self.before.is_none_or(|before| entry.id < before)
    }
}

/// Where calls are kept.
pub(crate) trait HistoryStore: Send + Sync {
    /// Keeps a call. The entry is made with the number that it gets.
    fn record(&self, entry: &mut dyn FnMut(u64) -> HistoryEntry) -> Arc<HistoryEntry>;

    /// Replaces an entry by what is made of it. `None` when it is no longer kept.
    fn update(
        &self,
        id: u64,
        change: &mut dyn FnMut(&HistoryEntry) -> HistoryEntry,
    ) -> Option<Arc<HistoryEntry>>;

    /// The number of the newest call with this id that has no answer.
    fn unanswered(&self, key: &EntityKey, call_id: &str) -> Option<u64>;

    /// How many entries a query wants, whatever its limit.
    fn tally(&self, query: &HistoryQuery) -> Tally;

    /// The entries that a query wants, newest first.
    fn page(&self, query: &HistoryQuery) -> Vec<Arc<HistoryEntry>>;

    /// One entry, while it is kept.
    fn get(&self, id: u64) -> Option<Arc<HistoryEntry>>;

    /// Forgets all.
    fn clear(&self);
}

/// How many calls are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) kept: usize,
    /// Those of them that still run.
    pub(crate) running: usize,
}

/// How much is remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HistoryLimits {
    pub(crate) calls: usize,
    pub(crate) bytes: usize,
}

/// Calls in memory: the newest ones, within limits.
pub(crate) struct MemoryHistory {
    limits: HistoryLimits,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<Row>,
    bytes: usize,
    last_id: u64,
    /// Counts records and updates.
    last_revision: u64,
}

/// An entry, with the revision that made it as it is.
struct Row {
    #[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "a file follows the memory by it"))]
    revision: u64,
    entry: Arc<HistoryEntry>,
}

impl Kept {
    fn find(&self, id: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |row| row.entry.id).ok()
    }

    fn next_revision(&mut self) -> u64 {
        self.last_revision += 1;
        self.last_revision
    }

    /// Makes room for the newest ones.
    fn shrink(&mut self, limits: HistoryLimits) {
        while self.entries.len() > limits.calls || self.bytes > limits.bytes {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.entry.bytes();
        }
    }
}

impl MemoryHistory {
    pub(crate) fn new(limits: HistoryLimits) -> Self {
        Self { limits, kept: Mutex::default() }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a file needs that follows the memory.
#[cfg(feature = "sqlite")]
pub(crate) struct Since {
    /// The calls that were made or changed since and are still kept, oldest first.
    pub(crate) entries: Vec<Arc<HistoryEntry>>,
    /// Calls with smaller numbers are no longer kept.
    pub(crate) oldest_id: u64,
    /// The largest number that any call had.
    pub(crate) last_id: u64,
    pub(crate) revision: u64,
}

#[cfg(feature = "sqlite")]
impl MemoryHistory {
    /// A memory that starts with these calls, oldest first, which are within the limits. Numbers go on after
    /// `last_id`.
    pub(crate) fn with(limits: HistoryLimits, entries: Vec<HistoryEntry>, last_id: u64) -> Self {
        let bytes = entries.iter().map(HistoryEntry::bytes).sum();
        let row = |entry| Row { revision: 0, entry: Arc::new(entry) };
        let entries = entries.into_iter().map(row).collect();
        Self { limits, kept: Mutex::new(Kept { entries, bytes, last_id, last_revision: 0 }) }
    }

    /// What is kept of the calls that were made or changed after this revision.
    pub(crate) fn since(&self, revision: u64) -> Since {
        let kept = self.kept();
        let changed = kept.entries.iter().filter(|row| row.revision > revision);
        Since {
            entries: changed.map(|row| Arc::clone(&row.entry)).collect(),
            oldest_id: kept.entries.front().map_or(kept.last_id + 1, |oldest| oldest.entry.id),
            last_id: kept.last_id,
            revision: kept.last_revision,
        }
    }
}

impl HistoryStore for MemoryHistory {
    fn record(&self, entry: &mut dyn FnMut(u64) -> HistoryEntry) -> Arc<HistoryEntry> {
        let mut kept = self.kept();
        kept.last_id += 1;
        let entry = Arc::new(entry(kept.last_id));
        kept.bytes += entry.bytes();
        let revision = kept.next_revision();
        kept.entries.push_back(Row { revision, entry: Arc::clone(&entry) });
        kept.shrink(self.limits);
        entry
    }

    fn update(
        &self,
        id: u64,
        change: &mut dyn FnMut(&HistoryEntry) -> HistoryEntry,
    ) -> Option<Arc<HistoryEntry>> {
        let mut kept = self.kept();
        let at = kept.find(id)?;
        let revision = kept.next_revision();
        let row = kept.entries.get_mut(at)?;
        let before = row.entry.bytes();
        let entry = Arc::new(change(&row.entry));
        *row = Row { revision, entry: Arc::clone(&entry) };
        kept.bytes = kept.bytes - before + entry.bytes();
        kept.shrink(self.limits);
        Some(entry)
    }

    fn unanswered(&self, key: &EntityKey, call_id: &str) -> Option<u64> {
        let kept = self.kept();
        let mut newest_first = kept.entries.iter().rev().map(|row| &row.entry);
        let found =
            newest_first.find(|entry| entry.call_id == call_id && entry.key == *key && entry.reply.is_none());
        found.map(|entry| entry.id)
    }

    fn tally(&self, query: &HistoryQuery) -> Tally {
        let kept = self.kept();
        let wanted = kept.entries.iter().map(|row| &row.entry).filter(|entry| query.wants(entry));
        wanted.fold(Tally::default(), |Tally { kept, running }, entry| Tally {
            kept: kept + 1,
            running: running + usize::from(entry.stage == CallStage::Running && !entry.abandoned),
        })
    }

    fn page(&self, query: &HistoryQuery) -> Vec<Arc<HistoryEntry>> {
        self.kept()
            .entries
            .iter()
            .rev()
            .map(|row| &row.entry)
            .filter(|entry| query.wants(entry))
            .take(query.limit)
            .cloned()
            .collect()
    }

    fn get(&self, id: u64) -> Option<Arc<HistoryEntry>> {
        let kept = self.kept();
        kept.find(id).and_then(|at| kept.entries.get(at)).map(|row| Arc::clone(&row.entry))
    }

    fn clear(&self) {
        let mut kept = self.kept();
        kept.entries.clear();
        kept.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(history: &MemoryHistory, tool: &str, bytes: usize) -> u64 {
        let make = |id| HistoryEntry {
            id,
            at: SystemTime::now(),
            key: EntityKey::new("local", "dev"),
            call_id: format!("call-{id}"),
            tool: tool.to_owned(),
            tamper: None,
            repeated: false,
            stage: CallStage::Running,
            abandoned: false,
            ok: false,
            latency: Duration::ZERO,
            late: None,
            host_latency: None,
            transport: Transport::WebSocket,
            sent: "x".repeat(bytes).into(),
            reply: None,
        };
        history.record(&mut { make }).id
    }

    fn ids(history: &MemoryHistory, query: &HistoryQuery) -> Vec<u64> {
        history.page(query).iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn the_oldest_go_first_by_number_and_by_size() {
        let history = MemoryHistory::new(HistoryLimits { calls: 3, bytes: 10_000 });
        for _ in 0..5 {
            record(&history, "a", 10);
        }
        let all = HistoryQuery { limit: 10, ..HistoryQuery::default() };
        assert_eq!(ids(&history, &all), [5, 4, 3]);
        record(&history, "a", 8_500);
        assert_eq!(ids(&history, &all), [6, 5]);
        record(&history, "a", 20_000);
        assert_eq!(ids(&history, &all), [0; 0], "what does not fit at all is not kept");
        assert_eq!(record(&history, "a", 1), 8, "and numbers go on");
    }

    #[test]
    fn entries_are_found_by_number_by_tool_and_page_by_page() {
        let history = MemoryHistory::new(HistoryLimits { calls: 100, bytes: 1_000_000 });
        for tool in ["a", "b", "a", "b", "a"] {
            record(&history, tool, 1);
        }
        let query = HistoryQuery { tool: Some("a".to_owned()), limit: 2, ..HistoryQuery::default() };
        assert_eq!(ids(&history, &query), [5, 3]);
        assert_eq!(ids(&history, &HistoryQuery { before: Some(3), ..query }), [1]);
        assert_eq!(history.get(4).map(|entry| entry.tool.clone()).as_deref(), Some("b"));
        assert!(history.get(6).is_none());
        history.clear();
        assert!(history.get(4).is_none());
    }

    #[test]
    fn a_running_call_is_replaced_by_what_came_of_it_and_a_late_answer_is_added() {
        let history = MemoryHistory::new(HistoryLimits { calls: 3, bytes: 10_000 });
        let all = HistoryQuery { limit: 10, ..HistoryQuery::default() };
        let key = EntityKey::new("local", "dev");
        let [first, second] = [record(&history, "a", 10), record(&history, "a", 10)];
        assert_eq!(history.tally(&all), Tally { kept: 2, running: 2 });
        assert_eq!(history.unanswered(&key, "call-1"), Some(first));
        let reply = |text| Answered { ok: true, host_latency: None, reply: text };
        let answered = |entry: &HistoryEntry| entry.answered(reply("{}"), Duration::from_secs(1));
        let done = history.update(first, &mut { answered }).unwrap();
        assert_eq!((done.stage, done.ok, done.latency), (CallStage::Answered, true, Duration::from_secs(1)));
        assert_eq!((history.unanswered(&key, "call-1"), history.tally(&all).running), (None, 1));

        let given_up = |entry: &HistoryEntry| HistoryEntry { stage: CallStage::TimedOut, ..entry.clone() };
        history.update(second, &mut { given_up }).unwrap();
        let late = history.update(second, &mut |entry| entry.answered_late(reply("late"))).unwrap();
        assert_eq!((late.stage, late.ok, late.late.is_some()), (CallStage::TimedOut, false, true));
        assert_eq!(late.reply.as_deref(), Some("late"));

        let grown = |entry: &HistoryEntry| HistoryEntry { sent: "x".repeat(9_000).into(), ..entry.clone() };
        history.update(second, &mut { grown }).unwrap();
        assert_eq!(ids(&history, &all), [second], "what grows makes room, too");
        assert!(history.update(first, &mut { given_up }).is_none());
    }
}
