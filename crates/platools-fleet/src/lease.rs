//! Who holds the connection: the state machine of the lease. Pure: no clock, no store, no network.
//!
//! The lease is one record in a store with compare-and-swap. Its holder renews it; whoever sees it unchanged for longer
//! takes it over. Nobody compares clocks: a holder counts from the moment at which it *sent* its last successful
//! renewal, an observer from the moment at which it *saw* the last change, which is never earlier. The holder stops
//! first, since its time is shorter.

use serde::{Deserialize, Serialize};

use crate::message::MemberId;
use crate::time::{Time, ms};

/// How long the others leave the lease to the heir.
const HEIR_FIRST: Time = ms(300);
/// How often the record is read.
const LOOK_EVERY: Time = ms(500);
/// How often the holder renews it.
const RENEW_EVERY: Time = ms(1_000);
/// How soon the holder tries again after a failure.
const RENEW_AGAIN: Time = ms(300);
/// How long the store may take to answer.
const ANSWER_TIME: Time = ms(1_000);
/// How long a renewal holds for the holder.
pub(crate) const HOLD: Time = ms(3_000);
/// How long a record without change holds for everyone else.
pub(crate) const OVER: Time = ms(4_000);
/// How long a holder whose lease is over waits before it writes to a store that was emptied: until the lease of everyone
/// else is over.
const EMPTY_HOLD: Time = ms(3_200);
/// How long a process that just started waits before it takes a lease that is not there: a store that was emptied hears
/// of the holder within this time.
const EMPTY_WAIT: Time = ms(2_000);
/// The pause between two ticks from which the process counts as suspended.
const SUSPENDED: Time = ms(1_500);
/// How long a holder that was suspended waits for word from the store before it takes the store for gone.
const WAKE_WAIT: Time = ms(2_000);
/// How long a holder without the store may write after each tick.
const ALONE: Time = ms(1_500);
/// How long an offer to take the lease stands.
const OFFER_TIME: Time = ms(2_000);

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) holder: MemberId,
    /// The name of the holder, for people.
    pub(crate) name: String,
    /// The number of holders so far.
    pub(crate) term: u64,
    /// Who gave the lease to the holder, if it was given.
    pub(crate) from: Option<MemberId>,
    /// The member that knows which calls the holder runs itself. It takes the lease first.
    #[serde(default)]
    pub(crate) heir: Option<MemberId>,
    /// What the platform's clock showed when the record was written, in microseconds since 1970, as far as the holder
    /// knows.
    pub(crate) platform_time: Option<i64>,
    /// Counts the writes of the holder: a store that was emptied counts its revisions anew.
    pub(crate) writes: u64,
    /// Whether the holder has given the lease up.
    pub(crate) ended: bool,
}

/// The record in the store and its revision. The record is `None` if it cannot be read, as one of another key.
pub(crate) type Stored = Option<(u64, Option<Record>)>;

/// The store did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Away;

/// Why a record was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotWritten {
    /// The store has another revision.
    Conflict,
    /// The store did not answer: it may be written, or not.
    Away,
}

/// What the machine wants to be done, or tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read the record.
    Look,
    /// Write the record if the store has this revision; `None` if it has none.
    Write { expected: Option<u64>, record: Record },
    /// Offer the lease to this member.
    Offer { to: MemberId, revision: u64, term: u64 },
    /// This member has the lease now.
    Taken { from: Option<MemberId> },
    /// This member has the lease no more. `agreed`: it gave it away.
    Lost { agreed: bool },
    /// An offer was not taken.
    Declined { by: MemberId },
    /// The store is away beyond the time of the lease, or it is back.
    Alone(bool),
}

#[derive(Debug)]
struct Seen {
    stored: Stored,
    /// When this was seen first.
    since: Time,
}

#[derive(Debug)]
enum State {
    Following,
    Taking { sent: Time, record: Record },
    Leading(Leading),
}

#[derive(Debug)]
struct Leading {
    term: u64,
    revision: Option<u64>,
    from: Option<MemberId>,
    /// When the last successful write was sent.
    held_from: Time,
    /// When the last write was sent.
    wrote: Time,
    /// When the write was sent that is not answered.
    writing: Option<Time>,
    /// When the record is written again at the latest.
    next: Time,
    /// Since when the store may have another revision: the record is read before it is written again.
    conflict: Option<Time>,
    offered: Option<Offered>,
    /// When the process was found to have been suspended.
    woke: Option<Time>,
    alone: bool,
    /// Whether it was told that this member is alone, and not yet that it is no more.
    told_alone: bool,
}

#[derive(Debug)]
struct Offered {
    to: MemberId,
    is_sent: bool,
    until: Time,
    /// Whether it was told that the offer was not taken, although nobody knows.
    is_given_up: bool,
}

/// The lease as one member sees it.
#[derive(Debug)]
pub(crate) struct Lease {
    me: MemberId,
    name: String,
    /// A delay of this member's own, so that not all take the lease at once.
    stagger: Time,
    state: State,
    seen: Option<Seen>,
    /// When a holder was seen last, that may still hold the lease.
    last_holder: Option<Time>,
    highest_term: u64,
    next_look: Time,
    looking: Option<Time>,
    /// Since when the store does not answer.
    away_since: Option<Time>,
    last_tick: Option<Time>,
    is_eligible: bool,
    /// A holder that has resigned does not take the lease before this.
    not_before: Time,
    platform_time: Option<i64>,
    heir: Option<MemberId>,
    writes: u64,
    written_last: Option<Record>,
    steps: Vec<Step>,
}

impl Lease {
    pub(crate) fn new(me: MemberId, name: String) -> Self {
        Self {
            me,
            name,
            stagger: ms(me.spread(8) * 20),
            state: State::Following,
            seen: None,
            last_holder: None,
            highest_term: 0,
            next_look: Time::ZERO,
            looking: None,
            away_since: None,
            last_tick: None,
            is_eligible: true,
            not_before: Time::ZERO,
            platform_time: None,
            heir: None,
            writes: 0,
            written_last: None,
            steps: Vec::new(),
        }
    }

    /// What is to be done, in order.
    pub(crate) fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// Whether this member may take the lease.
    pub(crate) fn set_eligible(&mut self, is_eligible: bool) {
        self.is_eligible = is_eligible;
    }

    /// What the platform's clock shows, for the next renewal.
    pub(crate) fn set_platform_time(&mut self, time: Option<i64>) {
        self.platform_time = time;
    }

    /// The member that is to have the lease if this one is lost.
    pub(crate) fn set_heir(&mut self, heir: Option<MemberId>) {
        self.heir = heir;
    }

    pub(crate) fn is_leading(&self) -> bool {
        matches!(self.state, State::Leading(_))
    }

    /// The record that is stored, and when it was seen first.
    pub(crate) fn seen(&self) -> Option<(&Record, Time)> {
        let seen = self.seen.as_ref()?;
        let (_, record) = seen.stored.as_ref()?;
        record.as_ref().map(|record| (record, seen.since))
    }

    /// Whether there is a record that cannot be read: its holder has other keys.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| matches!(seen.stored, Some((_, None))))
    }

    /// Whether the store answers.
    pub(crate) fn is_reachable(&self) -> bool {
        self.seen.is_some() && self.away_since.is_none()
    }

    /// Whether this member serves without the store.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(&self.state, State::Leading(leading) if leading.alone)
    }

    /// Whether this member has offered the lease to another one, which may have it by now.
    #[cfg(test)]
    pub(crate) fn is_offering(&self) -> bool {
        matches!(&self.state, State::Leading(Leading { offered: Some(_), .. }))
    }

    /// Until when this member may write to the platform as the holder.
    pub(crate) fn writes_until(&self, now: Time) -> Option<Time> {
        match &self.state {
            State::Leading(leading) if leading.alone => Some(now + ALONE),
            State::Leading(leading) => Some(leading.held_from + HOLD),
            State::Following | State::Taking { .. } => None,
        }
    }

    /// To be called several times a second.
    pub(crate) fn tick(&mut self, now: Time) {
        let slept = self.last_tick.is_some_and(|last| now.saturating_sub(last) >= SUSPENDED);
        self.last_tick = Some(now);
        if self.looking.is_some_and(|asked| now >= asked + ANSWER_TIME) {
            self.looking = None;
            self.note_away(now);
        }
        if slept {
            self.next_look = now;
        }
        self.tick_leading(now, slept);
        if let State::Taking { sent, .. } = self.state
            && now >= sent + ANSWER_TIME
        {
            // It may be written or not; reading tells.
            self.state = State::Following;
            self.note_away(now);
            self.next_look = now;
        }
        // Taken with what was read just now: a store that was emptied counts its revisions anew.
        if self.take_due().is_some_and(|due| now >= due) {
            self.next_look = now;
        }
        if now >= self.next_look && self.looking.is_none() {
            self.look(now);
        }
    }

    fn tick_leading(&mut self, now: Time, slept: bool) {
        let State::Leading(leading) = &mut self.state else { return };
        if slept {
            leading.woke = Some(now);
        }
        if let Some(offered) = leading.offered.take_if(|offered| now >= offered.until && !offered.is_sent) {
            self.steps.push(Step::Declined { by: offered.to });
            leading.next = now;
        }
        if leading.writing.is_some_and(|sent| now >= sent + ANSWER_TIME) {
            leading.writing = None;
            // It may be written: then the revision is another one.
            leading.conflict = Some(now);
            leading.next = now + RENEW_AGAIN;
            self.note_away(now);
            self.next_look = now;
        }
        let State::Leading(leading) = &mut self.state else { return };
        let is_over = now >= leading.held_from + HOLD;
        // The member that was offered the lease may have it.
        let may_be_taken = leading.offered.as_ref().is_some_and(|offered| now >= offered.until);
        // A store that was emptied counts its revisions anew, so that one of before may be one of another holder now.
        if (is_over || may_be_taken) && leading.writing.is_none() && leading.conflict.is_none() {
            leading.conflict = Some(now);
            self.next_look = now;
        }
        if is_over
            && may_be_taken
            && let Some(offered) = &mut leading.offered
            && !std::mem::replace(&mut offered.is_given_up, true)
        {
            self.steps.push(Step::Declined { by: offered.to });
        }
        self.renew(now);
        let State::Leading(leading) = &mut self.state else { return };
        let has_waited = leading.woke.is_none_or(|woke| now >= woke + WAKE_WAIT);
        if is_over && self.away_since.is_some() && has_waited && !leading.alone {
            (leading.alone, leading.told_alone) = (true, true);
            self.steps.push(Step::Alone(true));
        }
        if leading.alone && slept {
            // Another member may have the lease by now.
            leading.alone = false;
        }
    }

    /// Writes the record if it is time, or sends an offer.
    fn renew(&mut self, now: Time) {
        let State::Leading(leading) = &mut self.state else { return };
        if leading.writing.is_some() || leading.conflict.is_some() {
            return;
        }
        match &mut leading.offered {
            Some(offered) if offered.is_sent => {}
            Some(offered) => {
                let Some(revision) = leading.revision else { return };
                offered.is_sent = true;
                self.steps.push(Step::Offer { to: offered.to, revision, term: leading.term });
            }
            None if now >= leading.next => {
                leading.writing = Some(now);
                leading.wrote = now;
                let (term, from, expected) = (leading.term, leading.from, leading.revision);
                let record = self.record(term, from, false);
                self.written_last = Some(record.clone());
                self.steps.push(Step::Write { expected, record });
            }
            None => {}
        }
    }

    /// When this member may take the lease.
    fn take_due(&self) -> Option<Time> {
        let (State::Following, true, Some(seen)) = (&self.state, self.is_eligible, &self.seen) else {
            return None;
        };
        let due = match &seen.stored {
            None => {
                let wait = if self.last_holder.is_some() { OVER } else { EMPTY_WAIT };
                seen.since + wait + self.stagger
            }
            Some((_, Some(record))) if record.ended || record.holder == self.me => seen.since,
            Some((_, Some(record))) if record.heir == Some(self.me) => seen.since + OVER,
            Some((_, Some(record))) if record.heir.is_some() => seen.since + OVER + HEIR_FIRST + self.stagger,
            Some(_) => seen.since + OVER + self.stagger,
        };
        Some(due.max(self.not_before))
    }

    fn try_take(&mut self, now: Time) {
        if self.take_due().is_none_or(|due| now < due) {
            return;
        }
        let Some(seen) = &self.seen else { return };
        let expected = seen.stored.as_ref().map(|(revision, _)| *revision);
        self.take(now, expected, self.highest_term + 1, None);
    }

    fn record(&mut self, term: u64, from: Option<MemberId>, ended: bool) -> Record {
        self.writes += 1;
        let (holder, name, heir) = (self.me, self.name.clone(), self.heir);
        let (platform_time, writes) = (self.platform_time, self.writes);
        Record { holder, name, term, from, heir, platform_time, writes, ended }
    }

    fn take(&mut self, now: Time, expected: Option<u64>, term: u64, from: Option<MemberId>) {
        let record = self.record(term, from, false);
        self.steps.push(Step::Write { expected, record: record.clone() });
        self.state = State::Taking { sent: now, record };
    }

    fn look(&mut self, now: Time) {
        self.looking = Some(now);
        self.next_look = now + LOOK_EVERY;
        self.steps.push(Step::Look);
    }

    /// Reads the record as soon as possible: something says that it has changed.
    pub(crate) fn look_soon(&mut self, now: Time) {
        if self.looking.is_none() {
            self.look(now);
        } else {
            self.next_look = now;
        }
    }

    fn note_away(&mut self, now: Time) {
        self.away_since.get_or_insert(now);
        self.connection_lost(now);
    }

    /// The connection to the store was lost, be it for a moment.
    pub(crate) fn connection_lost(&mut self, now: Time) {
        // Somebody may have held the lease meanwhile, in a store that was emptied again.
        if let Some(seen) = &mut self.seen
            && seen.stored.is_none()
        {
            seen.since = now;
        }
    }

    /// The store answered, or did not, to the reading that began at `asked`.
    pub(crate) fn looked(&mut self, now: Time, asked: Time, stored: Result<Stored, Away>) {
        if self.looking == Some(asked) {
            self.looking = None;
        }
        let Ok(stored) = stored else {
            self.note_away(now);
            self.next_look = now + RENEW_AGAIN;
            return;
        };
        self.away_since = None;
        self.see(now, stored.clone());
        let State::Leading(leading) = &mut self.state else {
            self.try_take(now);
            return;
        };
        // What was read before the last write says nothing.
        if leading.writing.is_some() || asked < leading.wrote {
            return;
        }
        let is_mine = stored
            .as_ref()
            .is_none_or(|(_, record)| record.as_ref().is_some_and(|record| record.holder == self.me));
        if is_mine
            && let Some(offered) =
                leading.offered.take_if(|offered| offered.is_sent && asked >= offered.until)
        {
            leading.next = now;
            if !offered.is_given_up {
                self.steps.push(Step::Declined { by: offered.to });
            }
        }
        match stored {
            None => {
                let empty_since = self.seen.as_ref().map_or(now, |seen| seen.since);
                // Of a lease that is over, another member may have been the holder before the store was emptied.
                if now < leading.held_from + HOLD || now >= empty_since + EMPTY_HOLD {
                    leading.revision = None;
                    leading.conflict = None;
                    leading.next = now;
                    self.renew(now);
                } else {
                    leading.conflict.get_or_insert(now);
                }
            }
            Some((revision, Some(record))) if record.holder == self.me => {
                leading.revision = Some(revision);
                leading.conflict = None;
                if now >= leading.held_from + HOLD {
                    leading.next = now;
                }
                self.renew(now);
            }
            Some((revision, record)) => {
                let term = record.as_ref().map_or(0, |record| record.term);
                // A replica of the store may be behind. It is not when a write was refused and the time of the lease is over.
                let is_sure =
                    leading.conflict.is_some_and(|since| asked >= since && now >= leading.held_from + HOLD);
                let is_old = !is_sure
                    && term <= leading.term
                    && leading.revision.is_some_and(|known| revision <= known);
                if !is_old {
                    let agreed = leading.offered.as_ref().is_some_and(|offered| {
                        record
                            .as_ref()
                            .is_some_and(|record| record.holder == offered.to && record.from == Some(self.me))
                    });
                    self.state = State::Following;
                    self.steps.push(Step::Lost { agreed });
                }
            }
        }
    }

    fn see(&mut self, now: Time, stored: Stored) {
        if let Some((_, Some(record))) = &stored {
            self.highest_term = self.highest_term.max(record.term);
        }
        if stored.is_some() {
            self.last_holder = Some(now);
        }
        match &mut self.seen {
            Some(seen) if seen.stored == stored => {}
            seen => *seen = Some(Seen { stored, since: now }),
        }
    }

    /// The store answered, or did not, to the write that was sent at `sent`.
    pub(crate) fn written(&mut self, now: Time, sent: Time, result: Result<u64, NotWritten>) {
        match result {
            Ok(_) | Err(NotWritten::Conflict) => self.away_since = None,
            Err(NotWritten::Away) => self.note_away(now),
        }
        match &mut self.state {
            State::Taking { sent: taking, record } if *taking == sent => {
                let record = record.clone();
                let Ok(revision) = result else {
                    self.state = State::Following;
                    self.look_soon(now);
                    return;
                };
                self.see(now, Some((revision, Some(record.clone()))));
                self.state = State::Leading(Leading {
                    term: record.term,
                    revision: Some(revision),
                    from: record.from,
                    held_from: sent,
                    wrote: sent,
                    writing: None,
                    next: sent + RENEW_EVERY,
                    conflict: None,
                    offered: None,
                    woke: None,
                    alone: false,
                    told_alone: false,
                });
                self.steps.push(Step::Taken { from: record.from });
            }
            State::Leading(leading) if leading.writing == Some(sent) => {
                leading.writing = None;
                match result {
                    Ok(revision) => {
                        leading.revision = Some(revision);
                        leading.held_from = sent;
                        leading.next = sent + RENEW_EVERY;
                        leading.woke = None;
                        leading.alone = false;
                        if std::mem::take(&mut leading.told_alone) {
                            self.steps.push(Step::Alone(false));
                        }
                        let record = self.written_last.clone();
                        self.see(now, Some((revision, record)));
                        self.renew(now);
                    }
                    Err(NotWritten::Conflict) => {
                        leading.conflict = Some(now);
                        self.look_soon(now);
                    }
                    Err(NotWritten::Away) => {
                        // It may be written.
                        leading.conflict = Some(now);
                        leading.next = now + RENEW_AGAIN;
                        self.look_soon(now);
                    }
                }
            }
            State::Following | State::Taking { .. } | State::Leading(_) => {}
        }
    }

    /// Offers the lease to another member. Returns `false` if this one has nothing to give.
    pub(crate) fn hand_over(&mut self, now: Time, to: MemberId) -> bool {
        match &mut self.state {
            State::Leading(leading) if leading.offered.is_none() && now < leading.held_from + HOLD => {
                leading.offered =
                    Some(Offered { to, is_sent: false, until: now + OFFER_TIME, is_given_up: false });
                self.renew(now);
                true
            }
            _ => false,
        }
    }

    /// Takes the lease that another member offers.
    pub(crate) fn on_offer(&mut self, now: Time, from: MemberId, revision: u64, term: u64) {
        if matches!(self.state, State::Following) && self.is_eligible && !self.has_resigned(now) {
            self.highest_term = self.highest_term.max(term);
            self.take(now, Some(revision), term + 1, Some(from));
        }
    }

    /// The record with which the holder gives the lease up, when the process ends: others need not wait then.
    pub(crate) fn give_up(&mut self) -> Option<Step> {
        let step = self.end();
        if step.is_some() {
            self.is_eligible = false;
        }
        step
    }

    /// Gives the lease up, and does not take it again before `until`.
    pub(crate) fn resign(&mut self, until: Time) {
        if !self.is_leading() {
            return;
        }
        self.not_before = until;
        let written = self.end();
        self.state = State::Following;
        self.steps.extend(written);
        self.steps.push(Step::Lost { agreed: false });
    }

    /// Whether this member has resigned, and may not take the lease yet.
    pub(crate) fn has_resigned(&self, now: Time) -> bool {
        now < self.not_before
    }

    /// Takes the lease again like any other member.
    pub(crate) fn forget_resigning(&mut self) {
        self.not_before = Time::ZERO;
    }

    fn end(&mut self) -> Option<Step> {
        let State::Leading(leading) = &self.state else { return None };
        let (term, revision, from) = (leading.term, leading.revision?, leading.from);
        self.state = State::Following;
        let record = self.record(term, from, true);
        Some(Step::Write { expected: Some(revision), record })
    }
}
