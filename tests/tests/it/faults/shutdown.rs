//! Shutting down, in every state, and by signals.

use std::time::{Duration, Instant};

use platools::host::{HostEvent, HostState};
use platools_dev::{DevPlatform, DevPlatformOptions};
use serde_json::json;
use tests::proxy::{Flow, Proxy};
use tokio::time::timeout;

use super::{patient, through, told, works};
use crate::support::{GUARD, Running, builder, conformance_host, finished, terminate};

/// A shutdown with nothing to wait for takes at most the farewell of 2 s.
const SOON: Duration = Duration::from_secs(20);

async fn stops(host: Running) {
    timeout(SOON, host.handle.shutdown()).await.expect("nothing is left to do");
    assert_eq!(host.handle.state(), HostState::Stopped);
    host.ended().await.unwrap();
}

/// Waits until the host has as many calls in flight.
async fn in_flight(host: &Running, calls: usize) {
    while host.handle.in_flight() != calls {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_host_stops_while_it_connects() {
    let platform = patient().await;
    let proxy = Proxy::start(platform.address()).await.unwrap();
    proxy.set_both(Flow::Stalled);
    let host = Running::start(through(&platform, &proxy).build().unwrap());
    proxy.wait_for(|counts| counts.live == 1).await.unwrap();
    assert_eq!(host.handle.state(), HostState::Connecting);
    stops(host).await;
}

#[tokio::test]
async fn a_host_stops_while_it_is_authenticated() {
    let options = DevPlatformOptions::new().authentication_delay(Duration::from_secs(600));
    let platform = options.start().await.unwrap();
    let host = Running::start(builder(&platform).build().unwrap());
    host.reaches(HostState::Authenticating).await;
    stops(host).await;
}

#[tokio::test]
async fn a_host_stops_while_it_backs_off() {
    let platform = patient().await;
    platform.crash().await;
    let host = Running::start(builder(&platform).build().unwrap());
    host.reaches(HostState::BackingOff).await;
    stops(host).await;
}

#[tokio::test]
async fn a_host_that_stands_by_stops_at_once() {
    let platform = patient().await;
    let host = Running::start(builder(&platform).build().unwrap());
    platform.wait_for_tool("add").await.unwrap();
    platform.faults().supersede().unwrap();
    host.reaches(HostState::Standby).await;
    stops(host).await;
    assert_eq!(platform.counters().connected, 1);
}

#[tokio::test]
async fn two_shutdowns_at_once_are_one() {
    let platform = patient().await;
    let host = Running::start(builder(&platform).build().unwrap());
    platform.wait_for_tool("add").await.unwrap();
    let call = platform.call("sleep", json!({"ms": 500}));
    let stopped = async {
        in_flight(&host, 1).await;
        tokio::join!(host.handle.shutdown(), host.handle.shutdown());
        // And once more, after the end.
        host.handle.shutdown().await;
    };
    let (report, ()) = tokio::join!(call, stopped);
    assert_eq!(report.unwrap().into_result().unwrap(), json!(500));
    host.ended().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_due_is_delivered_although_the_platform_is_away_when_the_host_stops() {
    let platform = patient().await;
    let host = Running::start(builder(&platform).build().unwrap());
    platform.wait_for_tool("add").await.unwrap();
    let mut events = host.handle.events();
    let call = platform.call("sleep", json!({"ms": 300}));
    let stopping = async {
        in_flight(&host, 1).await;
        platform.crash().await;
        told(&mut events, |event| matches!(event, HostEvent::Disconnected { .. })).await;
        let resumed = async {
            in_flight(&host, 0).await;
            assert_eq!(host.handle.state(), HostState::Draining);
            platform.resume().await.unwrap();
        };
        tokio::join!(host.handle.shutdown(), resumed);
    };
    let (report, ()) = tokio::join!(call, stopping);
    assert_eq!(report.unwrap().into_result().unwrap(), json!(300));
    host.ended().await.unwrap();
}

async fn process() -> (DevPlatform, std::process::Child) {
    let platform = patient().await;
    let (url, secret) = (platform.url(), platform.secret());
    let host = conformance_host(&[("PLATOS_URL", &url), ("PLATOS_SECRET", secret.expose())]);
    platform.wait_for_tool("add").await.unwrap();
    works(&platform).await;
    (platform, host)
}

/// Waits until the process refuses new calls, since it is shutting down.
async fn refuses(platform: &DevPlatform) {
    let refused = async {
        loop {
            let report = platform.call("add", json!({"a": 1, "b": 2})).await.unwrap();
            if let Some(error) = report.error() {
                assert!(error.starts_with("shutting down, retry: "), "{error}");
                return;
            }
        }
    };
    timeout(GUARD, refused).await.expect("in time");
}

#[tokio::test]
async fn a_process_that_is_told_to_end_answers_what_runs() {
    let (platform, host) = process().await;
    let calls = (0..20).map(|index| match index % 2 {
        0 => platform.call("sleep", json!({"ms": 1_500})),
        _ => platform.call("block", json!({"ms": 1_500})),
    });
    let ending = async {
        // The calls before it were sent by now, and calls arrive in order.
        works(&platform).await;
        terminate(&host);
        refuses(&platform).await;
        assert!(platform.pending_calls() == 20, "the long ones are still running");
    };
    let (reports, ()) = tokio::join!(futures_util::future::join_all(calls), ending);
    for report in reports {
        assert_eq!(report.unwrap().into_result().unwrap(), json!(1_500));
    }
    let (succeeded, written) = finished(host).await;
    assert!(succeeded, "{written}");
}

#[tokio::test]
async fn a_process_that_is_told_twice_ends_at_once() {
    for tool in ["sleep", "block"] {
        let (platform, host) = process().await;
        // `sleep` would take 5 s, its time out; `block` blocks a thread for 20 s.
        let mut call = std::pin::pin!(platform.call(tool, json!({"ms": 20_000})));
        let ended = async {
            works(&platform).await;
            terminate(&host);
            refuses(&platform).await;
            let told_again = Instant::now();
            terminate(&host);
            let (succeeded, written) = finished(host).await;
            assert!(!succeeded, "calls were left without an answer: {written}");
            told_again.elapsed()
        };
        let took = tokio::select! {
            biased;
            report = &mut call => panic!("{report:?}"),
            took = ended => took,
        };
        assert!(took < Duration::from_secs(4), "`{tool}` held it up for {took:?}");
    }
}
