//! One member: its lease, its desk and its shelf together. Pure: it is told what happens, with the time, and says what
//! is to be done. The tests drive it through thousands of simulated fleets.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::desk::{Desk, End, LOST, Order, Place};
use crate::lease::{Away, Lease, NotWritten, OVER, Record, Step, Stored};
use crate::map::{HashMap, HashSet};
use crate::message::{CallId, Declared, MemberId, Message, Report, Running};
use crate::shelf::{Shelf, Taken};
use crate::time::{Time, ms};

/// How often a member reports to the gateway.
const REPORT_EVERY: Time = ms(500);
/// How long a new gateway waits for the members before it dials.
const GATHER: Time = ms(600);
/// The same if the lease was given to it, and the one before still serves.
const GATHER_PLANNED: Time = ms(1_500);
/// How long the connection of a gateway that gave the lease away may go on.
const LEAVE_TIME: Time = ms(45_000);
/// How long members tell a gateway that gave the lease away how they are.
const FAREWELL: Time = ms(30_000);
/// How often a gateway that is about to stop offers the lease.
const MAX_OFFERS: usize = 3;
/// How often a gateway that is to stop, and found nobody to take the lease, looks for somebody.
const OFFER_EVERY: Time = ms(1_000);
/// The platform ends a connection at the latest this long after another was opened, and its end hides the tools
/// (protocol §2).
const OTHER_ENDS: Time = ms(33_000);
/// When the tools are declared again in between, if it is not known how the gateway before ended. The platform takes six
/// declarations a minute, so that two such gateways within a minute are within the limit.
const OTHER_MAY_END: Time = ms(12_000);
/// The pause between two ticks from which the process counts as suspended.
const SUSPENDED: Time = ms(1_500);
/// How long the member that is told of the calls here may take to say that it knows.
const MIRROR_AGAIN: Time = ms(500);
/// How long a gateway whose secret the platform refused leaves the lease to others.
const RESIGNED: Time = ms(30_000);
/// How long an answer may be on its way to the platform before its sender is told that it has arrived here.
const TELL_AFTER: Time = ms(150);
/// How long the platform waits for an answer, at most (protocol §3).
const PATIENCE: Time = ms(30_000);
/// How many reports are remembered.
const REPORTS: usize = 16;

/// Whether this process may hold the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lead {
    No,
    Keep,
    Yes,
}

/// What became of the connection to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// The platform knows it.
    Open,
    /// Another one has taken its place; it takes answers and no calls.
    Superseded,
    /// There is none.
    Gone,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It knows no gateway yet.
    Waiting,
    /// It runs the calls that the gateway hands to it.
    Member,
    /// It has the lease, and asks who is there before it dials.
    Gathering,
    /// It has the connection.
    Gateway,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Output<C, A> {
    /// Read the lease.
    Look,
    /// Write the lease.
    Write {
        expected: Option<u64>,
        record: Record,
    },
    Send(MemberId, Message<C, A>),
    /// Tell everyone that the lease has changed.
    Hint,
    Lead(Lead),
    /// Write to the platform until then, and no longer.
    WriteUntil(Time),
    /// Whether somebody tells when the connection before has ended.
    ExpectEnd(bool),
    DeclareAgain,
    /// Refuse calls that were signed before this time of the platform's clock.
    RefuseSignedUntil(i64),
    /// Give this member what this host has accepted.
    GiveAccepted(MemberId),
    /// Run a call here; answer with [`Node::finished`] or [`Node::refused`].
    Run {
        call_id: CallId,
        left: Time,
        call: C,
    },
    /// Cancel a call that runs here.
    Cancel {
        call_id: CallId,
    },
    /// Answer a call that [`Node::place`] has kept.
    Settle {
        call_id: CallId,
        end: End<A>,
    },
    /// Answer a call that another gateway received.
    Deliver {
        call_id: CallId,
        left: Time,
        end: End<A>,
    },
    /// The tools of the fleet have changed.
    Offers,
    /// The connection is handed over, or cannot be.
    Released,
    /// The store is away, and this gateway serves alone; or it is back.
    Alone(bool),
    /// For the log.
    Role(Role),
}

#[derive(Debug)]
struct Leadership {
    since: Time,
    from: Option<MemberId>,
    expected: HashSet<MemberId>,
    dials: bool,
    /// Whether nobody has said yet that the connection before has ended.
    expects_end: bool,
    /// When the tools are declared again although nobody says so.
    declare_again: VecDeque<Time>,
}

/// A gateway that gave the lease away, until its connection has ended.
#[derive(Debug)]
struct Leaving {
    to: MemberId,
    since: Time,
}

#[derive(Debug)]
struct Release {
    refused_by: Vec<MemberId>,
    is_done: bool,
}

/// The gateway as this member follows it.
#[derive(Debug)]
struct Followed {
    holder: MemberId,
    term: u64,
    from: Option<MemberId>,
    since: Time,
    has_tools: bool,
}

/// What a holder wrote of the platform's clock.
#[derive(Debug)]
struct PlatformTime {
    time: i64,
    seen: Time,
    /// Term and number of the record.
    written: (u64, u64),
}

impl PlatformTime {
    /// What the clock shows by now.
    fn at(&self, now: Time) -> i64 {
        self.time.saturating_add(micros(now.saturating_sub(self.seen)))
    }
}

/// A call that runs at the gateway itself.
#[derive(Debug)]
struct Here<C> {
    tool: Arc<str>,
    deadline: Time,
    call: Option<C>,
    is_blocking: bool,
    mirrored: Mirrored,
}

/// An answer that the platform has not confirmed yet.
#[derive(Debug)]
struct Undelivered {
    from: MemberId,
    since: Time,
    /// Whether its sender knows that it has arrived here.
    is_told: bool,
}

/// Whether another member knows of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mirrored {
    No,
    Sent(Time),
    Known,
}

#[derive(Debug)]
pub(crate) struct Node<C, A> {
    me: MemberId,
    lease: Lease,
    desk: Desk<C>,
    shelf: Shelf<C, A>,
    report: Report,
    tools: Vec<Declared>,
    again: HashSet<Arc<str>>,
    write_until: Option<Time>,
    is_connected: bool,
    next_report: Time,
    /// When the latest reports were sent, by their numbers.
    reported: VecDeque<(u64, Time)>,
    followed: Option<Followed>,
    leadership: Option<Leadership>,
    leaving: Option<Leaving>,
    /// Whether the lease was lost to a member that does not know what became of the connection.
    has_lost: bool,
    connection: Connection,
    release: Option<Release>,
    next_offer: Time,
    offered_members: Vec<MemberId>,
    /// Who told last what it has accepted.
    accepted_from: Option<MemberId>,
    lead: Lead,
    role: Role,
    here: HashMap<CallId, Here<C>>,
    /// The member that knows the calls that run here.
    second: Option<MemberId>,
    /// The platform's clock minus this process's, in microseconds, at most as far as its calls have shown.
    platform_offset: Option<i64>,
    /// What other holders wrote of the platform's clock. One that has ended in order did so, too: nobody else knows the
    /// calls that it accepted.
    platform_time: Option<PlatformTime>,
    /// What the platform's clock showed at most when this member took the lease: nobody accepted a call of later.
    taken_at: Option<i64>,
    last_tick: Option<Time>,
    /// Messages to this member itself.
    own: VecDeque<Message<C, A>>,
    is_pumping: bool,
    /// Answers that have arrived here, and not at the platform, as far as is known.
    undelivered: HashMap<CallId, Undelivered>,
    /// Answers that have arrived here, by their senders, who are to be told.
    received: Vec<(MemberId, Vec<CallId>)>,
    outputs: Vec<Output<C, A>>,
}

impl<C: Clone, A: Clone> Node<C, A> {
    pub(crate) fn new(me: MemberId, name: String, serves_calls: bool) -> Self {
        Self {
            me,
            lease: Lease::new(me, name),
            desk: Desk::new(me, serves_calls),
            shelf: Shelf::new(),
            report: Report::default(),
            tools: Vec::new(),
            again: HashSet::default(),
            write_until: None,
            is_connected: true,
            next_report: Time::ZERO,
            reported: VecDeque::new(),
            followed: None,
            leadership: None,
            leaving: None,
            has_lost: false,
            connection: Connection::Gone,
            release: None,
            next_offer: Time::ZERO,
            offered_members: Vec::new(),
            accepted_from: None,
            lead: Lead::No,
            role: Role::Waiting,
            here: HashMap::default(),
            second: None,
            platform_offset: None,
            platform_time: None,
            taken_at: None,
            last_tick: None,
            own: VecDeque::new(),
            is_pumping: false,
            undelivered: HashMap::default(),
            received: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// What is to be done, in order.
    pub(crate) fn take_outputs(&mut self) -> Vec<Output<C, A>> {
        for (to, call_ids) in self.received.drain(..) {
            self.outputs.push(Output::Send(to, Message::Received { call_ids }));
        }
        std::mem::take(&mut self.outputs)
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn desk(&self) -> &Desk<C> {
        &self.desk
    }

    pub(crate) fn shelf(&self) -> &Shelf<C, A> {
        &self.shelf
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Whom this member gave the lease to, while its connection goes on.
    pub(crate) fn leaving_to(&self) -> Option<MemberId> {
        self.leaving.as_ref().map(|leaving| leaving.to)
    }

    /// The gateway, if it is known and its lease is not over.
    pub(crate) fn gateway(&self, now: Time) -> Option<MemberId> {
        if self.lease.is_leading() {
            return Some(self.me);
        }
        let (record, since) = self.lease.seen()?;
        (!record.ended && now < since + OVER + OVER).then_some(record.holder)
    }

    // --- what this member has

    /// Changes what this member says of itself; its number and whether it drains are kept.
    pub(crate) fn set_report(&mut self, report: Report) {
        let (number, draining) = (self.report.number, self.report.draining);
        self.report = Report { number, draining, ..report };
    }

    /// Changes the tools of this member.
    pub(crate) fn set_tools(&mut self, now: Time, tools: Vec<Declared>) {
        if self.tools == tools && self.desk.knows(self.me) {
            return;
        }
        self.again = tools.iter().filter(|tool| tool.runs_again).map(|tool| Arc::clone(&tool.name)).collect();
        self.tools = tools;
        self.desk.on_report(now, self.me, self.report.clone());
        self.desk.on_tools(now, self.me, self.tools.clone());
        if let Some(followed) = &mut self.followed {
            followed.has_tools = false;
        }
        self.next_report = now;
        self.after(now);
    }

    /// The platform's clock shows this time, at most, as far as calls have shown.
    pub(crate) fn set_platform_time(&mut self, now: Time, time: Option<i64>) {
        self.platform_offset = time.map(|time| time.saturating_sub(micros(now)));
    }

    /// What this member has accepted has come from another one.
    pub(crate) fn accepted(&mut self, now: Time, from: MemberId) {
        self.accepted_from = Some(from);
        self.after(now);
    }

    /// Whether messages reach other members.
    pub(crate) fn set_connected(&mut self, is_connected: bool) {
        self.is_connected = is_connected;
    }

    /// The connection to the store and the other members was lost, be it for a moment.
    pub(crate) fn connection_lost(&mut self, now: Time) {
        self.lease.connection_lost(now);
    }

    // --- the store

    pub(crate) fn looked(&mut self, now: Time, asked: Time, stored: Result<Stored, Away>) {
        self.lease.looked(now, asked, stored);
        self.after(now);
    }

    pub(crate) fn written(&mut self, now: Time, sent: Time, result: Result<u64, NotWritten>) {
        self.lease.written(now, sent, result);
        self.after(now);
    }

    /// Something says that the lease has changed.
    pub(crate) fn on_hint(&mut self, now: Time) {
        self.lease.look_soon(now);
        self.after(now);
    }

    // --- time

    /// To be called several times a second.
    pub(crate) fn tick(&mut self, now: Time) {
        self.note_platform_time(now);
        if self.last_tick.replace(now).is_some_and(|last| now.saturating_sub(last) >= SUSPENDED) {
            self.desk.on_wake(now);
        }
        self.lease.tick(now);
        self.after(now);
        if now >= self.next_report {
            self.send_report(now);
        }
        let is_reachable = self.is_connected && self.lease.is_reachable();
        if !is_reachable {
            // Nobody is lost for that: it is this member that hears nothing.
            self.desk.on_wake(now);
        }
        self.desk.set_alone(!is_reachable);
        let leads = self.dials();
        let orders = self.desk.tick(now, leads);
        self.order(now, orders);
        self.mirror(now);
        self.tell_received(now);
        for (to, call_ids) in self.shelf.take_untold() {
            if to != self.me {
                self.send(to, Message::Taken { call_ids });
            }
        }
        let leader = self.gateway(now);
        for (to, message) in self.shelf.tick(now, leader) {
            self.send(to, message);
        }
        if self.leaving.take_if(|leaving| now >= leaving.since + LEAVE_TIME).is_some() {
            if !self.lease.is_leading() {
                self.set_lead(Lead::No);
            }
            self.released();
        }
        if now >= self.next_offer && self.lease.is_leading() && self.desk.successor(now, &[]).is_some() {
            self.next_offer = now + OFFER_EVERY;
            self.offer_again(now);
        }
        if let Some(leadership) = &mut self.leadership
            && leadership.declare_again.front().is_some_and(|due| now >= *due)
        {
            leadership.declare_again.pop_front();
            self.outputs.push(Output::DeclareAgain);
            if leadership.declare_again.is_empty() {
                self.other_has_ended();
            }
        }
        self.after(now);
    }

    fn note_platform_time(&mut self, now: Time) {
        let platform_time = match self.platform_offset {
            Some(offset) => Some(micros(now).saturating_add(offset)).max(self.taken_at),
            // Without a call of its own, a holder goes by what the ones before knew.
            None => self.lost_platform_time(now),
        };
        self.lease.set_platform_time(platform_time);
    }

    fn send_report(&mut self, now: Time) {
        self.next_report = now + REPORT_EVERY;
        self.report.number += 1;
        self.reported.push_back((self.report.number, now));
        if self.reported.len() > REPORTS {
            self.reported.pop_front();
        }
        self.desk.on_report(now, self.me, self.report.clone());
        let Some(followed) = &mut self.followed else { return };
        if self.lease.is_unreadable() {
            // A call that the gateway hands over may be sealed with keys that are not known here, too.
            followed.has_tools = false;
            return;
        }
        let mut to = vec![followed.holder];
        to.extend(followed.from.filter(|_| now < followed.since + FAREWELL));
        to.retain(|id| *id != self.me);
        let (holder, introduces) = (followed.holder, !followed.has_tools);
        for id in to {
            if introduces {
                let tools = self.tools.clone();
                let running = if id == holder { self.shelf.running_calls(now) } else { Vec::new() };
                self.send(id, Message::Introduction { tools, running });
            }
            self.send(id, Message::Report(self.report.clone()));
        }
        if let Some(followed) = &mut self.followed {
            followed.has_tools = true;
        }
    }

    // --- the lease

    /// Acts on what the parts want, until they want nothing.
    fn after(&mut self, now: Time) {
        loop {
            let steps = self.lease.take_steps();
            if steps.is_empty() {
                break;
            }
            for step in steps {
                self.step(now, step);
            }
        }
        self.follow(now);
        self.gather(now);
        let leaving = self.leaving.as_ref().map(|leaving| leaving.since + LEAVE_TIME);
        if let Some(until) = self.lease.writes_until(now).or(leaving)
            && self.write_until.replace(until) != Some(until)
        {
            self.outputs.push(Output::WriteUntil(until));
        }
        if self.desk.take_changed() && self.lease.is_leading() {
            self.outputs.push(Output::Offers);
        }
        self.note_role(now);
    }

    fn note_role(&mut self, now: Time) {
        let role = match &self.leadership {
            Some(leadership) if leadership.dials => Role::Gateway,
            Some(_) => Role::Gathering,
            None if self.gateway(now).is_some() => Role::Member,
            None => Role::Waiting,
        };
        if std::mem::replace(&mut self.role, role) != role {
            self.outputs.push(Output::Role(role));
        }
    }

    fn step(&mut self, now: Time, step: Step) {
        match step {
            Step::Look => self.outputs.push(Output::Look),
            Step::Write { expected, record } => self.outputs.push(Output::Write { expected, record }),
            Step::Offer { to, revision, term } => {
                let members = self.desk.members(now).map(|(id, ..)| id).collect();
                self.outputs.push(Output::GiveAccepted(to));
                self.send(to, Message::Offer { revision, term, members });
            }
            Step::Taken { from } => self.on_taken(now, from),
            Step::Lost { agreed } => self.on_lost(now, agreed),
            Step::Declined { by } => {
                if let Some(release) = &mut self.release {
                    release.refused_by.push(by);
                }
                self.offer(now);
            }
            Step::Alone(alone) => {
                // Without the lease no other connection is opened.
                self.set_lead(if alone { Lead::Keep } else { Lead::Yes });
                self.outputs.push(Output::Alone(alone));
            }
        }
    }

    fn on_taken(&mut self, now: Time, from: Option<MemberId>) {
        let expected = match from {
            Some(_) => self.offered_members.drain(..).filter(|id| *id != self.me).collect(),
            None => HashSet::default(),
        };
        let declare_again = VecDeque::new();
        self.leadership =
            Some(Leadership { since: now, from, expected, dials: false, expects_end: true, declare_again });
        (self.leaving, self.has_lost) = (None, false);
        self.taken_at = self.lost_platform_time(now);
        self.desk.on_report(now, self.me, self.report.clone());
        self.shelf.on_gateway(self.me, from.is_some());
        self.desk.on_running(now, self.me, self.shelf.running_calls(now));
        self.outputs.push(Output::Hint);
        self.outputs.push(Output::ExpectEnd(true));
        self.outputs.push(Output::Offers);
        if self.release.is_some() {
            self.offer(now);
        }
    }

    fn on_lost(&mut self, now: Time, agreed: bool) {
        self.leadership = None;
        // Of the next one that gives the lease, it has to come again.
        self.accepted_from = None;
        if !agreed {
            self.has_lost = true;
            self.set_lead(Lead::No);
            self.released();
            if self.connection == Connection::Gone {
                self.say_ended(now);
            }
            return;
        }
        let Some((record, _)) = self.lease.seen() else { return };
        self.leaving = Some(Leaving { to: record.holder, since: now });
        self.set_lead(Lead::Keep);
        if self.connection == Connection::Gone {
            self.leave();
        }
    }

    /// The connection of a gateway that gave the lease away has ended.
    fn leave(&mut self) {
        if let Some(leaving) = self.leaving.take() {
            self.send(leaving.to, Message::Ended);
            self.set_lead(Lead::No);
            self.released();
        }
    }

    /// The connection of a gateway that lost the lease has ended. Whoever has it declares the tools again.
    fn say_ended(&mut self, now: Time) {
        if std::mem::take(&mut self.has_lost)
            && let Some(gateway) = self.gateway(now).filter(|gateway| *gateway != self.me)
        {
            self.send(gateway, Message::Ended);
        }
    }

    /// Nobody has to be heard of any more: the connection before has ended.
    fn other_has_ended(&mut self) {
        if let Some(leadership) = &mut self.leadership
            && std::mem::take(&mut leadership.expects_end)
        {
            leadership.declare_again.clear();
            self.outputs.push(Output::ExpectEnd(false));
        }
    }

    /// The connection to the platform has changed.
    pub(crate) fn connection(&mut self, now: Time, connection: Connection) {
        self.connection = connection;
        match connection {
            Connection::Gone if self.leaving.is_some() => self.leave(),
            Connection::Superseded if self.leaving.is_some() => self.released(),
            Connection::Gone => {
                self.say_ended(now);
                self.lease.look_soon(now);
            }
            Connection::Superseded => self.lease.look_soon(now),
            Connection::Open => {
                if let Some(leadership) = &mut self.leadership
                    && leadership.expects_end
                {
                    let between = leadership.from.is_none().then_some(now + OTHER_MAY_END);
                    leadership.declare_again = between.into_iter().chain([now + OTHER_ENDS]).collect();
                }
            }
        }
        self.after(now);
    }

    /// The platform refuses the secret of this member. Another one may know the new one.
    pub(crate) fn secret_refused(&mut self, now: Time) {
        self.lease.resign(now + RESIGNED);
        self.after(now);
    }

    /// This member has another secret than before.
    pub(crate) fn secret_changed(&mut self, now: Time) {
        self.lease.forget_resigning();
        self.lease.look_soon(now);
        self.after(now);
    }

    /// Prepares the end of this member: it takes no further calls, and gives the lease away.
    pub(crate) fn release(&mut self, now: Time) {
        if self.release.is_none() {
            self.release = Some(Release { refused_by: Vec::new(), is_done: false });
            self.report.draining = true;
            self.lease.set_eligible(false);
            self.send_report(now);
            self.offer(now);
        } else {
            self.offer_again(now);
        }
        self.after(now);
    }

    /// Offers the lease once more: when it was to be given away before, there may have been nobody.
    fn offer_again(&mut self, now: Time) {
        if let Some(release) = self.release.as_mut().filter(|release| release.is_done) {
            *release = Release { refused_by: Vec::new(), is_done: false };
            if self.leaving.is_none() {
                self.offer(now);
            } else {
                self.released();
            }
        }
    }

    fn offer(&mut self, now: Time) {
        let Some(release) = &self.release else { return };
        if release.is_done {
            return;
        }
        let to = if release.refused_by.len() < MAX_OFFERS {
            self.desk.successor(now, &release.refused_by)
        } else {
            None
        };
        let is_offered = self.lease.is_leading() && to.is_some_and(|to| self.lease.hand_over(now, to));
        if !is_offered {
            self.released();
        }
    }

    fn released(&mut self) {
        if let Some(release) = &mut self.release
            && !std::mem::replace(&mut release.is_done, true)
        {
            self.outputs.push(Output::Released);
        }
    }

    /// Tells the gateway that this member has ended.
    pub(crate) fn say_goodbye(&mut self, now: Time) {
        if let Some(gateway) = self.gateway(now) {
            self.send(gateway, Message::Left);
        }
    }

    /// The record with which this member gives the lease up when its process ends.
    pub(crate) fn give_up(&mut self, now: Time) -> Option<(Option<u64>, Record)> {
        self.note_platform_time(now);
        match self.lease.give_up() {
            Some(Step::Write { expected, record }) => Some((expected, record)),
            _ => None,
        }
    }

    fn set_lead(&mut self, lead: Lead) {
        if std::mem::replace(&mut self.lead, lead) != lead {
            self.outputs.push(Output::Lead(lead));
        }
    }

    /// Whether this member has the connection, or opens it.
    fn dials(&self) -> bool {
        self.leadership.as_ref().is_some_and(|leadership| leadership.dials)
    }

    /// Follows the holder of the lease.
    fn follow(&mut self, now: Time) {
        if self.lease.is_leading() {
            return;
        }
        let Some((record, since)) = self.lease.seen() else { return };
        if record.holder != self.me
            && let Some(time) = record.platform_time
        {
            let written = (record.term, record.writes);
            let new = PlatformTime { time, seen: since, written };
            match &mut self.platform_time {
                // Whoever may write to the store may bring an old record back.
                Some(known) if written < known.written => {
                    known.time = known.at(since).max(time);
                    known.seen = since;
                }
                known => *known = Some(new),
            }
        }
        if let Some(followed) = &self.followed
            && followed.holder == record.holder
            && followed.term == record.term
        {
            return;
        }
        if record.ended || record.holder == self.me {
            return;
        }
        let (holder, term, from) = (record.holder, record.term, record.from);
        self.shelf.on_gateway(holder, from.is_some());
        self.followed = Some(Followed { holder, term, from, since: now, has_tools: false });
        self.send_report(now);
    }

    /// Dials when the members are there.
    fn gather(&mut self, now: Time) {
        let Some(leadership) = &self.leadership else { return };
        if leadership.dials {
            return;
        }
        let is_late = match leadership.from {
            Some(_) => now >= leadership.since + GATHER_PLANNED,
            None => now >= leadership.since + GATHER,
        };
        let has_accepted = leadership.from.is_some() && self.accepted_from == leadership.from;
        let knows_all = has_accepted
            && leadership.expected.iter().all(|id| leadership.from == Some(*id) || self.desk.knows(*id));
        if !is_late && !knows_all {
            return;
        }
        let is_planned = leadership.from.is_some();
        if let Some(leadership) = &mut self.leadership {
            leadership.dials = true;
        }
        if !has_accepted && let Some(time) = self.lost_platform_time(now) {
            self.outputs.push(Output::RefuseSignedUntil(time));
        }
        self.outputs.push(Output::Offers);
        self.set_lead(Lead::Yes);
        self.note_role(now);
        if let Some(lost) = self.followed.as_ref().map(|followed| followed.holder)
            && !is_planned
        {
            let orders = self.desk.on_gateway_lost(now, lost);
            self.order(now, orders);
        }
        self.followed = None;
    }

    /// What the platform's clock shows by now, by what the holder before wrote of it last.
    fn lost_platform_time(&self, now: Time) -> Option<i64> {
        self.platform_time.as_ref().map(|known| known.at(now))
    }

    // --- calls

    /// Decides where a call of the platform runs. With [`Place::At`], the call is answered by an output.
    pub(crate) fn place(
        &mut self,
        now: Time,
        call_id: &CallId,
        tool: &Arc<str>,
        left: Time,
        has_place: bool,
        call: impl Fn() -> C,
    ) -> Place {
        let (place, order) = self.desk.place(now, call_id, tool, now + left, has_place, &call);
        match place {
            Place::Here => {
                let call = self.desk.runs_again(tool).then(call);
                let (tool, is_blocking) = (Arc::clone(tool), self.desk.is_blocking(tool));
                let here = Here { tool, deadline: now + left, call, is_blocking, mirrored: Mirrored::No };
                self.here.insert(Arc::clone(call_id), here);
            }
            Place::At(_) | Place::Nowhere => {}
        }
        self.order(now, order);
        place
    }

    /// A call that [`place`](Self::place) let run here has ended.
    pub(crate) fn ended_here(&mut self, call_id: &str) {
        let Some((call_id, here)) = self.here.remove_entry(call_id) else { return };
        self.desk.count_here(&here.tool, here.is_blocking, false);
        if here.mirrored != Mirrored::No
            && let Some(second) = self.second
        {
            self.send(second, Message::Done { call_ids: vec![call_id] });
        }
    }

    /// Tells another member which calls run here, in case this process is lost. Quick calls are over by then.
    fn mirror(&mut self, now: Time) {
        let second = if self.dials() { self.desk.successor(now, &[]) } else { self.leaving_to() };
        if second != self.second {
            self.second = second;
            self.lease.set_heir(second);
            self.here.values_mut().for_each(|here| here.mirrored = Mirrored::No);
        }
        let Some(second) = second else { return };
        let mut calls = Vec::new();
        for (call_id, here) in &mut self.here {
            let is_due = match here.mirrored {
                Mirrored::No => true,
                Mirrored::Sent(at) => now >= at + MIRROR_AGAIN,
                Mirrored::Known => false,
            };
            if is_due {
                here.mirrored = Mirrored::Sent(now);
                calls.push(Running {
                    call_id: Arc::clone(call_id),
                    tool: Arc::clone(&here.tool),
                    left_ms: here.deadline.saturating_sub(now).as_millis() as u64,
                    call: here.call.clone(),
                });
            }
        }
        if !calls.is_empty() {
            self.send(second, Message::Mirror { calls });
        }
    }

    /// Another member has these calls, or knows that they run here.
    fn on_known(&mut self, from: MemberId, call_ids: &[CallId]) {
        self.desk.on_taken(from, call_ids);
        if self.second == Some(from) {
            for call_id in call_ids {
                if let Some(here) = self.here.get_mut(call_id) {
                    here.mirrored = Mirrored::Known;
                }
            }
        }
    }

    /// The number of calls of the platform that run here, or wait for another member.
    pub(crate) fn calls_in_flight(&self) -> usize {
        self.here.len() + self.desk.own_calls() + self.shelf.running()
    }

    /// A call that was to be run has ended.
    pub(crate) fn finished(&mut self, now: Time, call_id: &CallId, answer: A, bytes: usize) {
        if let Some((to, message)) = self.shelf.on_finished(now, call_id, answer, bytes) {
            self.send(to, message);
        }
        self.pump(now);
    }

    /// A call that was to be run was not admitted. `answer` is for the case that nobody else takes it.
    pub(crate) fn refused(&mut self, now: Time, call_id: &CallId, answer: Option<A>) {
        if let Some((to, attempt)) = self.shelf.on_refused(call_id) {
            self.send(to, Message::Refused { call_id: Arc::clone(call_id), attempt, answer });
        }
        self.pump(now);
    }

    /// The host has an answer that it cannot send.
    pub(crate) fn kept(&mut self, now: Time, call_id: &CallId, left: Time, answer: A, bytes: usize) {
        self.desk.unsettle(call_id);
        // It goes another way from here.
        self.undelivered.remove(call_id);
        let origin = self.gateway(now).unwrap_or(self.me);
        let (to, message) = self.shelf.keep(now, call_id, now + left, answer, bytes, origin);
        if to != self.me {
            self.send(to, message);
        }
        self.pump(now);
    }

    /// The platform has the answers to these calls, which this process sent.
    pub(crate) fn delivered(&mut self, now: Time, call_ids: &[CallId]) {
        let mut told: Vec<(MemberId, Vec<CallId>)> = Vec::new();
        for call_id in call_ids {
            if let Some((call_id, answer)) = self.undelivered.remove_entry(call_id) {
                push_for(&mut told, answer.from, call_id);
            }
        }
        for (to, call_ids) in told {
            self.send(to, Message::Delivered { call_ids });
        }
        self.pump(now);
    }

    /// Tells the senders of answers that wait for the platform that they have arrived here.
    fn tell_received(&mut self, now: Time) {
        let mut told: Vec<(MemberId, Vec<CallId>)> = Vec::new();
        self.undelivered.retain(|call_id, answer| {
            if !answer.is_told && now >= answer.since + TELL_AFTER {
                answer.is_told = true;
                push_for(&mut told, answer.from, Arc::clone(call_id));
            }
            now < answer.since + PATIENCE
        });
        for (to, call_ids) in told {
            self.send(to, Message::Received { call_ids });
        }
    }

    fn order(&mut self, now: Time, orders: impl IntoIterator<Item = Order<C, A>>) {
        for order in orders {
            match order {
                Order::Send(to, message) => self.send(to, message),
                Order::Settle { call_id, end } => self.outputs.push(Output::Settle { call_id, end }),
                Order::Deliver { call_id, left, end } => {
                    self.outputs.push(Output::Deliver { call_id, left, end });
                }
            }
        }
        self.pump(now);
    }

    // --- messages

    fn send(&mut self, to: MemberId, message: Message<C, A>) {
        if to == self.me {
            self.own.push_back(message);
        } else {
            self.outputs.push(Output::Send(to, message));
        }
    }

    /// Handles the messages to this member itself. Handling one may ask for this again: a gateway that takes over hears of
    /// all answers that it kept, which are too many for a call within a call.
    fn pump(&mut self, now: Time) {
        if std::mem::replace(&mut self.is_pumping, true) {
            return;
        }
        while let Some(message) = self.own.pop_front() {
            self.handle(now, self.me, message);
        }
        self.is_pumping = false;
    }

    /// A message has come.
    pub(crate) fn message(&mut self, now: Time, from: MemberId, message: Message<C, A>) {
        self.handle(now, from, message);
        self.pump(now);
    }

    fn handle(&mut self, now: Time, from: MemberId, message: Message<C, A>) {
        let is_gateway = self.lease.is_leading() || self.leaving.is_some();
        match message {
            Message::Report(report) if is_gateway => {
                self.desk.on_report(now, from, report);
                if !self.desk.knows(from) {
                    self.send(from, Message::Introduce);
                }
                self.after(now);
            }
            Message::Introduction { tools, running } if is_gateway => {
                self.desk.on_tools(now, from, tools);
                self.desk.on_running(now, from, running);
                self.after(now);
            }
            Message::Report(_) | Message::Introduction { .. } => {}
            Message::Introduce => {
                if let Some(followed) = &mut self.followed {
                    followed.has_tools = false;
                    self.send_report(now);
                }
            }
            Message::Taken { call_ids } => self.on_known(from, &call_ids),
            Message::Call { call_id, tool, left_ms, report, attempt, call } => {
                self.on_call(now, from, call_id, tool, ms(left_ms), report, attempt, call);
            }
            Message::Cancel { call_id } => self.outputs.push(Output::Cancel { call_id }),
            Message::Refused { call_id, attempt, answer } => {
                let order = self.desk.on_refused(now, from, call_id, attempt, answer);
                self.order(now, order);
            }
            Message::Answer { call_id, left_ms, answer } => {
                // Without the store and without a connection, it is for the next gateway.
                let leads = self.dials() && !(self.lease.is_alone() && self.connection != Connection::Open);
                let id = Arc::clone(&call_id);
                let order = self.desk.on_answer(now, call_id, ms(left_ms), answer, leads);
                if order.is_some() {
                    self.undelivered.insert(id, Undelivered { from, since: now, is_told: false });
                } else if self.desk.is_settled(&id) {
                    self.on_arrived_again(from, id);
                }
                self.order(now, order);
            }
            Message::Received { call_ids } => {
                let leader = self.gateway(now).filter(|leader| *leader != from);
                let has_given = self.followed.as_ref().is_some_and(|followed| followed.from == Some(from));
                match leader {
                    // It lost the lease and does not know yet, or it cannot send them: they are for whoever leads.
                    Some(leader) if !has_given => self.shelf.readdress(&call_ids, leader),
                    leader => {
                        self.shelf.on_received(now, from, &call_ids);
                        if let Some(leader) = leader {
                            self.send(leader, Message::Done { call_ids });
                        }
                    }
                }
            }
            Message::Delivered { call_ids } => {
                self.shelf.on_delivered(now, &call_ids);
                if let Some(leader) = self.gateway(now).filter(|leader| *leader != from) {
                    self.send(leader, Message::Done { call_ids });
                }
            }
            Message::Left => {
                self.desk.on_left(now, from);
                self.after(now);
            }
            Message::Done { call_ids } => self.desk.on_done(call_ids),
            Message::Mirror { calls } => {
                let call_ids = calls.iter().map(|running| Arc::clone(&running.call_id)).collect();
                self.send(from, Message::Taken { call_ids });
                self.desk.on_mirror(now, from, calls);
            }
            Message::Offer { revision, term, members } => {
                self.offered_members = members;
                self.lease.on_offer(now, from, revision, term);
                self.after(now);
            }
            Message::Ended => {
                if self.leadership.is_some() {
                    self.outputs.push(Output::DeclareAgain);
                    self.other_has_ended();
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the members of the message")]
    fn on_call(
        &mut self,
        now: Time,
        from: MemberId,
        call_id: CallId,
        tool: Arc<str>,
        left: Time,
        report: u64,
        attempt: u32,
        call: C,
    ) {
        // The gateway takes this member for lost by then, and may have had the call run elsewhere.
        let is_stale = from != self.me
            && !self.reported.iter().any(|(number, sent)| *number == report && now < *sent + LOST);
        let is_full = from != self.me && (self.report.draining || self.shelf.is_full());
        if (is_stale || is_full) && !self.shelf.knows(&call_id) {
            self.send(from, Message::Refused { call_id, attempt, answer: None });
            return;
        }
        let again = self.again.contains(&tool).then(|| call.clone());
        match self.shelf.on_call(from, &call_id, tool, now + left, attempt, again) {
            Taken::Run => self.outputs.push(Output::Run { call_id, left, call }),
            Taken::Known => {}
        }
    }

    /// An answer has come again: its sender does not know yet that it has arrived here.
    fn on_arrived_again(&mut self, from: MemberId, call_id: CallId) {
        if let Some(answer) = self.undelivered.get_mut(&call_id) {
            answer.is_told = true;
        }
        if from == self.me {
            self.own.push_back(Message::Received { call_ids: vec![call_id] });
        } else {
            push_for(&mut self.received, from, call_id);
        }
    }
}

fn push_for(list: &mut Vec<(MemberId, Vec<CallId>)>, member: MemberId, call_id: CallId) {
    match list.iter_mut().find(|(id, _)| *id == member) {
        Some((_, call_ids)) => call_ids.push(call_id),
        None => list.push((member, vec![call_id])),
    }
}

fn micros(time: Time) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Test = Node<u32, u32>;

    const A: MemberId = MemberId::of(1);
    const B: MemberId = MemberId::of(2);

    fn record(holder: MemberId, term: u64) -> Record {
        let name = "holder".to_owned();
        Record { holder, name, term, from: None, heir: None, platform_time: None, writes: term, ended: false }
    }

    /// A member that reads the lease at this time.
    fn reads(node: &mut Test, now: Time, stored: Stored) -> Vec<Output<u32, u32>> {
        node.tick(now);
        node.looked(now, now, Ok(stored));
        node.take_outputs()
    }

    /// A member that has the lease, and dials.
    fn gateway(now: Time) -> Test {
        let mut node = Test::new(B, "b".to_owned(), true);
        reads(&mut node, now, Some((1, Some(Record { ended: true, ..record(A, 1) }))));
        node.written(now, now, Ok(2));
        node.tick(now + GATHER);
        assert_eq!(node.role(), Role::Gateway);
        node.take_outputs();
        node
    }

    fn has_reported(outputs: &[Output<u32, u32>]) -> bool {
        outputs.iter().any(|output| matches!(output, Output::Send(A, Message::Report(_))))
    }

    #[test]
    fn a_member_that_cannot_read_the_lease_says_nothing_until_it_can() {
        let mut node = Test::new(B, "b".to_owned(), true);
        assert!(has_reported(&reads(&mut node, ms(100), Some((1, Some(record(A, 1)))))));
        assert!(has_reported(&reads(&mut node, ms(700), Some((2, Some(record(A, 1)))))));
        // Its gateway has another secret now.
        reads(&mut node, ms(800), Some((3, None)));
        assert!(!has_reported(&reads(&mut node, ms(1_400), Some((4, None)))));
        assert_eq!(node.role(), Role::Waiting);
        reads(&mut node, ms(1_500), Some((5, Some(record(A, 1)))));
        let again = reads(&mut node, ms(2_100), Some((6, Some(record(A, 1)))));
        assert!(has_reported(&again) && node.role() == Role::Member);
        assert!(again.iter().any(|output| matches!(output, Output::Send(A, Message::Introduction { .. }))));
    }

    #[test]
    fn a_gateway_whose_secret_is_refused_leaves_the_lease_to_others_until_it_has_another_one() {
        let mut node = gateway(ms(100));
        node.secret_refused(ms(800));
        let outputs = node.take_outputs();
        let is_end = |output: &Output<_, _>| matches!(output, Output::Write { record, .. } if record.ended);
        assert!(outputs.iter().any(is_end), "{outputs:?}");
        assert!(outputs.iter().any(|output| matches!(output, Output::Lead(Lead::No))), "{outputs:?}");
        let ended = || Some((3, Some(Record { ended: true, ..record(B, 2) })));
        let takes = |outputs: &[Output<u32, u32>]| {
            outputs.iter().any(|output| matches!(output, Output::Write { record, .. } if !record.ended))
        };
        assert!(!takes(&reads(&mut node, ms(900), ended())));
        assert!(!takes(&reads(&mut node, ms(20_000), ended())), "others are to try");
        node.secret_changed(ms(20_100));
        assert!(takes(&reads(&mut node, ms(20_200), ended())));
    }

    fn with_time(holder: MemberId, (term, writes): (u64, u64), time: i64) -> Record {
        Record { platform_time: Some(time), writes, ..record(holder, term) }
    }

    fn refuses_until(outputs: &[Output<u32, u32>]) -> Option<i64> {
        outputs.iter().find_map(|output| match output {
            Output::RefuseSignedUntil(time) => Some(*time),
            _ => None,
        })
    }

    /// What this holder writes of the platform's clock, at `now`.
    fn writes(node: &mut Test, now: Time) -> Option<i64> {
        node.give_up(now).unwrap().1.platform_time
    }

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_holder_writes_what_its_calls_show_and_not_for_ever_what_others_said() {
        let take = |time| {
            let mut node = Test::new(B, "b".to_owned(), true);
            let ended = Record { ended: true, ..with_time(A, (1, 1), time) };
            reads(&mut node, ms(1_000), Some((1, Some(ended))));
            node.written(ms(1_000), ms(1_000), Ok(2));
            node
        };
        // The clock of the holder before was ahead by 200 s, once.
        assert_eq!(writes(&mut take(200 * SECOND), ms(2_000)), Some(201 * SECOND), "nothing else is known");
        let mut node = take(200 * SECOND);
        node.set_platform_time(ms(2_000), Some(2 * SECOND));
        node.set_platform_time(ms(300_000), Some(300 * SECOND));
        assert_eq!(writes(&mut node, ms(300_000)), Some(300 * SECOND));
        let mut node = take(200 * SECOND);
        node.set_platform_time(ms(2_000), Some(2 * SECOND));
        assert_eq!(
            writes(&mut node, ms(2_000)),
            Some(200 * SECOND),
            "until then others may have accepted calls"
        );
    }

    #[test]
    fn an_old_record_that_is_brought_back_does_not_turn_the_clock_back() {
        let mut node = Test::new(B, "b".to_owned(), true);
        reads(&mut node, ms(1_000), Some((5, Some(with_time(A, (3, 9), 100 * SECOND)))));
        reads(&mut node, ms(2_000), Some((6, Some(with_time(A, (3, 2), 10 * SECOND)))));
        assert_eq!(node.lost_platform_time(ms(3_000)), Some(102 * SECOND));
        reads(&mut node, ms(3_000), Some((7, Some(with_time(A, (3, 10), 99 * SECOND)))));
        assert_eq!(node.lost_platform_time(ms(3_000)), Some(99 * SECOND), "the holder knows better by now");
    }

    #[test]
    fn a_successor_without_the_nonces_refuses_what_was_signed_before() {
        let take = || {
            let mut node = Test::new(B, "b".to_owned(), true);
            reads(&mut node, ms(1_000), Some((1, Some(with_time(A, (1, 1), SECOND)))));
            node.message(ms(1_000), A, Message::Offer { revision: 1, term: 1, members: vec![A, B] });
            node.written(ms(1_000), ms(1_000), Ok(2));
            node.take_outputs();
            node
        };
        let mut node = take();
        node.accepted(ms(1_100), A);
        let outputs = node.take_outputs();
        assert_eq!((refuses_until(&outputs), node.role()), (None, Role::Gateway), "it dials at once");
        let mut node = take();
        node.accepted(ms(1_100), MemberId::of(3));
        assert_eq!(node.role(), Role::Gathering, "they are of another one");
        node.tick(ms(1_000) + GATHER_PLANNED);
        let outputs = node.take_outputs();
        assert_eq!((refuses_until(&outputs), node.role()), (Some(2_500_000), Role::Gateway));
    }
}
