//! Connections that say nothing, or too little, or too slowly.

use std::time::Duration;

use futures_util::future::join_all;
use platools::host::{HostEvent, HostState};
use platools::{HostConfig, Platools};
use platools_dev::DevPlatformOptions;
use serde_json::json;
use tests::proxy::{Flow, Proxy, Way};
use tokio::time::sleep;

use super::{patient, proxied_with, through, told, works};
use crate::support::{Running, all_tools, builder};

fn disconnected(because: &'static str) -> impl Fn(&HostEvent) -> bool {
    move |event| matches!(event, HostEvent::Disconnected { reason } if reason.contains(because))
}

#[tokio::test]
async fn a_link_on_which_nothing_arrives_is_dropped() {
    for (to_platform, to_host) in [(Flow::Stalled, Flow::Stalled), (Flow::Open, Flow::Swallowed)] {
        let interval = Duration::from_millis(300);
        let options = DevPlatformOptions::new();
        let (platform, proxy, host) = proxied_with(options, |host| host.heartbeat_interval(interval)).await;
        let mut events = host.handle.events();
        proxy.set(Way::ToPlatform, to_platform);
        proxy.set(Way::ToHost, to_host);
        told(&mut events, disconnected("nothing arrived")).await;
        proxy.set_both(Flow::Open);
        platform.wait_for_counters(|counters| counters.connected >= 2).await.unwrap();
        works(&platform).await;
    }
}

#[tokio::test]
async fn answers_that_a_link_did_not_take_go_over_the_next_one() {
    let options = DevPlatformOptions::new();
    let (platform, proxy, host) =
        proxied_with(options, |host| host.heartbeat_interval(Duration::from_millis(300))).await;
    let mut events = host.handle.events();
    proxy.set(Way::ToPlatform, Flow::Stalled);
    let calls = join_all((0..40).map(|index| {
        let platform = &platform;
        async move {
            sleep(Duration::from_millis(100) * index).await;
            let report = platform.call("add", json!({"a": index, "b": 0})).await.unwrap();
            // While the host is gone nothing is sent, since there is no callback.
            (!report.transport.is_http()).then_some((index, report))
        }
    }));
    let mended = async {
        told(&mut events, disconnected("")).await;
        proxy.set(Way::ToPlatform, Flow::Open);
        platform.wait_for_counters(|counters| counters.connected >= 2).await.unwrap();
    };
    let (reports, ()) = tokio::join!(calls, mended);
    for (index, report) in reports.into_iter().flatten() {
        assert_eq!(report.into_result().unwrap(), json!(index));
    }
}

#[tokio::test]
async fn acknowledgements_that_never_come_do_not_matter_while_anything_arrives() {
    let platform = patient().await;
    let host = builder(&platform).heartbeat_interval(Duration::from_secs(1)).build().unwrap();
    let host = Running::start(host);
    platform.wait_for_tool("add").await.unwrap();
    platform.faults().ignore_heartbeats(true);
    while platform.heartbeats() < 5 {
        works(&platform).await;
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(platform.counters().connected, 1);
    // And now nothing arrives at all.
    let mut events = host.handle.events();
    told(&mut events, disconnected("nothing arrived")).await;
    platform.wait_for_counters(|counters| counters.connected == 2).await.unwrap();
    works(&platform).await;
}

#[tokio::test]
async fn a_platform_that_is_slow_for_a_while_keeps_its_host() {
    let options = DevPlatformOptions::new();
    let (platform, proxy, _host) =
        proxied_with(options, |host| host.heartbeat_interval(Duration::from_secs(1))).await;
    for way in [Way::ToHost, Way::ToPlatform] {
        proxy.set(way, Flow::Slow { bytes_per_second: 4_000 });
        let calls = (0..20).map(|a| platform.call("add", json!({"a": a, "b": 0})));
        for (a, report) in join_all(calls).await.into_iter().enumerate() {
            assert_eq!(report.unwrap().into_result().unwrap(), json!(a));
        }
        proxy.set(way, Flow::Open);
    }
    works(&platform).await;
    assert_eq!(platform.counters().connected, 1);
}

#[tokio::test]
async fn bytes_may_come_one_at_a_time() {
    let platform = patient().await;
    let proxy = Proxy::start(platform.address()).await.unwrap();
    // All but the handshake: the WebSocket library takes one in so many pieces for an attack.
    proxy.set(Way::ToHost, Flow::Stalled);
    let _host = Running::start(through(&platform, &proxy).build().unwrap());
    platform.wait_connected().await.unwrap();
    proxy.set(Way::ToPlatform, Flow::SingleBytes);
    proxy.set(Way::ToHost, Flow::Open);
    platform.wait_for_tool("add").await.unwrap();
    proxy.set(Way::ToHost, Flow::SingleBytes);
    let calls = (0..20).map(|a| platform.call("add", json!({"a": a, "b": 0})));
    for (a, report) in join_all(calls).await.into_iter().enumerate() {
        assert_eq!(report.unwrap().into_result().unwrap(), json!(a));
    }
    let report = platform.call("huge", json!({"bytes": 20_000})).await.unwrap();
    assert_eq!(report.into_result().unwrap().as_str().unwrap().len(), 20_000);
    assert_eq!(platform.counters().connected, 1);
}

#[tokio::test]
async fn neither_a_handshake_nor_a_welcome_is_waited_for_for_ever() {
    let options = DevPlatformOptions::new().authentication_delay(Duration::from_secs(600));
    let platform = options.start().await.unwrap();
    let proxy = Proxy::start(platform.address()).await.unwrap();
    for (flow, state, because) in [
        (Flow::Stalled, HostState::Connecting, "no connection within"),
        (Flow::Open, HostState::Authenticating, "no welcome came in time"),
    ] {
        proxy.set_both(flow);
        let mut config = HostConfig::default();
        config.connect_timeout = Duration::from_millis(500);
        let host = Platools::new(config).url(proxy.url(&platform.url())).secret(platform.secret().expose());
        let host = host.tools(all_tools()).build().unwrap();
        let mut events = host.handle().events();
        let host = Running::start(host);
        host.reaches(state).await;
        told(&mut events, disconnected(because)).await;
        host.handle.shutdown().await;
        host.ended().await.unwrap();
    }
    assert_eq!(platform.counters().connected, 0);
}
