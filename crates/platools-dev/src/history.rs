//! The calls that were made: a bounded memory of them, newest last.
//!
//! Where calls are kept is behind [`HistoryStore`], so that they can outlive the process: see `data`.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::call::{CallReport, Content, SignatureParts, Tamper, Transport};
use crate::{EntityKey, Outcome};
use platools::wire::platform::HostFrame;

/// What an entry takes besides its frames, roughly, in bytes.
const ENTRY_BYTES: usize = 512;

/// A call that is over.
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
    /// Whether the answer was a result.
    pub ok: bool,
    /// The time from sending to the answer, or to giving up.
    pub latency: Duration,
    /// The latency that the host reported.
    pub host_latency: Option<Duration>,
    /// How the call went to the host.
    pub transport: Transport,
    /// The frame that was sent, exactly. Over HTTP, the frame that says the same.
    pub sent: Arc<str>,
    /// The frame that was received, exactly. Over HTTP, the frame that says what became of the response.
    pub reply: Option<Arc<str>>,
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
        self.content().into_outcome(&self.transport)
    }

    /// What the answer says, as text.
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

    /// The entries that a query wants, newest first.
    fn page(&self, query: &HistoryQuery) -> Vec<Arc<HistoryEntry>>;

    /// One entry, while it is kept.
    fn get(&self, id: u64) -> Option<Arc<HistoryEntry>>;

    /// Forgets all.
    fn clear(&self);
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
    entries: VecDeque<Arc<HistoryEntry>>,
    bytes: usize,
    last_id: u64,
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
    /// The calls that are still kept, oldest first.
    pub(crate) entries: Vec<Arc<HistoryEntry>>,
    /// Calls with smaller numbers are no longer kept.
    pub(crate) oldest_id: u64,
    /// The largest number that any call had.
    pub(crate) last_id: u64,
}

#[cfg(feature = "sqlite")]
impl MemoryHistory {
    /// A memory that starts with these calls, oldest first, which are within the limits. Numbers go on after
    /// `last_id`.
    pub(crate) fn with(limits: HistoryLimits, entries: Vec<HistoryEntry>, last_id: u64) -> Self {
        let bytes = entries.iter().map(HistoryEntry::bytes).sum();
        let entries = entries.into_iter().map(Arc::new).collect();
        Self { limits, kept: Mutex::new(Kept { entries, bytes, last_id }) }
    }

    /// What is kept of the calls after this number.
    pub(crate) fn since(&self, id: u64) -> Since {
        let kept = self.kept();
        let known = kept.entries.partition_point(|entry| entry.id <= id);
        Since {
            entries: kept.entries.iter().skip(known).cloned().collect(),
            oldest_id: kept.entries.front().map_or(kept.last_id + 1, |oldest| oldest.id),
            last_id: kept.last_id,
        }
    }

    /// The largest number that any call had.
    pub(crate) fn last_id(&self) -> u64 {
        self.kept().last_id
    }
}

impl HistoryStore for MemoryHistory {
    fn record(&self, entry: &mut dyn FnMut(u64) -> HistoryEntry) -> Arc<HistoryEntry> {
        let mut kept = self.kept();
        kept.last_id += 1;
        let entry = Arc::new(entry(kept.last_id));
        kept.bytes += entry.bytes();
        kept.entries.push_back(Arc::clone(&entry));
        while kept.entries.len() > self.limits.calls || kept.bytes > self.limits.bytes {
            let Some(oldest) = kept.entries.pop_front() else { break };
            kept.bytes -= oldest.bytes();
        }
        entry
    }

    fn page(&self, query: &HistoryQuery) -> Vec<Arc<HistoryEntry>> {
        self.kept()
            .entries
            .iter()
            .rev()
            .filter(|entry| query.wants(entry))
            .take(query.limit)
            .cloned()
            .collect()
    }

    fn get(&self, id: u64) -> Option<Arc<HistoryEntry>> {
        let kept = self.kept();
        let at = kept.entries.binary_search_by_key(&id, |entry| entry.id).ok()?;
        kept.entries.get(at).cloned()
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
            ok: true,
            latency: Duration::ZERO,
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
}
