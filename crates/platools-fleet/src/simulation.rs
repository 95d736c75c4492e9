//! Thousands of simulated fleets: the shipped machines with a simulated store, network and platform, under crashes,
//! suspensions, partitions and lost messages. Everything follows from the seed.
//!
//! Whatever happens: of the members that do not know the store to be away, at most one may write to the platform as the
//! gateway; no call runs twice unless it may; every call that had time has an answer.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::desk::{End, Place};
use crate::lease::{Away, NotWritten, Record};
use crate::message::{CallId, Declared, MemberId, Message, Report};
use crate::node::{Connection, Lead, Node, Output, Role};
use crate::time::{Time, ms};

type Call = u32;
/// The member that made the answer.
type Answer = usize;

/// How long a schedule disturbs.
const DISTURBED: Time = ms(18_000);
/// How long it goes on until every call is answered.
const QUIET: Time = ms(14_000);
/// How long the platform waits for an answer in a simulation: shorter than in truth, so that schedules are short.
const PATIENCE: Time = ms(12_000);
/// The deadline of a call.
const DEADLINE: Time = ms(11_000);
/// A connection and its declaration take so long after the lease is taken.
const CALM_AFTER: Time = ms(6_500);
/// An answer that is made needs this long to arrive while nothing is disturbed.
const ENOUGH: Time = ms(2_500);
const TICK: Time = ms(200);

#[derive(Debug)]
enum Event {
    Tick(usize),
    Message {
        to: usize,
        from: MemberId,
        message: Message<Call, Answer>,
    },
    Looked {
        to: usize,
        asked: Time,
        stored: Result<Option<(u64, Option<Record>)>, Away>,
    },
    Written {
        to: usize,
        sent: Time,
        result: Result<u64, NotWritten>,
    },
    StoreLook {
        by: usize,
        asked: Time,
    },
    StoreWrite {
        by: usize,
        sent: Time,
        expected: Option<u64>,
        record: Record,
    },
    Hint(usize),
    /// The platform has an answer, and this process knows.
    Delivered {
        to: usize,
        call: Call,
    },
    Accepted {
        to: usize,
        from: MemberId,
    },
    Dialled {
        by: usize,
        attempt: u64,
    },
    /// The platform closes a connection in favour of another.
    Superseded {
        node: usize,
        connection: u64,
    },
    Gone {
        node: usize,
        connection: u64,
    },
    Call,
    Ran {
        at: usize,
        call: Call,
    },
    Disturb,
    Resume(usize),
    Heal(usize),
    StoreLost(usize),
    StoreBack,
    Start,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Socket {
    Closed,
    Dialling(u64),
    Open(u64),
    Superseded(u64),
}

struct Process {
    id: MemberId,
    node: Node<Call, Answer>,
    /// Its clock began to run then.
    start: Time,
    /// How fast its clock runs.
    rate: f64,
    is_alive: bool,
    suspended_until: Option<Time>,
    is_cut_off: bool,
    lead: Lead,
    write_until: Option<Time>,
    socket: Socket,
    is_released: bool,
    /// Calls that it received and that other members run.
    routed: BTreeSet<Call>,
    /// Calls that it received and runs itself.
    here: BTreeSet<Call>,
    /// Calls that it runs, however they came.
    running: BTreeSet<Call>,
    /// Answers that its host has not sent.
    outbox: Vec<(Call, Answer)>,
    /// What comes while it is suspended.
    waiting: Vec<Event>,
}

#[derive(Debug)]
struct Asked {
    at: Time,
    runs_again: bool,
    lasts: Time,
    reader: Option<usize>,
    started: Vec<usize>,
    finished: Option<Time>,
    answered: Option<Time>,
    is_error: bool,
    /// A process that had it was killed, and nobody else could know of it.
    is_excused: bool,
}

struct World {
    /// Whether everything is written to standard error.
    is_traced: bool,
    random: fastrand::Rng,
    now: Time,
    order: u64,
    events: BinaryHeap<Reverse<(Time, u64, usize)>>,
    bodies: HashMap<usize, Event>,
    processes: Vec<Process>,
    by_id: HashMap<MemberId, usize>,
    last_delivery: HashMap<(usize, usize), Time>,
    revision: u64,
    stored: Option<(u64, Record)>,
    is_store_away: bool,
    /// The connection that the platform takes calls and declarations from.
    active: Option<(usize, u64)>,
    connections: u64,
    calls: Vec<Asked>,
    /// When something was disturbed, and until when that lasted.
    disturbed: Vec<(Time, Time)>,
    problems: Vec<String>,
    hand_overs: u64,
    takeovers: u64,
}

fn id_of(call: Call) -> CallId {
    call.to_string().into()
}

fn number(call_id: &str) -> Call {
    call_id.parse().unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            is_traced: std::env::var_os("PLATOOLS_FLEET_SEED").is_some(),
            random: fastrand::Rng::with_seed(seed),
            now: Time::ZERO,
            order: 0,
            events: BinaryHeap::new(),
            bodies: HashMap::new(),
            processes: Vec::new(),
            by_id: HashMap::new(),
            last_delivery: HashMap::new(),
            revision: 0,
            stored: None,
            is_store_away: false,
            active: None,
            connections: 0,
            calls: Vec::new(),
            disturbed: vec![(Time::ZERO, ms(2_000))],
            problems: Vec::new(),
            hand_overs: 0,
            takeovers: 0,
        };
        for _ in 0..3 {
            world.start();
        }
        world
    }

    fn after(&mut self, wait: Time, event: Event) {
        self.order += 1;
        let key = self.order as usize;
        self.events.push(Reverse((self.now + wait, self.order, key)));
        self.bodies.insert(key, event);
    }

    fn between(&mut self, low: u64, high: u64) -> Time {
        Time::from_micros(self.random.u64(low * 1_000..high * 1_000))
    }

    fn start(&mut self) {
        let index = self.processes.len();
        let id = MemberId::of(self.random.u64(..));
        let mut node = Node::new(id, format!("m{index}"), self.random.u8(0..4) > 0);
        let build = index as u32 / 3;
        // Its clock shows another time than those of the others, and runs faster or slower.
        let (start, rate) = (self.now, 0.93 + 0.14 * self.random.f64());
        let report = Report {
            name: format!("m{index}"),
            build: build.to_string(),
            max_running: 64,
            max_blocking: 8,
            ..Report::default()
        };
        node.set_report(report);
        let tool = |name: &str, runs_again, hash| Declared {
            name: name.into(),
            hash,
            spec: "{}".into(),
            concurrency: None,
            is_blocking: false,
            runs_again,
        };
        // One tool changes with the build.
        let tools = vec![tool("again", true, 1), tool("once", false, 10 + u64::from(build))];
        node.set_tools(Time::ZERO, tools);
        self.by_id.insert(id, index);
        self.processes.push(Process {
            id,
            node,
            start,
            rate,
            is_alive: true,
            suspended_until: None,
            is_cut_off: false,
            lead: Lead::No,
            write_until: None,
            socket: Socket::Closed,
            is_released: false,
            routed: BTreeSet::new(),
            here: BTreeSet::new(),
            running: BTreeSet::new(),
            outbox: Vec::new(),
            waiting: Vec::new(),
        });
        let wait = self.between(0, 200);
        self.after(wait, Event::Tick(index));
    }

    fn local(&self, index: usize) -> Time {
        let process = &self.processes[index];
        self.now.saturating_sub(process.start).mul_f64(process.rate)
    }

    fn runs(&self, index: usize) -> bool {
        let process = &self.processes[index];
        process.is_alive && process.suspended_until.is_none()
    }

    /// Lets a node do something, and does what it says.
    fn with(&mut self, index: usize, act: impl FnOnce(&mut Node<Call, Answer>, Time)) {
        let now = self.local(index);
        act(&mut self.processes[index].node, now);
        self.obey(index, now);
    }

    fn obey(&mut self, index: usize, now: Time) {
        let outputs = self.processes[index].node.take_outputs();
        for output in outputs {
            if self.is_traced
                && matches!(
                    output,
                    Output::Lead(_)
                        | Output::Role(_)
                        | Output::Alone(_)
                        | Output::WriteUntil(_)
                        | Output::Released
                )
            {
                eprintln!("{:>10.3?}   {index}: {output:?} (its time {now:?})", self.now);
            }
            match output {
                Output::Look => {
                    let wait = self.between(1, 20);
                    self.after(wait, Event::StoreLook { by: index, asked: now });
                }
                Output::Write { expected, record } => {
                    let wait = self.between(1, 20);
                    self.after(wait, Event::StoreWrite { by: index, sent: now, expected, record });
                }
                Output::Send(to, message) => self.send(index, to, message),
                Output::GiveAccepted(to) => {
                    if let Some(&to) = self.by_id.get(&to)
                        && self.random.u8(0..8) > 0
                    {
                        let (wait, from) = (self.between(0, 10), self.processes[index].id);
                        self.after(wait, Event::Accepted { to, from });
                    }
                }
                Output::Hint => {
                    self.takeovers += 1;
                    for other in 0..self.processes.len() {
                        if other != index && self.random.u8(0..8) > 0 {
                            let wait = self.between(1, 10);
                            self.after(wait, Event::Hint(other));
                        }
                    }
                }
                Output::Lead(lead) => self.on_lead(index, lead),
                Output::WriteUntil(until) => {
                    self.processes[index].write_until = Some(until);
                    self.write(index);
                }
                Output::Run { call_id, call, .. } => self.begin(index, call, number(&call_id)),
                Output::Cancel { call_id } => {
                    self.processes[index].running.remove(&number(&call_id));
                }
                Output::Settle { call_id, end } => {
                    let call = number(&call_id);
                    if self.processes[index].routed.remove(&call) {
                        self.answer(index, call, &end);
                    }
                }
                Output::Deliver { call_id, end, .. } => {
                    if self.processes[index].lead != Lead::No {
                        self.answer(index, number(&call_id), &end);
                    }
                }
                Output::Released => self.processes[index].is_released = true,
                Output::ExpectEnd(_)
                | Output::DeclareAgain
                | Output::RefuseSignedUntil(_)
                | Output::Offers
                | Output::Alone(_)
                | Output::Role(_) => {}
            }
        }
        self.check(index);
    }

    fn send(&mut self, from: usize, to: MemberId, message: Message<Call, Answer>) {
        let Some(&to) = self.by_id.get(&to) else { return };
        // NATS keeps the order; what it loses, it loses when a connection breaks, and now and then for no reason.
        if self.processes[from].is_cut_off || self.is_store_away || self.random.u16(0..400) == 0 {
            return;
        }
        let wait = self.between(0, 5);
        let last = self.last_delivery.entry((from, to)).or_default();
        *last = (*last).max(self.now + wait);
        let wait = last.saturating_sub(self.now);
        let from = self.processes[from].id;
        self.after(wait, Event::Message { to, from, message });
    }

    // --- the host

    fn on_lead(&mut self, index: usize, lead: Lead) {
        self.processes[index].lead = lead;
        match (lead, self.processes[index].socket) {
            (Lead::Yes, Socket::Closed) => self.dial(index),
            (Lead::No, Socket::Open(_) | Socket::Superseded(_)) => self.hang_up(index),
            (Lead::No | Lead::Keep, Socket::Dialling(_)) => self.processes[index].socket = Socket::Closed,
            _ => {}
        }
        self.write(index);
    }

    fn dial(&mut self, index: usize) {
        self.connections += 1;
        self.processes[index].socket = Socket::Dialling(self.connections);
        let wait = self.between(5, 150);
        self.after(wait, Event::Dialled { by: index, attempt: self.connections });
    }

    fn hang_up(&mut self, index: usize) {
        self.processes[index].socket = Socket::Closed;
        if self.active.is_some_and(|(at, _)| at == index) {
            self.active = None;
        }
        self.with(index, |node, now| node.connection(now, Connection::Gone));
        if self.processes[index].lead == Lead::Yes && self.processes[index].socket == Socket::Closed {
            self.dial(index);
        }
    }

    fn may_write(&self, index: usize) -> bool {
        let process = &self.processes[index];
        let is_open = matches!(process.socket, Socket::Open(_) | Socket::Superseded(_));
        is_open && process.write_until.is_some_and(|until| self.local(index) < until)
    }

    /// Sends what the host has, or gives it to the node.
    fn write(&mut self, index: usize) {
        if self.may_write(index) {
            for (call, _) in std::mem::take(&mut self.processes[index].outbox) {
                self.arrive(call);
                // A close or a cut may come before the proof.
                if self.random.u8(0..16) > 0 {
                    let wait = self.between(1, 300);
                    self.after(wait, Event::Delivered { to: index, call });
                }
            }
        } else if self.processes[index].lead == Lead::No {
            for (call, answer) in std::mem::take(&mut self.processes[index].outbox) {
                let left = (self.calls[call as usize].at + PATIENCE).saturating_sub(self.now);
                self.with(index, |node, now| node.kept(now, &id_of(call), left, answer, 1));
            }
        }
    }

    /// The platform has an answer.
    fn arrive(&mut self, call: Call) {
        let asked = &mut self.calls[call as usize];
        if self.now < asked.at + PATIENCE {
            asked.answered.get_or_insert(self.now);
        }
    }

    fn answer(&mut self, index: usize, call: Call, end: &End<Answer>) {
        let answer = match end {
            End::Answer(answer) => *answer,
            End::Lost | End::Nowhere | End::Expired => {
                self.calls[call as usize].is_error = true;
                index
            }
        };
        self.processes[index].outbox.push((call, answer));
        self.write(index);
        self.close_if_done(index);
    }

    /// A superseded host ends its connection when its calls are answered.
    fn close_if_done(&mut self, index: usize) {
        let process = &self.processes[index];
        if let Socket::Superseded(_) = process.socket
            && process.routed.is_empty()
            && process.here.is_empty()
        {
            self.hang_up(index);
        }
    }

    fn begin(&mut self, index: usize, call: Call, id: Call) {
        assert_eq!(call, id);
        let asked = &mut self.calls[call as usize];
        asked.started.push(index);
        let lasts = asked.lasts;
        if asked.started.len() > 1 && !asked.runs_again {
            self.problems.push(format!("call {call} ran twice: {:?}", self.calls[call as usize]));
        }
        self.processes[index].running.insert(call);
        self.after(lasts, Event::Ran { at: index, call });
    }

    fn ran(&mut self, index: usize, call: Call) {
        if !self.processes[index].running.remove(&call) {
            return;
        }
        self.calls[call as usize].finished.get_or_insert(self.now);
        if self.processes[index].here.remove(&call) {
            self.with(index, |node, _| node.ended_here(&id_of(call)));
            self.answer(index, call, &End::Answer(index));
        } else {
            self.with(index, |node, now| node.finished(now, &id_of(call), index, 1));
        }
    }

    // --- the platform

    fn call(&mut self) {
        let wait = self.between(20, 300);
        if self.now + wait < DISTURBED + ms(1_000) {
            self.after(wait, Event::Call);
        }
        let Some((index, connection)) = self.active else { return };
        let call = self.calls.len() as Call;
        let lasts = Time::from_secs_f64(0.001 * 3_000_f64.powf(self.random.f64()));
        let runs_again = self.random.bool();
        self.calls.push(Asked {
            at: self.now,
            runs_again,
            lasts,
            reader: None,
            started: Vec::new(),
            finished: None,
            answered: None,
            is_error: false,
            is_excused: false,
        });
        if !self.runs(index) || self.processes[index].socket != Socket::Open(connection) {
            // It is in the buffers of a process that does not read.
            return;
        }
        self.calls[call as usize].reader = Some(index);
        let tool: Arc<str> = if runs_again { "again".into() } else { "once".into() };
        let id = id_of(call);
        let mut place = Place::Nowhere;
        let busy = self.random.u8(0..5) == 0;
        self.with(index, |node, now| place = node.place(now, &id, &tool, DEADLINE, !busy, || call));
        match place {
            Place::Here => {
                self.processes[index].here.insert(call);
                self.begin(index, call, call);
            }
            Place::At(_) => {
                self.processes[index].routed.insert(call);
            }
            Place::Nowhere => self.answer(index, call, &End::Nowhere),
        }
    }

    fn dialled(&mut self, index: usize, attempt: u64) {
        if self.processes[index].socket != Socket::Dialling(attempt) {
            return;
        }
        if self.processes[index].lead != Lead::Yes {
            self.processes[index].socket = Socket::Closed;
            return;
        }
        if let Some((old, connection)) = self.active.replace((index, attempt)) {
            let wait = self.between(1, 20);
            self.after(wait, Event::Superseded { node: old, connection });
            self.after(PATIENCE, Event::Gone { node: old, connection });
        }
        self.processes[index].socket = Socket::Open(attempt);
        self.with(index, |node, now| node.connection(now, Connection::Open));
        self.write(index);
    }

    // --- what goes wrong

    fn disturb(&mut self) {
        let alive: Vec<usize> = (0..self.processes.len()).filter(|index| self.runs(*index)).collect();
        let Some(&victim) = self.random.choice(&alive) else { return };
        // The gateway is the one that matters.
        let victim = match self.active {
            Some((gateway, _)) if self.random.bool() && self.runs(gateway) => gateway,
            _ => victim,
        };
        let lasts = self.between(200, 6_000);
        let until = match self.random.u8(0..10) {
            0..=2 => {
                self.crash(victim);
                self.now
            }
            3 | 4 => {
                self.processes[victim].suspended_until = Some(self.now + lasts);
                self.after(lasts, Event::Resume(victim));
                self.now + lasts
            }
            5 | 6 => {
                self.processes[victim].is_cut_off = true;
                self.after(lasts, Event::Heal(victim));
                self.now + lasts
            }
            7 => {
                self.is_store_away = true;
                if self.random.bool() {
                    // It comes back empty.
                    self.stored = None;
                    self.revision = 0;
                }
                for index in 0..self.processes.len() {
                    self.after(Time::ZERO, Event::StoreLost(index));
                }
                self.after(lasts, Event::StoreBack);
                self.now + lasts
            }
            _ => {
                if alive.len() > 1 {
                    self.hand_overs += 1;
                    self.with(victim, Node::release);
                }
                let wait = self.between(100, 2_000);
                self.after(wait, Event::Start);
                self.now
            }
        };
        self.disturbed.push((self.now, until + CALM_AFTER));
        let wait = self.between(500, 7_000);
        if self.now + wait < DISTURBED {
            self.after(wait, Event::Disturb);
        }
    }

    fn crash(&mut self, victim: usize) {
        self.processes[victim].is_alive = false;
        if self.active.is_some_and(|(at, _)| at == victim) {
            self.active = None;
        }
        let knows = |process: &Process, call: Call| {
            process.is_alive && (process.running.contains(&call) && !process.here.contains(&call))
        };
        for call in 0..self.calls.len() as Call {
            let was_there = self.calls[call as usize].reader == Some(victim)
                || self.calls[call as usize].started.contains(&victim);
            // A member that has finished it keeps its answer.
            let is_kept = self.calls[call as usize]
                .started
                .iter()
                .any(|at| self.processes[*at].is_alive && self.calls[call as usize].finished.is_some());
            let is_answered = self.calls[call as usize].answered.is_some();
            if was_there
                && !is_answered
                && !is_kept
                && !self.processes.iter().any(|process| knows(process, call))
            {
                self.calls[call as usize].is_excused = true;
            }
        }
        let wait = self.between(200, 3_000);
        self.after(wait, Event::Start);
    }

    fn resume(&mut self, index: usize) {
        self.processes[index].suspended_until = None;
        // Everything that waited comes at once, in some order between the tick and the rest.
        let waiting = std::mem::take(&mut self.processes[index].waiting);
        for event in waiting {
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        if self.is_traced && !matches!(event, Event::Tick(_)) {
            eprintln!("{:>10.3?} {event:?}", self.now);
        }
        let target = match &event {
            Event::Tick(index)
            | Event::Hint(index)
            | Event::Accepted { to: index, .. }
            | Event::StoreLost(index)
            | Event::Message { to: index, .. }
            | Event::Looked { to: index, .. }
            | Event::Written { to: index, .. }
            | Event::Dialled { by: index, .. }
            | Event::Superseded { node: index, .. }
            | Event::Gone { node: index, .. }
            | Event::Delivered { to: index, .. }
            | Event::Ran { at: index, .. } => Some(*index),
            _ => None,
        };
        if let Some(index) = target {
            if !self.processes[index].is_alive {
                return;
            }
            if self.processes[index].suspended_until.is_some() {
                self.processes[index].waiting.push(event);
                return;
            }
        }
        match event {
            Event::Tick(index) => {
                self.with(index, Node::tick);
                self.write(index);
                let wait = TICK + self.between(0, 20);
                self.after(wait, Event::Tick(index));
            }
            Event::Message { to, from, message } => {
                let is_cut_off = self.processes[to].is_cut_off || self.is_store_away;
                if !is_cut_off {
                    self.with(to, |node, now| node.message(now, from, message));
                }
            }
            Event::StoreLook { by, asked } => {
                let is_away = self.is_store_away || self.processes[by].is_cut_off;
                let stored = self.stored.clone().map(|(revision, record)| (revision, Some(record)));
                let (stored, wait) = if is_away || self.random.u8(0..50) == 0 {
                    (Err(Away), ms(900))
                } else {
                    (Ok(stored), self.between(1, 20))
                };
                self.after(wait, Event::Looked { to: by, asked, stored });
            }
            Event::StoreWrite { by, sent, expected, record } => self.store(by, sent, expected, record),
            Event::Looked { to, asked, stored } => self.with(to, |node, now| node.looked(now, asked, stored)),
            Event::Written { to, sent, result } => {
                self.with(to, |node, now| node.written(now, sent, result));
            }
            Event::Delivered { to, call } => {
                self.with(to, |node, now| node.delivered(now, &[id_of(call)]));
            }
            Event::Accepted { to, from } => self.with(to, |node, now| node.accepted(now, from)),
            Event::Hint(index) => {
                if !self.processes[index].is_cut_off {
                    self.with(index, Node::on_hint);
                }
            }
            Event::Dialled { by, attempt } => self.dialled(by, attempt),
            Event::Superseded { node, connection } => {
                if self.processes[node].socket == Socket::Open(connection) {
                    self.processes[node].socket = Socket::Superseded(connection);
                    self.with(node, |node, now| node.connection(now, Connection::Superseded));
                    self.close_if_done(node);
                }
            }
            Event::Gone { node, connection } => {
                if self.processes[node].socket == Socket::Superseded(connection) {
                    self.hang_up(node);
                }
            }
            Event::Call => self.call(),
            Event::Ran { at, call } => self.ran(at, call),
            Event::Disturb => self.disturb(),
            Event::Resume(index) => self.resume(index),
            Event::Heal(index) => self.processes[index].is_cut_off = false,
            Event::StoreLost(index) => self.with(index, Node::connection_lost),
            Event::StoreBack => self.is_store_away = false,
            Event::Start => self.start(),
        }
    }

    /// Writes the lease for a process.
    fn store(&mut self, by: usize, sent: Time, expected: Option<u64>, record: Record) {
        let mut result = Err(NotWritten::Away);
        let mut wait = ms(900);
        if !self.is_store_away && !self.processes[by].is_cut_off {
            wait = self.between(1, 20);
            if self.stored.as_ref().map(|(revision, _)| *revision) == expected {
                self.revision += 1;
                self.stored = Some((self.revision, record));
                result = Ok(self.revision);
            } else {
                result = Err(NotWritten::Conflict);
            }
            // The answer may be lost, after it was written.
            if self.random.u8(0..50) == 0 {
                (result, wait) = (Err(NotWritten::Away), ms(900));
            }
        }
        self.after(wait, Event::Written { to: by, sent, result });
    }

    /// At most one member may write as the gateway, of those that do not serve without the store and have not offered the
    /// lease to another one.
    fn check(&mut self, changed: usize) {
        let writes = |index: usize| {
            let process = &self.processes[index];
            process.is_alive
                && process.node.lease().is_leading()
                && !process.node.lease().is_alone()
                && !process.node.lease().is_offering()
                && process.write_until.is_some_and(|until| self.local(index) < until)
        };
        if !writes(changed) {
            return;
        }
        if let Some(other) = (0..self.processes.len()).find(|other| *other != changed && writes(*other)) {
            self.problems.push(format!("{changed} and {other} may both write at {:?}", self.now));
        }
    }

    /// In the end the gateway knows every member that is there.
    fn check_members(&mut self) {
        let gateway =
            self.processes.iter().find(|process| process.is_alive && process.node.role() == Role::Gateway);
        let Some(gateway) = gateway else {
            if self.processes.iter().any(|process| process.is_alive && process.node.leaving_to().is_none()) {
                self.problems.push("there is no gateway in the end".to_owned());
            }
            return;
        };
        let known = |process: &Process| gateway.node.desk().knows(process.id);
        let unknown = self.processes.iter().filter(|process| process.is_alive && !known(process));
        let unknown = unknown.map(|process| process.id).collect::<Vec<_>>();
        if !unknown.is_empty() {
            self.problems.push(format!("the gateway does not know {unknown:?} in the end"));
        }
    }

    fn had_time(&self, asked: &Asked) -> bool {
        let Some(finished) = asked.finished else {
            // It never ran to its end: then an error answers it, when its gateway or the next one knows of it.
            return asked.reader.is_some() && self.is_calm(asked.at, asked.at + PATIENCE);
        };
        let mut from = finished;
        let until = asked.at + PATIENCE;
        while from + ENOUGH < until {
            if self.is_calm(from, from + ENOUGH) {
                return true;
            }
            from += ms(250);
        }
        false
    }

    fn is_calm(&self, from: Time, until: Time) -> bool {
        self.disturbed.iter().all(|(begin, end)| *end <= from || until <= *begin)
    }

    fn run(mut self) -> Self {
        let (first, disturbance) = (self.between(2_500, 4_000), self.between(4_000, 6_000));
        self.after(first, Event::Call);
        self.after(disturbance, Event::Disturb);
        while let Some(Reverse((at, _, key))) = self.events.pop() {
            if at > DISTURBED + QUIET || !self.problems.is_empty() {
                break;
            }
            self.now = at;
            if let Some(event) = self.bodies.remove(&key) {
                self.handle(event);
            }
        }
        if self.problems.is_empty() {
            self.check_members();
        }
        for (number, asked) in self.calls.iter().enumerate() {
            let due = asked.at + asked.lasts + ENOUGH;
            let is_late = asked.answered.is_none_or(|answered| due < answered);
            if asked.reader.is_some() && is_late && !asked.is_excused && self.is_calm(asked.at, due) {
                self.problems.push(format!("call {number} was not disturbed and waited too long: {asked:?}"));
            }
            if asked.answered.is_none() && !asked.is_excused && self.had_time(asked) {
                self.problems.push(format!("call {number} had time and has no answer: {asked:?}"));
            }
        }
        self
    }
}

/// What all schedules together did, so that a test that does nothing is noticed.
#[derive(Debug, Default)]
struct Done {
    calls: AtomicU64,
    answered: AtomicU64,
    errors: AtomicU64,
    hand_overs: AtomicU64,
    takeovers: AtomicU64,
}

fn schedules(seeds: std::ops::Range<u64>) -> Done {
    let done = Done::default();
    let next = AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let world = World::new(seed).run();
                    assert!(
                        world.problems.is_empty(),
                        "seed {seed}, repeat it with PLATOOLS_FLEET_SEED={seed}: {:#?}",
                        world.problems
                    );
                    let count = |of: &AtomicU64, number: u64| of.fetch_add(number, Ordering::Relaxed);
                    count(&done.calls, world.calls.len() as u64);
                    let answered = world.calls.iter().filter(|asked| asked.answered.is_some());
                    let (answered, errors) = answered
                        .fold((0, 0), |(all, errors), asked| (all + 1, errors + u64::from(asked.is_error)));
                    count(&done.answered, answered);
                    count(&done.errors, errors);
                    count(&done.hand_overs, world.hand_overs);
                    count(&done.takeovers, world.takeovers);
                }
            });
        }
    });
    done
}

#[test]
fn ten_thousand_schedules_lose_no_call_and_have_one_gateway() {
    let number = |variable: &str| Some(std::env::var(variable).ok()?.parse::<u64>().expect("a number"));
    let seeds = if let Some(seed) = number("PLATOOLS_FLEET_SEED") {
        seed..seed + 1
    } else {
        let first = number("PLATOOLS_FLEET_FIRST_SEED").unwrap_or(0);
        first..first + number("PLATOOLS_FLEET_SCHEDULES").unwrap_or(10_000)
    };
    let count = seeds.end - seeds.start;
    let done = schedules(seeds);
    eprintln!("{done:?}");
    if count >= 1_000 {
        let read = |of: &AtomicU64| of.load(Ordering::Relaxed);
        assert!(read(&done.answered) > count * 20, "{done:?}");
        assert!(read(&done.takeovers) > count && read(&done.hand_overs) > count / 4, "{done:?}");
    }
}

#[test]
fn a_member_that_takes_over_has_room_for_all_answers_that_it_kept() {
    const CALLS: u32 = 20_000;
    let (me, gateway) = (MemberId::of(1), MemberId::of(2));
    let mut node: Node<Call, Answer> = Node::new(me, "me".to_owned(), true);
    let record = Record {
        holder: gateway,
        name: "gateway".to_owned(),
        term: 1,
        from: None,
        heir: Some(me),
        platform_time: None,
        writes: 1,
        ended: false,
    };
    node.tick(ms(0));
    node.looked(ms(10), ms(0), Ok(Some((1, Some(record.clone())))));
    for call in 0..CALLS {
        let (call_id, tool) = (id_of(call), Arc::from("once"));
        node.message(
            ms(20),
            gateway,
            Message::Call { call_id, tool, left_ms: 28_000, report: 1, attempt: 1, call },
        );
        node.finished(ms(30), &id_of(call), 0, 1);
    }
    let sent = |outputs: &[Output<Call, Answer>]| {
        outputs.iter().filter(|output| matches!(output, Output::Send(_, Message::Answer { .. }))).count()
    };
    assert_eq!(sent(&node.take_outputs()), CALLS as usize);
    let mut delivered = 0;
    for time in (100..6_000).step_by(100) {
        node.tick(ms(time));
        let mut outputs = VecDeque::from(node.take_outputs());
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Look => node.looked(ms(time), ms(time), Ok(Some((1, Some(record.clone()))))),
                Output::Write { .. } => node.written(ms(time), ms(time), Ok(2)),
                Output::Deliver { .. } => delivered += 1,
                _ => {}
            }
            outputs.extend(node.take_outputs());
        }
    }
    assert_eq!(delivered, CALLS, "the platform may have none of them");
}
