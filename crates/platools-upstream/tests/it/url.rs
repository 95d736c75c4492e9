//! Upstreams at a URL.

use std::time::Duration;

use platools::{LocalHost, Tool, ToolOutput, ToolSpec};
use platools_mcp::McpServer;
use platools_upstream::{Bearer, Upstream, UpstreamConfig, UpstreamState, keep_in_step};
use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, ProgressNotificationParam};
use rmcp::service::{NotificationContext, PeerRequestOptions};
use rmcp::{ClientHandler, RoleClient, ServiceExt as _};
use serde_json::json;
use tokio::sync::mpsc;

use super::program::server_at_url;
use super::support::{Server, TOKEN, call, empty, local, names, until, within};

fn config(url: &str) -> UpstreamConfig {
    let quick = Duration::from_millis(20);
    UpstreamConfig::url("far", url, Some(Bearer::new(TOKEN).unwrap())).prefix("far_").backoff(quick, quick)
}

async fn with(config: UpstreamConfig) -> (LocalHost, Upstream) {
    let host = empty();
    let upstream = Upstream::start(config);
    tokio::spawn(keep_in_step(upstream.tools(), host.tools().clone()));
    within(upstream.up()).await;
    until(|| !host.tools().is_empty()).await;
    (host, upstream)
}

#[tokio::test]
async fn tools_that_come_and_go_upstream_come_and_go_here() {
    let far = local();
    let server = Server::start(&far).await;
    let (host, upstream) = with(config(&server.url)).await;
    let late = |text: &str| {
        let spec = ToolSpec::new("late").description(text);
        Tool::new(spec, |_| async { Ok(ToolOutput::text("here")) })
    };
    far.tools().insert(late("one")).unwrap();
    until(|| names(&host).contains("far_late")).await;
    assert_eq!(call(&host, "far_late", json!({})).await, Ok(json!("here")));
    far.tools().replace(&["late", "add"], vec![late("two")]).unwrap();
    until(|| host.tools().list().iter().any(|tool| tool.spec().description == "two")).await;
    assert!(!names(&host).contains("far_add"));
    within(upstream.stop()).await;
    within(server.stop()).await;
}

#[tokio::test]
async fn a_server_that_goes_and_comes_back_is_found_again() {
    let far = local();
    let server = Server::start(&far).await;
    let address = server.address;
    let (host, upstream) = with(config(&server.url)).await;
    assert_eq!(call(&host, "far_add", json!({"a": 2, "b": 3})).await, Ok(json!({"result": 5})));
    within(server.stop()).await;
    let error = call(&host, "far_add", json!({"a": 2, "b": 3})).await.unwrap_err();
    assert!(error.contains("`far`"), "{error}");
    assert!(matches!(within(upstream.down()).await, UpstreamState::Down { .. }));
    let server = Server::start_at(&far, address).await;
    within(upstream.up()).await;
    assert_eq!(call(&host, "far_add", json!({"a": 2, "b": 3})).await, Ok(json!({"result": 5})));
    within(upstream.stop()).await;
    within(server.stop()).await;
}

#[tokio::test]
async fn a_server_that_went_unnoticed_is_missed_without_a_call() {
    let far = local();
    let server = Server::start(&far).await;
    let (_host, upstream) = with(config(&server.url).look_every(Duration::from_millis(20))).await;
    within(server.stop()).await;
    assert!(matches!(within(upstream.down()).await, UpstreamState::Down { .. }));
    within(upstream.stop()).await;
}

#[tokio::test]
async fn the_calls_of_a_server_that_is_killed_fail_at_once() {
    let (mut server, url) = server_at_url().await;
    let (host, upstream) = with(config(&url)).await;
    assert_eq!(call(&host, "far_add", json!({"a": 2, "b": 3})).await, Ok(json!({"result": 5})));
    let waiting = tokio::spawn({
        let host = host.clone();
        async move { call(&host, "far_linger", json!({})).await }
    });
    until(|| host.in_flight() == 1).await;
    // The call has to be there before its server is gone; the next one is answered after it arrived.
    assert_eq!(call(&host, "far_add", json!({"a": 2, "b": 3})).await, Ok(json!({"result": 5})));
    server.kill().await.unwrap();
    let started = std::time::Instant::now();
    let error = within(waiting).await.unwrap().unwrap_err();
    assert!(error.contains("`far`") && started.elapsed() < Duration::from_secs(20), "{error}");
    assert!(matches!(within(upstream.down()).await, UpstreamState::Down { .. }));
    within(upstream.stop()).await;
}

#[tokio::test]
async fn a_result_that_is_too_large_fails_its_own_call_alone() {
    let far = local();
    let server = Server::start(&far).await;
    let (host, upstream) = with(config(&server.url).max_result(1_000)).await;
    let error = call(&host, "far_letters", json!({"count": 5_000})).await.unwrap_err();
    assert!(error.contains("more than 1000 bytes"), "{error}");
    assert_eq!(call(&host, "far_letters", json!({"count": 3})).await, Ok(json!({"result": "xxx"})));
    within(upstream.stop()).await;
    within(server.stop()).await;
}

#[tokio::test]
async fn a_refused_token_is_said_and_not_shown() {
    let server = Server::start(&local()).await;
    let bearer = Bearer::new("s3cret-and-not-the-right-one").unwrap();
    let upstream = Upstream::start(UpstreamConfig::url("far", &server.url, Some(bearer)));
    match within(upstream.first_outcome()).await {
        UpstreamState::Down { reason, .. } => {
            assert!(reason.contains("check the bearer token") && !reason.contains("s3cret"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!format!("{upstream:?}").contains("s3cret"));
    within(upstream.stop()).await;
}

#[derive(Clone)]
struct Watcher(mpsc::UnboundedSender<ProgressNotificationParam>);

impl ClientHandler for Watcher {
    async fn on_progress(&self, report: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let _ = self.0.send(report);
    }
}

#[tokio::test]
async fn progress_is_passed_on_and_a_call_taken_back_is_taken_back_upstream() {
    let far = local();
    let server = Server::start(&far).await;
    let (host, upstream) = with(config(&server.url)).await;
    // Whoever calls the tools here is an MCP client itself.
    let (near, door) = tokio::io::duplex(1 << 16);
    let (reader, writer) = tokio::io::split(door);
    tokio::spawn(McpServer::new(host.door()).serve_io(reader, writer, platools::CancellationToken::new()));
    let (sender, mut reports) = mpsc::unbounded_channel();
    let client = within(Watcher(sender).serve(near)).await.unwrap();
    let arguments = json!({"count": 2}).as_object().cloned().unwrap();
    let letters = CallToolRequestParams::new("far_letters").with_arguments(arguments);
    within(client.call_tool(letters)).await.unwrap();
    let report = within(reports.recv()).await.unwrap();
    assert_eq!(
        (report.progress, report.total, report.message.as_deref()),
        (1.0, Some(2.0), Some("half way"))
    );

    let linger = CallToolRequest::new(CallToolRequestParams::new("far_linger"));
    let options = PeerRequestOptions::no_options();
    let waiting =
        client.send_cancellable_request(ClientRequest::CallToolRequest(linger), options).await.unwrap();
    until(|| far.in_flight() == 1).await;
    let cancelled = std::time::Instant::now();
    waiting.cancel(None).await.unwrap();
    until(|| far.in_flight() == 0).await;
    assert!(cancelled.elapsed() < Duration::from_secs(20), "sooner than its own limit of 28 s");
    within(upstream.stop()).await;
    within(server.stop()).await;
}
