//! What a member has: the calls that it runs for a gateway, and the answers that no gateway has taken yet. Pure.
//!
//! An answer goes to the gateway that handed the call over. If that one says nothing, it goes to whoever leads. One that
//! was taken is kept until the platform has it, since a gateway that is killed may not have sent it yet.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::map::HashMap;
use crate::message::{CallId, MemberId, Message, Running};
use crate::settled::Settled;
use crate::time::{Time, ms};

/// How long a gateway may take to say that it has an answer.
const RESEND: Time = ms(500);
/// An answer of more bytes may be on its way for long, and is sent again less and less often.
const LARGE: usize = 64 << 10;
/// How often that is looked at. There may be very many answers.
const LOOK_EVERY: Time = ms(200);
/// How long an answer that a gateway has taken is kept if that does not say that the platform has it. The platform waits
/// no longer (protocol §3).
const KEPT: Time = ms(30_000);
/// How long the platform may wait for an answer beyond the deadline of its call.
const SPARE: Time = ms(2_000);
/// The size of answers that a gateway has taken and that are kept, in bytes; beyond it, the oldest are dropped.
const MAX_TAKEN_BYTES: usize = 64 << 20;
/// The size of answers that no gateway has taken, in bytes, beyond which this member takes no further calls.
const MAX_UNTAKEN_BYTES: usize = 256 << 20;
/// The size of what is kept beside the text of an answer, in bytes.
const OVERHEAD: usize = 256;

#[derive(Debug)]
struct Run<C> {
    origin: MemberId,
    attempt: u32,
    tool: Arc<str>,
    deadline: Time,
    /// The call, if it may run again.
    call: Option<C>,
}

#[derive(Debug)]
struct Kept<A> {
    answer: A,
    bytes: usize,
    origin: MemberId,
    expires: Time,
    sent: Time,
    tries: u32,
    /// Who has it, and since when.
    taken: Option<(MemberId, Time)>,
    order: u64,
}

/// What becomes of a call that is handed to this member.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It runs.
    Run,
    /// It runs already, or was answered.
    Known,
}

#[derive(Debug)]
pub(crate) struct Shelf<C, A> {
    running: HashMap<CallId, Run<C>>,
    /// Calls of which the gateway does not know yet that they are here.
    untold: Vec<CallId>,
    kept: HashMap<CallId, Kept<A>>,
    /// The answers that no gateway has, oldest first.
    untaken: BTreeMap<u64, CallId>,
    untaken_bytes: usize,
    /// The answers that a gateway has, with the time at which it took them, oldest first. One that is to be sent again
    /// stays in here, and does not count.
    taken: VecDeque<(Time, CallId)>,
    taken_bytes: usize,
    /// Calls whose answers the platform has.
    delivered: Settled,
    next: u64,
    next_look: Time,
}

impl<C: Clone, A: Clone> Shelf<C, A> {
    pub(crate) fn new() -> Self {
        Self {
            running: HashMap::default(),
            untold: Vec::new(),
            kept: HashMap::default(),
            untaken: BTreeMap::new(),
            untaken_bytes: 0,
            taken: VecDeque::new(),
            taken_bytes: 0,
            delivered: Settled::default(),
            next: 0,
            next_look: Time::ZERO,
        }
    }

    /// The number of calls that run.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// Whether there are answers that no gateway has taken.
    pub(crate) fn has_untaken(&self) -> bool {
        !self.untaken.is_empty()
    }

    /// Whether too much waits for a gateway to run further calls.
    pub(crate) fn is_full(&self) -> bool {
        self.untaken_bytes > MAX_UNTAKEN_BYTES
    }

    /// Whether a call is or was here.
    pub(crate) fn knows(&self, call_id: &str) -> bool {
        self.running.contains_key(call_id)
            || self.kept.contains_key(call_id)
            || self.delivered.contains(call_id)
    }

    /// A gateway hands a call over. `again` is the call if it may run again.
    pub(crate) fn on_call(
        &mut self,
        from: MemberId,
        call_id: &CallId,
        tool: Arc<str>,
        deadline: Time,
        attempt: u32,
        again: Option<C>,
    ) -> Taken {
        if let Some(run) = self.running.get_mut(call_id) {
            (run.origin, run.attempt) = (from, attempt);
            self.untold.push(Arc::clone(call_id));
            return Taken::Known;
        }
        if let Some(kept) = self.kept.get_mut(call_id) {
            kept.origin = from;
            // It is sent with the next tick.
            (kept.sent, self.next_look) = (Time::ZERO, Time::ZERO);
            if kept.taken.take().is_some() {
                self.taken_bytes -= kept.bytes;
                self.untaken_bytes += kept.bytes;
                self.untaken.insert(kept.order, Arc::clone(call_id));
            }
            return Taken::Known;
        }
        if self.delivered.contains(call_id) {
            return Taken::Known;
        }
        let run = Run { origin: from, attempt, tool, deadline, call: again };
        self.running.insert(Arc::clone(call_id), run);
        self.untold.push(Arc::clone(call_id));
        Taken::Run
    }

    /// The calls that are here and were not told of, by the gateways that handed them over. Quick ones have ended by now.
    pub(crate) fn take_untold(&mut self) -> BTreeMap<MemberId, Vec<CallId>> {
        let mut told: BTreeMap<MemberId, Vec<CallId>> = BTreeMap::new();
        for call_id in self.untold.drain(..) {
            if let Some(run) = self.running.get(&call_id) {
                told.entry(run.origin).or_default().push(call_id);
            }
        }
        told
    }

    /// The calls that run.
    pub(crate) fn running_calls(&self, now: Time) -> Vec<Running<C>> {
        let running = self.running.iter().map(|(call_id, run)| Running {
            call_id: Arc::clone(call_id),
            tool: Arc::clone(&run.tool),
            left_ms: run.deadline.saturating_sub(now).as_millis() as u64,
            call: run.call.clone(),
        });
        running.collect()
    }

    /// A call was not admitted here.
    pub(crate) fn on_refused(&mut self, call_id: &str) -> Option<(MemberId, u32)> {
        self.running.remove(call_id).map(|run| (run.origin, run.attempt))
    }

    /// A call has ended; returns the message to its gateway.
    pub(crate) fn on_finished(
        &mut self,
        now: Time,
        call_id: &CallId,
        answer: A,
        bytes: usize,
    ) -> Option<(MemberId, Message<C, A>)> {
        let run = self.running.remove(call_id)?;
        Some(self.keep(now, call_id, run.deadline + SPARE, answer, bytes, run.origin))
    }

    /// Keeps an answer for `origin`.
    pub(crate) fn keep(
        &mut self,
        now: Time,
        call_id: &CallId,
        expires: Time,
        answer: A,
        bytes: usize,
        origin: MemberId,
    ) -> (MemberId, Message<C, A>) {
        self.next += 1;
        let left_ms = expires.saturating_sub(now).as_millis() as u64;
        let message = Message::Answer { call_id: Arc::clone(call_id), left_ms, answer: answer.clone() };
        let (bytes, order) = (bytes + OVERHEAD, self.next);
        let kept = Kept { answer, bytes, origin, expires, sent: now, tries: 1, taken: None, order };
        self.untaken.insert(order, Arc::clone(call_id));
        self.untaken_bytes += bytes;
        if let Some(old) = self.kept.insert(Arc::clone(call_id), kept) {
            self.forget(&old);
        }
        (origin, message)
    }

    /// Counts an answer no more, which is kept no more.
    fn forget(&mut self, kept: &Kept<A>) {
        if kept.taken.is_some() {
            self.taken_bytes -= kept.bytes;
        } else {
            self.untaken_bytes -= kept.bytes;
            self.untaken.remove(&kept.order);
        }
    }

    /// A gateway has these answers.
    pub(crate) fn on_received(&mut self, now: Time, from: MemberId, call_ids: &[CallId]) {
        for call_id in call_ids {
            let Some(kept) = self.kept.get_mut(call_id) else { continue };
            if kept.taken.replace((from, now)).is_none() {
                self.untaken.remove(&kept.order);
                self.untaken_bytes -= kept.bytes;
                self.taken_bytes += kept.bytes;
            }
            self.taken.push_back((now, Arc::clone(call_id)));
        }
        while self.taken_bytes > MAX_TAKEN_BYTES && self.forget_oldest() {}
    }

    /// The platform has these answers.
    pub(crate) fn on_delivered(&mut self, now: Time, call_ids: &[CallId]) {
        for call_id in call_ids {
            if let Some(kept) = self.kept.remove(call_id) {
                self.forget(&kept);
                self.delivered.insert(now, call_id);
            }
        }
    }

    /// Forgets the oldest answer that a gateway has taken. Returns `false` if there is none.
    fn forget_oldest(&mut self) -> bool {
        let Some((at, call_id)) = self.taken.pop_front() else { return false };
        let counts = |kept: &Kept<A>| kept.taken.is_some_and(|(_, taken)| taken == at);
        if self.kept.get(&call_id).is_some_and(counts)
            && let Some(kept) = self.kept.remove(&call_id)
        {
            self.forget(&kept);
        }
        true
    }

    /// Sends these answers to `leader` with the next tick.
    pub(crate) fn readdress(&mut self, call_ids: &[CallId], leader: MemberId) {
        for call_id in call_ids {
            if let Some(kept) = self.kept.get_mut(call_id)
                && kept.taken.is_none()
            {
                (kept.origin, kept.sent) = (leader, Time::ZERO);
            }
        }
        self.next_look = Time::ZERO;
    }

    /// There is another gateway, to which the lease was given by `from`, or which took it: then it needs what the one
    /// before may have had.
    pub(crate) fn on_gateway(&mut self, gateway: MemberId, is_planned: bool) {
        self.next_look = Time::ZERO;
        if is_planned {
            return;
        }
        for run in self.running.values_mut() {
            run.origin = gateway;
        }
        for (call_id, kept) in &mut self.kept {
            kept.origin = gateway;
            if kept.taken.is_some_and(|(by, _)| by != gateway) {
                kept.taken = None;
                self.taken_bytes -= kept.bytes;
                self.untaken_bytes += kept.bytes;
                self.untaken.insert(kept.order, Arc::clone(call_id));
            }
            kept.sent = Time::ZERO;
        }
    }

    /// Returns the answers that are to be sent again, and forgets what nobody waits for.
    pub(crate) fn tick(&mut self, now: Time, leader: Option<MemberId>) -> Vec<(MemberId, Message<C, A>)> {
        let mut again = Vec::new();
        if now < self.next_look {
            return again;
        }
        self.next_look = now + LOOK_EVERY;
        self.delivered.forget(now);
        while self.taken.front().is_some_and(|(at, _)| now >= *at + KEPT) {
            self.forget_oldest();
        }
        let mut expired = Vec::new();
        for call_id in self.untaken.values() {
            let Some(kept) = self.kept.get_mut(call_id) else { continue };
            if now >= kept.expires {
                expired.push(Arc::clone(call_id));
                continue;
            }
            let pause = if kept.bytes > LARGE { RESEND * kept.tries.min(8) } else { RESEND };
            if now >= kept.sent + pause {
                kept.sent = now;
                // Now this one, now that one: either may be gone.
                let to = match leader {
                    Some(leader) if kept.tries % 2 == 1 => leader,
                    _ => kept.origin,
                };
                kept.tries += 1;
                let left_ms = kept.expires.saturating_sub(now).as_millis() as u64;
                let (call_id, answer) = (Arc::clone(call_id), kept.answer.clone());
                again.push((to, Message::Answer { call_id, left_ms, answer }));
            }
        }
        for call_id in expired {
            if let Some(kept) = self.kept.remove(&call_id) {
                self.forget(&kept);
            }
        }
        again
    }
}
