//! A fleet under load, while its members are replaced and killed: what became of every call; how fast a fleet is beside
//! bare request and reply of NATS; how it grows.
//!
//! ```sh
//! cargo run --release -p tests --bin fleet -- [--seconds S] [--rate N] [--kills N] [--updates N] [speed] [growth]
//! ```
//!
//! It plays the platform, starts a `nats-server` (`tests/interop/install nats`) and the members as processes of their own.
#![allow(clippy::unwrap_used, reason = "a program for developers")]

mod growth;
mod load;
mod member;
mod process;
mod speed;

use std::time::Duration;

const USAGE: &str = "usage: fleet [--seconds S] [--rate N] [--kills N] [--updates N] [speed] [growth]";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "member") {
        return member::run();
    }
    if arguments.first().is_some_and(|first| first == "responder") {
        return speed::respond();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut options = load::Options { time: Duration::from_secs(120), rate: 1_000, kills: 2, updates: 2 };
    let mut only = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut number = || -> u32 { arguments.next().expect(USAGE).parse().expect(USAGE) };
        match argument.as_str() {
            "--seconds" => options.time = Duration::from_secs(number().into()),
            "--rate" => options.rate = number(),
            "--kills" => options.kills = number(),
            "--updates" => options.updates = number(),
            "speed" | "growth" => only.push(argument.as_str()),
            _ => panic!("{USAGE}"),
        }
    }
    runtime.block_on(async {
        if only.is_empty() {
            load::run(&options).await;
        }
        if only.contains(&"speed") {
            speed::run().await;
        }
        if only.contains(&"growth") {
            growth::run().await;
        }
    });
}
