//! What the double knows and has seen, behind one lock.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use super::canned::{CannedAnswer, Greeting};
use super::double::Generation;
use super::player::Out;
use super::record::RecordedRequest;
use super::script::Script;

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
    pub(super) canned: VecDeque<(String, CannedAnswer)>,
    pub(super) greetings: VecDeque<Greeting>,
    pub(super) scripts: VecDeque<Script>,
    /// What is heard, by the sockets' numbers.
    pub(super) sockets: HashMap<u64, Open>,
    /// The turns that go on, by their threads.
    pub(super) running: HashMap<String, AbortHandle>,
    /// The keys that messages were sent under.
    pub(super) used_keys: HashSet<String>,
    pub(super) requests: Vec<RecordedRequest>,
    pub(super) frames: Vec<String>,
    pub(super) on_message: Option<OnMessage>,
    /// How many ids were given out.
    ids: u64,
}

/// A socket that is open.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) out: mpsc::Sender<Out>,
    pub(super) namespace: String,
    /// The threads whose rooms it is in.
    pub(super) joined: HashSet<String>,
    pub(super) token: Option<String>,
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
        self.message_of(&id, thread_id, role, content);
        id
    }

    /// A message of an id that is there already: newer platforms give both messages of a turn the same one.
    pub(super) fn message_of(&mut self, id: &str, thread_id: &str, role: &str, content: &str) {
        let now = jiff::Timestamp::now().to_string();
        let message =
            json!({"id": id, "threadId": thread_id, "role": role, "content": content, "createdAt": now});
        self.add("messages", message);
    }

    /// The number of a new socket.
    pub(super) fn number(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Tells everybody in the user's room, which all sockets are in.
    pub(super) fn tell(&self, name: &str, data: &Value) {
        for open in self.sockets.values() {
            // Whoever reads that slowly misses it.
            let _ = open.out.try_send(Out::Text(crate::socket::event(&open.namespace, name, data)));
        }
    }

    /// How often the messages of a thread were asked for.
    pub(super) fn polls(&self, thread_id: &str) -> usize {
        let path = format!("/api/v1/agent/threads/{thread_id}/messages");
        self.requests.iter().filter(|request| request.method == "GET" && request.path == path).count()
    }

    /// Whether a session token is valid.
    pub(super) fn takes(&self, token: &str) -> bool {
        self.tokens.contains(token) || self.end_users.contains(token)
    }
}

/// When everything but messages happens.
pub(super) const NOW: &str = "2026-11-21T12:00:00.000Z";
