//! The platform's side of one connection: as little work as possible for each call, and every answer checked.

use std::net::TcpListener;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use load::{Calls, Connection, call_number};
use memchr::memmem::Finder;
use tests::process::Process;

use super::ARGUMENTS;
use super::process::{self, Kind};

/// How long before a call is due its sender no longer sleeps.
const SPIN: Duration = Duration::from_micros(200);

static THREE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"result\":3"));
static SPACED_THREE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"result\": 3"));

/// A host, connected.
pub(crate) struct Driver {
    process: Process,
    connection: Connection,
    /// The number of the next call.
    next: usize,
}

/// What a round came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) per_second: f64,
    /// Of the host, a call.
    pub(crate) cpu_micros: f64,
}

impl Round {
    /// How many calls fill that time.
    pub(crate) fn calls_in(&self, time: Duration) -> usize {
        Duration::from_secs_f64(self.per_second * time.as_secs_f64() / 1e6).as_micros() as usize
    }

    pub(crate) fn median(rounds: &mut [Self]) -> Self {
        let middle = |mut figures: Vec<f64>| {
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Self {
            per_second: middle(rounds.iter().map(|round| round.per_second).collect()),
            cpu_micros: middle(rounds.iter().map(|round| round.cpu_micros).collect()),
        }
    }
}

/// How long calls took, from the time at which each was due to its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latencies {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Latencies {
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let middle = |of: fn(&Self) -> Duration| {
            let mut figures: Vec<_> = rounds.iter().map(of).collect();
            figures.sort_unstable();
            figures[figures.len() / 2]
        };
        Self { p50: middle(|round| round.p50), p99: middle(|round| round.p99) }
    }
}

impl Driver {
    pub(crate) fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let process = process::start(kind, listener.local_addr().unwrap());
        let connection = Connection::accept(&listener).expect("a host that connects");
        Self { process, connection, next: 0 }
    }

    /// Makes `count` calls, `window` of them in flight.
    ///
    /// # Panics
    /// When an answer is not 3, comes twice, or does not come.
    pub(crate) fn round(&mut self, tool: &str, window: usize, count: usize) -> Round {
        let calls = Calls::new(tool, ARGUMENTS, count, self.next);
        let first = self.next;
        self.next += count;
        let mut is_answered = vec![false; count];
        let (mut sent, mut done) = (window.min(calls.len()), 0);
        let (cpu, started) = (self.process.cpu(), Instant::now());
        self.connection.send(calls.frames(0, sent)).unwrap();
        while done < count {
            self.connection.receive().expect("an answer in time");
            let before = done;
            let mut frames = self.connection.answers(|text| {
                let slot = &mut is_answered[answered(text) - first];
                assert!(!*slot, "a call is answered twice: {}", String::from_utf8_lossy(text));
                *slot = true;
                done += 1;
            });
            let more = (sent + done - before).min(count);
            if frames.is_empty() {
                self.connection.send(calls.frames(sent, more)).unwrap();
            } else {
                frames.extend_from_slice(calls.frames(sent, more));
                self.connection.send(&frames).unwrap();
            }
            sent = more;
        }
        let (elapsed, cpu) = (started.elapsed(), self.process.cpu().saturating_sub(cpu));
        Round {
            per_second: count as f64 / elapsed.as_secs_f64(),
            cpu_micros: cpu.as_secs_f64() * 1e6 / count as f64,
        }
    }
}

impl Driver {
    /// Makes `count` calls, one `every` so often. A call that is late because the one before took long counts from the
    /// time at which it was due.
    ///
    /// # Panics
    /// When an answer is not 3, or does not come.
    pub(crate) fn paced(&mut self, tool: &str, every: Duration, count: usize) -> Latencies {
        let calls = Calls::new(tool, ARGUMENTS, count, self.next);
        let first = self.next;
        self.next += count;
        let started = Instant::now() + every;
        let mut latencies: Vec<Duration> = (0..count)
            .map(|index| {
                let due = started + every * index as u32;
                // A sleep ends late by more than a call takes.
                std::thread::sleep(due.saturating_duration_since(Instant::now() + SPIN));
                while Instant::now() < due {
                    std::hint::spin_loop();
                }
                self.connection.send(calls.frames(index, index + 1)).unwrap();
                let mut is_answered = false;
                while !is_answered {
                    self.connection.receive().expect("an answer in time");
                    let replies =
                        self.connection.answers(|text| is_answered |= answered(text) == first + index);
                    if !replies.is_empty() {
                        self.connection.send(&replies).unwrap();
                    }
                }
                due.elapsed()
            })
            .collect();
        latencies.sort_unstable();
        Latencies { p50: latencies[count / 2], p99: latencies[count * 99 / 100] }
    }
}

/// The number of the call that is answered, with a result of 3.
fn answered(text: &[u8]) -> usize {
    let is_three = THREE.find(text).or_else(|| SPACED_THREE.find(text));
    let number = call_number(text).filter(|_| is_three.is_some());
    number.unwrap_or_else(|| panic!("not the answer: {}", String::from_utf8_lossy(text)))
}
