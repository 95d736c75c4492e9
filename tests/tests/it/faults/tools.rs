//! Tools that come and go at run time, registrations that are rationed, and events that tell of it.

use std::time::Duration;

use platools::host::{HostEvent, HostState};
use platools::verify::Secret;
use platools::{SecretSource, Tool, ToolOutput, ToolSpec};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{patient, told, works};
use crate::support::{Folder, GUARD, Running, answer, builder, error};

/// The registrations that the platform takes in a minute (protocol §3).
const IN_A_MINUTE: u64 = 6;
/// How long a host is watched that should not register.
const WATCHED: Duration = Duration::from_secs(2);

fn named(name: impl Into<String>) -> Tool {
    let name = name.into();
    let answer = name.clone();
    Tool::new(ToolSpec::new(name), move |_| {
        let answer = answer.clone();
        async move { ToolOutput::json(&answer) }
    })
}

#[tokio::test]
async fn a_burst_of_changes_is_one_declaration() {
    let platform = patient().await;
    let host = Running::start(builder(&platform).tool(named("old")).build().unwrap());
    platform.wait_for_registrations(1).await.unwrap();
    for index in 0..17 {
        host.handle.tools().insert(named(format!("new_{index}"))).unwrap();
    }
    assert!(host.handle.tools().remove("old") && host.handle.tools().enable("whoami", false));
    assert!(host.handle.tools().remove("new_0"));
    platform.wait_for_registrations(2).await.unwrap();
    let declared = |name: &str| platform.tool(name).is_some();
    assert!(declared("new_1") && declared("new_16"));
    assert!(!declared("new_0") && !declared("old") && !declared("whoami"));
    assert_eq!(answer(&platform, "new_16", json!({})).await, json!("new_16"));
    for gone in ["old", "whoami", "new_0"] {
        assert_eq!(error(&platform, gone, json!({})).await, format!("unknown tool: {gone}"));
    }
    assert!(host.handle.tools().enable("whoami", true));
    platform.wait_for_tool("whoami").await.unwrap();
    assert_eq!(platform.calling("whoami").send().await.unwrap().error(), None);
    let counters = platform.counters();
    assert_eq!((counters.registrations, counters.throttled, counters.connected), (3, 0, 1), "{counters:?}");
}

#[tokio::test]
async fn changes_that_never_pause_are_declared_all_the_same() {
    let platform = patient().await;
    let host = Running::start(builder(&platform).build().unwrap());
    platform.wait_for_registrations(1).await.unwrap();
    let changing = async {
        for index in 0.. {
            host.handle.tools().insert(named(format!("new_{index}"))).unwrap();
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = changing => {}
        declared = platform.wait_for_registrations(2) => declared.unwrap(),
        () = sleep(GUARD / 6) => panic!("nothing is declared while changes go on"),
    }
}

#[tokio::test]
async fn changes_never_register_more_often_than_the_platform_allows() {
    let platform = patient().await;
    let host = Running::start(builder(&platform).build().unwrap());
    for count in 1..=IN_A_MINUTE {
        platform.wait_for_registrations(count).await.unwrap();
        host.handle.tools().insert(named(format!("new_{count}"))).unwrap();
    }
    sleep(WATCHED).await;
    let counters = platform.counters();
    assert_eq!((counters.registrations, counters.throttled), (IN_A_MINUTE, 0), "{counters:?}");
    // It is not declared yet, but it is there.
    assert_eq!(answer(&platform, "new_6", json!({})).await, json!("new_6"));
}

#[tokio::test]
async fn a_storm_of_reconnects_never_registers_more_often_than_the_platform_allows() {
    let platform = patient().await;
    let folder = Folder::new("storm");
    let path = folder.file("secret", platform.secret().expose());
    let host = builder(&platform).secret_source(SecretSource::file(&path)).build().unwrap();
    let _host = Running::start(host);
    platform.wait_for_tool("add").await.unwrap();
    // A rotation is the one drop after which a host is back at once.
    for round in 1..=10_u64 {
        let fresh = format!("{round:064}");
        folder.file("secret", &fresh);
        platform.faults().rotate_secret_to(Secret::new(fresh).unwrap());
        platform.wait_for_counters(|counters| counters.connected == round + 1).await.unwrap();
        works(&platform).await;
    }
    sleep(WATCHED).await;
    let counters = platform.counters();
    assert_eq!((counters.registrations, counters.throttled), (IN_A_MINUTE, 0), "{counters:?}");
    works(&platform).await;
}

#[tokio::test]
async fn a_throttled_registration_waits_its_time_on_the_same_connection() {
    let platform = patient().await;
    let wait = Duration::from_millis(1_500);
    platform.faults().throttle_registrations(1, wait);
    let host = builder(&platform).build().unwrap();
    let mut events = host.handle().events();
    let host = Running::start(host);
    let throttled = told(&mut events, |event| matches!(event, HostEvent::RegistrationThrottled { .. })).await;
    assert_eq!(throttled, HostEvent::RegistrationThrottled { retry_after: wait });
    let since = std::time::Instant::now();
    // A change does not shorten the wait.
    host.handle.tools().insert(named("late")).unwrap();
    told(&mut events, |event| matches!(event, HostEvent::Registered { .. })).await;
    assert!(since.elapsed() + Duration::from_millis(50) >= wait, "{:?}", since.elapsed());
    assert!(platform.tool("late").is_some(), "in the same declaration");
    let counters = platform.counters();
    assert_eq!((counters.throttled, counters.registrations, counters.connected), (1, 1, 1), "{counters:?}");
}

#[tokio::test]
async fn events_tell_what_happened_in_order() {
    let platform = patient().await;
    let host = builder(&platform).build().unwrap();
    let mut events = host.handle().events();
    let host = Running::start(host);
    platform.wait_for_tool("add").await.unwrap();
    works(&platform).await;
    let report = platform.calling("add").call_id("c1").tamper(platools_dev::Tamper::Signature).send().await;
    assert!(report.unwrap().error().is_some());
    platform.faults().send_text("{").unwrap();
    works(&platform).await;
    platform.faults().drop_connection().unwrap();
    platform.wait_for_registrations(2).await.unwrap();
    works(&platform).await;
    host.handle.shutdown().await;
    host.ended().await.unwrap();

    let connected = |events: &mut Vec<HostEvent>| {
        let state = HostEvent::State;
        events.extend([state(HostState::Authenticating), state(HostState::Active)]);
        events.push(HostEvent::Connected { scope: platform.scope() });
        events.push(HostEvent::Registered { tools: Some(9) });
    };
    let mut expected = vec![];
    connected(&mut expected);
    expected.push(HostEvent::CallRefused {
        call_id: "c1".to_owned(),
        tool: Some("add".to_owned()),
        reason: "signature_mismatch",
    });
    expected.push(HostEvent::MalformedFrame);
    expected.push(HostEvent::Disconnected { reason: "…".to_owned() });
    expected.extend([HostState::BackingOff, HostState::Connecting].map(HostEvent::State));
    connected(&mut expected);
    expected.push(HostEvent::State(HostState::Draining));
    expected.push(HostEvent::Disconnected { reason: "the host shut down".to_owned() });
    expected.push(HostEvent::State(HostState::Stopped));

    let mut seen = vec![];
    while seen.last() != Some(&HostEvent::State(HostState::Stopped)) {
        let mut event = timeout(GUARD, events.next()).await.unwrap().unwrap();
        if let HostEvent::Disconnected { reason } = &mut event
            && !reason.contains("the host shut down")
        {
            // What the operating system says differs.
            "…".clone_into(reason);
        }
        seen.push(event);
    }
    assert_eq!(seen, expected);
    assert_eq!(events.missed(), 0);
}

#[tokio::test]
async fn a_listener_that_never_reads_delays_nothing() {
    let platform = patient().await;
    let host = Running::start(builder(&platform).build().unwrap());
    platform.wait_for_tool("add").await.unwrap();
    let mut deaf = host.handle.events();
    for _ in 0..2_000 {
        platform.faults().send_text("{").unwrap();
    }
    works(&platform).await;
    deaf.next().await.unwrap();
    assert!(deaf.missed() > 1_000, "{}", deaf.missed());
}
