//! Detects clients that are gone: those without an open exchange for a while.
//!
//! A broken stream alone does not mean that, since the protocol lets a client resume it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How long a client may be away before its calls are cancelled. Clients are told to reconnect after three seconds.
const ABSENCE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may be away before its session may be closed in favour of a new one.
const EVICTABLE_AFTER: Duration = Duration::from_secs(60);
/// How many sessions without a client are remembered. Requests may name any session, even ones that never existed.
const MAX_LEFT: usize = 4_096;

type Sessions = Arc<Mutex<Inner>>;

#[derive(Default)]
struct Inner {
    attended: HashMap<String, Attendance>,
    /// When the clients of the other sessions left.
    left: HashMap<String, Instant>,
}

/// A session with open exchanges or running calls.
#[derive(Default)]
struct Attendance {
    members: usize,
    /// The number of open exchanges.
    open: Arc<watch::Sender<usize>>,
}

/// The clients of all sessions.
#[derive(Clone, Default)]
pub(super) struct Presences(Sessions);

/// The presence of one session's client, held by its exchanges and calls.
#[derive(Clone)]
pub(crate) struct Presence(Arc<Member>);

struct Member {
    sessions: Sessions,
    session: String,
    /// The number of open exchanges.
    open: Arc<watch::Sender<usize>>,
}

/// One open exchange.
pub(super) struct Exchange(Presence);

impl Presences {
    /// Opens an exchange with the session's client.
    pub(super) fn attend(&self, session: &str) -> Exchange {
        let open = {
            let mut sessions = locked(&self.0);
            sessions.left.remove(session);
            let attendance = sessions.attended.entry(session.to_owned()).or_default();
            attendance.members += 1;
            Arc::clone(&attendance.open)
        };
        open.send_modify(|open| *open += 1);
        let member = Member { sessions: Arc::clone(&self.0), session: session.to_owned(), open };
        Exchange(Presence(Arc::new(member)))
    }

    /// Returns the session among those that are `open` whose client has been away for longest, if that is long enough
    /// to close it.
    pub(super) fn longest_away(&self, open: impl Fn(&str) -> bool) -> Option<String> {
        let mut sessions = locked(&self.0);
        sessions.left.retain(|session, _| open(session));
        let (session, left) = sessions.left.iter().min_by_key(|(_, left)| **left)?;
        (left.elapsed() >= EVICTABLE_AFTER).then(|| session.clone())
    }
}

impl Exchange {
    pub(super) fn presence(&self) -> Presence {
        self.0.clone()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.0.open.send_modify(|open| *open = open.saturating_sub(1));
    }
}

impl Presence {
    /// Ends when the client has been away for too long.
    pub(crate) async fn gone(&self) {
        let mut open = self.0.open.subscribe();
        loop {
            if open.wait_for(|open| *open == 0).await.is_err() {
                return;
            }
            tokio::select! {
                () = sleep(ABSENCE_TIMEOUT) => return,
                _ = open.wait_for(|open| *open > 0) => {}
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut sessions = locked(&self.sessions);
        let Some(attendance) = sessions.attended.get_mut(&self.session) else { return };
        attendance.members -= 1;
        if attendance.members == 0 {
            sessions.attended.remove(&self.session);
            if sessions.left.len() >= MAX_LEFT {
                sessions.left.clear();
            }
            sessions.left.insert(std::mem::take(&mut self.session), Instant::now());
        }
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").finish_non_exhaustive()
    }
}

fn locked(sessions: &Sessions) -> MutexGuard<'_, Inner> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{advance, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_is_gone_when_it_stayed_away_for_long_enough() {
        let presences = Presences::default();
        let exchange = presences.attend("a");
        let presence = exchange.presence();
        assert!(timeout(ABSENCE_TIMEOUT * 9, presence.gone()).await.is_err(), "an exchange is open");
        drop(exchange);
        assert!(timeout(ABSENCE_TIMEOUT / 2, presence.gone()).await.is_err(), "it may come back");
        let back = presences.attend("a");
        assert!(timeout(ABSENCE_TIMEOUT * 9, presence.gone()).await.is_err(), "it came back");
        drop(back);
        let left = Instant::now();
        presence.gone().await;
        assert!(left.elapsed() >= ABSENCE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn the_client_that_left_first_makes_room_once_it_is_away_for_long_enough() {
        let presences = Presences::default();
        for session in ["gone", "first", "second", "never"] {
            drop(presences.attend(session));
            advance(EVICTABLE_AFTER / 4).await;
        }
        let there = presences.attend("there");
        let longest = || presences.longest_away(|session| !matches!(session, "gone" | "never"));
        assert_eq!(longest(), None, "it may come back");
        advance(EVICTABLE_AFTER / 4).await;
        assert_eq!(longest().as_deref(), Some("first"));
        drop(presences.attend("first"));
        advance(EVICTABLE_AFTER).await;
        assert_eq!(longest().as_deref(), Some("second"));
        drop(there);
    }

    #[tokio::test]
    async fn sessions_that_nobody_asks_about_are_forgotten() {
        let presences = Presences::default();
        let (one, two) = (presences.attend("a"), presences.attend("a"));
        let call = one.presence();
        drop((one, two));
        assert_eq!(locked(&presences.0).attended.len(), 1, "a call is running");
        drop(call);
        assert!(locked(&presences.0).attended.is_empty());
    }

    #[test]
    fn a_session_is_forgotten_when_several_lose_interest_at_the_same_moment() {
        let presences = Presences::default();
        let arrived = AtomicUsize::new(0);
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    for session in 0..50_000 {
                        let exchange = presences.attend(&session.to_string());
                        arrived.fetch_add(1, Ordering::SeqCst);
                        while arrived.load(Ordering::SeqCst) < 2 * (session + 1) {
                            std::thread::yield_now();
                        }
                        drop(exchange);
                    }
                });
            }
        });
        assert_eq!(locked(&presences.0).attended.len(), 0);
    }
}
