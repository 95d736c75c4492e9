//! The memory of the replay guard, which can outlive the process.
//!
//! A signed call may be accepted within 300 s of its timestamp, so a host that restarts with an empty memory would run
//! a captured call again. With a [`ReplayStore`], it does not:
//!
//! * **While the host runs**, the store has no nonces, but a mark that it runs and the newest timestamp, written at most
//!   once a second. Writing every nonce before its call starts would make each call wait for a disk.
//! * **When it stops**, all nonces are stored, and the mark is removed. The next start knows what ran, so it refuses
//!   exactly the replays, whatever the clocks say.
//! * **A start that finds the mark** follows a crash, and cannot know the calls of the last moment. It refuses whatever
//!   may have been signed before it: up to the newest known timestamp, and up to the time of the start, which is
//!   corrected by how far the platform's clock was ahead. So nothing of before the crash runs again, not even what the
//!   last write missed. Calls that were on their way are signed anew by the platform when it calls again.
//! * **A missing or damaged state** is treated like a crash.
//!
//! The time of the start comes from this machine's clock, which may be wrong. If the clock is later set back by more
//! than the accepted skew, that time has no meaning, and only the platform's timestamps count.

mod keeper;
mod record;
#[cfg(all(test, shuttle))]
mod schedules;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

pub(crate) use self::keeper::ReplayStore;
use self::keeper::{Keeper, Kept};
use self::record::Record;
use super::replay::{NonceCheck, Nonces, ReplayGuard};
use super::timestamp::{self, Microseconds};
use super::{Refusal, VerifierOptions};

/// The timestamps of the platform have this resolution, in microseconds, and are rounded down.
const RESOLUTION: Microseconds = 1_000;

/// How far a wait on the way may let the platform's clock seem behind.
const WAY: Microseconds = 1_000_000;

/// How many other processes' memories are kept. Each is of use for 300 s.
const MAX_OTHERS: usize = 8;

/// What travels to another process.
#[derive(Serialize, Deserialize)]
struct Accepted {
    version: u32,
    guards: Vec<Nonces>,
    signed: Option<Microseconds>,
}

/// The nonces of verified calls, for one or more verifiers.
pub(crate) struct ReplayMemory {
    kept: Arc<Kept>,
    keeper: Option<Keeper>,
    max_skew: Microseconds,
}

struct State {
    guard: ReplayGuard,
    /// What other processes accepted that had the connection before.
    others: VecDeque<ReplayGuard>,
    /// Calls signed until then are refused; a time of the platform's clock.
    signed: Option<Microseconds>,
    /// Calls signed until then are refused; a time of this machine's clock.
    started: Option<Microseconds>,
    newest: Option<Microseconds>,
    lead: Lead,
}

impl ReplayMemory {
    /// Creates a memory that is gone with the process.
    pub(crate) fn new(options: &VerifierOptions) -> Self {
        let state = State {
            guard: ReplayGuard::new(options.replay_capacity),
            others: VecDeque::new(),
            signed: None,
            started: None,
            newest: None,
            lead: Lead::default(),
        };
        let max_skew = timestamp::microseconds(options.max_skew);
        Self { kept: Arc::new(Kept::new(state, None)), keeper: None, max_skew }
    }

    /// Creates a memory that begins with what is stored, at the time `now`, and is stored from then on.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(crate) fn open(
        options: &VerifierOptions,
        store: impl ReplayStore,
        now: SystemTime,
    ) -> io::Result<Self> {
        let stored = store.load()?.map(|bytes| Record::read(&bytes)).transpose();
        let record = stored.unwrap_or_else(|problem| {
            tracing::warn!(
                ?store,
                "the state of the replay guard is damaged ({problem}): calls signed before this start are refused"
            );
            None
        });
        let state = State::of(record.unwrap_or_default(), options, timestamp::of(now));
        let kept = Arc::new(Kept::new(state, Some(Box::new(store))));
        // The mark is there before the first call is.
        kept.mark_running()?;
        let keeper = Keeper::start(&kept)?;
        Ok(Self { kept, keeper: Some(keeper), max_skew: timestamp::microseconds(options.max_skew) })
    }

    /// Checks that the nonces of calls signed at `timestamp` are known.
    ///
    /// # Errors
    /// If they may not be.
    pub(super) fn check_age(
        &self,
        timestamp: Microseconds,
        now: Microseconds,
        max_skew: Microseconds,
    ) -> Result<(), Refusal> {
        self.kept.state().check_age(timestamp, now, max_skew)
    }

    /// Remembers the nonce of a verified call.
    ///
    /// # Errors
    /// If the call may have run before.
    pub(super) fn remember(
        &self,
        nonce: &str,
        timestamp: Microseconds,
        now: Microseconds,
        max_skew: Microseconds,
    ) -> Result<(), Refusal> {
        {
            let mut state = self.kept.state();
            state.check_age(timestamp, now, max_skew)?;
            if state.others.front().is_some_and(|other| other.is_over(now, max_skew)) {
                state.others.pop_front();
            }
            if state.others.iter().any(|other| other.has_seen(nonce)) {
                return Err(Refusal::NonceReplay);
            }
            match state.guard.remember(nonce, timestamp, now.saturating_sub(max_skew)) {
                NonceCheck::New => {}
                NonceCheck::Replayed => return Err(Refusal::NonceReplay),
                NonceCheck::Forgotten => return Err(Refusal::WindowNarrowed),
            }
            state.newest = state.newest.max(Some(timestamp));
            state.lead.add(timestamp.saturating_sub(now), now, max_skew);
        }
        if let Some(keeper) = &self.keeper {
            keeper.changed(&self.kept);
        }
        Ok(())
    }

    /// What this host accepted, and those before it, for another process, at the time `now`.
    pub(crate) fn export(&self, now: SystemTime) -> Vec<u8> {
        let mut state = self.kept.state();
        state.forget_others(timestamp::of(now), self.max_skew);
        let guards: Vec<_> = state.others.iter().chain([&state.guard]).map(ReplayGuard::nonces).collect();
        // Numbers and lists of numbers always serialize.
        serde_json::to_vec(&Accepted { version: 1, guards, signed: state.signed }).unwrap_or_default()
    }

    /// Refuses from now on what another process accepted. Returns `false` if the text cannot be read.
    pub(crate) fn import(&self, accepted: &[u8], now: SystemTime) -> bool {
        let Ok(Accepted { version: 1, guards, signed }) = serde_json::from_slice(accepted) else {
            return false;
        };
        let mut state = self.kept.state();
        state.signed = state.signed.max(signed);
        for nonces in guards {
            let key = nonces.key();
            if nonces.is_empty() || state.guard.key() == key {
                continue;
            }
            state.others.retain(|other| other.key() != key);
            state.others.push_back(ReplayGuard::restore(usize::MAX, nonces));
        }
        state.forget_others(timestamp::of(now), self.max_skew);
        while state.others.len() > MAX_OTHERS {
            state.others.pop_front();
        }
        true
    }

    /// What the platform's clock shows at the time `now`, at most, as far as the calls of the last minutes have shown;
    /// `None` without a call.
    pub(crate) fn platform_time(&self, now: SystemTime) -> Option<Microseconds> {
        let state = self.kept.state();
        let lead = state.lead.measured()?;
        Some(timestamp::of(now).saturating_add(lead)).max(state.newest)
    }

    /// Refuses calls signed until then, by the platform's clock; at most those signed until `now`, for what another
    /// process says may come from a call of a clock that was wrong.
    pub(crate) fn refuse_until(&self, time: Microseconds, now: SystemTime) {
        let mut state = self.kept.state();
        let lead = state.lead.measured().map_or(self.max_skew, |lead| lead.saturating_add(WAY));
        let latest = timestamp::of(now).saturating_add(lead.min(self.max_skew));
        state.signed = state.signed.max(Some(time.min(latest)));
    }

    /// Returns whether the memory is stored.
    pub(crate) fn is_stored(&self) -> bool {
        self.keeper.is_some()
    }

    /// Stores that one more host runs. Blocks.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub(crate) fn mark_running(&self) -> io::Result<()> {
        self.kept.mark_running()
    }

    /// Stores all nonces if no other host uses the memory, for one that has stopped. Blocks.
    pub(crate) fn mark_stopped(&self) {
        self.kept.mark_stopped();
    }
}

impl Drop for ReplayMemory {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            keeper.stop();
            self.kept.complete();
        }
    }
}

impl fmt::Debug for ReplayMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayMemory")
            .field("guard", &self.kept.state().guard)
            .field("is_stored", &self.is_stored())
            .finish_non_exhaustive()
    }
}

impl State {
    /// The state of a host that starts at `now` with this record.
    fn of(record: Record, options: &VerifierOptions, now: Microseconds) -> Self {
        let Record { nonces, newest, lead, mut signed, started } = record;
        let horizon = now.saturating_add(timestamp::microseconds(options.max_skew));
        let mut started = started.filter(|started| *started <= horizon);
        let guard = if let Some(nonces) = nonces {
            ReplayGuard::restore(options.replay_capacity, nonces)
        } else {
            signed = signed.max(newest);
            let start = now.saturating_add(lead);
            // Of the millisecond of the start, no call can have run.
            started = started.max(Some(start - start.rem_euclid(RESOLUTION) - 1));
            ReplayGuard::new(options.replay_capacity)
        };
        // Until it is measured. A clock that was behind may have been put right.
        let lead = Lead { assumed: lead.max(0), ..Lead::default() };
        Self { guard, others: VecDeque::new(), signed, started, newest, lead }
    }

    fn check_age(
        &self,
        timestamp: Microseconds,
        now: Microseconds,
        max_skew: Microseconds,
    ) -> Result<(), Refusal> {
        let is_before = |time: Option<Microseconds>| time.is_some_and(|time| timestamp <= time);
        let started = self.started.filter(|started| *started <= now.saturating_add(max_skew));
        let is_forgotten = self.others.iter().any(|other| other.is_forgotten(timestamp));
        if is_before(self.signed) || is_before(started) {
            return Err(Refusal::SignedBeforeRestart);
        }
        if is_forgotten || self.guard.is_forgotten(timestamp) { Err(Refusal::WindowNarrowed) } else { Ok(()) }
    }

    /// Forgets what other processes accepted so long ago that it is too old whatever the clocks say.
    fn forget_others(&mut self, now: Microseconds, max_skew: Microseconds) {
        self.others.retain(|other| !other.is_over(now, max_skew));
    }

    fn record(&self, is_complete: bool) -> Record {
        Record {
            nonces: is_complete.then(|| self.guard.nonces()),
            newest: self.newest,
            lead: self.lead.get(),
            signed: self.signed,
            started: self.started,
        }
    }
}

/// How far the platform's clock was ahead of this machine's, at most, in the last minutes. Less by the time of the way.
#[derive(Debug, Default)]
struct Lead {
    /// What is assumed until it is measured.
    assumed: Microseconds,
    since: Microseconds,
    latest: Option<Microseconds>,
    earlier: Option<Microseconds>,
}

impl Lead {
    fn add(&mut self, lead: Microseconds, now: Microseconds, period: Microseconds) {
        // A single call of a clock that was wrong must not count for ever.
        if !(self.since..=self.since.saturating_add(period)).contains(&now) {
            let latest = self.latest.take();
            let is_recent = (self.since..=self.since.saturating_add(2 * period)).contains(&now);
            self.earlier = latest.filter(|_| is_recent);
            self.since = now;
        }
        self.latest = self.latest.max(Some(lead));
    }

    fn measured(&self) -> Option<Microseconds> {
        self.latest.max(self.earlier)
    }

    fn get(&self) -> Microseconds {
        self.measured().unwrap_or(self.assumed)
    }
}
