//! Events by number: watchers get them as they happen, and those that resume get the ones they missed.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::event::Event;
use crate::random;
use crate::text::beginning;

/// Number of events that a slow watcher may lag behind before it misses some.
const EVENTS_KEPT: usize = 4096;

/// Number of events that are kept for watchers that resume.
const EVENTS_REMEMBERED: usize = 1024;

/// The longest frame, and the longest id of a call, that an event keeps, in bytes.
const FRAME_REMEMBERED: usize = 1024;

/// An event with its number and its time.
#[derive(Debug, Clone)]
pub(crate) struct Stamped {
    pub(crate) number: u64,
    pub(crate) at: SystemTime,
    pub(crate) event: Event,
}

/// Numbers events and distributes them.
pub(crate) struct Journal {
    /// Tells this run from others, so that a watcher does not resume at a number of another one.
    pub(crate) run: String,
    remembers: bool,
    past: Mutex<Past>,
    /// Whole events, for watchers inside the process.
    sender: broadcast::Sender<Stamped>,
    /// Shortened ones, for watchers over HTTP, which may never read: their queue takes little memory.
    outside: broadcast::Sender<Stamped>,
}

#[derive(Default)]
struct Past {
    last: u64,
    events: VecDeque<Stamped>,
}

/// The events for a watcher that resumes.
pub(crate) struct Resumed {
    /// Earlier events, in order.
    pub(crate) missed: Vec<Stamped>,
    /// Whether no event since was missed.
    pub(crate) is_complete: bool,
    /// The number of the last event so far.
    pub(crate) last: u64,
    /// Future events.
    pub(crate) receiver: broadcast::Receiver<Stamped>,
}

impl Journal {
    /// A journal, which remembers the past only if it is asked to.
    pub(crate) fn new(remembers: bool) -> Self {
        let run = random::nonce()[..8].to_owned();
        let [sender, outside] = [EVENTS_KEPT; 2].map(broadcast::Sender::new);
        Self { run, remembers, past: Mutex::default(), sender, outside }
    }

    pub(crate) fn emit(&self, event: Event) {
        // Held while sending, so that a watcher that resumes gets each event once.
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.last += 1;
        let stamped = Stamped { number: past.last, at: SystemTime::now(), event };
        // Sending fails where there are no watchers.
        if self.remembers {
            let short = shortened(&stamped);
            past.events.push_back(short.clone());
            if past.events.len() > EVENTS_REMEMBERED {
                past.events.pop_front();
            }
            let _ = self.outside.send(short);
        }
        let _ = self.sender.send(stamped);
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Stamped> {
        self.sender.subscribe()
    }

    /// Returns the events after this number, and the future ones. Without a number, the `recent` last events come first.
    /// A journal that does not remember has none.
    pub(crate) fn resume(&self, after: Option<u64>, recent: usize) -> Resumed {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.outside.subscribe();
        let last = past.last;
        let Some(after) = after else {
            let older = past.events.len().saturating_sub(recent);
            let missed = past.events.iter().skip(older).cloned().collect();
            return Resumed { missed, is_complete: false, last, receiver };
        };
        let missed: Vec<_> = past.events.iter().filter(|event| event.number > after).cloned().collect();
        let is_complete = after <= last && missed.len() as u64 == last - after;
        Resumed { missed, is_complete, last, receiver }
    }
}

/// The event without what would take much memory.
fn shortened(stamped: &Stamped) -> Stamped {
    let Stamped { number, at, event } = stamped;
    let event = match event {
        Event::UnexpectedAnswer { key, call_id, frame } if frame.len() > FRAME_REMEMBERED => {
            let short = |text| beginning(text, FRAME_REMEMBERED).to_owned();
            Event::UnexpectedAnswer { key: key.clone(), call_id: short(call_id), frame: short(frame) }
        }
        Event::RegistrationRefused { key, text } if text.len() > FRAME_REMEMBERED => {
            let text = beginning(text, FRAME_REMEMBERED).to_owned();
            Event::RegistrationRefused { key: key.clone(), text }
        }
        other => other.clone(),
    };
    Stamped { number: *number, at: *at, event }
}

/// Events of the platform, from the moment of subscription.
///
/// Nothing waits for a watcher: one that reads too slowly misses the oldest events.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Stamped>,
    missed: u64,
}

impl Events {
    pub(crate) fn new(receiver: broadcast::Receiver<Stamped>) -> Self {
        Self { receiver, missed: 0 }
    }

    /// The next event; `None` when the platform is gone.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(stamped) => return Some(stamped.event),
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.try_recv() {
                Ok(stamped) => return Some(stamped.event),
                Err(TryRecvError::Lagged(missed)) => self.missed += missed,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    /// Number of events that were missed because of slow reading.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::EntityKey;

    fn refused(journal: &Journal, times: usize) {
        for _ in 0..times {
            journal.emit(Event::Refused { reason: "invalid secret" });
        }
    }

    fn numbers(resumed: &Resumed) -> Vec<u64> {
        resumed.missed.iter().map(|event| event.number).collect()
    }

    #[test]
    fn who_comes_back_gets_what_happened_since_and_nothing_twice() {
        let journal = Journal::new(true);
        refused(&journal, 5);
        let mut resumed = journal.resume(Some(3), 0);
        assert_eq!((numbers(&resumed), resumed.is_complete, resumed.last), (vec![4, 5], true, 5));
        refused(&journal, 1);
        assert_eq!(resumed.receiver.try_recv().unwrap().number, 6);
        assert!(journal.resume(Some(6), 0).is_complete);
        assert!(!journal.resume(None, 0).is_complete);
        assert!(!journal.resume(Some(7), 0).is_complete, "a number of another run");
        for (recent, expected) in [(2, vec![5, 6]), (100, vec![1, 2, 3, 4, 5, 6])] {
            let resumed = journal.resume(None, recent);
            assert_eq!(
                (numbers(&resumed), resumed.is_complete),
                (expected, false),
                "who comes for the first time"
            );
        }
    }

    #[test]
    fn who_was_away_too_long_is_told_so() {
        let journal = Journal::new(true);
        refused(&journal, EVENTS_REMEMBERED + 2);
        let resumed = journal.resume(Some(1), 0);
        assert_eq!((resumed.missed.len(), resumed.is_complete), (EVENTS_REMEMBERED, false));
        assert!(journal.resume(Some(2), 0).is_complete);
    }

    #[test]
    fn a_remembered_frame_is_cut_at_a_character() {
        let journal = Journal::new(true);
        let key = EntityKey::new("local", "dev");
        let frame = format!("x{}", "é".repeat(FRAME_REMEMBERED));
        let mut watching = (journal.subscribe(), journal.resume(None, 0).receiver);
        journal.emit(Event::UnexpectedAnswer { key, call_id: frame.clone(), frame: frame.clone() });
        let lengths = |event: &Event| match event {
            Event::UnexpectedAnswer { frame, call_id, .. } => (frame.len(), call_id.len()),
            other => panic!("{other:?}"),
        };
        let short = (FRAME_REMEMBERED - 1, FRAME_REMEMBERED - 1);
        assert_eq!(lengths(&journal.resume(Some(0), 0).missed[0].event), short);
        assert_eq!(lengths(&watching.1.try_recv().unwrap().event), short, "who may never read");
        let whole = (frame.len(), frame.len());
        assert_eq!(lengths(&watching.0.try_recv().unwrap().event), whole, "who watches from inside");
    }
}
