//! The calls that were made: the newest ones, within limits, in memory.
//!
//! A file can follow the memory by its revisions; see `data`. Knows nothing of files.

mod entry;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use self::entry::Answered;
pub use self::entry::HistoryEntry;
use crate::call::report::CallStage;
use crate::key::EntityKey;

/// Selects entries of the history.
#[derive(Debug, Clone, Default)]
pub(crate) struct HistoryQuery {
    pub(crate) entity: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) tool: Option<String>,
    /// Only entries with a smaller id.
    pub(crate) before: Option<u64>,
    pub(crate) limit: usize,
}

impl HistoryQuery {
    fn matches(&self, entry: &HistoryEntry) -> bool {
        let fits =
            |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        fits(&self.entity, &entry.key.entity)
            && fits(&self.environment, &entry.key.environment)
            && fits(&self.tool, &entry.tool)
            && self.before.is_none_or(|before| entry.id < before)
    }
}

/// The number of entries that a query selects, whatever its limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) kept: usize,
    /// Those of them that still run.
    pub(crate) running: usize,
}

/// Bounds of the history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HistoryLimits {
    pub(crate) calls: usize,
    pub(crate) bytes: usize,
}

/// The newest calls, within limits.
pub(crate) struct History {
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

/// An entry with the revision of its last change.
struct Row {
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "a file follows the memory by it"))]
    revision: u64,
    entry: Arc<HistoryEntry>,
}

impl Kept {
    fn find(&self, id: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |row| row.entry.id).ok()
    }

    fn select<'a>(
        &'a self,
        query: &'a HistoryQuery,
    ) -> impl DoubleEndedIterator<Item = &'a Arc<HistoryEntry>> {
        self.entries.iter().map(|row| &row.entry).filter(|entry| query.matches(entry))
    }

    fn next_revision(&mut self) -> u64 {
        self.last_revision += 1;
        self.last_revision
    }

    /// Evicts the oldest entries that exceed the limits.
    fn shrink(&mut self, limits: HistoryLimits) {
        while self.entries.len() > limits.calls || self.bytes > limits.bytes {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.entry.bytes();
        }
    }
}

impl History {
    pub(crate) fn new(limits: HistoryLimits) -> Self {
        Self { limits, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a call. The entry is made with the id that it gets.
    pub(crate) fn record(&self, entry: impl FnOnce(u64) -> HistoryEntry) -> Arc<HistoryEntry> {
        let mut kept = self.kept();
        kept.last_id += 1;
        let entry = Arc::new(entry(kept.last_id));
        kept.bytes += entry.bytes();
        let revision = kept.next_revision();
        kept.entries.push_back(Row { revision, entry: Arc::clone(&entry) });
        kept.shrink(self.limits);
        entry
    }

    /// Changes an entry. `None` when it is no longer kept.
    pub(crate) fn update(
        &self,
        id: u64,
        change: impl FnOnce(&mut HistoryEntry),
    ) -> Option<Arc<HistoryEntry>> {
        let mut kept = self.kept();
        let at = kept.find(id)?;
        let revision = kept.next_revision();
        let row = kept.entries.get_mut(at)?;
        let before = row.entry.bytes();
        change(Arc::make_mut(&mut row.entry));
        row.revision = revision;
        let entry = Arc::clone(&row.entry);
        kept.bytes = kept.bytes - before + entry.bytes();
        kept.shrink(self.limits);
        Some(entry)
    }

    /// The id of the newest entry with this call id that has no answer.
    pub(crate) fn unanswered(&self, key: &EntityKey, call_id: &str) -> Option<u64> {
        let kept = self.kept();
        let mut newest_first = kept.entries.iter().rev().map(|row| &row.entry);
        let found =
            newest_first.find(|entry| entry.call_id == call_id && entry.key == *key && entry.reply.is_none());
        found.map(|entry| entry.id)
    }

    /// Counts the entries that a query selects, whatever its limit.
    pub(crate) fn tally(&self, query: &HistoryQuery) -> Tally {
        self.kept().select(query).fold(Tally::default(), |Tally { kept, running }, entry| Tally {
            kept: kept + 1,
            running: running + usize::from(entry.stage == CallStage::Running && !entry.abandoned),
        })
    }

    /// The entries that a query selects, newest first.
    pub(crate) fn page(&self, query: &HistoryQuery) -> Vec<Arc<HistoryEntry>> {
        self.kept().select(query).rev().take(query.limit).cloned().collect()
    }

    /// One entry, while it is kept.
    pub(crate) fn get(&self, id: u64) -> Option<Arc<HistoryEntry>> {
        let kept = self.kept();
        kept.find(id).and_then(|at| kept.entries.get(at)).map(|row| Arc::clone(&row.entry))
    }

    /// Forgets all entries. Ids go on.
    pub(crate) fn clear(&self) {
        let mut kept = self.kept();
        kept.entries.clear();
        kept.bytes = 0;
    }
}

/// The changes of a history since a revision.
#[cfg(feature = "sqlite")]
pub(crate) struct Changes {
    /// Entries that were recorded or updated and are still kept, oldest first.
    pub(crate) entries: Vec<Arc<HistoryEntry>>,
    /// Entries with smaller ids are no longer kept.
    pub(crate) oldest_id: u64,
    /// The largest id that was ever given.
    pub(crate) last_id: u64,
    pub(crate) revision: u64,
}

#[cfg(feature = "sqlite")]
impl History {
    /// A history that starts with these entries, oldest first, which are within the limits. Ids go on after `last_id`.
    pub(crate) fn restore(limits: HistoryLimits, entries: Vec<HistoryEntry>, last_id: u64) -> Self {
        let bytes = entries.iter().map(HistoryEntry::bytes).sum();
        let row = |entry| Row { revision: 0, entry: Arc::new(entry) };
        let entries = entries.into_iter().map(row).collect();
        Self { limits, kept: Mutex::new(Kept { entries, bytes, last_id, last_revision: 0 }) }
    }

    /// The changes after a revision.
    pub(crate) fn changes_since(&self, revision: u64) -> Changes {
        let kept = self.kept();
        let changed = kept.entries.iter().filter(|row| row.revision > revision);
        Changes {
            entries: changed.map(|row| Arc::clone(&row.entry)).collect(),
            oldest_id: kept.entries.front().map_or(kept.last_id + 1, |oldest| oldest.entry.id),
            last_id: kept.last_id,
            revision: kept.last_revision,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::call::SignedCall;
    use crate::call::report::Transport;

    fn record(history: &History, tool: &str, bytes: usize) -> u64 {
        let call = SignedCall { tool: tool.to_owned(), frame: "x".repeat(bytes), ..SignedCall::default() };
        let (at, key) = (SystemTime::now(), EntityKey::new("local", "dev"));
        let make = |id| HistoryEntry {
            call_id: format!("call-{id}"),
            ..HistoryEntry::running(id, at, &key, &call, Transport::WebSocket)
        };
        history.record(make).id
    }

    fn ids(history: &History, query: &HistoryQuery) -> Vec<u64> {
        history.page(query).iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn the_oldest_go_first_by_number_and_by_size() {
        let history = History::new(HistoryLimits { calls: 3, bytes: 10_000 });
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
        let history = History::new(HistoryLimits { calls: 100, bytes: 1_000_000 });
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
        let history = History::new(HistoryLimits { calls: 3, bytes: 10_000 });
        let all = HistoryQuery { limit: 10, ..HistoryQuery::default() };
        let key = EntityKey::new("local", "dev");
        let [first, second] = [record(&history, "a", 10), record(&history, "a", 10)];
        assert_eq!(history.tally(&all), Tally { kept: 2, running: 2 });
        assert_eq!(history.unanswered(&key, "call-1"), Some(first));
        let reply = |text| Answered { ok: true, host_latency: None, reply: text };
        let done = history.update(first, |entry| entry.answer(reply("{}"), Duration::from_secs(1))).unwrap();
        assert_eq!((done.stage, done.ok, done.latency), (CallStage::Answered, true, Duration::from_secs(1)));
        assert_eq!((history.unanswered(&key, "call-1"), history.tally(&all).running), (None, 1));

        let give_up = |entry: &mut HistoryEntry| entry.stage = CallStage::TimedOut;
        history.update(second, give_up).unwrap();
        let late = history.update(second, |entry| entry.answer_late(reply("late"))).unwrap();
        assert_eq!((late.stage, late.ok, late.late.is_some()), (CallStage::TimedOut, false, true));
        assert_eq!(late.reply.as_deref(), Some("late"));

        history.update(second, |entry| entry.sent = "x".repeat(9_000).into()).unwrap();
        assert_eq!(ids(&history, &all), [second], "what grows makes room, too");
        assert!(history.update(first, give_up).is_none());
    }
}
