//! What happened in handlers, for clients that have to wait for it.

use platools::prelude::*;
use tokio::sync::watch;

/// Events in their order.
#[derive(Debug)]
pub(crate) struct Journal(watch::Sender<Vec<String>>);

impl Default for Journal {
    fn default() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }
}

impl Journal {
    /// Notes an event, in the log too.
    pub(crate) fn note(&self, event: String) {
        tracing::debug!("{event}");
        self.0.send_modify(|events| events.push(event));
    }

    /// Waits until an event has been noted that often.
    pub(crate) async fn reaches(&self, event: &str, times: usize) -> Vec<String> {
        let count = |events: &Vec<String>| events.iter().filter(|noted| *noted == event).count();
        let mut events = self.0.subscribe();
        // The sender is `self`, so that it cannot be gone.
        events
            .wait_for(|events| count(events) >= times)
            .await
            .map(|events| events.clone())
            .unwrap_or_default()
    }
}

/// Wait for an event in the journal, and read all that happened until then.
#[tool(read_only)]
pub(crate) async fn journal(
    journal: State<Journal>,
    /// The event.
    event: &str,
    /// How often it has to have happened.
    #[tool(default = 1)]
    times: usize,
) -> Vec<String> {
    journal.reaches(event, times).await
}

/// Note an event in the journal.
#[tool]
pub(crate) async fn note(journal: State<Journal>, event: String) {
    journal.note(event);
}
