//! Every row of the table of refusals and closes (protocol §2), on a live connection.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use platools::host::{HostError, HostEvent, HostState, WhenSuperseded};
use platools::verify::Secret;
use platools::{Platools, SecretSource};
use platools_dev::DevPlatform;
use tests::proxy::Cut;
use tokio::time::{sleep, timeout};

use super::{patient, proxied, told, works};
use crate::support::{Folder, Running, builder, conformance_host, finished, terminate};

/// How long a host is watched that should do nothing.
const WATCHED: Duration = Duration::from_secs(2);

async fn connected_to(platform: &DevPlatform, change: impl FnOnce(Platools) -> Platools) -> Running {
    let host = Running::start(change(builder(platform)).build().unwrap());
    platform.wait_for_tool("add").await.unwrap();
    host.reaches(HostState::Active).await;
    host
}

#[tokio::test]
async fn configuration_errors_are_fatal_and_say_what_to_change() {
    let rows = [
        ("Missing Authorization: Bearer <secret>", "missing secret", "no secret was sent"),
        ("Missing entity id", "missing entity id", "the secret was not even checked"),
        ("Environment not found", "unresolvable env", "PLATOS_ENV"),
    ];
    for (message, reason, text) in rows {
        let platform = patient().await;
        let host = connected_to(&platform, |host| host).await;
        platform.faults().send_text(format!(r#"{{"type":"error","error":"{message}"}}"#)).unwrap();
        platform.faults().close(1008, reason).unwrap();
        host.reaches(HostState::Fatal).await;
        let error = host.ended().await.unwrap_err();
        assert!(error.to_string().contains(text), "{reason}: {error}");
        assert_eq!(platform.counters().connected, 1);
    }
}

#[tokio::test]
async fn a_secret_that_is_refused_later_is_tried_again_slowly() {
    let platform = patient().await;
    let host = connected_to(&platform, |host| host).await;
    let mut events = host.handle.events();
    platform.faults().rotate_secret().unwrap();
    // The host has only the old secret: it backs off, is refused, and then waits for long.
    let refused = |event: &HostEvent| matches!(event, HostEvent::Disconnected { reason } if reason.contains("refused the secret"));
    told(&mut events, refused).await;
    host.reaches(HostState::BackingOff).await;
    let quiet = timeout(WATCHED, told(&mut events, |_| true));
    assert_eq!(quiet.await.ok(), Some(HostEvent::State(HostState::BackingOff)), "and nothing else follows");
    sleep(WATCHED).await;
    assert_eq!((host.handle.state(), platform.counters().refused), (HostState::BackingOff, 1));
    host.handle.shutdown().await;
    host.ended().await.unwrap();
}

#[tokio::test]
async fn a_refused_secret_is_looked_up_again() {
    let platform = patient().await;
    let folder = Folder::new("refused");
    let path = folder.file("secret", platform.secret().expose());
    let host = connected_to(&platform, |host| host.secret_source(SecretSource::file(&path))).await;
    // The rotation happens while nobody listens, so that no 4001 tells of it; the file is late by one dial.
    platform.crash().await;
    let fresh = "e".repeat(64);
    platform.faults().rotate_secret_to(Secret::new(fresh.clone()).unwrap());
    folder.file("secret", &fresh);
    platform.resume().await.unwrap();
    platform.wait_for_counters(|counters| counters.connected == 2).await.unwrap();
    host.reaches(HostState::Active).await;
    works(&platform).await;
}

#[tokio::test]
async fn a_rotated_secret_is_used_at_once() {
    let platform = patient().await;
    let folder = Folder::new("at-once");
    let path = folder.file("secret", platform.secret().expose());
    let _host = connected_to(&platform, |host| host.secret_source(SecretSource::file(&path))).await;
    // Nine connections in a row, which with any backoff would take a minute.
    let started = Instant::now();
    for round in 1..10_u64 {
        let fresh = round.to_string().repeat(64);
        folder.file("secret", &fresh);
        platform.faults().rotate_secret_to(Secret::new(fresh).unwrap());
        platform.wait_for_counters(|counters| counters.connected == round + 1).await.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    works(&platform).await;
    assert_eq!(platform.counters().refused, 0);
}

#[tokio::test]
async fn a_superseded_host_waits_behind_the_other() {
    let platform = patient().await;
    let host = connected_to(&platform, |host| host).await;
    platform.faults().supersede().unwrap();
    host.reaches(HostState::Standby).await;
    sleep(WATCHED).await;
    assert_eq!((host.handle.state(), platform.counters().connected), (HostState::Standby, 1));
}

#[tokio::test]
async fn a_superseded_host_exits_or_takes_over_if_it_is_told_to() {
    let platform = patient().await;
    let host = connected_to(&platform, |host| host.when_superseded(WhenSuperseded::Exit)).await;
    platform.faults().supersede().unwrap();
    host.reaches(HostState::Fatal).await;
    let error = host.ended().await.unwrap_err();
    assert!(matches!(&error, HostError::Superseded { entity } if entity == "local"), "{error}");

    let host = connected_to(&platform, |host| host.when_superseded(WhenSuperseded::TakeOver)).await;
    platform.wait_for_counters(|counters| counters.connected == 2).await.unwrap();
    platform.faults().supersede().unwrap();
    platform.wait_for_counters(|counters| counters.connected == 3).await.unwrap();
    host.reaches(HostState::Active).await;
    works(&platform).await;
}

#[tokio::test]
async fn a_deploy_is_waited_for_a_moment() {
    let platform = patient().await;
    let _host = connected_to(&platform, |host| host).await;
    let started = Instant::now();
    platform.restart().await.unwrap();
    platform.wait_for_counters(|counters| counters.connected == 2).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(500), "{:?}", started.elapsed());
    works(&platform).await;
}

#[tokio::test]
async fn every_other_end_is_only_the_network() {
    let rows =
        [(1000, ""), (1000, "bye"), (1002, "protocol"), (1008, "something new"), (1011, "oops"), (4999, "")];
    let closed = rows.map(async |(code, reason)| {
        let platform = patient().await;
        let host = connected_to(&platform, |host| host).await;
        platform.faults().close(code, reason).unwrap();
        platform.wait_for_counters(|counters| counters.connected == 2).await.unwrap();
        host.reaches(HostState::Active).await;
        works(&platform).await;
    });
    let cut = [Cut::Reset, Cut::Finish].map(async |how| {
        let (platform, proxy, host) = proxied().await;
        proxy.cut(how);
        platform.wait_for_counters(|counters| counters.connected == 2).await.unwrap();
        host.reaches(HostState::Active).await;
        works(&platform).await;
    });
    tokio::join!(join_all(closed), join_all(cut));
}

#[tokio::test]
async fn an_error_frame_after_the_registration_ends_nothing() {
    let platform = patient().await;
    let _host = connected_to(&platform, |host| host).await;
    let error = r#"{"type":"error","error":"tool_register failed: the database is away"}"#;
    platform.faults().send_text(error).unwrap();
    works(&platform).await;
    assert_eq!(platform.counters().connected, 1);
}

#[tokio::test]
async fn two_processes_of_one_entity_settle() {
    let platform = patient().await;
    let (url, secret) = (platform.url(), platform.secret());
    let variables = [("PLATOS_URL", url.as_str()), ("PLATOS_SECRET", secret.expose())];
    let hosts = [conformance_host(&variables), conformance_host(&variables)];
    platform.wait_for_counters(|counters| counters.connected == 2).await.unwrap();
    // The time is what is tested here.
    sleep(Duration::from_secs(10)).await;
    let counters = platform.counters();
    assert!(counters.connected < 2 + 3, "they fight: {counters:?}");
    works(&platform).await;
    for host in &hosts {
        terminate(host);
    }
    for host in hosts {
        let (succeeded, written) = finished(host).await;
        assert!(succeeded, "{written}");
    }
}
