//! A host against a platform that is as unkind as the real server.

use std::time::{Duration, Instant};

use axum::Router;
use platools::caller::Credentials;
use platools::fallback::HttpFallback;
use platools::host::{HostEvent, HostEvents, HostState, Registration};
use platools::prelude::*;
use platools::{Limits, Platools, tools};
use platools_dev::{DevPlatform, DevPlatformOptions, Event, Tamper, Transport};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::support::{GUARD, Running, answer, builder, error};

/// The real server, whose late close comes after this time instead of 30 s.
fn real(close_wait: Duration) -> DevPlatformOptions {
    DevPlatformOptions::new().as_real_server().close_wait(close_wait).wait_limit(GUARD)
}

async fn told(events: &mut HostEvents, mut wish: impl FnMut(&HostEvent) -> bool) -> HostEvent {
    let waiting = async {
        loop {
            let event = events.next().await.expect("the host lives");
            if wish(&event) {
                return event;
            }
        }
    };
    timeout(GUARD, waiting).await.expect("in time")
}

/// Waits for an end of a connection, and tells how long after `since` it came.
async fn hidden(platform: &DevPlatform, since: Instant) -> Duration {
    platform.wait_visible(false).await.unwrap();
    since.elapsed()
}

#[tokio::test]
async fn a_late_close_hides_the_tools_of_a_healthy_host_until_it_declares_them_again() {
    let close_wait = Duration::from_secs(1);
    let platform = real(close_wait).start().await.unwrap();
    let host = builder(&platform).heartbeat_interval(Duration::from_millis(300)).build().unwrap();
    let host = Running::start(host);
    platform.wait_visible(true).await.unwrap();
    let mut events = platform.events();
    // The platform's side of the connection stays, half open, when the host leaves it for dead.
    platform.faults().freeze().unwrap();
    platform.wait_for_counters(|counters| counters.connected == 2).await.unwrap();
    let reconnected = Instant::now();
    host.reaches(HostState::Active).await;
    assert!(hidden(&platform, reconnected).await >= close_wait / 2);
    // Nothing tells the host: it is connected, its tools are registered, and calls arrive.
    assert_eq!(host.handle.state(), HostState::Active);
    assert!(matches!(host.handle.registration(), Registration::Applied { tools: Some(9) }));
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    assert!(platform.visible_tools().is_empty() && platform.tools().len() == 9);

    platform.wait_visible(true).await.unwrap();
    let shown = reconnected.elapsed();
    assert!(
        (Duration::from_secs(3)..Duration::from_secs(11)).contains(&shown),
        "5 s after the connect: {shown:?}"
    );
    assert_eq!(platform.counters().throttled, 0, "within the limit of the platform");
    let mut ends = 0;
    while let Some(event) = events.try_next() {
        ends += usize::from(matches!(event, Event::Disconnected { .. }));
    }
    assert_eq!(ends, 1, "only the old connection has ended");
}

#[tokio::test]
async fn a_superseded_host_answers_on_its_old_connection_and_then_hides_the_tools_of_the_new_one() {
    let platform = real(Duration::from_secs(30)).start().await.unwrap();
    let old = Running::start(builder(&platform).build().unwrap());
    platform.wait_for_tool("sleep").await.unwrap();
    // Longer than a close is waited for by default.
    let call = platform.call("sleep", json!({"ms": 3_000}));
    let succession = async {
        while old.handle.in_flight() == 0 {
            tokio::task::yield_now().await;
        }
        let new = Running::start(builder(&platform).build().unwrap());
        platform.wait_for_counters(|counters| counters.superseded == 1).await.unwrap();
        new
    };
    let (report, new) = tokio::join!(call, succession);
    assert_eq!(report.unwrap().into_result().unwrap(), json!(3_000));
    old.reaches(HostState::Standby).await;
    platform.wait_visible(false).await.unwrap();
    assert_eq!(new.handle.state(), HostState::Active);
    platform.wait_visible(true).await.unwrap();
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
}

/// Answer admins only.
#[tool(register = false, auth = "admin", roles = ["support"], category = "orders", read_only)]
async fn restricted() -> bool {
    true
}

#[tokio::test]
async fn what_the_server_drops_of_a_declaration_is_still_enforced_by_the_host() {
    let platform = real(Duration::ZERO).start().await.unwrap();
    let host = builder(&platform).tools(tools![restricted]);
    let host = host.authenticator(|_: Credentials| async { Ok(Identity::new("usr_1")) }).build().unwrap();
    let _host = Running::start(host);
    platform.wait_for_tool("restricted").await.unwrap();
    let kept = platform.tool("restricted").unwrap();
    assert_eq!((kept.output_schema, kept.auth, kept.roles.len()), (None, None, 0));
    assert_eq!(json!(kept.annotations), json!({"category": "orders"}));
    let report = platform.calling("restricted").user_token("t0ken").send().await.unwrap();
    assert!(report.error().unwrap().starts_with("denied: "), "{report:?}");
}

#[tokio::test]
async fn a_rejected_registration_is_an_event_and_a_state_and_is_repeated_only_where_that_may_help() {
    let platform = real(Duration::ZERO).start().await.unwrap();
    platform.faults().refuse_registrations(1, "duplicate_tool_name:add");
    let host = builder(&platform).build().unwrap();
    let mut events = host.handle().events();
    let host = Running::start(host);
    let rejected = |event: &HostEvent| matches!(event, HostEvent::RegistrationRejected { .. });
    let HostEvent::RegistrationRejected { reason, retry_after } = told(&mut events, rejected).await else {
        unreachable!()
    };
    assert_eq!((reason.as_str(), retry_after), ("duplicate_tool_name:add", None));
    let state = Registration::Rejected { reason };
    assert_eq!(host.handle.registration(), state);
    // The time is what is tested: without the rejection, they would be declared again after 5 s.
    sleep(Duration::from_secs(6)).await;
    assert_eq!((host.handle.registration(), host.handle.state()), (state, HostState::Active));
    let counters = platform.counters();
    assert_eq!((counters.rejected, counters.registrations), (1, 0));
    assert!(platform.visible_tools().is_empty());

    // A changed declaration is another one.
    host.handle.tools().enable("panic", false);
    told(&mut events, |event| matches!(event, HostEvent::Registered { .. })).await;
    assert_eq!(host.handle.registration(), Registration::Applied { tools: Some(8) });
    assert!(platform.is_visible());

    // What may pass is tried again, slowly.
    platform.faults().refuse_registrations(1, "entity_not_found_in_scope");
    host.handle.tools().enable("panic", true);
    let HostEvent::RegistrationRejected { reason, retry_after } = told(&mut events, rejected).await else {
        unreachable!()
    };
    assert_eq!((reason.as_str(), retry_after), ("entity_not_found_in_scope", Some(Duration::from_secs(30))));
    assert_eq!(platform.visible_tools().len(), 8, "the declaration before still applies");
}

/// A host with calls over HTTP beside its connection.
async fn with_callback(
    platform: &DevPlatform,
    change: impl FnOnce(Platools) -> Platools,
) -> (Running, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/platos/calls", listener.local_addr().unwrap());
    let host = change(builder(platform)).allow_insecure(true).callback_url(&url).build().unwrap();
    let host = Running::start(host);
    let app = Router::new().nest("/platos/calls", HttpFallback::new(&host.handle).into_router());
    tokio::spawn(async move { axum::serve(listener, app).await });
    platform.wait_for_tool("add").await.unwrap();
    (host, url)
}

#[tokio::test]
async fn calls_go_over_http_exactly_while_the_host_is_not_connected() {
    let options = real(Duration::ZERO).allow_http_callbacks(true).allow_private_callbacks(true);
    let platform = options.start().await.unwrap();
    let mut limits = Limits::default();
    (limits.max_running, limits.max_waiting) = (1, 0);
    let (host, url) = with_callback(&platform, |host| host.limits(limits)).await;
    assert_eq!(platform.callback_url(), Some(url.clone()));
    let report = platform.call("add", json!({"a": 1, "b": 2})).await.unwrap();
    assert_eq!(report.transport, Transport::WebSocket);

    platform.crash().await;
    assert_eq!(platform.visible_tools().len(), 9, "they can be called");
    let report = platform.call("add", json!({"a": 20, "b": 22})).await.unwrap();
    assert_eq!(report.transport, Transport::Http { url, status: Some(200) });
    assert_eq!(report.into_result().unwrap(), json!(42));
    let who = platform.calling("whoami").user("usr_ü").context(json!({"k": 1})).send().await.unwrap();
    assert_eq!(who.into_result().unwrap().as_array().unwrap()[..2], [json!("usr_ü"), json!("usr_ü")]);
    // What is not a result is made for the model.
    assert_eq!(error(&platform, "fail", json!({"inside": false})).await, "HTTP 422: not today");
    let text = error(&platform, "fail", json!({"inside": true})).await;
    assert!(text.starts_with("HTTP 500: internal error (call ") && !text.contains("hunter2"), "{text}");
    let text = error(&platform, "add", json!({"a": 1})).await;
    assert!(text.starts_with("HTTP 400: invalid arguments: "), "{text}");
    assert_eq!(error(&platform, "nope", json!({})).await, "HTTP 404: unknown tool: nope");
    let tampered = platform.calling("add").tamper(Tamper::Arguments).send().await.unwrap();
    assert!(tampered.error().unwrap().starts_with("HTTP 401: signature_mismatch: "), "{tampered:?}");
    platform.call("add", json!({"a": 1, "b": 2})).await.unwrap();
    let replayed = platform.faults().replay_last_call().await.unwrap();
    assert!(replayed.error().unwrap().starts_with("HTTP 401: nonce_replay: "), "{replayed:?}");
    // An overload tells the model when to try again.
    let (slow, overloaded) = tokio::join!(platform.call("sleep", json!({"ms": 500})), async {
        while host.handle.in_flight() == 0 {
            tokio::task::yield_now().await;
        }
        platform.call("add", json!({"a": 1, "b": 2})).await.unwrap()
    });
    slow.unwrap().into_result().unwrap();
    assert_eq!(overloaded.error(), Some("rate_limit: retry in 1s"));
    assert_eq!(overloaded.error_payload().unwrap()["retryAfterSeconds"], 1);

    platform.resume().await.unwrap();
    platform.wait_for_counters(|counters| counters.connected == 2).await.unwrap();
    let report = platform.call("add", json!({"a": 1, "b": 2})).await.unwrap();
    assert_eq!(report.transport, Transport::WebSocket);
}

#[tokio::test]
async fn a_callback_that_the_server_would_not_call_is_refused_by_the_host_or_when_it_is_called() {
    let platform = real(Duration::ZERO).start().await.unwrap();
    let refused = |url: &str| builder(&platform).callback_url(url).build().unwrap_err().to_string();
    assert!(refused("http://127.0.0.1:8080/").contains("PLATOS_ALLOW_INSECURE=1"));
    assert!(refused("https://tools.example:6379/").contains("port 6379"));
    // An address that is not public is only doubted, since a development platform may call it.
    let (host, _) = with_callback(&platform, |host| host).await;
    platform.crash().await;
    assert!(platform.is_visible(), "the server checks only when it calls");
    let text = error(&platform, "add", json!({"a": 1, "b": 2})).await;
    assert!(text.starts_with("entity callback URL blocked: is not encrypted"), "{text}");
    host.handle.shutdown().await;

    let platform = real(Duration::ZERO).start().await.unwrap();
    let host = builder(&platform).callback_url("https://127.0.0.1:8443/calls").build().unwrap();
    let _host = Running::start(host);
    platform.wait_for_tool("add").await.unwrap();
    platform.crash().await;
    let text = error(&platform, "add", json!({"a": 1, "b": 2})).await;
    assert!(text.starts_with("entity callback URL blocked: leads to 127.0.0.1"), "{text}");
}

#[tokio::test]
async fn without_a_callback_the_tools_vanish_with_the_connection() {
    let platform = real(Duration::ZERO).start().await.unwrap();
    let _host = Running::start(builder(&platform).build().unwrap());
    platform.wait_visible(true).await.unwrap();
    platform.crash().await;
    assert!(platform.visible_tools().is_empty());
    let text = error(&platform, "add", json!({"a": 1, "b": 2})).await;
    assert!(text.starts_with("entity callback URL blocked: "), "{text}");
    platform.resume().await.unwrap();
    platform.wait_visible(true).await.unwrap();
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
}
