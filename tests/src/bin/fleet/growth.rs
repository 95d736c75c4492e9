//! How calls a second grow with members: a blocking tool of 10 ms with 8 places at each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use platools_dev::DevPlatform;
use serde_json::json;
use tests::nats::Nats;

use super::load::operator;
use super::process::{Process, Runs};

const TIME: Duration = Duration::from_secs(5);

pub(crate) async fn run() {
    let program = Nats::program().expect("no nats-server: run tests/interop/install nats");
    for count in [1_usize, 2, 4] {
        let nats = Nats::start(&program, &[]).unwrap();
        let platform = Arc::new(DevPlatform::start().await.unwrap());
        let runs = Runs::default();
        let members: Vec<_> =
            (0..count).map(|_| Process::start(&platform, &nats.url(), "1", &runs)).collect();
        for member in &members {
            member.attached().await;
        }
        platform.wait_for_tool("block").await.unwrap();
        let mut operator = operator(&platform, &nats.url()).await;
        while operator.status().await.is_ok_and(|status| status.members.len() < count) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let until = Instant::now() + TIME;
        // A few more than there are places, so that none is empty.
        let tasks: Vec<_> = (0..count * 12)
            .map(|_| {
                let platform = Arc::clone(&platform);
                tokio::spawn(async move {
                    let mut calls = 0_u32;
                    while Instant::now() < until {
                        platform.call("block", json!({"ms": 10})).await.unwrap().into_result().unwrap();
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        let mut calls = 0;
        for task in tasks {
            calls += task.await.unwrap();
        }
        let rate = f64::from(calls) / TIME.as_secs_f64();
        let ideal = count as f64 * 800.0;
        println!("{count} members: {rate:.0} calls/s, {:.0} % of {ideal:.0}", 100.0 * rate / ideal);
    }
}
