//! Stops, crashes and clocks, with a store in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::*;

const SECOND: Microseconds = 1_000_000;
pub(super) const SKEW: Microseconds = 300 * SECOND;
pub(super) const NOON: Microseconds = 1_795_262_400 * SECOND;

/// What is stored, seen from outside of the process.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Stored>);

#[derive(Debug, Default)]
struct Stored {
    state: Mutex<(Option<Vec<u8>>, Vec<Instant>)>,
    saved: Condvar,
    is_full: AtomicBool,
}

impl ReplayStore for Disk {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.state.lock().unwrap().0.clone())
    }

    fn save(&self, state: &[u8]) -> io::Result<()> {
        let mut stored = self.0.state.lock().unwrap();
        stored.1.push(Instant::now());
        self.0.saved.notify_all();
        if self.0.is_full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        stored.0 = Some(state.to_vec());
        Ok(())
    }
}

impl Disk {
    fn holding(state: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.0.state.lock().unwrap().0 = Some(state);
        disk
    }

    /// A copy of the disk as it is now: what a crash leaves.
    fn copy(&self) -> Self {
        Self::holding(self.load().unwrap().unwrap())
    }

    /// Waits until there were that many writes; returns when they were.
    fn writes(&self, count: usize) -> Vec<Instant> {
        let stored = self.0.state.lock().unwrap();
        let waited =
            self.0.saved.wait_timeout_while(stored, Duration::from_secs(60), |stored| stored.1.len() < count);
        let (stored, waited) = waited.unwrap();
        assert!(!waited.timed_out(), "{} writes", stored.1.len());
        stored.1.clone()
    }

    fn open_at(&self, now: Microseconds) -> ReplayMemory {
        let now = UNIX_EPOCH + Duration::from_micros(now.unsigned_abs());
        ReplayMemory::open(&VerifierOptions::default(), self.clone(), now).unwrap()
    }
}

/// The verdict about a call that was signed at `timestamp` and arrives at `now`.
fn verdict(memory: &ReplayMemory, nonce: &str, timestamp: Microseconds, now: Microseconds) -> &'static str {
    match memory.remember(nonce, timestamp, now, SKEW) {
        Ok(()) => "accept",
        Err(refusal) => refusal.reason(),
    }
}

#[test]
fn after_a_stop_the_replays_are_refused_and_nothing_else() {
    let disk = Disk::default();
    let memory = disk.open_at(NOON);
    for index in 0..1_000 {
        let timestamp = NOON + index / 10 * SECOND / 1_000;
        assert_eq!(verdict(&memory, &format!("{index}"), timestamp, NOON + SECOND), "accept");
    }
    drop(memory);
    // Whatever the clock says: back by an hour, at once, and later.
    for now in [NOON - 3_600 * SECOND, NOON + SECOND, NOON + 200 * SECOND] {
        let memory = disk.open_at(now);
        for index in 0..1_000 {
            let timestamp = NOON + index / 10 * SECOND / 1_000;
            assert_eq!(verdict(&memory, &format!("{index}"), timestamp, now), "nonce_replay");
        }
        let late = verdict(&memory, &format!("late {now}"), NOON + 1, now);
        assert_eq!(late, "accept", "it was on its way when the host restarted");
    }
}

#[test]
fn after_a_crash_nothing_that_was_signed_before_runs() {
    let disk = Disk::default();
    let memory = disk.open_at(NOON);
    assert_eq!(verdict(&memory, "a", NOON + SECOND, NOON + SECOND), "accept");
    disk.writes(2);
    let crashed = disk.copy();
    // The last call before the crash is not stored.
    assert_eq!(verdict(&memory, "b", NOON + SECOND + 300_000, NOON + SECOND + 300_000), "accept");
    let start = NOON + 3 * SECOND;
    let memory = crashed.open_at(start);
    for (nonce, timestamp) in
        [("a", NOON + SECOND), ("b", NOON + SECOND + 300_000), ("c", NOON - 200 * SECOND)]
    {
        assert_eq!(verdict(&memory, nonce, timestamp, start), "signed_before_restart", "{nonce}");
    }
    assert_eq!(verdict(&memory, "new", start, start + SECOND), "accept");
    // A second crash, without a call between.
    let again = crashed.copy().open_at(start + SECOND);
    assert_eq!(verdict(&again, "new", start, start + SECOND), "signed_before_restart");
}

#[test]
fn the_platforms_clock_may_be_ahead_or_behind_at_a_crash() {
    for lead in [-100 * SECOND, 100 * SECOND] {
        let disk = Disk::default();
        // It is known from an earlier run, too.
        let memory = disk.open_at(NOON - 400 * SECOND);
        assert_eq!(verdict(&memory, "0", NOON + lead, NOON), "accept");
        disk.writes(2);
        let (before, start) = (NOON + SECOND, NOON + 2 * SECOND);
        let memory = disk.copy().open_at(start);
        assert_eq!(verdict(&memory, "unknown", before + lead, start), "signed_before_restart", "{lead}");
        assert_eq!(verdict(&memory, "new", start + SECOND + lead, start + SECOND), "accept", "{lead}");
    }
    // One call of a clock that was wrong does not count for ever.
    let disk = Disk::default();
    let memory = disk.open_at(NOON);
    assert_eq!(verdict(&memory, "wrong", NOON + 290 * SECOND, NOON), "accept");
    for (nonce, minutes) in [("a", 10), ("b", 20)] {
        let now = NOON + minutes * 60 * SECOND;
        assert_eq!(verdict(&memory, nonce, now, now), "accept");
    }
    drop(memory);
    let record = Record::read(&disk.load().unwrap().unwrap()).unwrap();
    assert_eq!(record.lead, 0);
}

#[test]
fn a_clock_that_is_set_back_brings_nothing_back_and_a_wrong_one_shuts_nobody_out() {
    let disk = Disk::default();
    let memory = disk.open_at(NOON);
    assert_eq!(verdict(&memory, "a", NOON + SECOND, NOON + SECOND), "accept");
    disk.writes(2);
    // After a crash, with a clock that was set back by two minutes.
    let start = NOON - 120 * SECOND;
    let memory = disk.copy().open_at(start);
    assert_eq!(verdict(&memory, "a", NOON + SECOND, start), "signed_before_restart");
    // A machine without a clock starts in the future, and learns the time later; then in its next run, too.
    let disk = disk.copy();
    let memory = disk.open_at(NOON + 900_000 * SECOND);
    let now = NOON + 10 * SECOND;
    assert_eq!(verdict(&memory, "new", now, now), "accept");
    drop(memory);
    let memory = disk.open_at(now);
    assert_eq!(verdict(&memory, "new", now, now), "nonce_replay");
    assert_eq!(verdict(&memory, "newer", now, now), "accept");
}

#[test]
fn a_missing_or_damaged_state_is_strict() {
    let disk = Disk::default();
    let memory = disk.open_at(NOON - SECOND);
    assert_eq!(verdict(&memory, "before", NOON - 2 * SECOND, NOON), "signed_before_restart");
    assert_eq!(verdict(&memory, "a", NOON, NOON), "accept");
    drop(memory);
    let state = disk.load().unwrap().unwrap();
    let cut = (0..state.len()).map(|length| state[..length].to_vec());
    let flipped = (0..state.len()).map(|at| {
        let mut state = state.clone();
        state[at] ^= 1;
        state
    });
    let other = [b"{}\n".to_vec(), [&state[..], b"x"].concat(), vec![0xff; 100]];
    for damaged in cut.chain(flipped).chain(other) {
        let memory = Disk::holding(damaged.clone()).open_at(NOON + SECOND);
        let shown = String::from_utf8_lossy(&damaged);
        assert_eq!(verdict(&memory, "a", NOON, NOON + SECOND), "signed_before_restart", "{shown}");
        assert_eq!(verdict(&memory, "b", NOON + SECOND, NOON + SECOND), "accept", "{shown}");
    }
}

#[test]
fn it_is_written_once_a_second_and_a_full_disk_stops_nothing() {
    let disk = Disk::default();
    let memory = disk.open_at(NOON);
    disk.0.is_full.store(true, Ordering::SeqCst);
    for round in 2..5 {
        for index in 0..100 {
            assert_eq!(verdict(&memory, &format!("{round}-{index}"), NOON, NOON), "accept");
        }
        disk.writes(round);
    }
    let writes = disk.writes(4);
    // The first call is written at once.
    assert!(
        writes[2] - writes[1] >= Duration::from_secs(1) && writes[3] - writes[2] >= Duration::from_secs(1)
    );
    let crashed = disk.copy().open_at(NOON + SECOND);
    assert_eq!(verdict(&crashed, "2-1", NOON, NOON + SECOND), "signed_before_restart");
    // There is room again.
    disk.0.is_full.store(false, Ordering::SeqCst);
    drop(memory);
    let memory = disk.open_at(NOON + SECOND);
    assert_eq!(verdict(&memory, "2-1", NOON, NOON + SECOND), "nonce_replay");
    assert_eq!(verdict(&memory, "new", NOON, NOON + SECOND), "accept");
}

#[test]
fn a_stop_that_was_stored_is_not_overwritten_and_a_second_host_takes_it_back() {
    let disk = Disk::default();
    let memory = disk.open_at(NOON);
    assert_eq!(verdict(&memory, "a", NOON, NOON), "accept");
    memory.mark_stopped();
    let is_complete = |disk: &Disk| Record::read(&disk.load().unwrap().unwrap()).unwrap().nonces.is_some();
    assert!(is_complete(&disk));
    let writes = disk.writes(2).len();
    memory.mark_stopped();
    assert_eq!(disk.writes(2).len(), writes, "it is stored already");
    memory.mark_running().unwrap();
    assert!(!is_complete(&disk));
    drop(memory);
    assert!(is_complete(&disk));
}

fn at(now: Microseconds) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(now.unsigned_abs())
}

#[test]
fn a_clock_that_was_ahead_once_moves_the_watermark_for_minutes_and_not_for_ever() {
    let memory = ReplayMemory::new(&VerifierOptions::default());
    assert_eq!(memory.platform_time(at(NOON)), None);
    assert_eq!(verdict(&memory, "right", NOON, NOON), "accept");
    assert_eq!(memory.platform_time(at(NOON + SECOND)), Some(NOON + SECOND));
    assert_eq!(verdict(&memory, "wrong", NOON + 200 * SECOND, NOON), "accept");
    assert_eq!(memory.platform_time(at(NOON + SECOND)), Some(NOON + 201 * SECOND));
    for minute in 1..=12 {
        let now = NOON + minute * 60 * SECOND;
        assert_eq!(verdict(&memory, &minute.to_string(), now, now), "accept");
    }
    let now = NOON + 730 * SECOND;
    assert_eq!(memory.platform_time(at(now)), Some(now));
    // What others say counts as far as it can be.
    memory.refuse_until(now + 290 * SECOND, at(now));
    assert_eq!(verdict(&memory, "before", now, now), "signed_before_restart");
    assert_eq!(verdict(&memory, "after", now + 2 * SECOND, now + 2 * SECOND), "accept");
    // A host that knows nothing of the platform's clock believes what may be true.
    let memory = ReplayMemory::new(&VerifierOptions::default());
    memory.refuse_until(now + 9_000 * SECOND, at(now));
    assert_eq!(verdict(&memory, "before", now + 300 * SECOND, now), "signed_before_restart");
    let later = now + 301 * SECOND;
    assert_eq!(verdict(&memory, "after", later, later), "accept");
}

#[test]
fn what_others_accepted_is_forgotten_when_it_is_too_old_anyway() {
    let first = ReplayMemory::new(&VerifierOptions::default());
    assert_eq!(verdict(&first, "a", NOON, NOON), "accept");
    let second = ReplayMemory::new(&VerifierOptions::default());
    assert!(second.import(&first.export(at(NOON)), at(NOON)));
    assert_eq!(verdict(&second, "a", NOON, NOON + SECOND), "nonce_replay");
    let guards = |memory: &ReplayMemory, now| {
        serde_json::from_slice::<Accepted>(&memory.export(at(now))).unwrap().guards.len()
    };
    assert_eq!(guards(&second, NOON + 599 * SECOND), 2);
    let later = NOON + 601 * SECOND;
    assert_eq!(guards(&second, later), 1, "its own");
    // One that is imported late is not kept, and one that is kept goes with a call.
    let third = ReplayMemory::new(&VerifierOptions::default());
    assert!(third.import(&first.export(at(NOON)), at(later)));
    assert!(third.kept.state().others.is_empty());
    assert!(third.import(&first.export(at(NOON)), at(NOON)));
    assert_eq!(verdict(&third, "b", later, later), "accept");
    assert!(third.kept.state().others.is_empty());
}
