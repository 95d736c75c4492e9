//! What a member has: the calls that it runs for a gateway, and the answers that no gateway has taken yet. Pure.
//!
//! An answer goes to the gateway that handed the call over. If that one says nothing, it goes to whoever leads. One that
//! was taken is kept a little longer, since a gateway that is killed may not have sent it yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::map::HashMap;
use crate::message::{CallId, MemberId, Message, Running};
use crate::time::{Time, ms};

/// How long a gateway may take to say that it has an answer.
const RESEND: Time = ms(500);
/// An answer of more bytes may be on its way for long, and is sent again less and less often.
const LARGE: usize = 64 << 10;
/// How often that is looked at. There may be very many answers.
const LOOK_EVERY: Time = ms(200);
/// How long an answer that a gateway has taken is kept.
const KEPT: Time = ms(10_000);
/// How long the platform may wait for an answer beyond the deadline of its call.
const SPARE: Time = ms(2_000);
/// How many bytes of answers that a gateway has taken are kept; the oldest are dropped.
const MAX_TAKEN_BYTES: usize = 64 << 20;

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
    /// The answers that a gateway has, oldest first.
    taken: BTreeMap<u64, CallId>,
    taken_bytes: usize,
    next: u64,
    next_look: Time,
}

impl<C: Clone, A: Clone> Shelf<C, A> {
    pub(crate) fn new() -> Self {
        Self {
            running: HashMap::default(),
            untold: Vec::new(),
            kept: HashMap::default(),
            taken: BTreeMap::new(),
            taken_bytes: 0,
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
        self.kept.len() > self.taken.len()
    }

    /// Whether a call is or was here.
    pub(crate) fn knows(&self, call_id: &str) -> bool {
        self.running.contains_key(call_id) || self.kept.contains_key(call_id)
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
                self.taken.remove(&kept.order);
                self.taken_bytes -= kept.bytes;
            }
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
        let kept =
            Kept { answer, bytes, origin, expires, sent: now, tries: 1, taken: None, order: self.next };
        if let Some(old) = self.kept.insert(Arc::clone(call_id), kept)
            && old.taken.is_some()
        {
            self.taken.remove(&old.order);
            self.taken_bytes -= old.bytes;
        }
        (origin, message)
    }

    /// A gateway has these answers. Returns those that another one received the calls of.
    pub(crate) fn on_received(&mut self, now: Time, from: MemberId, call_ids: &[CallId]) {
        for call_id in call_ids {
            let Some(kept) = self.kept.get_mut(call_id) else { continue };
            if kept.taken.replace((from, now)).is_none() {
                self.taken.insert(kept.order, Arc::clone(call_id));
                self.taken_bytes += kept.bytes;
            }
        }
        while self.taken_bytes > MAX_TAKEN_BYTES {
            let Some((_, call_id)) = self.taken.pop_first() else { break };
            if let Some(kept) = self.kept.remove(&call_id) {
                self.taken_bytes -= kept.bytes;
            }
        }
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
        for kept in self.kept.values_mut() {
            kept.origin = gateway;
            if kept.taken.is_some_and(|(by, _)| by != gateway) {
                kept.taken = None;
                self.taken.remove(&kept.order);
                self.taken_bytes -= kept.bytes;
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
        let (taken, taken_bytes) = (&mut self.taken, &mut self.taken_bytes);
        self.kept.retain(|call_id, kept| {
            let is_over = match kept.taken {
                Some((_, at)) => now >= at + KEPT,
                None => now >= kept.expires,
            };
            if is_over {
                if kept.taken.is_some() {
                    taken.remove(&kept.order);
                    *taken_bytes -= kept.bytes;
                }
                return false;
            }
            let pause = if kept.bytes > LARGE { RESEND * kept.tries.min(8) } else { RESEND };
            if kept.taken.is_none() && now >= kept.sent + pause {
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
            true
        });
        again
    }
}
