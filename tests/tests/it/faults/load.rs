//! Faults and limits under load, with every call accounted for.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use platools::Limits;
use platools_dev::{DevPlatformOptions, Outcome};
use serde_json::json;
use tests::fleet::Fleet;

use super::{patient, works};
use crate::support::{GUARD, Running, builder};

const HOSTS: usize = 12;
const RESTARTS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_restarts_under_load_lose_no_call_that_had_time() {
    // A call whose frame was lost on its way is waited for in vain; the shorter, the sooner it is over.
    let options = DevPlatformOptions::new().wait_limit(GUARD).pending_time(Duration::from_secs(12));
    let fleet = Fleet::start(options, HOSTS).await.unwrap();
    let until = Instant::now() + Duration::from_secs(15);
    let restarts = async {
        let mut restarts = 0;
        while restarts < RESTARTS || Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(300)).await;
            // Mostly as in a deploy; after a crash the hosts back off longer and longer.
            if restarts % 10 == 9 {
                fleet.platform.crash().await;
                fleet.platform.resume().await.unwrap();
            } else {
                fleet.platform.restart().await.unwrap();
            }
            restarts += 1;
        }
    };
    let (unsent, ()) = tokio::join!(fleet.load(100, until, 7), restarts);
    let (tally, counters) = (fleet.tally(), fleet.platform.counters());
    assert!(tally.is_sound(), "{tally:?} {counters:?}");
    assert!(
        tally.ok > 100 && counters.connected > 2 * HOSTS as u64,
        "{unsent} unsent, {tally:?} {counters:?}"
    );
    assert_eq!((counters.malformed_frames, counters.unknown_answers), (0, 0), "{counters:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_at_once_than_there_are_places_are_all_answered() {
    let platform = patient().await;
    let mut limits = Limits::default();
    (limits.max_running, limits.max_waiting) = (64, 256);
    let host = Running::start(builder(&platform).limits(limits).build().unwrap());
    platform.wait_for_tool("sleep").await.unwrap();
    let reports = join_all((0..2_000).map(|_| platform.call("sleep", json!({"ms": 200})))).await;
    let mut outcomes = HashMap::<String, usize>::new();
    for report in reports {
        let kind = match report.unwrap().outcome {
            Outcome::Result(result) => result.to_string(),
            Outcome::Error(error) => error.split(':').next().unwrap().to_owned(),
            other => format!("{other:?}"),
        };
        *outcomes.entry(kind).or_default() += 1;
    }
    let (answered, overloaded) = (outcomes["200"], outcomes["overloaded"]);
    assert_eq!(answered + overloaded, 2_000, "{outcomes:?}");
    assert!(answered >= 64 + 256, "{outcomes:?}");
    assert_eq!(host.handle.in_flight(), 0);
    works(&platform).await;
}
