//! Connections that end in the middle of something.

use std::time::Duration;

use platools::host::{HostEvent, HostState};
use platools_dev::{DevPlatformOptions, Outcome};
use serde_json::json;
use tests::proxy::{Cut, Flow, Proxy, Way};

use super::{patient, proxied, proxied_with, through, works};
use crate::support::Running;

#[tokio::test]
async fn half_a_call_is_no_call() {
    for how in [Cut::Reset, Cut::Finish] {
        let (platform, proxy, host) = proxied().await;
        let mut events = host.handle.events();
        proxy.set(Way::ToHost, Flow::HalfThenCut(how));
        let lost = platform.calling("add").arguments(json!({"a": 1, "b": 2}));
        let report = lost.pending_time(Duration::from_secs(2)).send().await.unwrap();
        assert_eq!(report.outcome, Outcome::TimedOut, "it never arrived");
        platform.wait_for_counters(|counters| counters.connected == 2).await.unwrap();
        works(&platform).await;
        host.handle.shutdown().await;
        while let Some(event) = events.next().await {
            let wrong = matches!(event, HostEvent::MalformedFrame | HostEvent::CallRefused { .. });
            assert!(!wrong, "{event:?}");
            if event == HostEvent::State(HostState::Stopped) {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_handshake_may_be_cut_in_its_middle() {
    for way in [Way::ToPlatform, Way::ToHost] {
        let platform = patient().await;
        let proxy = Proxy::start(platform.address()).await.unwrap();
        proxy.set(way, Flow::HalfThenCut(Cut::Reset));
        let host = Running::start(through(&platform, &proxy).build().unwrap());
        platform.wait_for_tool("add").await.unwrap();
        host.reaches(HostState::Active).await;
        assert_eq!(proxy.counts().cut, 1);
        works(&platform).await;
    }
}

#[tokio::test]
async fn a_registration_may_be_cut_in_its_middle() {
    for how in [Cut::Reset, Cut::Finish] {
        let platform = patient().await;
        let proxy = Proxy::start(platform.address()).await.unwrap();
        // The host says nothing after its request until it has the answer to it.
        proxy.set(Way::ToHost, Flow::Stalled);
        let host = Running::start(through(&platform, &proxy).build().unwrap());
        proxy.wait_for(|counts| counts.to_platform.delivered > 0).await.unwrap();
        platform.wait_connected().await.unwrap();
        proxy.set(Way::ToPlatform, Flow::HalfThenCut(how));
        proxy.set(Way::ToHost, Flow::Open);
        platform.wait_for_tool("add").await.unwrap();
        host.reaches(HostState::Active).await;
        let counters = platform.counters();
        assert_eq!(
            (proxy.counts().cut, counters.connected, counters.registrations),
            (1, 2, 1),
            "{counters:?}"
        );
        works(&platform).await;
    }
}

#[tokio::test]
async fn a_connection_that_breaks_right_after_the_registration_is_registered_again() {
    let platform = patient().await;
    let proxy = Proxy::start(platform.address()).await.unwrap();
    proxy.set(Way::ToHost, Flow::Stalled);
    let host = Running::start(through(&platform, &proxy).build().unwrap());
    platform.wait_connected().await.unwrap();
    proxy.set(Way::ToHost, Flow::Open);
    platform.wait_for_registrations(1).await.unwrap();
    platform.crash().await;
    platform.resume().await.unwrap();
    platform.wait_for_registrations(2).await.unwrap();
    host.reaches(HostState::Active).await;
    works(&platform).await;
}

#[tokio::test]
async fn a_platform_that_dies_in_the_middle_of_calls_gets_their_answers_when_it_is_back() {
    let options = DevPlatformOptions::new();
    let (platform, proxy, host) = proxied_with(options, |host| host).await;
    let calls = (0..100).map(|ms| platform.call("sleep", json!({"ms": 300 + ms})));
    let killed = async {
        while host.handle.in_flight() < 100 {
            tokio::task::yield_now().await;
        }
        platform.crash().await;
        while host.handle.in_flight() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        platform.resume().await.unwrap();
    };
    let (reports, ()) = tokio::join!(futures_util::future::join_all(calls), killed);
    for (ms, report) in reports.into_iter().enumerate() {
        assert_eq!(report.unwrap().into_result().unwrap(), json!(300 + ms));
    }
    assert_eq!(platform.counters().results, 100);
    drop(proxy);
}
