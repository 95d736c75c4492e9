//! What this client knows of threads that it has had to do with.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::{Call, check_id};
use crate::model::Thread;

/// How many threads are remembered.
const REMEMBERED: usize = 4_096;

/// The threads, by their ids.
#[derive(Debug, Default)]
pub(crate) struct KnownThreads(Mutex<HashMap<String, Known>>);

#[derive(Debug, Default)]
struct Known {
    agent: Option<String>,
    /// The last message that was stored in it.
    last_message: Option<String>,
}

impl KnownThreads {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, thread_id: &str, change: impl FnOnce(&mut Known)) {
        let mut known = self.lock();
        if known.len() >= REMEMBERED && !known.contains_key(thread_id) {
            // What is forgotten is asked for again.
            known.clear();
        }
        change(known.entry(thread_id.to_owned()).or_default());
    }
}

impl PlatosClient {
    /// Keeps in mind whose thread it is.
    pub(crate) fn remember(&self, thread: &Thread) {
        if let Some(agent) = &thread.agent_id {
            self.shared.threads.change(&thread.id, |known| known.agent = Some(agent.clone()));
        }
    }

    /// Keeps in mind which message was stored last.
    pub(super) fn remember_message(&self, thread_id: &str, message_id: &str) {
        self.shared.threads.change(thread_id, |known| known.last_message = Some(message_id.to_owned()));
    }

    pub(super) fn last_message(&self, thread_id: &str) -> Option<String> {
        self.shared.threads.lock().get(thread_id)?.last_message.clone()
    }

    /// The agent of a thread, from memory or from the platform.
    pub(super) async fn agent_of(&self, thread_id: &str) -> Result<Option<String>, Error> {
        let known = self.shared.threads.lock().get(thread_id).and_then(|known| known.agent.clone());
        if known.is_some() {
            return Ok(known);
        }
        let call = Call::get(&["threads", check_id("thread id", thread_id)?]);
        let thread: Thread = self.send(call).await?.one()?;
        self.remember(&thread);
        Ok(thread.agent_id)
    }
}
