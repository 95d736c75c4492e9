//! Calls through a fleet beside bare request and reply of NATS, of the same payload between the same processes.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use load::{Answers, Calls, Connection, SECRET};
use serde_json::json;
use tests::nats::Nats;
use tests::process::cpu;
use tokio::runtime::Handle;

use super::load::operator_at;
use super::process::{Process, Runs};

/// The size of an argument and of its answer, in bytes. A call with its envelope has ten times that.
const BYTES: usize = 64;
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(2);
/// The most calls of a round: what is signed beforehand.
const MOST: usize = 200_000;

/// Answers requests with what they say.
pub(crate) fn respond() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let client = async_nats::connect(std::env::var("PLATOOLS_FLEET").unwrap()).await.unwrap();
        let mut requests = client.subscribe("bare").await.unwrap();
        println!("a");
        while let Some(request) = requests.next().await {
            if let Some(reply) = request.reply {
                let _ = client.publish(reply, request.payload).await;
            }
        }
    });
}

/// Calls a second, and the median of their latencies in microseconds.
type Figures = (f64, f64);

/// Processes with their names, and the time that each was on a processor.
struct Processors<'a>(Vec<(&'a str, u32, Duration)>);

impl<'a> Processors<'a> {
    fn new(processes: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        Self(processes.into_iter().map(|(name, id)| (name, id, Duration::ZERO)).collect())
    }

    /// Counts what `act` takes.
    fn count<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let before: Vec<_> = self.0.iter().map(|(_, id, _)| cpu(*id)).collect();
        let result = act();
        for ((_, id, time), before) in self.0.iter_mut().zip(before) {
            *time += cpu(*id).saturating_sub(before);
        }
        result
    }

    /// Microseconds for each of so many calls.
    fn of(&self, calls: f64) -> String {
        let all: Duration = self.0.iter().map(|(.., time)| *time).sum();
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / calls;
        let parts: Vec<_> =
            self.0.iter().map(|(name, _, time)| format!("{name} {:.1}", micros(*time))).collect();
        format!("{:.1} µs ({})", micros(all), parts.join(", "))
    }
}

async fn bare(client: async_nats::Client, payload: &str, window: usize) -> Figures {
    let until = Instant::now() + TIME;
    let tasks: Vec<_> = (0..window)
        .map(|_| {
            let (client, payload) = (client.clone(), payload.to_owned());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while Instant::now() < until {
                    let began = Instant::now();
                    client.request("bare", payload.clone().into()).await.unwrap();
                    latencies.push(began.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    (all.len() as f64 / TIME.as_secs_f64(), all[all.len() / 2].as_secs_f64() * 1e6)
}

/// The platform's side of the fleet, which costs as little as possible.
struct Platform {
    connection: Connection,
    arguments: String,
    answers: Answers,
}

impl Platform {
    fn calls(&self, count: usize) -> Calls {
        Calls::new("echo", &self.arguments, count, self.answers.calls())
    }

    /// Makes `count` calls, `window` of them in flight.
    fn round(&mut self, window: usize, count: usize) -> Figures {
        let calls = self.calls(count);
        let answers = &mut self.answers;
        (0..count).for_each(|_| answers.expect(BYTES));
        let started = Instant::now();
        let mut sent = window.min(count);
        self.connection.send(calls.frames(0, sent)).unwrap();
        while answers.unanswered() > 0 {
            answers.read(&mut self.connection).expect("an answer in time");
            let more = (count - answers.unanswered() + window).min(count);
            self.connection.send(calls.frames(sent, more)).unwrap();
            sent = more;
        }
        assert!(answers.errors().is_empty(), "{:?}", &answers.errors()[0]);
        let elapsed = started.elapsed().as_secs_f64();
        // With one call in flight, the mean is what one takes.
        (count as f64 / elapsed, elapsed / count as f64 * window as f64 * 1e6)
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

pub(crate) async fn run() {
    let program = Nats::program().expect("no nats-server: run tests/interop/install nats");
    let nats = Nats::start(&program, &[]).unwrap();
    let url = nats.url();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let platform = format!("ws://{}?entity=speed", listener.local_addr().unwrap());
    let accepted = tokio::task::spawn_blocking(move || Connection::accept(&listener).unwrap());
    // The gateway hands every call to the other member.
    let mut members = Vec::new();
    for _ in 0..2 {
        // The responder logs no line of a request either.
        let more = [("PLATOOLS_FLEET_GATEWAY_SERVES", "false"), ("RUST_LOG", "warn")];
        let member = Process::start_at(&platform, SECRET, &url, "1", &Runs::default(), &more);
        member.attached().await;
        members.push(member);
    }
    let connection = accepted.await.unwrap();
    let mut operator = operator_at(&platform, SECRET, &url).await;
    while operator.status().await.is_ok_and(|status| status.members.len() < 2) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let responder = Process::responder(&url);
    responder.attached().await;
    let client = async_nats::connect(url.as_str()).await.unwrap();

    let arguments = json!({"text": "x".repeat(BYTES)}).to_string();
    let mut platform = Platform { connection, arguments, answers: Answers::default() };
    let payload = "x".repeat(platform.calls(1).bytes_each());
    println!("{} bytes, medians of {ROUNDS} rounds of {} s", payload.len(), TIME.as_secs());
    println!(
        "{:>9} {:>14} {:>14} {:>7} {:>12} {:>12} {:>7}",
        "in flight", "bare calls/s", "fleet calls/s", "share", "bare", "fleet", "ratio"
    );
    let own = ("driver", std::process::id());
    let server = ("NATS", nats.id().unwrap());
    let of_members = [("gateway", members[0].id()), ("member", members[1].id())];
    for window in [1, 64, 256] {
        let mut figures: [Vec<f64>; 4] = Default::default();
        let mut of_bare = Processors::new([own, server, ("responder", responder.id())]);
        let mut of_fleet = Processors::new([own, server].into_iter().chain(of_members));
        let (mut bare_calls, mut fleet_calls) = (0.0, 0.0);
        let mut rate = tokio::task::block_in_place(|| platform.round(window, window.max(200))).0;
        for _ in 0..ROUNDS {
            let (bare_rate, bare_latency) = tokio::task::block_in_place(|| {
                of_bare.count(|| Handle::current().block_on(bare(client.clone(), &payload, window)))
            });
            bare_calls += bare_rate * TIME.as_secs_f64();
            #[expect(clippy::cast_sign_loss, reason = "a rate is not negative")]
            let count = ((rate * TIME.as_secs_f64()) as usize).clamp(window, MOST);
            let (fleet_rate, latency) =
                tokio::task::block_in_place(|| of_fleet.count(|| platform.round(window, count)));
            fleet_calls += count as f64;
            rate = fleet_rate;
            for (figures, figure) in figures.iter_mut().zip([bare_rate, fleet_rate, bare_latency, latency]) {
                figures.push(figure);
            }
        }
        let [bare_rate, fleet_rate, bare_latency, latency] = figures.map(median);
        println!(
            "{window:>9} {bare_rate:>14.0} {fleet_rate:>14.0} {:>7.2} {bare_latency:>9.0} µs {latency:>9.0} µs {:>7.2}",
            fleet_rate / bare_rate,
            latency / bare_latency
        );
        println!("{:>9} CPU a call: bare {}, fleet {}", "", of_bare.of(bare_calls), of_fleet.of(fleet_calls));
    }
}
