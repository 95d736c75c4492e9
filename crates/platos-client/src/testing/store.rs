//! What the double knows and has seen, behind one lock.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::canned::{CannedAnswer, Greeting};
use super::double::Generation;
use super::record::RecordedRequest;
use super::script::{Replay, Script, Step};

pub(super) type OnMessage = Arc<dyn Fn(&Value) -> Script + Send + Sync>;

#[derive(Default)]
pub(super) struct Store {
    /// Lists of things, by the name that the API has for them.
    pub(super) things: BTreeMap<&'static str, Vec<Value>>,
    pub(super) generation: Generation,
    /// Tokens of operators.
    pub(super) tokens: HashSet<String>,
    /// Tokens of end users.
    pub(super) end_users: HashSet<String>,
    pub(super) keys: HashMap<String, (u16, Value)>,
    pub(super) canned: VecDeque<(String, CannedAnswer)>,
    pub(super) greetings: VecDeque<Greeting>,
    pub(super) scripts: VecDeque<Script>,
    pub(super) turns: HashMap<String, Turn>,
    pub(super) requests: Vec<RecordedRequest>,
    pub(super) frames: Vec<String>,
    pub(super) on_message: Option<OnMessage>,
    /// How many ids were given out.
    ids: u64,
}

/// A turn, over all its connections.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) steps: VecDeque<Step>,
    pub(super) replay: Replay,
    /// What was sent, or was meant to be.
    pub(super) sent: Vec<Value>,
    /// How many of the last ones were missed.
    pub(super) missed: usize,
}

impl Turn {
    /// What comes first after `resume_stream`.
    pub(super) fn resumed(&mut self) -> Vec<Value> {
        let missed = std::mem::take(&mut self.missed);
        let again = match self.replay {
            Replay::Missed => 0,
            Replay::Everything => self.sent.len(),
            Replay::Last(events) => events,
        };
        let from = self.sent.len().saturating_sub(missed.max(again + missed));
        self.sent[from..].to_vec()
    }
}

/// The store, and a bell that rings whenever something in it changes.
#[derive(Default)]
pub(super) struct Shared {
    store: Mutex<Store>,
    pub(super) changed: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the store.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the store, and tells everybody.
    pub(super) fn write<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_waiters();
        changed
    }

    /// Waits until there is something to find in the store.
    pub(super) async fn wait_for<T>(&self, find: impl Fn(&Store) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = self.read(&find) {
                return found;
            }
            changed.await;
        }
    }
}

impl Store {
    pub(super) fn id(&mut self, prefix: &str) -> String {
        self.ids += 1;
        format!("{prefix}_{}", self.ids)
    }

    pub(super) fn find(&self, list: &str, id: &str) -> Option<&Value> {
        self.things.get(list)?.iter().find(|thing| thing["id"] == id)
    }

    pub(super) fn find_mut(&mut self, list: &str, id: &str) -> Option<&mut Value> {
        self.things.get_mut(list)?.iter_mut().find(|thing| thing["id"] == id)
    }

    pub(super) fn add(&mut self, list: &'static str, thing: Value) {
        self.things.entry(list).or_default().push(thing);
    }

    pub(super) fn message(&mut self, thread_id: &str, role: &str, content: &str) -> String {
        let id = self.id("msg");
        let message =
            json!({"id": id, "threadId": thread_id, "role": role, "content": content, "createdAt": NOW});
        self.add("messages", message);
        id
    }
}

/// When everything happens.
pub(super) const NOW: &str = "2026-11-21T12:00:00.000Z";
