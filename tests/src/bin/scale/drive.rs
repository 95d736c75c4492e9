//! The platform's side: hosts in a process, their connections, and rounds of calls over one or all of them.

use std::error::Error;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use load::{Calls, Connection};
use tests::process::Process;

/// The most that the calls of one round may take in memory, in bytes: all are signed beforehand.
const MOST_BYTES: usize = 512 << 20;
/// The most calls of one round: more nonces are not signed within a moment.
const MOST_CALLS: usize = 300_000;

/// Hosts that are connected.
pub(crate) struct Hosts {
    pub(crate) process: Process,
    connections: Vec<Connection>,
    /// From the start of the process to the last declaration.
    pub(crate) ready: Duration,
    /// The number of the next call.
    next: usize,
}

/// What the calls of a round are.
pub(crate) struct Kind<'a> {
    pub(crate) tool: &'a dyn Fn(usize) -> String,
    pub(crate) arguments: &'a str,
}

/// What a round came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    /// From one answer to the next.
    pub(crate) each: Duration,
    /// Of the hosts' process, a call.
    pub(crate) cpu: Duration,
}

impl Hosts {
    /// Starts so many hosts in one process, each with so many small tools.
    pub(crate) fn start(hosts: usize, small_tools: usize) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?.to_string();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["hosts", &address, &hosts.to_string(), &small_tools.to_string()]);
        let started = Instant::now();
        let process = Process::new(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        let streams = (0..hosts).map(|_| listener.accept()).collect::<Result<Vec<_>, _>>()?;
        let connections =
            streams.into_iter().map(|(stream, _)| Connection::over(stream)).collect::<Result<_, _>>()?;
        Ok(Self { process, connections, ready: started.elapsed(), next: 0 })
    }

    /// Calls the first host, `window` in flight at a time, for about that long.
    pub(crate) fn one(
        &mut self,
        kind: &Kind<'_>,
        window: usize,
        time: Duration,
    ) -> Result<Round, Box<dyn Error>> {
        let round = self.exchange(kind, window, window.max(200))?;
        self.exchange(kind, window, kind.count(round, time).max(2 * window))
    }

    /// Makes `count` calls. A thread of its own sends them: a host that is given no time to read takes no answers off
    /// its hands either.
    fn exchange(&mut self, kind: &Kind<'_>, window: usize, count: usize) -> Result<Round, Box<dyn Error>> {
        // As a first look, a few large ones will do.
        let count = count.min(MOST_BYTES / kind.arguments.len()).max(window);
        let calls = &Calls::of(kind.tool, kind.arguments, count, self.next);
        self.next += count;
        let connection = &mut self.connections[0];
        let mut sender = connection.sender()?;
        let (cpu, started) = (self.process.cpu(), Instant::now());
        std::thread::scope(|scope| {
            // How many answers there are, and what goes before further calls.
            let (answered, next) = mpsc::channel::<(usize, Vec<u8>)>();
            let sending = scope.spawn(move || {
                let mut sent = window.min(count);
                sender.write_all(calls.frames(0, sent))?;
                while let Ok((mut done, mut frames)) = next.recv() {
                    while let Ok((more, replies)) = next.try_recv() {
                        done = more;
                        frames.extend(replies);
                    }
                    let to = (done + window).min(count);
                    frames.extend_from_slice(calls.frames(sent, to));
                    sender.write_all(&frames)?;
                    sent = to;
                }
                Ok::<_, std::io::Error>(())
            });
            let mut done = 0;
            while done < count {
                connection.receive()?;
                let replies = connection.answers(|answer| {
                    expect_result(answer);
                    done += 1;
                });
                // Nobody listens where sending failed, and then the next read says so.
                let _ = answered.send((done, replies));
            }
            drop(answered);
            sending.join().map_err(|_| "the sender panicked")??;
            Ok::<_, Box<dyn Error>>(())
        })?;
        Ok(self.came_to(count, started, cpu))
    }

    /// Calls all hosts, `window` times each at once, and again when all is answered, for about that long.
    pub(crate) fn all(
        &mut self,
        kind: &Kind<'_>,
        window: usize,
        time: Duration,
    ) -> Result<Round, Box<dyn Error>> {
        let round = self.rounds(kind, window, 4)?;
        let rounds = kind.count(round, time) / (window * self.connections.len());
        self.rounds(kind, window, rounds.max(2))
    }

    fn rounds(&mut self, kind: &Kind<'_>, window: usize, rounds: usize) -> Result<Round, Box<dyn Error>> {
        let each = window * rounds;
        let first = self.next;
        self.next += each * self.connections.len();
        let calls: Vec<Calls> = (0..self.connections.len())
            .map(|host| Calls::of(kind.tool, kind.arguments, each, first + host * each))
            .collect();
        let mut replies = vec![Vec::new(); self.connections.len()];
        let (cpu, started) = (self.process.cpu(), Instant::now());
        for round in 0..rounds {
            for ((connection, calls), replies) in self.connections.iter_mut().zip(&calls).zip(&mut replies) {
                replies.extend_from_slice(calls.frames(round * window, (round + 1) * window));
                connection.send(replies)?;
                replies.clear();
            }
            for (connection, replies) in self.connections.iter_mut().zip(&mut replies) {
                let mut done = 0;
                while done < window {
                    connection.receive()?;
                    replies.extend(connection.answers(|answer| {
                        expect_result(answer);
                        done += 1;
                    }));
                }
            }
        }
        let count = each * self.connections.len();
        Ok(self.came_to(count, started, cpu))
    }

    fn came_to(&self, count: usize, started: Instant, cpu: Duration) -> Round {
        let (elapsed, cpu) = (started.elapsed(), self.process.cpu().saturating_sub(cpu));
        Round { each: elapsed.div_f64(count as f64), cpu: cpu.div_f64(count as f64) }
    }
}

impl Kind<'_> {
    /// How many calls fill that time, at the pace of that round.
    fn count(&self, round: Round, time: Duration) -> usize {
        let bytes = load::call(&(self.tool)(0), self.arguments, 0).len();
        let most = (MOST_BYTES / bytes).min(MOST_CALLS);
        let count = time.as_nanos() / round.each.as_nanos().max(1);
        usize::try_from(count).map_or(most, |count| count.clamp(2, most))
    }
}

fn expect_result(answer: &[u8]) {
    assert!(answer.starts_with(br#"{"type":"tool_result""#), "{}", String::from_utf8_lossy(answer));
}
