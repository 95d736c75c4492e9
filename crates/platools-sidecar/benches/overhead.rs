//! What the sidecar adds to a call of an HTTP backend, beside a bare proxy of the same call.
//!
//! ```sh
//! cargo bench -p platools-sidecar --bench overhead -- [--rounds N] [--calls N] [--windows 1,16]
//! ```
//!
//! All ask the same server for the same order, over connections that are kept, with a client of the same options, and
//! end with the same JSON, which is checked first:
//!
//! * *floor*: the request alone; nothing is made of the answer;
//! * *proxy*: the least that a program in between does: arguments in, a request, an answer that is JSON out;
//! * *sidecar*: a call of the same tool: admission, the schema's validation, the template, the request, the answer;
//! * *signed*: the same with the caller's identity forwarded and signed.
//!
//! The server has a thread of its own, and those who ask share another. Rounds alternate, each begins with another
//! of the four, and medians are printed. What the platform's connection costs is `cargo run --release -p tests --bin
//! speed`'s to say.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use futures_util::{StreamExt as _, stream};
use platools::{Arguments, CallContext, LocalHost};
use reqwest::redirect;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

const USAGE: &str =
    "usage: cargo bench -p platools-sidecar --bench overhead -- [--rounds N] [--calls N] [--windows N,N]";

/// What a call is made with.
const ARGUMENTS: &str = r#"{"id":"ord-1042"}"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Floor,
    Proxy,
    Sidecar,
    Signed,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Floor, Self::Proxy, Self::Sidecar, Self::Signed];

    fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Proxy => "proxy",
            Self::Sidecar => "sidecar",
            Self::Signed => "signed",
        }
    }
}

struct Options {
    rounds: usize,
    calls: usize,
    windows: Vec<usize>,
}

impl Options {
    fn read(arguments: &[String]) -> Self {
        // Few, where the compiler has not done its best.
        let (rounds, calls) = if cfg!(debug_assertions) { (1, 10) } else { (60, 500) };
        let mut options = Self { rounds, calls, windows: vec![1, 16] };
        for pair in arguments.chunks(2) {
            match pair {
                [name, value] if name == "--rounds" => options.rounds = value.parse().expect(USAGE),
                [name, value] if name == "--calls" => options.calls = value.parse().expect(USAGE),
                [name, value] if name == "--windows" => {
                    options.windows = value.split(',').map(|window| window.parse().expect(USAGE)).collect();
                }
                _ => panic!("{USAGE}"),
            }
        }
        options
    }
}

/// A server with a small JSON answer, on a thread of its own.
fn backend() -> SocketAddr {
    let (sender, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let order = |Path(id): Path<String>| async move {
                axum::Json(json!({"id": id, "pieces": 3, "lines": [{"sku": "a", "price": "1.10"}]}))
            };
            let router = Router::new().route("/orders/{id}", get(order));
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            sender.send(listener.local_addr().expect("an address")).expect("somebody who asks");
            axum::serve(listener, router).await.expect("a server");
        });
    });
    address.recv().expect("an address")
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Everybody who asks.
struct Askers {
    url: String,
    client: reqwest::Client,
    host: LocalHost,
}

impl Askers {
    async fn new(address: SocketAddr) -> Self {
        let tool = |name: &str| {
            format!(
                "[[tool.http]]\nname = \"{name}\"\nbackend = \"{name}\"\nurl = \"/orders/{{id}}\"\n\
                 arguments.id = {{ type = \"string\", minLength = 1, maxLength = 40 }}\n"
            )
        };
        let text = format!(
            "[backend.sidecar]\nurl = \"http://{address}\"\n[backend.signed]\nurl = \"http://{address}\"\n\
             forward = [\"user_id\", \"call_id\"]\nsign = \"a-key-of-the-sidecar-alone\"\n{}{}",
            tool("sidecar"),
            tool("signed")
        );
        let file = std::env::temp_dir().join(format!("platools-sidecar-bench-{}.toml", std::process::id()));
        std::fs::write(&file, text).expect("a file");
        let local = platools_sidecar::local(&file).await.expect("the file is right");
        let _ = std::fs::remove_file(&file);
        // As the sidecar's own: nothing of the environment, nothing by itself.
        let client = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none());
        let client = client.retry(reqwest::retry::never()).build().expect("a client");
        Self { url: format!("http://{address}/orders/"), client, host: local.host().clone() }
    }

    /// One call, and its answer as text; of the floor, as it came.
    async fn ask(&self, kind: Kind) -> String {
        #[derive(Deserialize)]
        struct Order {
            id: String,
        }
        match kind {
            Kind::Floor => {
                let answer =
                    self.client.get(format!("{}ord-1042", self.url)).send().await.expect("an answer");
                answer.text().await.expect("a body")
            }
            Kind::Proxy => {
                let order: Order = serde_json::from_str(ARGUMENTS).expect("arguments");
                let answer =
                    self.client.get(format!("{}{}", self.url, order.id)).send().await.expect("an answer");
                let body = answer.bytes().await.expect("a body");
                serde_json::from_slice::<&RawValue>(&body).expect("JSON").get().to_owned()
            }
            Kind::Sidecar | Kind::Signed => {
                let arguments = Arguments::from_json(ARGUMENTS).expect("arguments");
                let context = CallContext::builder().user_id("usr_7").build();
                let answer = self.host.call(kind.name(), arguments, context).await.expect("an answer");
                answer.into_json().clone()
            }
        }
    }

    /// How long a call takes, where so many are made and so many are on their way.
    async fn round(&self, kind: Kind, calls: usize, window: usize) -> Duration {
        let started = Instant::now();
        let asked = stream::iter(0..calls).map(|_| self.ask(kind)).buffer_unordered(window);
        let bytes = asked.fold(0, |bytes, answer| async move { bytes + answer.len() }).await;
        assert!(std::hint::black_box(bytes) > 0);
        started.elapsed() / u32::try_from(calls).expect(USAGE)
    }
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let options = Options::read(&arguments);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address = backend();
    runtime().block_on(async {
        let askers = Askers::new(address).await;
        let expected = askers.ask(Kind::Floor).await;
        for kind in Kind::ALL {
            assert_eq!(askers.ask(kind).await, expected, "{} ends with something else", kind.name());
        }
        if cfg!(debug_assertions) {
            println!("this is a debug build: the figures say nothing");
        }
        println!(
            "microseconds a call; medians of {} rounds of {} calls, and what is above the floor",
            options.rounds, options.calls
        );
        print!("{:>10}", "in flight");
        for kind in Kind::ALL {
            print!("{:>18}", kind.name());
        }
        println!("{:>16}{:>16}", "sidecar/proxy", "signed/proxy");
        for &window in &options.windows {
            measure(&askers, &options, window).await;
        }
    });
}

async fn measure(askers: &Askers, options: &Options, window: usize) {
    let mut times = [const { Vec::new() }; Kind::ALL.len()];
    for kind in Kind::ALL {
        askers.round(kind, options.calls, window).await;
    }
    for round in 0..options.rounds {
        for turn in 0..Kind::ALL.len() {
            let index = (round + turn) % Kind::ALL.len();
            times[index].push(askers.round(Kind::ALL[index], options.calls, window).await);
        }
    }
    let medians = times.each_mut().map(|times| median(times));
    print!("{window:>10}");
    for micros in medians {
        print!("{micros:>9.1} {:>+8.1}", micros - medians[0]);
    }
    println!("{:>16.2}{:>16.2}", medians[2] / medians[1], medians[3] / medians[1]);
}
