//! The gateway's desk: who the members are, which tools they have, where a call runs, and which calls are open. Pure.
//!
//! The gateway counts the calls that it handed to each member itself, so that it knows free places without asking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::build;
use crate::map::HashMap;
use crate::message::{CallId, Declared, MemberId, Message, Report, Running};
use crate::settled::Settled;
use crate::time::{Time, ms};

/// How long a member that says nothing is taken for alive. A member refuses calls for which its own count is over.
pub(crate) const LOST: Time = ms(2_500);
/// How long a tool stays declared after its last member has left.
pub(crate) const GRACE: Time = ms(60_000);
/// How long a member may take to say that it has a call.
const SEND_AGAIN: Time = ms(500);
/// How long a member knows a call that has ended, at least.
const KNOWN: Time = ms(8_000);
/// How long after its deadline a call may still be answered by its member.
const SPARE: Time = ms(1_000);

/// A call that is about to be handed to a member.
#[derive(Debug)]
pub(crate) struct NewCall<C> {
    pub(crate) call_id: CallId,
    pub(crate) tool: Arc<str>,
    pub(crate) deadline: Time,
    /// The call itself, with arguments and caller.
    pub(crate) call: C,
}

/// Where a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Here,
    At(MemberId),
    /// No member that has the tool is there.
    Nowhere,
}

/// How a call ends: with the answer of a member, or without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End<A> {
    Answer(A),
    /// The member that ran it is lost, and the call may have run.
    Lost,
    /// No member that has the tool is there.
    Nowhere,
    /// Its time is over.
    Expired,
}

/// A message to send or an answer to give, which [`Node`](crate::node::Node) carries out.
#[derive(Debug)]
pub(crate) enum Order<C, A> {
    Send(MemberId, Message<C, A>),
    /// Answer a call of this desk.
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
}

#[derive(Debug)]
struct Member {
    report: Report,
    heard: Time,
    tools: HashMap<Arc<str>, Declared>,
    has_tools: bool,
    open: usize,
    blocking: usize,
    of_tool: HashMap<Arc<str>, usize>,
}

impl Member {
    fn new(now: Time) -> Self {
        Self {
            report: Report::default(),
            heard: now,
            tools: HashMap::default(),
            has_tools: false,
            open: 0,
            blocking: 0,
            of_tool: HashMap::default(),
        }
    }

    /// The places that are free for a call of this tool. Negative if calls wait.
    fn free(&self, tool: &Declared) -> isize {
        let left = |places: usize, taken: usize| places.cast_signed() - taken.cast_signed();
        let mut free = left(self.report.max_running, self.open + self.report.own);
        if tool.is_blocking {
            free = free.min(left(self.report.max_blocking, self.blocking));
        }
        if let Some(concurrency) = tool.concurrency {
            let open = self.of_tool.get(&tool.name).copied().unwrap_or_default();
            free = free.min(left(concurrency, open));
        }
        free
    }

    fn count(&mut self, tool: &Arc<str>, is_blocking: bool, up: bool) {
        let change = |count: &mut usize| *count = if up { *count + 1 } else { count.saturating_sub(1) };
        change(&mut self.open);
        if is_blocking {
            change(&mut self.blocking);
        }
        let of_tool = self.of_tool.entry(Arc::clone(tool)).or_default();
        change(of_tool);
        if *of_tool == 0 {
            self.of_tool.remove(tool);
        }
    }
}

/// A call that is not answered yet.
#[derive(Debug)]
struct Open<C> {
    tool: Arc<str>,
    member: MemberId,
    is_blocking: bool,
    runs_again: bool,
    deadline: Time,
    /// The call, to hand it to another member; `None` if another gateway received it and it may not run a second time.
    call: Option<C>,
    /// Members that refused it, or were lost with it.
    tried: Vec<MemberId>,
    /// Whether this gateway received it.
    is_own: bool,
    /// When it was sent to the member last, if that one has not said that it has it.
    sent: Option<Time>,
    /// When it was sent to the member first, and how often.
    handed: Time,
    attempt: u32,
}

/// A call that another gateway ran itself.
#[derive(Debug)]
struct Mirrored<C> {
    from: MemberId,
    since: Time,
    running: Running<C>,
    deadline: Time,
}

/// A tool of the fleet.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    /// The declaration that counts.
    pub(crate) declared: Declared,
    /// The members that have it.
    pub(crate) members: Vec<MemberId>,
    /// When the last of them left, if none is there.
    pub(crate) gone: Option<Time>,
}

#[derive(Debug)]
pub(crate) struct Desk<C> {
    me: MemberId,
    /// Whether calls may run at this member while it is the gateway.
    serves_calls: bool,
    /// Whether no other member can be reached.
    is_alone: bool,
    members: BTreeMap<MemberId, Member>,
    offers: HashMap<Arc<str>, Offer>,
    open: HashMap<CallId, Open<C>>,
    mirrored: HashMap<CallId, Mirrored<C>>,
    /// Answered calls, so that an answer is passed on once.
    settled: Settled,
    turn: u64,
    /// Whether the offers have changed since they were asked for.
    changed: bool,
}

impl<C: Clone> Desk<C> {
    pub(crate) fn new(me: MemberId, serves_calls: bool) -> Self {
        Self {
            me,
            serves_calls,
            is_alone: false,
            members: BTreeMap::new(),
            offers: HashMap::default(),
            open: HashMap::default(),
            mirrored: HashMap::default(),
            settled: Settled::default(),
            turn: 0,
            changed: false,
        }
    }

    // --- members

    /// Takes the report of a member, or of this process.
    pub(crate) fn on_report(&mut self, now: Time, from: MemberId, report: Report) {
        let member = self.members.entry(from).or_insert_with(|| Member::new(now));
        let changes = member.report.draining != report.draining
            || member.report.build != report.build
            || now.saturating_sub(member.heard) >= LOST;
        member.heard = now;
        member.report = report;
        if changes && member.has_tools {
            self.refresh(now);
        }
    }

    pub(crate) fn on_tools(&mut self, now: Time, from: MemberId, tools: Vec<Declared>) {
        let member = self.members.entry(from).or_insert_with(|| Member::new(now));
        member.heard = now;
        member.has_tools = true;
        member.tools = tools.into_iter().map(|tool| (Arc::clone(&tool.name), tool)).collect();
        self.refresh(now);
    }

    /// A member has ended in order.
    pub(crate) fn on_left(&mut self, now: Time, from: MemberId) {
        if let Some(member) = self.members.get_mut(&from) {
            member.heard = now.saturating_sub(LOST);
            self.refresh(now);
        }
        // It has answered its own calls.
        self.mirrored.retain(|_, mirrored| mirrored.from != from);
    }

    /// Whether the member has told its tools.
    pub(crate) fn knows(&self, member: MemberId) -> bool {
        self.members.get(&member).is_some_and(|member| member.has_tools)
    }

    fn is_present(&self, now: Time, id: MemberId, member: &Member) -> bool {
        id == self.me || now < member.heard + LOST
    }

    /// The members that are there, and how they are.
    pub(crate) fn members(&self, now: Time) -> impl Iterator<Item = (MemberId, &Report, usize)> {
        self.members
            .iter()
            .filter(move |(id, member)| self.is_present(now, **id, member))
            .map(|(id, member)| (*id, &member.report, member.tools.len()))
    }

    /// The calls that this gateway has handed to a member and that are open.
    pub(crate) fn open_at(&self, member: MemberId) -> usize {
        self.members.get(&member).map_or(0, |member| member.open)
    }

    /// The best member to have the connection next: of the newest build, and not about to stop.
    pub(crate) fn successor(&self, now: Time, not: &[MemberId]) -> Option<MemberId> {
        let fits = |id: MemberId, report: &Report| id != self.me && !report.draining && !not.contains(&id);
        self.members(now)
            .filter(|(id, report, _)| fits(*id, report) && self.knows(*id))
            .max_by(|(left, a, _), (right, b, _)| {
                build::compare(&a.build, &b.build).then_with(|| right.cmp(left))
            })
            .map(|(id, ..)| id)
    }

    // --- tools

    /// Chooses the declaration of each tool: that of the newest build of which a member is there.
    fn refresh(&mut self, now: Time) {
        let mut offers: HashMap<Arc<str>, (Offer, &str)> = HashMap::default();
        // A member that is about to stop has the tools of the others until it is gone, if nobody else has them.
        for leaving in [false, true] {
            let mut found: HashMap<Arc<str>, (Offer, &str)> = HashMap::default();
            for (id, member) in &self.members {
                if !self.is_present(now, *id, member) || member.report.draining != leaving {
                    continue;
                }
                for tool in member.tools.values() {
                    let build = member.report.build.as_str();
                    let new = || Offer { declared: tool.clone(), members: vec![*id], gone: None };
                    match found.get_mut(&tool.name) {
                        None => {
                            found.insert(Arc::clone(&tool.name), (new(), build));
                        }
                        Some((offer, newest)) if offer.declared.hash == tool.hash => {
                            offer.members.push(*id);
                            if build::compare(build, newest).is_gt() {
                                *newest = build;
                            }
                        }
                        Some(entry) => {
                            let order = build::compare(build, entry.1)
                                .then_with(|| tool.hash.cmp(&entry.0.declared.hash));
                            if order.is_gt() {
                                *entry = (new(), build);
                            }
                        }
                    }
                }
            }
            for (name, offer) in found {
                offers.entry(name).or_insert(offer);
            }
        }
        let mut next: HashMap<Arc<str>, Offer> =
            offers.into_iter().map(|(name, (offer, _))| (name, offer)).collect();
        for (name, offer) in &self.offers {
            let since = offer.gone.unwrap_or(now);
            if !next.contains_key(name) && now < since + GRACE {
                let gone = Offer { members: Vec::new(), gone: Some(since), ..offer.clone() };
                next.insert(Arc::clone(name), gone);
            }
        }
        let is_same = next.len() == self.offers.len()
            && next.iter().all(|(name, offer)| {
                self.offers.get(name).is_some_and(|old| {
                    old.declared == offer.declared && old.members.is_empty() == offer.members.is_empty()
                })
            });
        self.changed |= !is_same;
        self.offers = next;
    }

    /// Whether the offers have changed since this was asked last.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub(crate) fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.offers.values()
    }

    /// Whether a member has the tool.
    pub(crate) fn is_offered(&self, tool: &str) -> bool {
        self.offers.get(tool).is_some_and(|offer| !offer.members.is_empty())
    }

    /// Why a tool is down: if it is down at all members that have it.
    pub(crate) fn down(&self, tool: &str) -> Option<&str> {
        let offer = self.offers.get(tool)?;
        let mut reason = None;
        for id in &offer.members {
            let down = self.members.get(id)?.report.down.iter().find(|(name, _)| name == tool)?;
            reason = Some(down.1.as_str());
        }
        reason
    }

    // --- calls

    /// Chooses the member for a call. `has_place` is whether it would run at once in this process, if that is known.
    fn choose(&mut self, now: Time, tool: &Arc<str>, tried: &[MemberId], has_place: Option<bool>) -> Place {
        let Some(offer) = self.offers.get(tool) else { return Place::Nowhere };
        self.turn = self.turn.wrapping_add(1);
        let count = offer.members.len().max(1) as u64;
        let mut best = None;
        for (index, id) in offer.members.iter().enumerate() {
            let Some(member) = self.members.get(id) else { continue };
            let is_here = *id == self.me;
            if tried.contains(id) || (!is_here && self.is_alone) || !self.is_present(now, *id, member) {
                continue;
            }
            let free = member.free(&offer.declared);
            let has_room = has_place.filter(|_| is_here).unwrap_or(free > 0);
            // A gateway that is to run no calls does so if nobody else can.
            let is_meant = self.serves_calls || !is_here;
            let rank = (is_meant, has_room, free, is_here, (index as u64 + self.turn) % count);
            if best.is_none_or(|(other, _)| rank > other) {
                best = Some((rank, *id));
            }
        }
        match best {
            Some((_, id)) if id == self.me => Place::Here,
            Some((_, id)) => Place::At(id),
            None => Place::Nowhere,
        }
    }

    /// Places a new call. With [`Place::At`], it is open from now on.
    pub(crate) fn place<A>(
        &mut self,
        now: Time,
        call_id: &CallId,
        tool: &Arc<str>,
        deadline: Time,
        has_place: bool,
        call: impl FnOnce() -> C,
    ) -> (Place, Option<Order<C, A>>) {
        let place = self.choose(now, tool, &[], Some(has_place));
        if place == Place::Here {
            self.count_here(tool, self.is_blocking(tool), true);
        }
        let Place::At(member) = place else { return (place, None) };
        let new = NewCall { call_id: Arc::clone(call_id), tool: Arc::clone(tool), deadline, call: call() };
        (place, Some(self.hand(now, new, member, Vec::new(), true)))
    }

    /// Whether a tool takes a thread of its own.
    pub(crate) fn is_blocking(&self, tool: &str) -> bool {
        self.offers.get(tool).is_some_and(|offer| offer.declared.is_blocking)
    }

    /// Counts a call that runs in this process, or has ended there.
    pub(crate) fn count_here(&mut self, tool: &Arc<str>, is_blocking: bool, up: bool) {
        if let Some(member) = self.members.get_mut(&self.me) {
            member.count(tool, is_blocking, up);
        }
    }

    /// Whether a call of this tool may run twice.
    pub(crate) fn runs_again(&self, tool: &str) -> bool {
        self.offers.get(tool).is_some_and(|offer| offer.declared.runs_again)
    }

    fn hand<A>(
        &mut self,
        now: Time,
        new: NewCall<C>,
        member: MemberId,
        tried: Vec<MemberId>,
        is_own: bool,
    ) -> Order<C, A> {
        let NewCall { call_id, tool, deadline, call } = new;
        let declared = self.offers.get(&tool).map(|offer| &offer.declared);
        let is_blocking = declared.is_some_and(|tool| tool.is_blocking);
        let runs_again = declared.is_some_and(|tool| tool.runs_again);
        let report = self.members.get_mut(&member).map_or(0, |at| {
            at.count(&tool, is_blocking, true);
            at.report.number
        });
        let left_ms = deadline.saturating_sub(now).as_millis() as u64;
        let message = Message::Call {
            call_id: Arc::clone(&call_id),
            tool: Arc::clone(&tool),
            left_ms,
            report,
            attempt: 1,
            call: call.clone(),
        };
        // Kept, since the member may refuse it.
        let call = Some(call);
        self.open.insert(
            call_id,
            Open {
                tool,
                member,
                is_blocking,
                runs_again,
                deadline,
                call,
                tried,
                is_own,
                sent: Some(now),
                handed: now,
                attempt: 1,
            },
        );
        Order::Send(member, message)
    }

    fn close(&mut self, call_id: &str) -> Option<Open<C>> {
        let (_, open) = self.open.remove_entry(call_id)?;
        if let Some(member) = self.members.get_mut(&open.member) {
            member.count(&open.tool, open.is_blocking, false);
        }
        Some(open)
    }

    /// The answer to a call was not sent after all.
    pub(crate) fn unsettle(&mut self, call_id: &str) {
        self.settled.remove(call_id);
    }

    /// Whether a call was answered through this desk a moment ago.
    pub(crate) fn is_settled(&self, call_id: &str) -> bool {
        self.settled.contains(call_id)
    }

    pub(crate) fn is_open(&self, call_id: &str) -> bool {
        self.open.contains_key(call_id)
    }

    /// The number of open calls that this gateway received.
    pub(crate) fn own_calls(&self) -> usize {
        self.open.values().filter(|open| open.is_own).count()
    }

    /// A member has these calls.
    pub(crate) fn on_taken(&mut self, from: MemberId, call_ids: &[CallId]) {
        for call_id in call_ids {
            if let Some(open) = self.open.get_mut(call_id).filter(|open| open.member == from) {
                open.sent = None;
            }
        }
    }

    fn end<A>(&mut self, now: Time, call_id: CallId, open: &Open<C>, end: End<A>) -> Order<C, A> {
        self.settled.insert(now, &call_id);
        if open.is_own {
            Order::Settle { call_id, end }
        } else {
            Order::Deliver { call_id, left: (open.deadline + SPARE).saturating_sub(now), end }
        }
    }

    /// A member has not begun a call: another one may.
    pub(crate) fn on_refused<A>(
        &mut self,
        now: Time,
        from: MemberId,
        call_id: CallId,
        attempt: u32,
        answer: Option<A>,
    ) -> Option<Order<C, A>> {
        if self.open.get(&call_id).is_none_or(|open| open.member != from || open.attempt != attempt) {
            return None;
        }
        let mut open = self.close(&call_id)?;
        // It may have run the call when that came first, and have forgotten it by now.
        if attempt > 1 && !open.runs_again && now >= open.handed + KNOWN {
            open.call = None;
            return Some(self.again(now, call_id, open, |_| End::Lost));
        }
        Some(self.again(now, call_id, open, |_| answer.map_or(End::Nowhere, End::Answer)))
    }

    /// Hands a call to another member, or ends it.
    fn again<A>(
        &mut self,
        now: Time,
        call_id: CallId,
        mut open: Open<C>,
        otherwise: impl FnOnce(&Open<C>) -> End<A>,
    ) -> Order<C, A> {
        open.tried.push(open.member);
        let place = self.choose(now, &open.tool, &open.tried, None);
        let member = match place {
            Place::At(member) => member,
            Place::Here => self.me,
            Place::Nowhere => {
                let end = otherwise(&open);
                return self.end(now, call_id, &open, end);
            }
        };
        match open.call.take() {
            Some(call) if now < open.deadline => {
                let new = NewCall { call_id, tool: open.tool, deadline: open.deadline, call };
                self.hand(now, new, member, open.tried, open.is_own)
            }
            _ => {
                let end = otherwise(&open);
                self.end(now, call_id, &open, end)
            }
        }
    }

    /// An answer has come. `None` if it is of no use: it was passed on already.
    pub(crate) fn on_answer<A>(
        &mut self,
        now: Time,
        call_id: CallId,
        left: Time,
        answer: A,
        leads: bool,
    ) -> Option<Order<C, A>> {
        if !leads && self.open.get(&call_id).is_none_or(|open| !open.is_own) {
            return None;
        }
        self.mirrored.remove(&call_id);
        if let Some(open) = self.close(&call_id) {
            return Some(self.end(now, call_id, &open, End::Answer(answer)));
        }
        if self.is_settled(&call_id) {
            return None;
        }
        self.settled.insert(now, &call_id);
        Some(Order::Deliver { call_id, left, end: End::Answer(answer) })
    }

    /// Another gateway has the answers to these calls. They may come here after all, if it cannot send them.
    pub(crate) fn on_done(&mut self, call_ids: Vec<CallId>) {
        for call_id in call_ids {
            self.mirrored.remove(&call_id);
            if self.open.get(&call_id).is_some_and(|open| !open.is_own) {
                self.close(&call_id);
            }
        }
    }

    /// A member tells which calls it runs that this gateway has not handed to it.
    pub(crate) fn on_running(&mut self, now: Time, from: MemberId, calls: Vec<Running<C>>) {
        for Running { call_id, tool, left_ms, call } in calls {
            self.mirrored.remove(&call_id);
            if self.is_open(&call_id) || self.is_settled(&call_id) {
                continue;
            }
            let declared = self.offers.get(&tool).map(|offer| &offer.declared);
            let is_blocking = declared.is_some_and(|tool| tool.is_blocking);
            let member = self.members.entry(from).or_insert_with(|| Member::new(now));
            member.count(&tool, is_blocking, true);
            let open = Open {
                tool,
                member: from,
                is_blocking,
                runs_again: call.is_some(),
                deadline: now + ms(left_ms),
                call,
                tried: Vec::new(),
                is_own: false,
                sent: None,
                handed: now,
                attempt: 1,
            };
            self.open.insert(call_id, open);
        }
    }

    /// The gateway tells which calls it runs itself.
    pub(crate) fn on_mirror(&mut self, now: Time, from: MemberId, calls: Vec<Running<C>>) {
        for running in calls {
            let deadline = now + ms(running.left_ms);
            let call_id = Arc::clone(&running.call_id);
            if !self.is_settled(&call_id) {
                self.mirrored.insert(call_id, Mirrored { from, since: now, running, deadline });
            }
        }
    }

    /// A gateway is lost, with the calls that it ran itself.
    pub(crate) fn on_gateway_lost<A>(&mut self, now: Time, lost: MemberId) -> Vec<Order<C, A>> {
        let calls: Vec<CallId> = self
            .mirrored
            .iter()
            .filter(|(_, mirrored)| mirrored.from == lost)
            .map(|(call_id, _)| Arc::clone(call_id))
            .collect();
        let mut orders = Vec::new();
        for call_id in calls {
            let Some(Mirrored { running, deadline, .. }) = self.mirrored.remove(&call_id) else { continue };
            if self.is_settled(&call_id) || now >= deadline + SPARE {
                continue;
            }
            let open = Open {
                tool: running.tool,
                member: lost,
                is_blocking: false,
                runs_again: running.call.is_some(),
                deadline,
                call: running.call,
                tried: Vec::new(),
                is_own: false,
                sent: None,
                handed: now,
                attempt: 1,
            };
            orders.push(self.again(now, call_id, open, |_| End::Lost));
        }
        orders
    }

    /// Whether calls can be handed to others.
    pub(crate) fn set_alone(&mut self, is_alone: bool) {
        self.is_alone = is_alone;
    }

    /// The process was suspended: nobody is lost for that.
    pub(crate) fn on_wake(&mut self, now: Time) {
        for member in self.members.values_mut() {
            member.heard = now;
        }
    }

    /// Sends a call once more to a member that does not say that it has it. One that has it runs it once.
    fn send_again<A>(&mut self, now: Time, call_id: CallId) -> Option<Order<C, A>> {
        let open = self.open.get_mut(&call_id)?;
        let report = self.members.get(&open.member)?.report.number;
        open.sent = Some(now);
        open.attempt += 1;
        let attempt = open.attempt;
        let left_ms = open.deadline.saturating_sub(now).as_millis() as u64;
        let (tool, call) = (Arc::clone(&open.tool), open.call.clone()?);
        Some(Order::Send(open.member, Message::Call { call_id, tool, left_ms, report, attempt, call }))
    }

    /// Finds members that are lost, and calls whose time is over.
    pub(crate) fn tick<A>(&mut self, now: Time, leads: bool) -> Vec<Order<C, A>> {
        let mut orders = Vec::new();
        let me = self.me;
        // Another member notices that a gateway without the lease cannot: nobody reports to it.
        let lost: Vec<CallId> = self
            .open
            .iter()
            .filter(|(_, open)| leads && is_lost(&self.members, me, open.member, now))
            .map(|(call_id, _)| Arc::clone(call_id))
            .collect();
        for call_id in lost {
            let Some(mut open) = self.close(&call_id) else { continue };
            orders.push(Order::Send(open.member, Message::Cancel { call_id: Arc::clone(&call_id) }));
            if !open.runs_again {
                open.call = None;
            }
            let end = |open: &Open<C>| if open.runs_again { End::Nowhere } else { End::Lost };
            orders.push(self.again(now, call_id, open, end));
        }
        // A gateway that gave the lease away and is lost before its own calls have ended.
        let gateways: BTreeSet<MemberId> = self
            .mirrored
            .values()
            .filter(|mirrored| {
                leads && now >= mirrored.since + LOST && is_lost(&self.members, me, mirrored.from, now)
            })
            .map(|mirrored| mirrored.from)
            .collect();
        let unheard: Vec<CallId> = self
            .open
            .iter()
            .filter(|(_, open)| {
                (leads || open.is_own) && open.sent.is_some_and(|sent| now >= sent + SEND_AGAIN)
            })
            .map(|(call_id, _)| Arc::clone(call_id))
            .collect();
        for call_id in unheard {
            orders.extend(self.send_again(now, call_id));
        }
        for gateway in gateways {
            orders.extend(self.on_gateway_lost(now, gateway));
        }
        let over: Vec<CallId> = self
            .open
            .iter()
            .filter(|(_, open)| (leads || open.is_own) && now >= open.deadline + SPARE)
            .map(|(call_id, _)| Arc::clone(call_id))
            .collect();
        for call_id in over {
            let Some(open) = self.close(&call_id) else { continue };
            orders.push(Order::Send(open.member, Message::Cancel { call_id: Arc::clone(&call_id) }));
            orders.push(self.end(now, call_id, &open, End::Expired));
        }
        let before = self.members.len();
        self.members.retain(|id, member| *id == me || member.open > 0 || now < member.heard + LOST * 2);
        let some_lost = self
            .offers
            .values()
            .any(|offer| offer.members.iter().any(|id| is_lost(&self.members, me, *id, now)));
        let some_gone = self.offers.values().any(|offer| offer.gone.is_some_and(|gone| now >= gone + GRACE));
        if before != self.members.len() || some_lost || some_gone {
            self.refresh(now);
        }
        self.mirrored.retain(|_, mirrored| now < mirrored.deadline + SPARE);
        self.settled.forget(now);
        orders
    }
}

fn is_lost(members: &BTreeMap<MemberId, Member>, me: MemberId, id: MemberId, now: Time) -> bool {
    id != me && members.get(&id).is_none_or(|member| now >= member.heard + LOST)
}
