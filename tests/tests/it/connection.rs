//! The connection: how it ends, what follows, and what is not lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use platools::host::{HostError, HostEvent, HostState};
use platools::run::Limits;
use platools::verify::Secret;
use platools::{Platools, SecretSource};
use platools_dev::{DevPlatform, DevPlatformOptions};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::support::{Folder, GUARD, Running, all_tools, answer, builder, connected, error, until};

#[tokio::test]
async fn a_dropped_connection_is_dialled_again() {
    let (platform, host) = connected().await;
    platform.faults().drop_connection().unwrap();
    platform.wait_for_registrations(2).await.unwrap();
    host.reaches(HostState::Active).await;
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
}

#[tokio::test]
async fn a_platform_that_restarts_gets_its_host_back() {
    let (platform, _host) = connected().await;
    platform.restart().await.unwrap();
    platform.wait_for_registrations(2).await.unwrap();
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
}

#[tokio::test]
async fn an_answer_that_finishes_while_the_socket_is_down_is_sent_after_the_next_welcome() {
    let (platform, host) = connected().await;
    let call = platform.call("sleep", json!({"ms": 500}));
    let cut = async {
        while host.handle.in_flight() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        platform.crash().await;
        // The call finishes while nobody listens.
        tokio::time::sleep(Duration::from_millis(800)).await;
        platform.resume().await.unwrap();
    };
    let (report, ()) = tokio::join!(call, cut);
    assert_eq!(report.unwrap().into_result().unwrap(), json!(500));
}

#[tokio::test]
async fn a_frozen_platform_is_noticed() {
    let platform = DevPlatform::start().await.unwrap();
    let host = builder(&platform).heartbeat_interval(Duration::from_millis(200)).build().unwrap();
    let host = Running::start(host);
    platform.wait_for_tool("add").await.unwrap();
    platform.faults().freeze().unwrap();
    platform.wait_for_registrations(2).await.unwrap();
    host.reaches(HostState::Active).await;
}

#[tokio::test]
async fn heartbeats_carry_the_health_that_changed() {
    let platform = DevPlatform::start().await.unwrap();
    let host = builder(&platform).heartbeat_interval(Duration::from_millis(100)).build().unwrap();
    let _host = Running::start(host);
    platform.wait_for_tool("add").await.unwrap();
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    platform.call("fail", json!({"inside": false})).await.unwrap();
    platform.call("fail", json!({"inside": "wrong"})).await.unwrap();
    let seen = platform.heartbeats();
    platform.wait_for_heartbeats(seen + 2).await.unwrap();
    let health = platform.health();
    assert_eq!(health["add"].error_count_1h, 0);
    let failed = (health["fail"].error_count_1h, health["fail"].last_error.as_deref());
    assert_eq!(failed, (1, Some("not today")), "wrong arguments are not the tool's fault");
    assert!(!health.contains_key("sleep"), "never called");
}

#[tokio::test]
async fn a_superseded_host_stands_by_and_does_not_fight() {
    let (platform, first) = connected().await;
    let second = Running::start(builder(&platform).build().unwrap());
    second.reaches(HostState::Active).await;
    first.reaches(HostState::Standby).await;
    assert_eq!(platform.counters().superseded, 1);
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    assert_eq!((first.handle.state(), second.handle.state()), (HostState::Standby, HostState::Active));
    timeout(GUARD, first.handle.shutdown()).await.expect("a host that stands by stops at once");
    first.ended().await.unwrap();
}

#[tokio::test]
async fn a_host_that_stands_by_takes_over_when_it_is_told_to() {
    let (platform, first) = connected().await;
    assert!(!first.handle.take_over(), "it has the connection");
    let second = Running::start(builder(&platform).build().unwrap());
    first.reaches(HostState::Standby).await;
    second.reaches(HostState::Active).await;
    assert!(first.handle.take_over());
    second.reaches(HostState::Standby).await;
    first.reaches(HostState::Active).await;
    assert!(!first.handle.take_over());
    assert_eq!(platform.counters().superseded, 2);
    platform.wait_for_tool("add").await.unwrap();
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    // A request is for the stand-by that it meets, and for no later one.
    assert!(second.handle.take_over());
    first.reaches(HostState::Standby).await;
    second.reaches(HostState::Active).await;
    assert_eq!(platform.counters().superseded, 3);
}

/// Calls `add` until it is told to stop, and returns the number of calls. Every one has to succeed.
fn keeps_calling(platform: &Arc<DevPlatform>, stop: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let (platform, stop) = (Arc::clone(platform), Arc::clone(stop));
    tokio::spawn(async move {
        let mut calls = 0;
        while !stop.load(Ordering::Relaxed) {
            assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
            calls += 1;
        }
        calls
    })
}

#[tokio::test]
async fn a_host_hands_its_connection_over_and_every_call_is_answered() {
    let (platform, first) = connected().await;
    let platform = Arc::new(platform);
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4).map(|_| keeps_calling(&platform, &stop)).collect();
    let running = tokio::spawn({
        let platform = Arc::clone(&platform);
        async move { answer(&platform, "sleep", json!({"ms": 3_000})).await }
    });
    until(|| first.handle.in_flight() > 0).await;

    let other = DevPlatform::start().await.unwrap();
    let elsewhere = builder(&other).build().unwrap();
    assert!(!first.handle.hand_over_to(&elsewhere.handle()), "these are two connections of two platforms");
    let mut hosts = vec![first];
    for interval in [40, 50, 60] {
        let next = builder(&platform).heartbeat_interval(Duration::from_secs(interval)).build().unwrap();
        assert!(hosts.last().unwrap().handle.hand_over_to(&next.handle()));
        hosts.push(Running::start(next));
        hosts.last().unwrap().reaches(HostState::Active).await;
        platform.wait_for_registrations(hosts.len() as u64).await.unwrap();
    }
    let last = hosts.pop().unwrap();
    assert_eq!(running.await.unwrap(), json!(3_000), "the first host ran it, the last one sent its answer");
    for host in hosts {
        host.ended().await.unwrap();
    }
    assert_eq!(last.handle.state(), HostState::Active);
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn an_answer_does_not_wait_for_a_successor_that_does_not_run_yet() {
    let (platform, first) = connected().await;
    let platform = Arc::new(platform);
    let running = tokio::spawn({
        let platform = Arc::clone(&platform);
        async move { answer(&platform, "sleep", json!({"ms": 500})).await }
    });
    until(|| first.handle.in_flight() > 0).await;
    let second = builder(&platform).build().unwrap();
    assert!(first.handle.hand_over_to(&second.handle()));
    let second = Running::start(second);
    platform.wait_for_registrations(2).await.unwrap();
    // It comes to run after the answer.
    let third = builder(&platform).build().unwrap();
    assert!(second.handle.hand_over_to(&third.handle()) && first.handle.hand_over_to(&third.handle()));
    assert_eq!(running.await.unwrap(), json!(500), "the second host has the connection");
    first.ended().await.unwrap();
    let third = Running::start(third);
    platform.wait_for_registrations(3).await.unwrap();
    second.ended().await.unwrap();
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    assert_eq!(third.handle.state(), HostState::Active);
}

#[tokio::test]
async fn a_host_whose_successor_is_refused_stays() {
    let (platform, first) = connected().await;
    let wrong = builder(&platform).secret("0".repeat(64)).build().unwrap();
    assert!(first.handle.hand_over_to(&wrong.handle()));
    Running::start(wrong).ended().await.unwrap_err();
    assert_eq!(first.handle.state(), HostState::Active);
    // It dials again as ever.
    platform.faults().drop_connection().unwrap();
    platform.wait_for_registrations(2).await.unwrap();
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
}

#[tokio::test]
async fn a_host_whose_successor_does_not_run_yet_or_never_will_dials_again() {
    let (platform, first) = connected().await;
    for is_dropped in [true, false] {
        let next = builder(&platform).build().unwrap();
        assert!(first.handle.hand_over_to(&next.handle()));
        let kept = (!is_dropped).then_some(next);
        let registrations = platform.counters().registrations;
        platform.faults().drop_connection().unwrap();
        platform.wait_for_registrations(registrations + 1).await.unwrap();
        assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
        if let Some(next) = kept {
            let next = Running::start(next);
            next.reaches(HostState::Active).await;
            first.ended().await.unwrap();
            return;
        }
    }
}

#[tokio::test]
async fn limits_change_while_calls_run() {
    let (platform, host) = connected().await;
    let platform = Arc::new(platform);
    let sleeping = |ms: u64| {
        let platform = Arc::clone(&platform);
        tokio::spawn(async move { platform.call("sleep", json!({"ms": ms})).await.unwrap() })
    };
    let long: Vec<_> = (0..3).map(|_| sleeping(500)).collect();
    until(|| host.handle.in_flight() == 3).await;
    let mut limits = Limits::default();
    let mut nothing_fits = Limits::default();
    nothing_fits.max_unsent_bytes = 0;
    let problem = host.handle.set_limits(&nothing_fits).unwrap_err().to_string();
    assert!(problem.contains("limits.max_unsent_bytes") && problem.contains("at least 64 KiB"), "{problem}");
    (limits.max_running, limits.max_waiting) = (1, 1);
    host.handle.set_limits(&limits).unwrap();
    // Three run already: one more waits, and the next has no place.
    let waiting = sleeping(0);
    until(|| host.handle.in_flight() == 4).await;
    let refused = error(&platform, "add", json!({"a": 1, "b": 2})).await;
    assert!(refused.contains("overloaded") && refused.contains("retry later"), "{refused}");
    for call in long {
        call.await.unwrap().into_result().unwrap();
    }
    waiting.await.unwrap().into_result().unwrap();
    let one = sleeping(300);
    until(|| host.handle.in_flight() == 1).await;
    host.handle.set_limits(&Limits::default()).unwrap();
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    assert_eq!(host.handle.in_flight(), 1, "two run at the same time again");
    one.await.unwrap().into_result().unwrap();
}

/// Connects a host with this source, puts a fresh secret where the source finds it, and rotates.
async fn survives_rotation(platform: &DevPlatform, source: SecretSource, store: impl FnOnce(&str)) {
    let host = Platools::builder().url(platform.url()).secret_source(source).tools(all_tools());
    let _host = Running::start(host.build().unwrap());
    platform.wait_for_tool("add").await.unwrap();
    let fresh = "f".repeat(64);
    store(&fresh);
    platform.faults().rotate_secret_to(Secret::new(fresh).unwrap());
    platform.wait_for_registrations(2).await.unwrap();
    let sum = answer(platform, "add", json!({"a": 1, "b": 2})).await;
    assert_eq!(sum, json!(3), "signed with the new secret");
}

#[tokio::test]
async fn a_rotated_secret_is_read_again() {
    let platform = DevPlatform::start().await.unwrap();
    let folder = Folder::new("rotation");
    let path = folder.file("secret", &format!("{}\n", platform.secret().expose()));
    let store = |fresh: &str| drop(folder.file("secret", fresh));
    survives_rotation(&platform, SecretSource::file(&path), store).await;
}

#[tokio::test]
async fn a_rotated_secret_is_got_from_a_callback_that_takes_its_time() {
    let platform = DevPlatform::start().await.unwrap();
    let vault = Arc::new(Mutex::new(platform.secret().expose().to_owned()));
    let source = SecretSource::callback({
        let vault = Arc::clone(&vault);
        move || {
            std::thread::sleep(Duration::from_millis(100));
            Ok(vault.lock().unwrap().clone())
        }
    });
    survives_rotation(&platform, source, |fresh| fresh.clone_into(&mut vault.lock().unwrap())).await;
}

#[tokio::test]
async fn what_only_a_person_can_mend_ends_the_host() {
    let platform = DevPlatform::start().await.unwrap();
    let fails = |builder: Platools| async {
        let host = Running::start(builder.build().unwrap());
        host.ended().await.unwrap_err()
    };
    let wrong = fails(builder(&platform).secret("0".repeat(64))).await;
    assert!(matches!(wrong, HostError::InvalidSecret { .. }), "{wrong}");
    let nameless = fails(builder(&platform).url(platform.base_url())).await;
    assert!(matches!(nameless, HostError::MissingEntity), "{nameless}");
    assert!(nameless.to_string().contains("PLATOS_ENTITY"), "{nameless}");
    let nowhere = builder(&platform).url(platform.base_url()).entity(platform.entity()).environment("mars");
    let nowhere = fails(nowhere).await;
    assert!(
        matches!(&nowhere, HostError::UnknownEnvironment { environment } if environment == "mars"),
        "{nowhere}"
    );
}

#[tokio::test]
async fn a_throttled_registration_is_repeated_on_the_same_connection() {
    let platform = DevPlatform::start().await.unwrap();
    platform.faults().throttle_registrations(1, Duration::from_millis(100));
    let _host = Running::start(builder(&platform).build().unwrap());
    platform.wait_for_tool("add").await.unwrap();
    let counters = platform.counters();
    assert_eq!((counters.throttled, counters.registrations, counters.connected), (1, 1, 1), "{counters:?}");
}

#[tokio::test]
async fn a_shutdown_finishes_what_runs_and_refuses_what_comes() {
    let (platform, host) = connected().await;
    let running = platform.call("sleep", json!({"ms": 3_000}));
    let stopping = async {
        while host.handle.in_flight() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let stopped = tokio::spawn({
            let handle = host.handle.clone();
            async move { handle.shutdown().await }
        });
        host.reaches(HostState::Draining).await;
        let refused = platform.call("add", json!({"a": 1, "b": 2})).await.unwrap();
        assert!(refused.error().unwrap().starts_with("shutting down, retry: "), "{refused:?}");
        stopped.await.unwrap();
    };
    let (report, ()) = tokio::join!(running, stopping);
    assert_eq!(report.unwrap().into_result().unwrap(), json!(3_000));
    host.ended().await.unwrap();
    platform.wait_disconnected().await.unwrap();
}

#[tokio::test]
async fn calls_that_outlast_the_grace_period_are_told_to_stop() {
    let platform = DevPlatformOptions::new().pending_time(Duration::from_secs(3)).start().await.unwrap();
    let host = builder(&platform).shutdown_grace(Duration::from_millis(200)).build().unwrap();
    let host = Running::start(host);
    platform.wait_for_tool("sleep").await.unwrap();
    let running = platform.call("sleep", json!({"ms": 20_000}));
    let stopping = async {
        while host.handle.in_flight() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        timeout(Duration::from_secs(15), host.handle.shutdown()).await.expect("the grace period ends it");
    };
    let (report, ()) = tokio::join!(running, stopping);
    assert!(report.unwrap().into_result().is_err());
    host.ended().await.unwrap();
}

#[tokio::test]
async fn two_hosts_in_one_process_share_nothing() {
    let options = DevPlatformOptions::new().entity_with_random_secret("one").entity_with_random_secret("two");
    let platform = options.start().await.unwrap();
    let (one, two) = (platform.entity_in("one", "dev").unwrap(), platform.entity_in("two", "dev").unwrap());
    let _one = Running::start(builder(&one).build().unwrap());
    let second = Running::start(builder(&two).build().unwrap());
    one.wait_for_tool("add").await.unwrap();
    two.wait_for_tool("add").await.unwrap();
    second.handle.shutdown().await;
    assert_eq!(answer(&one, "add", json!({"a": 1, "b": 2})).await, json!(3));
    assert!(!two.is_connected());
}

#[tokio::test]
async fn a_firewall_in_between_does_not_end_the_host() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/tools/sync?entity=orders", listener.local_addr().unwrap());
    let firewall = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let host = Platools::builder()
        .url(url)
        .secret("0123456789abcdef0123456789abcdef")
        .tools(all_tools())
        .build()
        .unwrap();
    let mut events = host.handle().events();
    let host = Running::start(host);
    firewall.await.unwrap();
    let reason = loop {
        if let HostEvent::Disconnected { reason } = events.next().await.unwrap() {
            break reason;
        }
    };
    assert!(reason.contains("HTTP 403") && reason.contains("firewall"), "{reason}");
    host.reaches(HostState::BackingOff).await;
    assert!(!host.task.is_finished());
}
