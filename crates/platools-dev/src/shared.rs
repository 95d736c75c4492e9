//! The parts of the platform behind one pointer: the state under its lock, the journal, the history, and the data that
//! outlives the process.
//!
//! The lock is held for moments only. Each change wakes those who wait for one.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::timeout;

use crate::call::report::CallStage;
use crate::callback::Callbacks;
use crate::data::{Data, Keeper};
use crate::error::DevError;
use crate::event::Event;
use crate::history::{Answered, History, HistoryEntry};
use crate::journal::{Events, Journal};
use crate::key::EntityKey;
use crate::options::DevPlatformOptions;
use crate::state::{EntityRecord, State};

/// The state and everything around it that the platform's parts share.
pub(crate) struct Shared {
    pub(crate) options: DevPlatformOptions,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    pub(crate) journal: Journal,
    /// Calls hosts that are not connected.
    pub(crate) callbacks: Callbacks,
    /// The calls that were made; `None` where HTTP is switched off.
    pub(crate) history: Option<Arc<History>>,
    /// Where entities and calls outlive the process.
    pub(crate) keeper: Keeper,
    pub(crate) default_entity: String,
}

impl Shared {
    pub(crate) fn new(options: DevPlatformOptions, data: Data) -> Arc<Self> {
        let Data { secrets, default_entity, history, keeper, .. } = data;
        let entities = secrets.into_iter().map(|(slug, secret)| (slug, EntityRecord::new(secret))).collect();
        Arc::new(Self {
            state: Mutex::new(State { entities, ..State::default() }),
            changed: watch::Sender::new(()),
            journal: Journal::new(options.http),
            callbacks: Callbacks::new(options.callbacks.clone()),
            history,
            keeper,
            default_entity,
            options,
        })
    }

    /// Reads the state.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_replace(());
        result
    }

    /// Changes the state, and tells when the tools of an entity become visible or hidden by that.
    pub(crate) fn update_watched<T>(&self, key: &EntityKey, change: impl FnOnce(&mut State) -> T) -> T {
        let is_visible = |state: &State| state.seat(key).is_some_and(|seat| seat.registration.is_visible());
        let (result, before, visible) = self.update(|state| {
            let before = is_visible(state);
            let result = change(state);
            (result, before, is_visible(state))
        });
        if before != visible {
            self.emit(Event::Visibility { key: key.clone(), visible });
        }
        result
    }

    /// Waits until the state is as wished, or until the limit of the options.
    pub(crate) async fn wait_until(
        &self,
        what: &str,
        mut wish: impl FnMut(&State) -> bool,
    ) -> Result<(), DevError> {
        let mut changed = self.changed.subscribe();
        let limit = self.options.wait_limit;
        let waiting = async {
            // The sender lives as long as this borrow of it, so a change always comes or the limit does.
            while !self.read(&mut wish) {
                let _ = changed.changed().await;
            }
        };
        timeout(limit, waiting)
            .await
            .map_err(|_| DevError::WaitedInVain { what: what.to_owned(), waited: limit })
    }

    /// Publishes an event.
    pub(crate) fn emit(&self, event: Event) {
        self.journal.emit(event);
    }

    /// Adds a call to the history, if there is one.
    pub(crate) fn record(&self, entry: impl FnOnce(u64) -> HistoryEntry) -> Option<Arc<HistoryEntry>> {
        let entry = self.history.as_ref()?.record(entry);
        self.keeper.history_changed();
        Some(entry)
    }

    /// Changes an entry of the history, while it is kept.
    pub(crate) fn change(
        &self,
        id: u64,
        change: impl FnOnce(&mut HistoryEntry),
    ) -> Option<Arc<HistoryEntry>> {
        let entry = self.history.as_ref()?.update(id, change);
        self.keeper.history_changed();
        entry
    }

    /// Marks a call whose caller left before its answer.
    pub(crate) fn abandon(&self, key: &EntityKey, call_id: &str, id: Option<u64>) {
        if let Some(id) = id {
            self.change(id, |entry| entry.abandoned |= entry.stage == CallStage::Running);
        }
        self.emit(Event::Abandoned { key: key.clone(), call_id: call_id.to_owned() });
    }

    /// Adds an answer that came too late to the entry of its call.
    pub(crate) fn answered_late(&self, key: &EntityKey, call_id: &str, answered: Answered<'_>) {
        if let Some(id) = self.history.as_ref().and_then(|history| history.unanswered(key, call_id)) {
            self.change(id, |entry| entry.answer_late(answered));
        }
    }

    pub(crate) fn watch_events(&self) -> Events {
        Events::new(self.journal.subscribe())
    }
}
